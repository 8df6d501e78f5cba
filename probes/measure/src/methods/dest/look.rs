//! Looks at one host: connects, shakes hands, waits for tickets, asks for the front page.

use std::{
    io,
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll},
    time::Instant,
};

use commucat_battery::TlsFacts;
use commucat_transport_api::{BoxStream, Cx, Host, HostPort, Net, Signal};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
    client::{
        Resumption, WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    pki_types::{CertificateDer, ServerName, UnixTime},
};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf};
use tokio_rustls::{TlsConnector, client::TlsStream};

use super::{CONNECTS, DestConfig, DestError, DestFacts};
use crate::trial::locked;

/// Most bytes of a host that are remembered as they came: a flight with a long chain fits.
const RAW_BYTES_MAX: usize = 64 * 1024;
/// Most bytes of a front page's head.
const HEAD_BYTES_MAX: usize = 16 * 1024;

/// What was seen; with an error, what was seen until then and why no more.
pub(super) type Seen = Result<DestFacts, (DestFacts, String)>;

pub(super) fn roots(config: &DestConfig) -> Result<Arc<RootCertStore>, DestError> {
    let certificates = match &config.roots {
        Some(given) => given.clone(),
        None => rustls_native_certs::load_native_certs().certs,
    };
    let mut store = RootCertStore::empty();
    let (added, _unreadable) = store.add_parsable_certificates(certificates);
    if added == 0 {
        return Err(DestError::NoRoots);
    }
    Ok(Arc::new(store))
}

pub(super) async fn look(
    net: &Arc<dyn Net>,
    host: &HostPort,
    config: &DestConfig,
    roots: &Arc<RootCertStore>,
) -> Result<Seen, DestError> {
    let mut facts = DestFacts::default();
    let mut times = Vec::with_capacity(CONNECTS);
    for _connect in 0..CONNECTS {
        let began = net.now();
        match connect(net, host, config).await {
            Ok(_stream) => times.push(millis(net, began)),
            Err(why) => return Ok(Err((facts, why))),
        }
    }
    times.sort_unstable();
    facts.connect_ms = times.get(times.len() / 2).copied();
    let verifier = Arc::new(Recording::new(roots)?);
    for (alpn, is_first) in [(&[&b"h2"[..], b"http/1.1"][..], true), (&[&b"http/1.1"[..]][..], false)] {
        let tls = client_config(&verifier, alpn)?;
        let stream = match connect(net, host, config).await {
            Ok(stream) => stream,
            Err(why) => return Ok(Err((facts, why))),
        };
        let began = net.now();
        let handshake = TlsConnector::from(Arc::new(tls)).connect(server_name(host), Recorded::new(stream));
        let cx = Cx::new(Arc::clone(net), config.patience);
        let mut stream = match cx.until_deadline(handshake).await {
            Some(Ok(stream)) => stream,
            Some(Err(error)) => return Ok(Err((facts, format!("the handshake failed ({error})")))),
            None => return Ok(Err((facts, "the handshake got no answer in time".to_owned()))),
        };
        if is_first {
            facts.handshake_ms = Some(millis(net, began));
            session(&mut facts, &stream);
            tickets(net, &mut facts, &mut stream, config).await;
        } else {
            front_page(net, &mut facts, &mut stream, host, config).await;
        }
    }
    facts.signature = locked(&verifier.seen).signature.map(|scheme| format!("{scheme:?}"));
    facts.certificate_problem.clone_from(&locked(&verifier.seen).problem);
    Ok(Ok(facts))
}

async fn connect(net: &Arc<dyn Net>, host: &HostPort, config: &DestConfig) -> Result<BoxStream, String> {
    let cx = Cx::new(Arc::clone(net), config.patience);
    match cx.until_deadline(net.connect_stream(host)).await {
        Some(Ok(stream)) => Ok(stream),
        Some(Err(error)) => Err(Signal::from_io(&error).to_string()),
        None => Err(Signal::Timeout.to_string()),
    }
}

fn server_name(host: &HostPort) -> ServerName<'static> {
    match &host.host {
        Host::Ip(ip) => ServerName::from(*ip),
        // A name that passed `HostPort` and fits no certificate is looked at without one.
        Host::Name(name) => ServerName::try_from(name.to_string())
            .unwrap_or_else(|_no_dns_name| ServerName::from(std::net::Ipv4Addr::UNSPECIFIED)),
    }
}

fn client_config(verifier: &Arc<Recording>, alpn: &[&[u8]]) -> Result<ClientConfig, DestError> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(DestError::Tls)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::<Recording>::clone(verifier))
        .with_no_client_auth();
    config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
    config.resumption = Resumption::disabled();
    Ok(config)
}

/// What the handshake showed.
fn session(facts: &mut DestFacts, stream: &TlsStream<Recorded>) {
    let (io, connection) = stream.get_ref();
    facts.version = connection.protocol_version().map(u16::from);
    facts.group = connection.negotiated_key_exchange_group().map(|group| u16::from(group.name()));
    facts.alpn = connection.alpn_protocol().map(|name| String::from_utf8_lossy(name).into_owned());
    facts.chain = connection.peer_certificates().unwrap_or_default().iter().map(|one| one.len()).collect();
    if let Some(tls) = TlsFacts::read(&io.raw) {
        facts.retry = tls.hello.as_ref().is_some_and(|hello| hello.retry);
        facts.flight = tls.records;
    }
}

/// What comes by itself after the handshake.
async fn tickets(
    net: &Arc<dyn Net>,
    facts: &mut DestFacts,
    stream: &mut TlsStream<Recorded>,
    config: &DestConfig,
) {
    // Our Finished has been queued; it leaves with the next flush.
    let cx = Cx::new(Arc::clone(net), config.after);
    let waiting = async {
        stream.flush().await?;
        // Nothing is asked, so nothing but tickets can come; an end ends the wait.
        stream.read(&mut [0; 1]).await
    };
    let _ended: Option<io::Result<usize>> = cx.until_deadline(waiting).await;
    let all = TlsFacts::read(&stream.get_ref().0.raw).map(|tls| tls.records).unwrap_or_default();
    facts.after = all.iter().skip(facts.flight.len()).map(|record| record.length).collect();
}

async fn front_page(
    net: &Arc<dyn Net>,
    facts: &mut DestFacts,
    stream: &mut TlsStream<Recorded>,
    host: &HostPort,
    config: &DestConfig,
) {
    let name = host.host.to_string();
    let request = format!("GET / HTTP/1.1\r\nHost: {name}\r\nAccept: text/html\r\nConnection: close\r\n\r\n");
    let cx = Cx::new(Arc::clone(net), config.patience);
    let mut got = Vec::new();
    let asking = async {
        stream.write_all(request.as_bytes()).await?;
        stream.flush().await?;
        let mut chunk = [0; 4096];
        while got.len() < HEAD_BYTES_MAX && !got.windows(4).any(|four| four == b"\r\n\r\n") {
            let count = stream.read(&mut chunk).await?;
            if count == 0 {
                break;
            }
            got.extend_from_slice(chunk.get(..count).unwrap_or_default());
        }
        Ok::<_, io::Error>(())
    };
    // A page that breaks off still has a head.
    let _broke: Option<io::Result<()>> = cx.until_deadline(asking).await;
    let Some(head) = commucat_dissect::http::response_head(&got) else { return };
    facts.status = Some(head.status);
    let leads = head.header("location").filter(|_| (300..400).contains(&head.status));
    facts.redirect = leads.and_then(other_host).filter(|to| !to.eq_ignore_ascii_case(&name));
}

/// The host of an absolute location.
fn other_host(location: &str) -> Option<String> {
    let rest = location.split_once("://").map(|(_scheme, rest)| rest)?;
    let host = rest.split(['/', '?', '#', ':']).next()?;
    (!host.is_empty()).then(|| host.to_owned())
}

fn millis(net: &Arc<dyn Net>, began: Instant) -> u64 {
    u64::try_from(net.now().saturating_duration_since(began).as_millis()).unwrap_or(u64::MAX)
}

/// A stream whose first bytes are remembered as they came.
#[derive(Debug)]
struct Recorded {
    stream: BoxStream,
    raw: Vec<u8>,
}

impl Recorded {
    const fn new(stream: BoxStream) -> Self {
        Self { stream, raw: Vec::new() }
    }
}

impl AsyncRead for Recorded {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(cx, buf);
        let new = buf.filled().get(before..).unwrap_or_default();
        let room = RAW_BYTES_MAX.saturating_sub(self.raw.len()).min(new.len());
        self.raw.extend_from_slice(new.get(..room).unwrap_or_default());
        read
    }
}

impl AsyncWrite for Recorded {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// Checks certificates as a browser does, remembers what it found, and lets the handshake go on in any case.
#[derive(Debug)]
struct Recording {
    inner: Arc<WebPkiServerVerifier>,
    seen: Mutex<Verified>,
}

#[derive(Debug, Default)]
struct Verified {
    problem: Option<String>,
    signature: Option<SignatureScheme>,
}

impl Recording {
    fn new(roots: &Arc<RootCertStore>) -> Result<Self, DestError> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let inner = WebPkiServerVerifier::builder_with_provider(Arc::clone(roots), provider).build();
        let inner = inner.map_err(|error| DestError::Tls(Error::General(error.to_string())))?;
        Ok(Self { inner, seen: Mutex::default() })
    }
}

impl ServerCertVerifier for Recording {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let verified =
            self.inner.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now);
        locked(&self.seen).problem = verified.err().map(|error| match error {
            Error::InvalidCertificate(CertificateError::UnknownIssuer) => "nobody known signed it".to_owned(),
            other => other.to_string(),
        });
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        locked(&self.seen).signature = Some(dss.scheme);
        self.inner.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        locked(&self.seen).signature = Some(dss.scheme);
        self.inner.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.inner.supported_verify_schemes()
    }
}
