//! The plainest transport: a key, a target, then the bytes as they are. Nothing is hidden; it is for these tests.
//!
//! ```text
//! stranger: 32 bytes; answered with the cover. Those that begin with STAY are a visit, which lasts: bytes come back.
//! client: key (32) · kind (1: 0 bridge, 1 stream, 2 datagrams) · address (streams only)      server: 0 yes, 1 full
//! datagrams, both ways: length (2, big-endian, of what follows) · address · payload
//! ```

use std::{
    io,
    net::SocketAddr,
    num::NonZeroUsize,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use commucat_transport_api::{
    AcceptError, Accepted, Addressing, BoxFuture, BoxStream, Channel, ChannelKinds, Client, ConfigError, Cx,
    DatagramChannel, Descriptor, DialError, Failure, HostPort, Incoming, ListenError, Listener, Opened,
    Phase, PluggableTransport, ProbeReport, Roles, Server, Signal, Spec, StreamPort, Target, TransportId,
    User, UserTable,
};
use serde::{Deserialize, Serialize};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf},
    sync::Notify,
};

pub(crate) const ID: TransportId = TransportId::from_static("plain");
/// How a visit to the site begins.
pub(crate) const VISIT: &[u8; 32] = b"STAY............................";
pub(crate) const COVER: &[u8] = b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n";
const MAX_DATAGRAM: usize = 1500;

#[derive(Debug)]
pub(crate) struct Plain(Descriptor);

impl Plain {
    pub(crate) fn new() -> Self {
        let kinds = ChannelKinds { stream: true, datagram: true, mux: false };
        Self(Descriptor::new(ID, "everything, in clear", kinds, Roles::Both, Addressing::Proxy))
    }
}

#[derive(Serialize, Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct ServerParams {
    #[serde(default)]
    label: String,
    #[serde(default)]
    cert_file: Option<std::path::PathBuf>,
    #[serde(default)]
    key_file: Option<std::path::PathBuf>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ClientParams {
    key: String,
}

pub(crate) fn key_of(user: &User) -> [u8; 32] {
    blake3::derive_key("commucat plain user key v1", user.secret.expose())
}

impl PluggableTransport for Plain {
    fn descriptor(&self) -> &Descriptor {
        &self.0
    }

    fn client(&self, spec: &Spec) -> Result<Arc<dyn Client>, ConfigError> {
        let params: ClientParams = spec.params()?;
        Ok(Arc::new(PlainClient {
            to: spec.endpoint.clone(),
            key: blake3::Hash::from_hex(params.key).map_or([0; 32], Into::into),
        }))
    }

    fn server(&self, spec: &Spec, users: &Arc<UserTable>) -> Result<Arc<dyn Server>, ConfigError> {
        let _params: ServerParams = spec.params()?;
        Ok(Arc::new(PlainServer { at: spec.endpoint.clone(), users: Arc::clone(users) }))
    }

    fn generate_server_params(&self) -> Result<serde_json::Value, ConfigError> {
        Ok(serde_json::json!({ "label": "made\nat setup" }))
    }
}

#[derive(Debug)]
struct PlainClient {
    to: HostPort,
    key: [u8; 32],
}

impl Client for PlainClient {
    fn dial<'a>(&'a self, cx: &'a Cx, target: &'a Target) -> BoxFuture<'a, Result<Opened, DialError>> {
        Box::pin(async move {
            let failed = |phase, error| DialError::io(phase, std::time::Duration::ZERO, error);
            let mut stream = cx.net.connect_stream(&self.to).await.map_err(|e| failed(Phase::Connect, e))?;
            let mut hello = self.key.to_vec();
            match target {
                Target::Bridge => hello.push(0),
                Target::Stream(to) => {
                    hello.push(1);
                    to.encode(&mut hello);
                }
                Target::Datagrams => hello.push(2),
                _ => return Err(DialError::UnsupportedTarget),
            }
            stream.write_all(&hello).await.map_err(|e| failed(Phase::Handshake, e))?;
            let refused = |signal| {
                DialError::network(Failure::new(Phase::Authenticate, signal, std::time::Duration::ZERO))
            };
            match stream.read_u8().await.map_err(|e| failed(Phase::Handshake, e))? {
                0 => {}
                1 => return Err(refused(Signal::BridgeFull)),
                _ => return Err(refused(Signal::AuthRejected)),
            }
            Ok(Opened::new(match target {
                Target::Datagrams => Channel::Datagrams(Box::new(Framed::new(stream))),
                _ => Channel::Stream(stream),
            }))
        })
    }

    fn probe<'a>(&'a self, _cx: &'a Cx) -> BoxFuture<'a, ProbeReport> {
        Box::pin(async { ProbeReport::default() })
    }
}

#[derive(Debug)]
struct PlainServer {
    at: HostPort,
    users: Arc<UserTable>,
}

impl Server for PlainServer {
    fn listen<'a>(&'a self, cx: &'a Cx) -> BoxFuture<'a, Result<Box<dyn Listener>, ListenError>> {
        Box::pin(async move {
            let bind = |source| ListenError::Bind { address: self.at.clone(), source };
            let port = cx.net.listen_stream(self.at.socket_addr().unwrap()).await.map_err(bind)?;
            let listener: Box<dyn Listener> =
                Box::new(PlainListener { port, users: Arc::clone(&self.users) });
            Ok(listener)
        })
    }

    fn client_spec(&self, public: &HostPort, user: &User) -> Result<Spec, ConfigError> {
        let key = blake3::Hash::from(key_of(user)).to_hex().to_string();
        Spec::new(ID, public.clone(), ClientParams { key })
    }
}

#[derive(Debug)]
struct PlainListener {
    port: Box<dyn StreamPort>,
    users: Arc<UserTable>,
}

impl Listener for PlainListener {
    fn local_addr(&self) -> Option<SocketAddr> {
        self.port.local_addr().ok()
    }

    fn accept(&mut self) -> BoxFuture<'_, Result<Box<dyn Incoming>, ListenError>> {
        Box::pin(async {
            let (stream, peer) = self.port.accept().await.map_err(ListenError::Accept)?;
            let incoming: Box<dyn Incoming> = Box::new(PlainIncoming {
                stream,
                peer,
                users: Arc::clone(&self.users),
                visit: Arc::default(),
            });
            Ok(incoming)
        })
    }
}

#[derive(Debug)]
struct PlainIncoming {
    stream: BoxStream,
    peer: SocketAddr,
    users: Arc<UserTable>,
    visit: Arc<Notify>,
}

impl Incoming for PlainIncoming {
    fn peer(&self) -> Option<SocketAddr> {
        Some(self.peer)
    }

    fn became_stranger(&self) -> BoxFuture<'static, ()> {
        let visit = Arc::clone(&self.visit);
        Box::pin(async move { visit.notified().await })
    }

    fn handshake(mut self: Box<Self>) -> BoxFuture<'static, Result<Accepted, AcceptError>> {
        Box::pin(async move {
            let mut key = [0; 32];
            self.stream.read_exact(&mut key).await.map_err(AcceptError::Io)?;
            let Some(user) = self.users.snapshot().iter().find(|user| key_of(user) == key).cloned() else {
                self.stream.write_all(COVER).await.map_err(AcceptError::Io)?;
                if key == *VISIT {
                    self.visit.notify_one();
                    echo(&mut self.stream).await.map_err(AcceptError::Io)?;
                }
                self.stream.shutdown().await.map_err(AcceptError::Io)?;
                return Err(AcceptError::Unauthenticated);
            };
            let target = match self.stream.read_u8().await.map_err(AcceptError::Io)? {
                0 => Target::Bridge,
                1 => Target::from_address(read_address(&mut self.stream).await.map_err(AcceptError::Io)?),
                _ => Target::Datagrams,
            };
            let full = self.users.is_full();
            self.stream.write_all(&[u8::from(full)]).await.map_err(AcceptError::Io)?;
            if full {
                return Err(AcceptError::Limit("full"));
            }
            let channel = match target {
                Target::Datagrams => Channel::Datagrams(Box::new(Framed::new(self.stream))),
                _ => Channel::Stream(self.stream),
            };
            Ok(Accepted::new(channel, target).with_user(Some(user.id)))
        })
    }
}

/// Gives back what comes, until it ends.
async fn echo(stream: &mut BoxStream) -> io::Result<()> {
    let mut bytes = [0; 1024];
    loop {
        let count = stream.read(&mut bytes).await?;
        if count == 0 {
            return Ok(());
        }
        stream.write_all(bytes.get(..count).unwrap_or_default()).await?;
    }
}

async fn read_address(stream: &mut BoxStream) -> io::Result<HostPort> {
    let mut bytes = Vec::new();
    loop {
        bytes.push(stream.read_u8().await?);
        if let Ok(address) = HostPort::decode(&mut &bytes[..]) {
            return Ok(address);
        }
    }
}

/// Datagrams over a stream.
#[derive(Debug)]
struct Framed {
    stream: BoxStream,
    input: Vec<u8>,
    output: Vec<u8>,
}

impl Framed {
    fn new(stream: BoxStream) -> Self {
        Self { stream, input: Vec::new(), output: Vec::new() }
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.output.is_empty() {
            let sent = ready!(Pin::new(&mut self.stream).poll_write(cx, &self.output))?;
            self.output.drain(..sent);
        }
        Pin::new(&mut self.stream).poll_flush(cx)
    }
}

impl DatagramChannel for Framed {
    fn poll_recv(
        &mut self,
        cx: &mut Context<'_>,
        out: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<Option<HostPort>>> {
        loop {
            if self.input.len() >= 2 {
                let length = usize::from(u16::from_be_bytes([self.input[0], self.input[1]]));
                if self.input.len() >= 2 + length {
                    let frame: Vec<u8> = self.input.drain(..2 + length).skip(2).collect();
                    let mut rest = &frame[..];
                    let peer = HostPort::decode(&mut rest).unwrap();
                    out.put_slice(rest);
                    return Poll::Ready(Ok(Some(peer)));
                }
            }
            let mut chunk = [0; 2048];
            let mut read = ReadBuf::new(&mut chunk);
            ready!(Pin::new(&mut self.stream).poll_read(cx, &mut read))?;
            if read.filled().is_empty() {
                return Poll::Ready(Ok(None));
            }
            self.input.extend_from_slice(read.filled());
        }
    }

    fn poll_send(&mut self, cx: &mut Context<'_>, datagram: &[u8], peer: &HostPort) -> Poll<io::Result<()>> {
        ready!(self.poll_flush(cx))?;
        let mut frame = Vec::new();
        peer.encode(&mut frame);
        frame.extend_from_slice(datagram);
        self.output.extend_from_slice(&(frame.len() as u16).to_be_bytes());
        self.output.extend_from_slice(&frame);
        match self.poll_flush(cx) {
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            _ => Poll::Ready(Ok(())),
        }
    }

    fn max_datagram(&self) -> NonZeroUsize {
        NonZeroUsize::new(MAX_DATAGRAM).unwrap()
    }
}
