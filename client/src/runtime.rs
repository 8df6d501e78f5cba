//! Everything together: the manager, the local port, the forwards, the background tasks.

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use commucat_bundle::Bundle;
use commucat_proto::link::Link;
use commucat_transport_api::{Net, StreamPort};
use tokio::{sync::watch, task::JoinSet};

use crate::{
    assist,
    auth::Credentials,
    endpoint::Endpoint,
    error::ClientError,
    inbound::{Forward, Gate, Local, serve_forward, serve_port},
    manager::Manager,
    state::ClientState,
    status::Status,
};

/// Where the local port listens unless told otherwise.
pub const DEFAULT_LISTEN: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 1080);
/// Connections that may be open at once unless told otherwise.
pub const DEFAULT_MAX_CONNECTIONS: usize = 4096;
/// How often what was learnt is written down, when it changed.
const SAVE_EVERY: Duration = Duration::from_secs(30);

/// How the client runs.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where the local port listens; port 0 takes a free one.
    pub listen: SocketAddr,
    /// What local programs must present.
    pub credentials: Option<Credentials>,
    /// Whether the port may be open to other machines without a password.
    pub allow_remote: bool,
    /// Port forwards.
    pub forwards: Vec<Forward>,
    /// Where to remember what was learnt; nowhere when `None`.
    pub state_dir: Option<PathBuf>,
    /// Connections that may be open at once.
    pub max_connections: usize,
    /// Whether to ask the bridge what it serves, when the link says that it answers.
    pub assist: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            listen: DEFAULT_LISTEN,
            credentials: None,
            allow_remote: false,
            forwards: Vec::new(),
            state_dir: None,
            max_connections: DEFAULT_MAX_CONNECTIONS,
            assist: true,
        }
    }
}

/// A running client. Dropping it ends every connection.
#[derive(Debug)]
pub struct Runtime {
    manager: Manager,
    address: SocketAddr,
    forwards: Vec<SocketAddr>,
    state_dir: Option<PathBuf>,
    tasks: JoinSet<()>,
}

impl Runtime {
    /// Opens the ports and begins to serve. Nothing is dialled before a local program asks.
    ///
    /// # Errors
    /// [`ClientError`] says what in the link or on this machine is in the way.
    pub async fn start(
        net: Arc<dyn Net>,
        bundle: &Bundle,
        link: &Link,
        options: Options,
    ) -> Result<Self, ClientError> {
        let endpoints = endpoints(bundle, link)?;
        let remembered = options.state_dir.as_deref().map(ClientState::load).unwrap_or_default();
        let manager = Manager::new(Arc::clone(&net), endpoints, remembered);
        let mut runtime = Self::serve(net, manager, options.clone()).await?;
        if options.assist && link.assist {
            let asking = assist::keep_asking(runtime.manager.clone(), bundle.clone(), link.endpoints.clone());
            runtime.tasks.spawn(asking);
        }
        Ok(runtime)
    }

    /// The same over a manager that was made by hand.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub async fn serve(net: Arc<dyn Net>, manager: Manager, options: Options) -> Result<Self, ClientError> {
        let guarded = options.credentials.is_some() || options.allow_remote;
        let port = listen(&net, options.listen, guarded).await?;
        let address =
            port.local_addr().map_err(|source| ClientError::Listen { address: options.listen, source })?;
        let local = Arc::new(Local {
            manager: manager.clone(),
            net: Arc::clone(&net),
            credentials: options.credentials.map(Arc::new),
            gate: Gate::new(options.max_connections),
            address,
        });
        let mut tasks = JoinSet::new();
        let mut forwards = Vec::new();
        for forward in options.forwards {
            // A forward cannot ask for a password.
            let port = listen(&net, forward.local, options.allow_remote).await?;
            forwards.push(port.local_addr().unwrap_or(forward.local));
            tasks.spawn(serve_forward(port, forward.target, Arc::clone(&local)));
        }
        tasks.spawn(serve_port(port, local));
        let ticking = manager.clone();
        tasks.spawn(async move { ticking.run().await });
        if let Some(directory) = options.state_dir.clone() {
            tasks.spawn(keep_saving(manager.clone(), directory));
        }
        Ok(Self { manager, address, forwards, state_dir: options.state_dir, tasks })
    }

    /// Where the local port listens.
    pub const fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Where the forwards listen, in the order they were given.
    pub fn forward_addrs(&self) -> &[SocketAddr] {
        &self.forwards
    }

    /// What the client is doing, renewed twice a second.
    pub fn status(&self) -> watch::Receiver<Status> {
        self.manager.status()
    }

    /// The connection manager.
    pub const fn manager(&self) -> &Manager {
        &self.manager
    }

    /// Ends every connection and writes down what was learnt.
    pub async fn shutdown(mut self) {
        self.tasks.shutdown().await;
        if let Some(directory) = self.state_dir.take() {
            save(&self.manager, directory).await;
        }
    }
}

/// The endpoints of a link that can be used. One that cannot is left out with a warning, as long as another can.
///
/// # Errors
/// None can be used.
pub fn endpoints(bundle: &Bundle, link: &Link) -> Result<Vec<Endpoint>, ClientError> {
    let mut usable = Vec::new();
    let mut first_error = None;
    for (at, spec) in link.endpoints.iter().enumerate() {
        match Endpoint::from_spec(bundle, spec, at + 1) {
            Ok(endpoint) => usable.push(endpoint),
            Err(source) => {
                let transport = spec.transport.to_string();
                tracing::warn!(place = at + 1, %transport, error = %source, "an endpoint of the link cannot be used");
                first_error.get_or_insert(ClientError::Endpoint { place: at + 1, transport, source });
            }
        }
    }
    if usable.is_empty() {
        return Err(first_error.unwrap_or(ClientError::NoEndpoint));
    }
    Ok(usable)
}

async fn listen(
    net: &Arc<dyn Net>,
    address: SocketAddr,
    guarded: bool,
) -> Result<Box<dyn StreamPort>, ClientError> {
    if !address.ip().to_canonical().is_loopback() && !guarded {
        return Err(ClientError::OpenToOthers { address });
    }
    net.listen_stream(address).await.map_err(|source| ClientError::Listen { address, source })
}

async fn keep_saving(manager: Manager, directory: PathBuf) {
    loop {
        tokio::time::sleep(SAVE_EVERY).await;
        save(&manager, directory.clone()).await;
    }
}

async fn save(manager: &Manager, directory: PathBuf) {
    let Some(state) = manager.changed_state() else { return };
    let saved = tokio::task::spawn_blocking(move || state.save(&directory)).await;
    match saved {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::warn!(%error, "what was learnt could not be written down"),
        Err(error) => tracing::warn!(%error, "what was learnt could not be written down"),
    }
}
