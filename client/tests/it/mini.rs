//! The client end of a small transport with every answer a bridge can give. One line goes out
//! (`key user version time target`), one comes back (`ok`, or why not), then bytes flow. With `proof` off nothing comes
//! back, as in transports that spend no round trip on it.

use std::{
    collections::VecDeque,
    io,
    num::NonZeroUsize,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use commucat_bundle::Bundle;
use commucat_proto::link::Link;
use commucat_transport_api::{
    Addressing, BoxFuture, BoxStream, Channel, ChannelKinds, Client, ConfigError, Cx, DatagramChannel,
    Descriptor, DialError, Failure, HostPort, Net, Opened, PathInfo, Phase, PluggableTransport, ProbeReport,
    ProbeStep, Registry, Roles, Signal, Spec, Target, TransportId,
};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};

const ID: TransportId = TransportId::from_static("mini");

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Params {
    pub(crate) key: String,
    pub(crate) user: String,
    pub(crate) version: u32,
    pub(crate) proof: bool,
}

impl Default for Params {
    fn default() -> Self {
        Self { key: "key".into(), user: "ann".into(), version: 2, proof: true }
    }
}

#[derive(Debug)]
pub(crate) struct Mini(Descriptor);

#[derive(Debug)]
struct MiniClient {
    endpoint: HostPort,
    params: Params,
}

pub(crate) fn bundle() -> Bundle {
    let channels = ChannelKinds { stream: true, datagram: true, mux: false };
    let mut registry = Registry::default();
    registry
        .register(Mini(Descriptor::new(ID, "nothing", channels, Roles::ClientOnly, Addressing::Proxy)))
        .unwrap();
    Bundle::new(registry)
}

pub(crate) fn link(endpoints: &[(HostPort, Params)]) -> Link {
    let spec = |(endpoint, params): &(HostPort, Params)| Spec::new(ID, endpoint.clone(), params).unwrap();
    Link::new("test", endpoints.iter().map(spec).collect(), false)
}

impl PluggableTransport for Mini {
    fn descriptor(&self) -> &Descriptor {
        &self.0
    }

    fn client(&self, spec: &Spec) -> Result<Arc<dyn Client>, ConfigError> {
        Ok(Arc::new(MiniClient { endpoint: spec.endpoint.clone(), params: spec.params()? }))
    }
}

impl MiniClient {
    async fn connect(&self, cx: &Cx) -> Result<BoxStream, Failure> {
        let began = cx.net.now();
        let failed =
            |phase, signal| Failure::new(phase, signal, cx.net.now().saturating_duration_since(began));
        match cx.until_deadline(cx.net.connect_stream(&self.endpoint)).await {
            Some(Ok(stream)) => Ok(stream),
            Some(Err(error)) => Err(failed(Phase::Connect, Signal::from_io(&error))),
            None => Err(failed(Phase::Connect, Signal::Timeout)),
        }
    }

    async fn hello(&self, cx: &Cx, mut stream: BoxStream, target: &str) -> Result<BoxStream, Failure> {
        let began = cx.net.now();
        let failed =
            |phase, signal| Failure::new(phase, signal, cx.net.now().saturating_duration_since(began));
        let Params { key, user, version, proof } = &self.params;
        let line = format!("{key} {user} {version} {} {target}\n", cx.net.unix_time().as_secs());
        let io = |error: io::Error| {
            failed(Phase::Handshake, Signal::from_io(&error)).with_bytes(line.len() as u64, 0)
        };
        stream.write_all(line.as_bytes()).await.map_err(io)?;
        if !proof {
            return Ok(stream);
        }
        let timeout = || failed(Phase::Handshake, Signal::Timeout).with_bytes(line.len() as u64, 0);
        let answer = cx.until_deadline(read_line(&mut stream)).await.ok_or_else(timeout)?.map_err(io)?;
        let signal = match answer.split_once(' ').unwrap_or((&answer, "")) {
            ("ok", _) => return Ok(stream),
            ("key", _) => Signal::AuthRejected,
            ("user", _) => Signal::UnknownUser,
            ("skew", seconds) => Signal::ClockSkew(seconds.parse().unwrap()),
            ("version", _) => Signal::VersionTooOld,
            ("full", _) => Signal::BridgeFull,
            ("target", _) => Signal::TargetUnreachable,
            _ => Signal::UnexpectedBytes,
        };
        Err(failed(Phase::Authenticate, signal))
    }
}

async fn read_line(stream: &mut BoxStream) -> io::Result<String> {
    let mut line = Vec::new();
    loop {
        match stream.read_u8().await? {
            b'\n' => return Ok(String::from_utf8(line).unwrap()),
            byte => line.push(byte),
        }
    }
}

impl Client for MiniClient {
    fn dial<'a>(&'a self, cx: &'a Cx, target: &'a Target) -> BoxFuture<'a, Result<Opened, DialError>> {
        Box::pin(async move {
            let began = cx.net.now();
            let text = match target {
                Target::Stream(to) => to.to_string(),
                Target::Bridge => "bridge".to_owned(),
                Target::Datagrams => "datagrams".to_owned(),
                _ => return Err(DialError::UnsupportedTarget),
            };
            let stream = self.connect(cx).await.map_err(DialError::network)?;
            let stream = self.hello(cx, stream, &text).await.map_err(DialError::network)?;
            let path = if self.params.proof {
                PathInfo::with_rtt(cx.net.now().saturating_duration_since(began))
            } else {
                PathInfo::default()
            };
            let channel = match target {
                Target::Datagrams => Channel::Datagrams(Box::new(Framed {
                    stream,
                    input: Vec::new(),
                    output: VecDeque::new(),
                })),
                _ => Channel::Stream(stream),
            };
            Ok(Opened::new(channel).with_path(path))
        })
    }

    fn probe<'a>(&'a self, cx: &'a Cx) -> BoxFuture<'a, ProbeReport> {
        Box::pin(async move {
            let stream = match self.connect(cx).await {
                Ok(stream) => stream,
                Err(failure) => return ProbeReport::new(vec![ProbeStep::new("connect", Err(failure))]),
            };
            let connected = ProbeStep::new("connect", Ok(Duration::from_millis(1)));
            let asked = Self {
                endpoint: self.endpoint.clone(),
                params: Params { proof: true, ..self.params.clone() },
            };
            let outcome = asked.hello(cx, stream, "bridge").await.map(|_stream| Duration::from_millis(1));
            ProbeReport::new(vec![connected, ProbeStep::new("tls", outcome)])
        })
    }
}

/// Datagrams over a stream: two bytes of length, then address and payload.
#[derive(Debug)]
struct Framed {
    stream: BoxStream,
    input: Vec<u8>,
    output: VecDeque<u8>,
}

impl DatagramChannel for Framed {
    fn poll_recv(
        &mut self,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<Option<HostPort>>> {
        loop {
            let length = self
                .input
                .get(..2)
                .map_or(usize::MAX, |head| usize::from(u16::from_be_bytes([head[0], head[1]])));
            if length != usize::MAX && self.input.len() >= 2 + length {
                let frame: Vec<u8> = self.input.drain(..2 + length).skip(2).collect();
                let mut rest = &frame[..];
                let from = HostPort::decode(&mut rest).unwrap();
                buf.put_slice(rest);
                return Poll::Ready(Ok(Some(from)));
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
        if datagram.len() > self.max_datagram().get() {
            return Poll::Ready(Err(io::ErrorKind::InvalidInput.into()));
        }
        let mut frame = Vec::new();
        peer.encode(&mut frame);
        frame.extend_from_slice(datagram);
        self.output.extend(u16::try_from(frame.len()).unwrap().to_be_bytes());
        self.output.extend(frame);
        while !self.output.is_empty() {
            let written = ready!(Pin::new(&mut self.stream).poll_write(cx, self.output.make_contiguous()))?;
            self.output.drain(..written);
        }
        Poll::Ready(Ok(()))
    }

    fn max_datagram(&self) -> NonZeroUsize {
        NonZeroUsize::new(1400).unwrap()
    }
}

/// A network that is the system's but for its clock, or that is down.
#[derive(Debug)]
pub(crate) struct BentNet {
    pub(crate) below: Arc<dyn Net>,
    pub(crate) ahead: Duration,
    pub(crate) down: bool,
}

impl Net for BentNet {
    fn connect_stream<'a>(&'a self, to: &'a HostPort) -> BoxFuture<'a, io::Result<BoxStream>> {
        if self.down {
            return Box::pin(async { Err(io::ErrorKind::NetworkUnreachable.into()) });
        }
        self.below.connect_stream(to)
    }

    fn bind_datagram(
        &self,
        local: std::net::SocketAddr,
    ) -> BoxFuture<'_, io::Result<Box<dyn commucat_transport_api::UdpPort>>> {
        self.below.bind_datagram(local)
    }

    fn listen_stream(
        &self,
        local: std::net::SocketAddr,
    ) -> BoxFuture<'_, io::Result<Box<dyn commucat_transport_api::StreamPort>>> {
        self.below.listen_stream(local)
    }

    fn resolve<'a>(&'a self, to: &'a HostPort) -> BoxFuture<'a, io::Result<Vec<std::net::SocketAddr>>> {
        self.below.resolve(to)
    }

    fn now(&self) -> std::time::Instant {
        self.below.now()
    }

    fn unix_time(&self) -> Duration {
        self.below.unix_time() + self.ahead
    }

    fn sleep_until(&self, at: std::time::Instant) -> BoxFuture<'static, ()> {
        self.below.sleep_until(at)
    }

    fn fill_random(&self, bytes: &mut [u8]) -> io::Result<()> {
        self.below.fill_random(bytes)
    }
}
