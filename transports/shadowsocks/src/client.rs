//! The dialling end.

use std::{
    io,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use commucat_transport_api::{
    BoxFuture, Channel, Client, ConfigError, ConfigProblem, Cx, DialError, Failure, HostPort, Opened,
    PathInfo, Phase, ProbeReport, Secret, Signal, Spec, Target,
};

use crate::{
    config::ClientConfig,
    link, probe,
    stream::{SsStream, heads::RequestOpening},
    udp::client::ClientDatagrams,
};

/// A configured client.
#[derive(Debug)]
pub(crate) struct SsClient {
    pub(crate) config: ClientConfig,
    pub(crate) server: HostPort,
    /// Whether the carrier can be said in a link, and how the link goes.
    via: Option<Box<Spec>>,
}

impl SsClient {
    pub(crate) fn new(spec: &Spec) -> Result<Self, ConfigError> {
        let config = ClientConfig::from_spec(spec)?;
        if spec.endpoint.port == 0 {
            return Err(ConfigError::new(Some("endpoint"), ConfigProblem::BadValue));
        }
        Ok(Self { config, server: spec.endpoint.clone(), via: spec.via.clone() })
    }

    /// Connects the carrier; the request leaves later, with the first bytes.
    async fn dial_stream(&self, cx: &Cx, target: HostPort) -> Result<Opened, DialError> {
        let started = cx.net.now();
        let elapsed = || cx.net.now().saturating_duration_since(started);
        let Some(connected) = cx.until_deadline(cx.net.connect_stream(&self.server)).await else {
            return Err(DialError::network(Failure::new(Phase::Connect, Signal::Timeout, elapsed())));
        };
        let io = connected.map_err(|error| connect_error(error, elapsed()))?;
        let path = match self.server.host.ip() {
            Some(_) => PathInfo::with_rtt(elapsed()),
            // Here the time holds a name look-up as well.
            None => PathInfo::default(),
        };
        let (keys, net) = (Arc::clone(&self.config.keys), Arc::clone(&cx.net));
        let stream = SsStream::client(io, RequestOpening { keys, net, target, started, wait: None });
        Ok(Opened::new(Channel::Stream(Box::new(stream))).with_path(path))
    }

    async fn dial_datagrams(&self, cx: &Cx) -> Result<Opened, DialError> {
        let started = cx.net.now();
        let elapsed = || cx.net.now().saturating_duration_since(started);
        let timeout = |phase| DialError::network(Failure::new(phase, Signal::Timeout, elapsed()));
        let found =
            cx.until_deadline(cx.net.resolve(&self.server)).await.ok_or_else(|| timeout(Phase::Resolve))?;
        let server = found
            .and_then(|all| all.first().copied().ok_or_else(|| io::ErrorKind::NotFound.into()))
            .map_err(|error| DialError::io(Phase::Resolve, elapsed(), error))?;
        let local: SocketAddr = match server {
            SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
            SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
        };
        let port = match cx.net.bind_datagram(local).await {
            // A carrier has streams only.
            Err(error) if error.kind() == io::ErrorKind::Unsupported => {
                return Err(DialError::UnsupportedTarget);
            }
            bound => bound.map_err(|error| DialError::io(Phase::Connect, elapsed(), error))?,
        };
        let (keys, net) = (Arc::clone(&self.config.keys), Arc::clone(&cx.net));
        let channel = ClientDatagrams::new(port, server, keys, net)
            .map_err(|error| DialError::io(Phase::Handshake, elapsed(), error))?;
        Ok(Opened::new(Channel::Datagrams(Box::new(channel))))
    }
}

impl Client for SsClient {
    fn dial<'a>(&'a self, cx: &'a Cx, target: &'a Target) -> BoxFuture<'a, Result<Opened, DialError>> {
        Box::pin(async move {
            match target {
                Target::Datagrams if self.config.mode.udp() => self.dial_datagrams(cx).await,
                Target::Bridge | Target::Stream(_) if self.config.mode.tcp() => {
                    let address = target.to_address().ok_or(DialError::UnsupportedTarget)?;
                    self.dial_stream(cx, address).await
                }
                _ => Err(DialError::UnsupportedTarget),
            }
        })
    }

    fn probe<'a>(&'a self, cx: &'a Cx) -> BoxFuture<'a, ProbeReport> {
        Box::pin(probe::probe(self, cx))
    }

    fn link(&self, name: &str) -> Option<Secret<String>> {
        link::render_config(&self.config, &self.server, self.via.as_deref(), name)
    }
}

/// A carrier's own evidence is kept; a system error becomes evidence of this phase.
fn connect_error(error: io::Error, elapsed: Duration) -> DialError {
    if let Some(failure) = Failure::in_io(&error).cloned() {
        return DialError::Network { failure, source: Some(error.into()) };
    }
    let phase = if error.kind() == io::ErrorKind::NotFound { Phase::Resolve } else { Phase::Connect };
    DialError::io(phase, elapsed, error)
}
