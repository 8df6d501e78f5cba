//! Whole requests to a control server: TCP, TLS by a program's library (not a browser's), HTTP/1.1 inside. The pin says
//! whether it is our server that answers.

use std::{
    io,
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use commucat_control::wire;
use commucat_dissect::{
    http,
    tls::{self, Defragment, Hello},
};
use commucat_transport_api::{Phase, Signal};
use commucat_verdict::observations::{Operation, Trial};
use rustls::{ClientConfig, crypto::SupportedKxGroup, pki_types::ServerName};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf},
    net::TcpStream,
    time::{Instant, timeout_at},
};
use tokio_rustls::{TlsConnector, client::TlsStream};

use super::{
    Bench, Carrier, Draft,
    segments::Counter,
    signal_of,
    tcp::{self, Failed, finish},
};
use crate::trial::pin::{PinVerifier, pin_of};

/// Most bytes of a response head.
const HEAD_BYTES_MAX: usize = 8 * 1024;
/// Most bytes of an answer that is not a transfer.
const ANSWER_BYTES_MAX: usize = 16 * 1024;
/// Most bytes of our own hello that are remembered.
const OWN_HELLO_BYTES_MAX: usize = 4 * 1024;

/// An open connection to a control server, TLS done.
pub(crate) struct Channel {
    pub(crate) stream: TlsStream<Remembering>,
    pub(crate) counter: Option<Counter>,
    buffered: Vec<u8>,
    token: Option<String>,
}

/// The head of a response.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Head {
    pub(crate) status: u16,
    pub(crate) content_length: u64,
}

impl Channel {
    /// Connects and makes the TLS handshake. The draft learns what was seen.
    pub(crate) async fn open(
        bench: &Bench,
        draft: &mut Draft,
        address: SocketAddr,
        name: Option<&str>,
    ) -> Result<Self, Failed> {
        let timeout = bench.timeout();
        let stream = tcp::connect(draft, address, timeout).await?;
        let counter = stream.local_addr().ok().and_then(|local| Counter::new(local, address));
        let server = bench.targets.servers.iter().find(|server| server.address == address.ip());
        let verifier = Arc::new(PinVerifier::default());
        let fail = |draft: &Draft, signal| (Operation::TlsHandshake, draft.failure(Phase::Handshake, signal));
        let config = client_config(Arc::clone(&verifier), name.is_some(), None)
            .map_err(|_unsupported| fail(draft, Signal::Other))?;
        let named = match name {
            Some(name) => {
                ServerName::try_from(name.to_owned()).map_err(|_no_dns_name| fail(draft, Signal::Other))?
            }
            None => ServerName::from(address.ip()),
        };
        let handshake = TlsConnector::from(Arc::new(config)).connect(named, Remembering::new(stream));
        let stream = match tokio::time::timeout(timeout, handshake).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => return Err(fail(draft, tls_signal(&error))),
            Err(_elapsed) => return Err(fail(draft, Signal::Timeout)),
        };
        draft.done(Operation::TlsHandshake);
        let (io, connection) = stream.get_ref();
        let seen = draft.tls();
        seen.version = connection.protocol_version().and_then(version_text);
        seen.cipher_suite =
            connection.negotiated_cipher_suite().and_then(|suite| suite.suite().as_str().map(str::to_owned));
        seen.alpn = connection.alpn_protocol().map(|alpn| String::from_utf8_lossy(alpn).into_owned());
        seen.ja4_sent = own_ja4(&io.written);
        let pin = verifier.seen().as_ref().and_then(pin_of);
        seen.pin_matches =
            server.and_then(|server| server.pin).map(|wanted| pin.is_some_and(|pin| pin == wanted));
        seen.pin = pin.map(|pin| pin.to_string());
        if seen.pin_matches == Some(false) {
            return Err(fail(draft, Signal::WrongCertificate));
        }
        let token = server.and_then(|server| server.token.clone());
        Ok(Self { stream, counter, buffered: Vec::new(), token })
    }

    /// The head of a request; `length` is that of its body.
    pub(crate) fn request(&self, method: &str, path: &str, length: Option<u64>) -> Vec<u8> {
        request_head(self.token.as_deref(), method, path, length)
    }

    /// Sends bytes.
    pub(crate) async fn send(
        &mut self,
        draft: &mut Draft,
        bytes: &[u8],
        timeout: Duration,
    ) -> Result<(), Failed> {
        let sending = async {
            self.stream.write_all(bytes).await?;
            self.stream.flush().await
        };
        let signal = match tokio::time::timeout(timeout, sending).await {
            Ok(Ok(())) => {
                draft.sent(bytes.len());
                return Ok(());
            }
            Ok(Err(error)) => tls_signal(&error),
            Err(_elapsed) => Signal::Timeout,
        };
        Err((Operation::Write, draft.failure(Phase::Data, signal)))
    }

    /// Receives some bytes into `buffer`: what came behind a head first.
    pub(crate) async fn receive(
        &mut self,
        draft: &mut Draft,
        buffer: &mut [u8],
        until: Instant,
    ) -> Result<usize, Failed> {
        if !self.buffered.is_empty() {
            let len = self.buffered.len().min(buffer.len());
            for (to, from) in buffer.iter_mut().zip(self.buffered.drain(..len)) {
                *to = from;
            }
            return Ok(len);
        }
        let signal = match timeout_at(until, self.stream.read(buffer)).await {
            Ok(Ok(0)) => Signal::UnexpectedEof,
            Ok(Ok(len)) => {
                draft.received(len);
                return Ok(len);
            }
            Ok(Err(error)) => tls_signal(&error),
            Err(_elapsed) => Signal::Timeout,
        };
        Err((Operation::Read, draft.failure(Phase::Data, signal)))
    }

    /// Receives the head of a response; what follows it stays for [`Self::receive`].
    pub(crate) async fn head(&mut self, draft: &mut Draft, until: Instant) -> Result<Head, Failed> {
        let mut bytes = Vec::new();
        let mut buffer = vec![0; HEAD_BYTES_MAX];
        loop {
            let len = self.receive(draft, &mut buffer, until).await?;
            bytes.extend_from_slice(buffer.get(..len).unwrap_or_default());
            if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
                let rest = bytes.split_off(end + 4);
                self.buffered.extend(rest);
                let wrong = || (Operation::Read, draft.failure(Phase::Data, Signal::UnexpectedBytes));
                let head = http::response_head(&bytes).ok_or_else(wrong)?;
                let content_length =
                    head.header("content-length").and_then(|text| text.trim().parse().ok()).unwrap_or(0);
                return Ok(Head { status: head.status, content_length });
            }
            if bytes.len() >= HEAD_BYTES_MAX {
                return Err((Operation::Read, draft.failure(Phase::Data, Signal::UnexpectedBytes)));
            }
        }
    }

    /// Asks for a small answer and receives all of it.
    pub(crate) async fn get(
        &mut self,
        draft: &mut Draft,
        path: &str,
        timeout: Duration,
    ) -> Result<Vec<u8>, Failed> {
        let request = self.request("GET", path, None);
        self.send(draft, &request, timeout).await?;
        let until = Instant::now() + timeout;
        let head = self.head(draft, until).await?;
        if !(200..300).contains(&head.status) {
            return Err((Operation::Read, draft.failure(Phase::Data, Signal::HttpStatus(head.status))));
        }
        let wanted = usize::try_from(head.content_length).unwrap_or(usize::MAX).min(ANSWER_BYTES_MAX);
        let mut body = Vec::new();
        let mut buffer = vec![0; ANSWER_BYTES_MAX];
        while body.len() < wanted {
            let len = self.receive(draft, &mut buffer, until).await?;
            body.extend_from_slice(buffer.get(..len).unwrap_or_default());
        }
        Ok(body)
    }
}

impl std::fmt::Debug for Channel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Channel").field("counter", &self.counter).finish_non_exhaustive()
    }
}

/// One request over a connection of its own, and its answer.
pub(crate) async fn get(
    bench: &Arc<Bench>,
    address: SocketAddr,
    name: Option<&str>,
    path: &str,
) -> (Trial, Option<Vec<u8>>) {
    let mut draft = Draft::new(bench, address, name);
    let outcome = match Channel::open(bench, &mut draft, address, name).await {
        Ok(mut channel) => channel.get(&mut draft, path, bench.timeout()).await,
        Err(failed) => Err(failed),
    };
    let (outcome, body) = match outcome {
        Ok(body) => (Ok(()), Some(body)),
        Err(failed) => (Err(failed), None),
    };
    (finish(bench, Carrier::Tcp, address, draft, outcome), body)
}

/// The head of an HTTP/1.1 request to a control server.
pub(crate) fn request_head(token: Option<&str>, method: &str, path: &str, length: Option<u64>) -> Vec<u8> {
    let path = wire::path(token, path);
    let length = length.map(|length| format!("content-length: {length}\r\n")).unwrap_or_default();
    format!("{method} {path} HTTP/1.1\r\nhost: a\r\n{length}\r\n").into_bytes()
}

/// What an error of the TLS library or of the socket below it says.
pub(crate) fn tls_signal(error: &io::Error) -> Signal {
    match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        Some(rustls::Error::AlertReceived(alert)) => Signal::TlsAlert(u8::from(*alert)),
        Some(rustls::Error::InvalidCertificate(_)) => Signal::WrongCertificate,
        Some(_) => Signal::UnexpectedBytes,
        None => signal_of(error),
    }
}

/// TLS as the library does it, or with these groups, with any certificate: whose it is, the pin says.
pub(crate) fn client_config(
    verifier: Arc<PinVerifier>,
    name: bool,
    groups: Option<Vec<&'static dyn SupportedKxGroup>>,
) -> Result<ClientConfig, rustls::Error> {
    let mut provider = rustls::crypto::aws_lc_rs::default_provider();
    if let Some(groups) = groups {
        provider.kx_groups = groups;
    }
    let mut config = ClientConfig::builder_with_provider(Arc::new(provider))
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_no_client_auth();
    config.alpn_protocols = vec![wire::ALPN_HTTP.to_vec()];
    config.enable_sni = name;
    // Each handshake is to be a whole one: a resumed flight has other sizes.
    config.resumption = rustls::client::Resumption::disabled();
    Ok(config)
}

fn version_text(version: rustls::ProtocolVersion) -> Option<String> {
    match version {
        rustls::ProtocolVersion::TLSv1_3 => Some("TLSv1.3".to_owned()),
        rustls::ProtocolVersion::TLSv1_2 => Some("TLSv1.2".to_owned()),
        _ => None,
    }
}

fn own_ja4(written: &[u8]) -> Option<String> {
    match tls::client_hello(written, Defragment::Records) {
        Hello::Complete(hello) => Some(hello.ja4(tls::Transport::Tcp)),
        _ => None,
    }
}

/// A connection that remembers the first bytes written: our own hello.
#[derive(Debug)]
pub(crate) struct Remembering {
    stream: TcpStream,
    written: Vec<u8>,
}

impl Remembering {
    const fn new(stream: TcpStream) -> Self {
        Self { stream, written: Vec::new() }
    }
}

impl AsyncRead for Remembering {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Remembering {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, buf);
        if let Poll::Ready(Ok(len)) = written {
            let room = OWN_HELLO_BYTES_MAX.saturating_sub(self.written.len()).min(len);
            self.written.extend_from_slice(buf.get(..room).unwrap_or_default());
        }
        written
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
