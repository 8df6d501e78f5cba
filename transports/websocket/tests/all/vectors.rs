//! The first flight of a client whose clock and randomness stand still, byte for byte, and a bridge that takes it.
//! The file was written by this implementation when version 1 of the token was settled.

use std::{
    io,
    net::SocketAddr,
    sync::{Arc, Mutex},
    task::{Context, Poll},
    time::{Duration, Instant},
};

use commucat_transport_api::{
    BoxFuture, BoxStream, Cx, HostPort, Net, PluggableTransport as _, Spec, StreamPort, Target, UdpPort,
};
use commucat_websocket::{ID, WebSocket};
use serde_json::json;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// 2026-11-21 00:00:00 UTC.
const NOW: Duration = Duration::from_secs(1_795_219_200);
const VECTOR: &str = include_str!("../data/upgrade-token-v1.txt");

/// Swallows what is written; says nothing.
#[derive(Debug, Clone, Default)]
struct Sink(Arc<Mutex<Vec<u8>>>);

impl AsyncRead for Sink {
    fn poll_read(
        self: std::pin::Pin<&mut Self>,
        _cx: &mut Context<'_>,
        _out: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Sink {
    fn poll_write(
        self: std::pin::Pin<&mut Self>,
        _cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: std::pin::Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: std::pin::Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[derive(Debug)]
struct FixedNet(Sink);

impl Net for FixedNet {
    fn connect_stream<'a>(&'a self, _to: &'a HostPort) -> BoxFuture<'a, io::Result<BoxStream>> {
        Box::pin(async { Ok(Box::new(self.0.clone()) as BoxStream) })
    }

    fn bind_datagram(&self, _local: SocketAddr) -> BoxFuture<'_, io::Result<Box<dyn UdpPort>>> {
        Box::pin(async { Err(io::ErrorKind::Unsupported.into()) })
    }

    fn listen_stream(&self, _local: SocketAddr) -> BoxFuture<'_, io::Result<Box<dyn StreamPort>>> {
        Box::pin(async { Err(io::ErrorKind::Unsupported.into()) })
    }

    fn resolve<'a>(&'a self, _to: &'a HostPort) -> BoxFuture<'a, io::Result<Vec<SocketAddr>>> {
        Box::pin(async { Err(io::ErrorKind::Unsupported.into()) })
    }

    fn now(&self) -> Instant {
        Instant::now()
    }

    fn unix_time(&self) -> Duration {
        NOW
    }

    fn sleep_until(&self, at: Instant) -> BoxFuture<'static, ()> {
        Box::pin(tokio::time::sleep_until(at.into()))
    }

    fn fill_random(&self, bytes: &mut [u8]) -> io::Result<()> {
        bytes.iter_mut().zip(0x40..).for_each(|(byte, value)| *byte = value);
        Ok(())
    }
}

async fn flight(target: Target) -> String {
    let params = json!({
        "tls": "off",
        "path": "/live/vector",
        "key": "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8",
        "user_key": "ICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8",
    });
    let spec = Spec::new(ID, "bridge.example:80".parse().unwrap(), params).unwrap();
    let sink = Sink::default();
    let cx = Cx::new(Arc::new(FixedNet(sink.clone())), Duration::from_secs(5));
    WebSocket::new().client(&spec).unwrap().dial(&cx, &target).await.unwrap_err();
    let bytes = sink.0.lock().unwrap().clone();
    String::from_utf8(bytes).unwrap()
}

#[tokio::test]
async fn the_first_flight_is_as_it_was() {
    let stream = flight(Target::Stream("example.org:443".parse().unwrap())).await;
    let bridge = flight(Target::Bridge).await;
    let all = format!("{stream}{bridge}");
    if let Some(path) = std::env::var_os("COMMUCAT_WRITE_VECTORS") {
        std::fs::write(path, &all).unwrap();
    }
    assert_eq!(all, VECTOR);
}
