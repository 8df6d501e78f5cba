//! A whole transport, and a run of the acceptance suite over it: the code of the chapter "Add a transport".
//!
//! `plainxor` masks every byte with a key and says in front where the stream should go. It hides nothing from anybody who
//! looks twice: it is here to show the contract.

use std::{
    io::{self, Write as _},
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use commucat_testkit::{
    sim::{LinkPolicy, SimNet},
    suite::{self, Cover, Fixture},
};
// ANCHOR: transport
use commucat_transport_api::*;
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf};

// ANCHOR: descriptor
const STREAMS: ChannelKinds = ChannelKinds { stream: true, datagram: false, mux: false };
const ID: TransportId = TransportId::from_static("plainxor");
static DESCRIPTOR: Descriptor =
    Descriptor::new(ID, "bytes without any structure", STREAMS, Roles::Both, Addressing::Proxy);

/// The transport itself: it holds no connection.
#[derive(Debug)]
pub struct PlainXor;

/// Either end: where it dials or listens, and the key.
#[derive(Debug)]
struct End(HostPort, u8);
// ANCHOR_END: descriptor

// ANCHOR: pluggable
impl PluggableTransport for PlainXor {
    fn descriptor(&self) -> &Descriptor {
        &DESCRIPTOR
    }
    fn client(&self, spec: &Spec) -> Result<Arc<dyn Client>, ConfigError> {
        Ok(Arc::new(End(spec.endpoint.clone(), key(spec)?)))
    }
    fn server(&self, spec: &Spec, _nobody: &Arc<UserTable>) -> Result<Arc<dyn Server>, ConfigError> {
        Ok(Arc::new(End(spec.endpoint.clone(), key(spec)?)))
    }
    fn generate_server_params(&self) -> Result<Value, ConfigError> {
        Ok(json!({ "key": 0x5a }))
    }
}

fn key(spec: &Spec) -> Result<u8, ConfigError> {
    let key = spec.params.get("key").and_then(Value::as_u64).and_then(|key| u8::try_from(key).ok());
    key.ok_or_else(|| ConfigError::new(Some("key"), ConfigProblem::BadValue))
}
// ANCHOR_END: pluggable

// ANCHOR: client
impl Client for End {
    fn dial<'a>(&'a self, cx: &'a Cx, target: &'a Target) -> BoxFuture<'a, Result<Opened, DialError>> {
        Box::pin(async move {
            let mut hello = Vec::new();
            target.to_address().ok_or(DialError::UnsupportedTarget)?.encode(&mut hello);
            let began = cx.net.now();
            let dialling = async {
                let mut stream = Masked(cx.net.connect_stream(&self.0).await?, self.1);
                stream.write_all(&hello).await?;
                Ok(Opened::new(Channel::Stream(Box::new(stream))))
            };
            let dialled = cx.until_deadline(dialling).await.unwrap_or(Err(io::ErrorKind::TimedOut.into()));
            dialled.map_err(|error| DialError::io(Phase::Connect, cx.net.now() - began, error))
        })
    }
    fn probe<'a>(&'a self, cx: &'a Cx) -> BoxFuture<'a, ProbeReport> {
        Box::pin(async move {
            let began = cx.net.now();
            let failure = |error: io::Error| {
                Failure::new(Phase::Connect, Signal::from_io(&error), cx.net.now() - began)
            };
            let connected = cx.net.connect_stream(&self.0).await.map(|_stream| cx.net.now() - began);
            ProbeReport::new(vec![ProbeStep::new("connect", connected.map_err(failure))])
        })
    }
}
// ANCHOR_END: client

// ANCHOR: server
impl Server for End {
    fn listen<'a>(&'a self, cx: &'a Cx) -> BoxFuture<'a, Result<Box<dyn Listener>, ListenError>> {
        Box::pin(async move {
            let bind = |source| ListenError::Bind { address: self.0.clone(), source };
            let addresses = cx.net.resolve(&self.0).await.map_err(bind)?;
            let local = addresses.first().copied().ok_or(ListenError::Closed)?;
            let port = cx.net.listen_stream(local).await.map_err(bind)?;
            Ok(Box::new(Port(port, self.1, Arc::clone(&cx.net))) as Box<dyn Listener>)
        })
    }
    fn client_spec(&self, public: &HostPort, _anybody: &User) -> Result<Spec, ConfigError> {
        Spec::new(ID, public.clone(), json!({ "key": self.1 }))
    }
}

#[derive(Debug)]
struct Port(Box<dyn StreamPort>, u8, Arc<dyn Net>);

impl Listener for Port {
    fn local_addr(&self) -> Option<SocketAddr> {
        self.0.local_addr().ok()
    }
    fn accept(&mut self) -> BoxFuture<'_, Result<Box<dyn Incoming>, ListenError>> {
        Box::pin(async move {
            let (stream, peer) = self.0.accept().await.map_err(ListenError::Accept)?;
            let cx = Cx::new(Arc::clone(&self.2), Duration::from_secs(10));
            Ok(Box::new(Guest(Masked(stream, self.1), peer, cx)) as Box<dyn Incoming>)
        })
    }
}
// ANCHOR_END: server

// ANCHOR: incoming
#[derive(Debug)]
struct Guest(Masked, SocketAddr, Cx);

impl Incoming for Guest {
    fn peer(&self) -> Option<SocketAddr> {
        Some(self.1)
    }
    fn handshake(self: Box<Self>) -> BoxFuture<'static, Result<Accepted, AcceptError>> {
        Box::pin(async move {
            let Self(mut stream, _peer, cx) = *self;
            let late = Err(AcceptError::Limit("10 s for a hello"));
            let target = cx.until_deadline(read_target(&mut stream)).await.unwrap_or(late)?;
            Ok(Accepted::new(Channel::Stream(Box::new(stream)), target))
        })
    }
}

async fn read_target(stream: &mut Masked) -> Result<Target, AcceptError> {
    let mut hello = Vec::new();
    loop {
        match HostPort::decode(&mut &hello[..]) {
            Ok(address) => return Ok(Target::from_address(address)),
            Err(TargetError::Incomplete) => hello.push(stream.read_u8().await.map_err(AcceptError::Io)?),
            Err(_) => return Err(AcceptError::Unauthenticated),
        }
    }
}
// ANCHOR_END: incoming

// ANCHOR: stream
#[derive(Debug)]
struct Masked(BoxStream, u8);

impl AsyncRead for Masked {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let old = buf.filled().len();
        let read = Pin::new(&mut self.0).poll_read(cx, buf);
        buf.filled_mut().iter_mut().skip(old).for_each(|byte| *byte ^= self.1);
        read
    }
}

impl AsyncWrite for Masked {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        let masked: Vec<u8> = data.iter().map(|byte| byte ^ self.1).collect();
        Pin::new(&mut self.0).poll_write(cx, &masked)
    }
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}
// ANCHOR_END: stream
// ANCHOR_END: transport

// ANCHOR: suite
/// Why the suite leaves out what it cannot find here.
pub const NO_USERS: &str = "plainxor lets everybody in";

#[tokio::main(flavor = "current_thread", start_paused = true)]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let net = SimNet::new(7);
    net.set_policy(LinkPolicy::with_delay(Duration::from_millis(80)).loss_percent(5));
    let fixture =
        Fixture::simulated(Arc::new(PlainXor), &net, Cover::judged_by(|_| Ok(())))?.without_users(NO_USERS);
    let report = suite::run_all(&fixture).await;
    write!(io::stdout(), "{report}")?;
    if report.is_ok() { Ok(()) } else { Err("plainxor is broken".into()) }
}
// ANCHOR_END: suite
