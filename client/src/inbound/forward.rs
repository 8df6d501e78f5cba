//! Port forwards: every connection to a local port goes to one fixed host behind the bridge.

use std::{
    fmt,
    net::{Ipv4Addr, SocketAddr},
    str::FromStr,
    sync::Arc,
};

use bytes::BytesMut;
use commucat_transport_api::{HostPort, HostPortError, StreamPort, Target};
use tokio::task::JoinSet;

use super::{ACCEPT_RETRY, Local, connect};

/// `LOCAL=HOST:PORT`: where to listen and where to go. `LOCAL` is `address:port`, or a port alone for the loopback
/// address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Forward {
    /// Where to listen.
    pub local: SocketAddr,
    /// Where its connections go, as the bridge sees it.
    pub target: HostPort,
}

/// Why a text is no forward.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ForwardError {
    /// There is no `=`.
    #[error("write LOCAL=HOST:PORT, such as 8022=example.org:22")]
    NoTarget,
    /// The left side is neither a port nor an address with a port.
    #[error("the part before `=` must be a port or address:port")]
    Local,
    /// The right side is no `host:port`.
    #[error("the part after `=` must be host:port")]
    Target(#[source] HostPortError),
}

impl FromStr for Forward {
    type Err = ForwardError;

    fn from_str(text: &str) -> Result<Self, ForwardError> {
        let (local, target) = text.split_once('=').ok_or(ForwardError::NoTarget)?;
        let local = match local.parse::<u16>() {
            Ok(port) => SocketAddr::from((Ipv4Addr::LOCALHOST, port)),
            Err(_no_port) => {
                local.parse().map_err(|_no_address: std::net::AddrParseError| ForwardError::Local)?
            }
        };
        Ok(Self { local, target: target.parse().map_err(ForwardError::Target)? })
    }
}

impl fmt::Display for Forward {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.local, self.target)
    }
}

/// Serves one forward until dropped; dropping it ends its connections.
pub(crate) async fn serve_forward(mut port: Box<dyn StreamPort>, target: HostPort, local: Arc<Local>) {
    let target = Arc::new(Target::from_address(target));
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = port.accept() => match accepted {
                Ok((stream, _peer)) => {
                    let Some(open) = local.gate.open() else {
                        tracing::warn!("at the limit of open connections; one was closed");
                        continue;
                    };
                    let (target, manager) = (Arc::clone(&target), local.manager.clone());
                    connections.spawn(async move {
                        let _open = open;
                        match manager.stream(&target).await {
                            Ok(remote) => connect::tunnel(stream, BytesMut::new(), remote).await,
                            // A reset says "failed"; an end of stream would say "empty".
                            Err(_told) => commucat_net::abort(stream),
                        }
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "could not accept a connection to a forwarded port");
                    local.net.sleep_until(local.net.now() + ACCEPT_RETRY).await;
                }
            },
            Some(_ended) = connections.join_next() => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forwards_are_read_as_people_write_them() {
        let forward: Forward = "8022=example.org:22".parse().unwrap();
        assert_eq!(forward.to_string(), "127.0.0.1:8022=example.org:22");
        let forward: Forward = "[::1]:0=[2001:db8::1]:443".parse().unwrap();
        assert_eq!(forward.to_string(), "[::1]:0=[2001:db8::1]:443");
        assert_eq!("8022".parse::<Forward>(), Err(ForwardError::NoTarget));
        assert_eq!("x=a:1".parse::<Forward>(), Err(ForwardError::Local));
        assert_eq!("1=a".parse::<Forward>(), Err(ForwardError::Target(HostPortError::NoPort)));
    }
}
