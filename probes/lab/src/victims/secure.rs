//! Clients over TLS: a whole HTTPS fetch, or only a hello of somebody else's shape.

use std::{io, net::SocketAddr, sync::Arc};

use commucat_dissect::tls;
use rustls::{
    ClientConfig, ProtocolVersion, SupportedProtocolVersion,
    crypto::{CryptoProvider, SupportedKxGroup, aws_lc_rs},
    pki_types::ServerName,
    version::{TLS12, TLS13},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};
use tokio_rustls::{TlsConnector, client::TlsStream};

use super::{
    Outcome, Scene,
    stream::{self, Fetch},
};

/// Bytes of a small page.
const PAGE_BYTES: u64 = 4000;
/// Longest first flight of a server that is read, in bytes.
const FLIGHT_BYTES_MAX: usize = 64 * 1024;

/// An HTTPS fetch.
#[derive(Clone, Copy, Debug)]
pub(super) struct Https<'a> {
    /// Where.
    pub(super) at: SocketAddr,
    /// The server name, in SNI and in the certificate.
    pub(super) name: &'a str,
    /// How many bytes to fetch.
    pub(super) bytes: u64,
    /// Whether a control server is asked.
    pub(super) control: bool,
    /// Whether TLS ends at version 1.2.
    pub(super) old: bool,
}

impl<'a> Https<'a> {
    /// So many bytes from a site of the plan.
    pub(super) fn site(scene: &Scene, name: &'a str, bytes: u64) -> Self {
        Self { at: scene.site(name), name, bytes, control: false, old: false }
    }

    /// So many bytes from a control server, under any name of the zone.
    pub(super) const fn control(at: SocketAddr, name: &'a str, bytes: u64) -> Self {
        Self { at, name, bytes, control: true, old: false }
    }

    /// Connects and fetches.
    pub(super) async fn fetch(self, scene: &Scene) -> Outcome {
        let tcp = match stream::connect(scene, self.at).await {
            Ok(tcp) => tcp,
            Err(outcome) => return outcome,
        };
        match handshake(scene, tcp, self.name, self.old).await {
            Ok(mut tls) => self.request().over(scene, &mut tls).await,
            Err(outcome) => outcome,
        }
    }

    /// What is asked for inside.
    pub(super) const fn request(self) -> Fetch<'a> {
        Fetch { host: self.name, bytes: self.bytes, control: self.control }
    }
}

/// Fetches a small page from a site of the plan, as a browser's first visit would: what every innocent can do.
pub async fn page(scene: &Scene, name: &str) -> Outcome {
    Https::site(scene, name, PAGE_BYTES).fetch(scene).await
}

/// A TLS handshake over any stream.
pub(super) async fn handshake<S>(
    scene: &Scene,
    stream: S,
    name: &str,
    old: bool,
) -> Result<TlsStream<S>, Outcome>
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
{
    let name = ServerName::try_from(name.to_owned()).map_err(Outcome::failed)?;
    let connector = TlsConnector::from(Arc::new(config(scene, old)?));
    let tls = scene.wait(0, async { connector.connect(name, stream).await.map_err(unwrapped) }).await?;
    let spoken = tls.get_ref().1.protocol_version();
    let wanted = if old { ProtocolVersion::TLSv1_2 } else { ProtocolVersion::TLSv1_3 };
    if spoken == Some(wanted) {
        Ok(tls)
    } else {
        Err(Outcome::failed("the server speaks another TLS version"))
    }
}

/// The TLS configuration of a client that trusts the lab only.
pub(super) fn config(scene: &Scene, old: bool) -> Result<ClientConfig, Outcome> {
    config_with(scene, old, aws_lc_rs::default_provider().kx_groups)
}

/// The same with these groups for the key exchange.
pub(super) fn config_with(
    scene: &Scene,
    old: bool,
    kx_groups: Vec<&'static dyn SupportedKxGroup>,
) -> Result<ClientConfig, Outcome> {
    let provider = CryptoProvider { kx_groups, ..aws_lc_rs::default_provider() };
    let versions: &[&SupportedProtocolVersion] = if old { &[&TLS12] } else { &[&TLS13] };
    let mut config = ClientConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(versions)
        .map_err(Outcome::failed)?
        .with_root_certificates(scene.roots().clone())
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

/// Sends a hello in pieces of its own choice and waits for the server's. What it cannot do is finish the handshake: it
/// shows whether a hello of that shape is answered.
pub(super) async fn hello(scene: &Scene, at: SocketAddr, pieces: &[&[u8]]) -> (Outcome, Option<TcpStream>) {
    match try_hello(scene, at, pieces).await {
        Ok((bytes, stream)) => (Outcome::Intact { bytes }, Some(stream)),
        Err(outcome) => (outcome, None),
    }
}

async fn try_hello(scene: &Scene, at: SocketAddr, pieces: &[&[u8]]) -> Result<(u64, TcpStream), Outcome> {
    let mut stream = stream::connect(scene, at).await?;
    for (index, piece) in pieces.iter().enumerate() {
        if index > 0 {
            // Without Nagle's algorithm each write is a segment, unless the window is full or the two writes meet in
            // the queue; a short pause keeps them apart.
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        scene.wait(0, stream.write_all(piece)).await?;
    }
    let mut flight = Vec::new();
    loop {
        let bytes = u64::try_from(flight.len()).unwrap_or_default();
        if tls::server_hello(&flight).is_some() {
            return Ok((bytes, stream));
        }
        if flight.len() > FLIGHT_BYTES_MAX {
            return Err(Outcome::failed("the server's flight has no hello"));
        }
        if scene.wait(bytes, stream.read_buf(&mut flight)).await? == 0 {
            return Err(Outcome::Closed { bytes });
        }
    }
}

/// rustls wraps errors of the socket once more, and only the inner kind says what the network did.
fn unwrapped(error: io::Error) -> io::Error {
    match error.get_ref().and_then(|inner| inner.downcast_ref::<io::Error>()) {
        Some(inner) => inner.kind().into(),
        None => error,
    }
}
