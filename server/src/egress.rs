//! Reaching what users ask for: resolve, look at every address, connect to one that was looked at.

mod policy;
mod udp;

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use commucat_transport_api::{BoxStream, HostPort, Net};
use futures_util::{StreamExt as _, stream::FuturesUnordered};

pub use self::policy::{Denied, Policy};
pub(crate) use self::udp::{UdpEnd, UdpLimits, associate};

/// Head start of each address over the next (RFC 8305 §5).
const ATTEMPT_STAGGER: Duration = Duration::from_millis(250);
/// Most addresses of one name that are tried.
const MAX_ADDRESSES: usize = 8;

/// Why a target was not reached.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EgressError {
    /// The rules refuse it.
    #[error("the target is refused")]
    Denied(#[from] Denied),
    /// The name has no address.
    #[error("the name of the target cannot be resolved")]
    Resolve(#[source] io::Error),
    /// Nobody answered in time.
    #[error("the target did not answer in time")]
    Timeout,
    /// The target, or the network on the way, said no.
    #[error("the target cannot be reached")]
    Connect(#[source] io::Error),
}

impl EgressError {
    /// The class that is counted.
    pub const fn class(&self) -> &'static str {
        match self {
            Self::Denied(_) => "denied",
            Self::Resolve(_) => "resolve",
            Self::Timeout => "timeout",
            Self::Connect(_) => "connect",
        }
    }

    /// Every class, for counters that are there before the first failure.
    pub const CLASSES: [&'static str; 4] = ["denied", "resolve", "timeout", "connect"];
}

/// The way out of the bridge.
#[derive(Clone, Debug)]
pub struct Egress {
    net: Arc<dyn Net>,
    policy: Arc<Policy>,
    timeout: Duration,
}

impl Egress {
    /// A way out over this network, with a limit on each connect, lookup included.
    pub fn new(net: Arc<dyn Net>, policy: Policy, timeout: Duration) -> Self {
        Self { net, policy: Arc::new(policy), timeout }
    }

    /// Connects to a target.
    ///
    /// # Errors
    /// [`EgressError`].
    pub async fn connect(&self, to: &HostPort) -> Result<BoxStream, EgressError> {
        let deadline = self.net.sleep_until(self.net.now() + self.timeout);
        tokio::select! {
            biased;
            connected = self.connect_unbounded(to) => connected,
            () = deadline => Err(EgressError::Timeout),
        }
    }

    /// The addresses of a target that may be reached, at least one.
    ///
    /// # Errors
    /// [`EgressError::Resolve`]; [`EgressError::Denied`] when none may.
    pub async fn resolve(&self, to: &HostPort) -> Result<Vec<SocketAddr>, EgressError> {
        self.policy.check_port(to.port)?;
        let found = self.net.resolve(to).await.map_err(EgressError::Resolve)?;
        let mut denied = Denied::NotPublic;
        let mut allowed = Vec::new();
        for address in found.into_iter().take(MAX_ADDRESSES) {
            match self.policy.check(address) {
                Ok(()) => allowed.push(address),
                Err(reason) => denied = reason,
            }
        }
        if allowed.is_empty() { Err(denied.into()) } else { Ok(allowed) }
    }

    async fn connect_unbounded(&self, to: &HostPort) -> Result<BoxStream, EgressError> {
        let mut waiting = interleave(self.resolve(to).await?).into_iter();
        let mut running = FuturesUnordered::new();
        let mut last = None;
        loop {
            if let Some(address) = waiting.next() {
                let net = Arc::clone(&self.net);
                running.push(async move { net.connect_stream(&address.into()).await });
            }
            let more = waiting.len() > 0;
            let stagger = self.net.sleep_until(self.net.now() + ATTEMPT_STAGGER);
            tokio::select! {
                biased;
                Some(attempt) = running.next() => match attempt {
                    Ok(stream) => return Ok(stream),
                    Err(error) => last = Some(error),
                },
                () = stagger, if more => {}
                else => return Err(EgressError::Connect(last.unwrap_or_else(|| io::ErrorKind::NotFound.into()))),
            }
            if running.is_empty() && !more {
                return Err(EgressError::Connect(last.unwrap_or_else(|| io::ErrorKind::NotFound.into())));
            }
        }
    }

    pub(crate) fn net(&self) -> &Arc<dyn Net> {
        &self.net
    }

    pub(crate) fn policy(&self) -> &Policy {
        &self.policy
    }
}

/// Families in turn, beginning with the one the resolver put first (RFC 8305 §4).
fn interleave(addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let first_is_v6 = addresses.first().is_some_and(SocketAddr::is_ipv6);
    let (first, second): (Vec<_>, Vec<_>) =
        addresses.into_iter().partition(|address| address.is_ipv6() == first_is_v6);
    let mut second = second.into_iter();
    let mut mixed = Vec::new();
    for address in first {
        mixed.push(address);
        mixed.extend(second.next());
    }
    mixed.extend(second);
    mixed
}

#[cfg(test)]
mod tests;
