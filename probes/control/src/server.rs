//! Starting and stopping.

use std::{
    net::{SocketAddr, UdpSocket as StdUdpSocket},
    sync::Arc,
};

use rustls::{ServerConfig, crypto::CryptoProvider, server::ResolvesServerCert};
use serde::Serialize;
use tokio::{
    net::{TcpListener, UdpSocket},
    task::spawn_blocking,
    time::timeout,
};
use tokio_rustls::TlsAcceptor;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    ControlConfig, ControlError, Listen, Pin, Stats,
    certificate::{self, Identity},
    connection::Shared,
    gate::Gate,
    limits::STOP_GRACE,
    quic,
    stats::Counters,
    tcp, udp, wire,
};

/// The server, before it runs.
#[derive(Clone, Copy, Debug)]
pub struct Control;

/// The server while it runs. Dropping it ends everything at once; [`RunningControl::stop`] lets requests finish.
pub struct RunningControl {
    addresses: Addresses,
    identity: Identity,
    shared: Arc<Shared>,
}

/// Where a server listens, with the ports the system chose.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Addresses {
    /// TCP.
    pub tcp: Vec<SocketAddr>,
    /// UDP echo.
    pub udp: Vec<SocketAddr>,
    /// QUIC.
    pub quic: Vec<SocketAddr>,
}

impl Control {
    /// Binds every socket and begins to serve. Must run inside a tokio runtime; tasks and sockets belong to the thread
    /// that polls this future (in a namespace of its own: spawn it there).
    ///
    /// # Errors
    /// What is wrong with the configuration, the certificate or a socket. Nothing runs then.
    pub async fn start(config: ControlConfig) -> Result<RunningControl, ControlError> {
        config.check()?;
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let identity = identity(&config, &provider).await?;
        let sockets = Sockets::bind(&config).await?;
        let tls = server_config(&identity, &provider, &[wire::ALPN_HTTP])?;
        let shared = Arc::new(Shared {
            limits: config.limits,
            token: config.token,
            raw_echo: !config.no_raw_echo,
            tls: TlsAcceptor::from(Arc::new(tls)),
            gate: Arc::new(Gate::new(config.limits.connections, config.limits.connections_per_address)),
            counters: Counters::default(),
            draining: CancellationToken::new(),
            aborting: CancellationToken::new(),
            tasks: TaskTracker::new(),
        });
        let for_quic = server_config(&identity, &provider, &[wire::ALPN_PROBE, wire::ALPN_H3])?;
        let addresses = sockets.serve(&shared, for_quic).inspect_err(|_failed| {
            shared.draining.cancel();
            shared.aborting.cancel();
        })?;
        tracing::info!(
            tcp = addresses.tcp.len(),
            udp = addresses.udp.len(),
            quic = addresses.quic.len(),
            pin = %identity.pin,
            "the control server listens"
        );
        Ok(RunningControl { addresses, identity, shared })
    }
}

impl RunningControl {
    /// Where it listens.
    pub const fn addresses(&self) -> &Addresses {
        &self.addresses
    }

    /// What a probe must be told in order to know this server again.
    pub const fn certificate_pin(&self) -> Pin {
        self.identity.pin
    }

    /// The certificate itself, DER, the server's own first.
    pub fn certificate(&self) -> &[rustls_pki_types::CertificateDer<'static>] {
        &self.identity.key.cert
    }

    /// What it did so far.
    pub fn stats(&self) -> Stats {
        self.shared.counters.snapshot()
    }

    /// Takes nothing new, lets running requests finish for two seconds, then ends them. Returns when every task ended.
    pub async fn stop(self) -> Stats {
        self.shared.draining.cancel();
        self.shared.tasks.close();
        if timeout(STOP_GRACE, self.shared.tasks.wait()).await.is_err() {
            self.shared.aborting.cancel();
            self.shared.tasks.wait().await;
        }
        self.stats()
    }
}

impl Drop for RunningControl {
    fn drop(&mut self) {
        self.shared.draining.cancel();
        self.shared.aborting.cancel();
    }
}

impl std::fmt::Debug for RunningControl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RunningControl")
            .field("addresses", &self.addresses)
            .field("pin", &self.identity.pin)
            .field("stats", &self.stats())
            .finish_non_exhaustive()
    }
}

/// Bound, but not served.
struct Sockets {
    tcp: Vec<TcpListener>,
    udp: Vec<UdpSocket>,
    quic: Vec<StdUdpSocket>,
}

impl Sockets {
    async fn bind(config: &ControlConfig) -> Result<Self, ControlError> {
        let mut sockets = Self { tcp: Vec::new(), udp: Vec::new(), quic: Vec::new() };
        for address in config.tcp.iter().flat_map(Listen::addresses) {
            sockets.tcp.push(TcpListener::bind(address).await.map_err(bind("tcp", address))?);
        }
        for address in config.udp.iter().flat_map(Listen::addresses) {
            sockets.udp.push(UdpSocket::bind(address).await.map_err(bind("udp", address))?);
        }
        for address in config.quic.iter().flat_map(Listen::addresses) {
            sockets.quic.push(StdUdpSocket::bind(address).map_err(bind("quic", address))?);
        }
        Ok(sockets)
    }

    fn serve(self, shared: &Arc<Shared>, tls: ServerConfig) -> Result<Addresses, ControlError> {
        let mut addresses = Addresses::default();
        let unknown = SocketAddr::from(([0, 0, 0, 0], 0));
        let quic_config = quic::config(tls, &shared.limits)?;
        for listener in self.tcp {
            addresses.tcp.push(listener.local_addr().map_err(bind("tcp", unknown))?);
            shared.tasks.spawn(tcp::run(listener, Arc::clone(shared)));
        }
        for socket in self.udp {
            addresses.udp.push(socket.local_addr().map_err(bind("udp", unknown))?);
            shared.tasks.spawn(udp::run(socket, Arc::clone(shared)));
        }
        for socket in self.quic {
            let address = socket.local_addr().map_err(bind("quic", unknown))?;
            let (endpoint, hellos) =
                quic::endpoint(socket, quic_config.clone()).map_err(bind("quic", address))?;
            addresses.quic.push(address);
            shared.tasks.spawn(quic::run(endpoint, hellos, Arc::clone(shared)));
        }
        Ok(addresses)
    }
}

fn bind(what: &'static str, address: SocketAddr) -> impl FnOnce(std::io::Error) -> ControlError {
    move |source| ControlError::Bind { what, address, source }
}

/// Files are read off the runtime.
async fn identity(config: &ControlConfig, provider: &Arc<CryptoProvider>) -> Result<Identity, ControlError> {
    let (from, provider) = (config.certificate.clone(), Arc::clone(provider));
    match spawn_blocking(move || certificate::load(&from, &provider)).await {
        Ok(loaded) => loaded,
        Err(stopped) => Err(ControlError::Stopped(stopped)),
    }
}

/// One certificate, whatever name is asked for.
#[derive(Debug)]
struct Always(Arc<rustls::sign::CertifiedKey>);

impl ResolvesServerCert for Always {
    fn resolve(&self, _hello: rustls::server::ClientHello<'_>) -> Option<Arc<rustls::sign::CertifiedKey>> {
        Some(Arc::clone(&self.0))
    }
}

fn server_config(
    identity: &Identity,
    provider: &Arc<CryptoProvider>,
    alpn: &[&[u8]],
) -> Result<ServerConfig, ControlError> {
    let mut config = ServerConfig::builder_with_provider(Arc::clone(provider))
        .with_safe_default_protocol_versions()
        .map_err(ControlError::BadCertificate)?
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(Always(Arc::clone(&identity.key))));
    config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
    Ok(config)
}
