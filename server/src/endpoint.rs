//! One listening endpoint: its transport, its accept loop, and whether it has changed since it was started.

use std::{io, net::SocketAddr, path::Path, sync::Arc, time::Duration};

use commucat_bundle::Bundle;
use commucat_transport_api::{Cx, Host, HostPort, ListenError, Listener, Net, Server, Spec, TransportId};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    config::EndpointConfig,
    error::{BindReason, StartError},
    metrics::EndpointStats,
    session::{ACCEPT_BACKOFF, Sessions},
};

/// Longest time that starting to listen may take.
const LISTEN_BUDGET: Duration = Duration::from_secs(30);
/// Files named in an endpoint's parameters are looked at up to this length, in bytes.
const MAX_WATCHED_FILE_BYTES: u64 = 1024 * 1024;

/// A running endpoint.
#[derive(Debug)]
pub(crate) struct Endpoint {
    pub(crate) config: EndpointConfig,
    pub(crate) fingerprint: Fingerprint,
    /// Transport and port.
    pub(crate) label: String,
    pub(crate) server: Arc<dyn Server>,
    pub(crate) local: Option<SocketAddr>,
    stop: CancellationToken,
    loops: TaskTracker,
    listening: CancellationToken,
}

/// What an endpoint was started from. Two that are equal need no restart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fingerprint(blake3::Hash);

/// An endpoint as others see it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RunningEndpoint {
    /// Which transport.
    pub transport: TransportId,
    /// Where it listens, when it is a socket.
    pub listen: Option<SocketAddr>,
    /// Where clients reach it, when the configuration says so.
    pub public: Option<HostPort>,
    /// Whether it still listens.
    pub up: bool,
}

impl Fingerprint {
    /// Covers the whole spec and the content of every file that its parameters name: a renewed certificate is a
    /// change, though its path is not.
    pub(crate) fn of(spec: &Spec) -> Self {
        let mut hasher = blake3::Hasher::new();
        for spec in std::iter::successors(Some(spec), |spec| spec.via.as_deref()) {
            hasher.update(spec.transport.as_str().as_bytes());
            hasher.update(spec.endpoint.to_string().as_bytes());
            hasher.update(spec.params.to_string().as_bytes());
            hash_files(&spec.params, &mut hasher);
        }
        Self(hasher.finalize())
    }
}

fn hash_files(value: &serde_json::Value, hasher: &mut blake3::Hasher) {
    use std::io::Read as _;
    match value {
        serde_json::Value::Object(map) => map.values().for_each(|value| hash_files(value, hasher)),
        serde_json::Value::Array(items) => items.iter().for_each(|value| hash_files(value, hasher)),
        serde_json::Value::String(text) if Path::new(text).is_file() => {
            let mut content = Vec::new();
            let read = std::fs::File::open(text)
                .and_then(|file| file.take(MAX_WATCHED_FILE_BYTES).read_to_end(&mut content));
            if read.is_ok() {
                hasher.update(&content);
            }
        }
        _ => {}
    }
}

impl Endpoint {
    /// Starts to listen.
    pub(crate) async fn start(
        at: usize,
        config: EndpointConfig,
        bundle: &Bundle,
        sessions: &Arc<Sessions>,
        stats: impl FnOnce(&str) -> Arc<EndpointStats>,
    ) -> Result<Self, StartError> {
        let net = Arc::clone(&sessions.net);
        let transport = config.spec.transport.clone();
        let failed = |source| StartError::Listen {
            at,
            transport: transport.clone(),
            reason: BindReason::of(&source, &config.spec.endpoint),
            source,
        };
        let fingerprint = Fingerprint::of(&config.spec);
        let server = bundle
            .server(&config.spec, sessions.roster.table())
            .map_err(|source| StartError::Endpoint { at, transport: transport.clone(), source })?;
        let listener = server.listen(&Cx::new(Arc::clone(&net), LISTEN_BUDGET)).await.map_err(failed)?;
        let local = listener.local_addr();
        let port = local.map_or(config.spec.endpoint.port, |local| local.port());
        let label = format!("{transport}:{port}");
        let stats = stats(&label);
        let (stop, listening, loops) =
            (CancellationToken::new(), CancellationToken::new(), TaskTracker::new());
        stats.up.set(1.0);
        tracing::info!(endpoint = at, transport = transport.as_str(), port, "listening");
        let up = Up { stats: Arc::clone(&stats), down: listening.clone() };
        let accepting = accept_loop(listener, Arc::clone(sessions), stats, net);
        let stopped = stop.clone();
        loops.spawn(async move {
            tokio::select! {
                () = stopped.cancelled() => {}
                () = accepting => tracing::error!(endpoint = at, "an endpoint no longer listens"),
            }
            drop(up);
        });
        Ok(Self { config, fingerprint, label, server, local, stop, loops, listening })
    }

    /// Stops to listen; when this returns the port is free. Connections go on.
    pub(crate) async fn stop(&self) {
        self.stop.cancel();
        self.loops.close();
        self.loops.wait().await;
    }

    pub(crate) fn is_up(&self) -> bool {
        !self.listening.is_cancelled()
    }

    /// The port it has, also when the system chose it.
    pub(crate) fn port(&self) -> u16 {
        self.local.map_or(self.config.spec.endpoint.port, |local| local.port())
    }
}

impl Drop for Endpoint {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// Where clients reach an endpoint that listens on `port`.
pub(crate) fn public_address(public: Option<&HostPort>, port: u16, host: Option<&Host>) -> Option<HostPort> {
    public.cloned().or_else(|| host.map(|host| HostPort { host: host.clone(), port }))
}

struct Up {
    stats: Arc<EndpointStats>,
    down: CancellationToken,
}

impl Drop for Up {
    fn drop(&mut self) {
        self.stats.up.set(0.0);
        self.down.cancel();
    }
}

async fn accept_loop(
    mut listener: Box<dyn Listener>,
    sessions: Arc<Sessions>,
    stats: Arc<EndpointStats>,
    net: Arc<dyn Net>,
) {
    let mut pause = ACCEPT_BACKOFF.0;
    loop {
        match listener.accept().await {
            Ok(incoming) => {
                pause = ACCEPT_BACKOFF.0;
                sessions.spawn(&stats, incoming);
            }
            Err(ListenError::Accept(error)) => {
                stats.accept_errors.increment(1);
                warn_accept(&stats, &error, pause);
                net.sleep_until(net.now() + pause).await;
                pause = (pause * 2).min(ACCEPT_BACKOFF.1);
            }
            Err(error) => {
                tracing::error!(endpoint = stats.label, %error, "an endpoint failed");
                return;
            }
        }
    }
}

/// Once for each trouble, not for each of its thousand accepts.
fn warn_accept(stats: &EndpointStats, error: &io::Error, pause: Duration) {
    if pause == ACCEPT_BACKOFF.0 {
        tracing::warn!(endpoint = stats.label, %error, "could not accept a connection");
    }
}
