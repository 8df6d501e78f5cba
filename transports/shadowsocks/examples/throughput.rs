//! How fast a stream is, ours and the reference crate's, each with both ends in this process over loopback:
//! `cargo run --release -p commucat-shadowsocks --example throughput [MiB]`. Rounds alternate; processor time is of
//! the whole process, so of both ends, and of the kernel for them. Also: memory of idle connections.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a measuring program"
)]

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use commucat_net::SystemNet;
use commucat_shadowsocks::{ID, Shadowsocks};
use commucat_transport_api::{Client, Cx, Net, PluggableTransport as _, Spec, Target, UserTable};
use serde_json::json;
use shadowsocks::{
    ProxyClientStream, ServerConfig,
    config::ServerType,
    context::Context,
    relay::{socks5::Address, tcprelay::ProxyServerStream},
};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

const KEY: &str = "AAECAwQFBgcICQoLDA0ODw==";
const METHOD: &str = "2022-blake3-aes-128-gcm";
const ROUNDS: usize = 5;
const IDLE_CONNECTIONS: usize = 500;
/// What a relay hands over at once.
const WRITE_BYTES: usize = 256 * 1024;

#[tokio::main]
async fn main() {
    let mib: usize = std::env::args().nth(1).map_or(2048, |text| text.parse().expect("a number of MiB"));
    for _round in 0..ROUNDS {
        let (stream, sink) = ours().await;
        report("ours", mib, push(stream, sink, mib).await);
        let (stream, sink) = theirs().await;
        report("shadowsocks crate", mib, push(stream, sink, mib).await);
        let (stream, sink) = plain().await;
        report("plain TCP", mib, push(stream, sink, mib).await);
    }
    idle().await;
}

fn report(who: &str, mib: usize, (wall, cpu): (Duration, Duration)) {
    let gb = mib as f64 * 1_048_576.0 / 1e9;
    println!("{who:18} {:7.2} Gbit/s {:6.3} CPU-s/GB", gb * 8.0 / wall.as_secs_f64(), cpu.as_secs_f64() / gb);
}

type Sink = tokio::task::JoinHandle<Box<dyn AsyncRead + Send + Unpin>>;

/// Pushes so many MiB and waits until all of them were read.
async fn push(
    mut stream: impl AsyncWrite + Unpin + Send + 'static,
    sink: Sink,
    mib: usize,
) -> (Duration, Duration) {
    let total = mib << 20;
    let (start, cpu) = (Instant::now(), cpu_time());
    let writer = tokio::spawn(async move {
        let data = vec![7u8; WRITE_BYTES];
        for _ in 0..total / WRITE_BYTES {
            stream.write_all(&data).await.unwrap();
        }
        stream.flush().await.unwrap();
        stream
    });
    let mut sink = sink.await.unwrap();
    let reader = tokio::spawn(async move {
        let mut buffer = vec![0; WRITE_BYTES];
        let mut read = 0;
        while read < total {
            read += sink.read(&mut buffer).await.unwrap();
        }
    });
    reader.await.unwrap();
    let took = (start.elapsed(), cpu_time().saturating_sub(cpu));
    drop(writer.await.unwrap());
    took
}

async fn server() -> (Arc<dyn Client>, Cx, Box<dyn commucat_transport_api::Listener>) {
    let net: Arc<dyn Net> = SystemNet::new();
    let cx = Cx::new(net, Duration::from_secs(60));
    let params = json!({"method": METHOD, "key": KEY, "single_user": true});
    let spec = Spec::new(ID, "127.0.0.1:0".parse().unwrap(), params).unwrap();
    let server = Shadowsocks::new().server(&spec, &Arc::new(UserTable::default())).unwrap();
    let listener = server.listen(&cx).await.unwrap();
    let at = listener.local_addr().unwrap();
    let spec = Spec::new(ID, at.into(), json!({"method": METHOD, "key": KEY})).unwrap();
    (Shadowsocks::new().client(&spec).unwrap(), cx, listener)
}

async fn ours() -> (impl AsyncWrite + Unpin + Send + 'static, Sink) {
    let (client, cx, mut listener) = server().await;
    let target = Target::Stream("example.org:443".parse().unwrap());
    let stream = client.dial(&cx, &target).await.unwrap().channel.into_stream().unwrap();
    let sink = tokio::spawn(async move {
        let accepted = listener.accept().await.unwrap().handshake().await.unwrap();
        Box::new(accepted.channel.into_stream().unwrap()) as Box<dyn AsyncRead + Send + Unpin>
    });
    (stream, sink)
}

async fn theirs() -> (impl AsyncWrite + Unpin + Send + 'static, Sink) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap();
    let config = ServerConfig::new(at, KEY, METHOD.parse().unwrap()).unwrap();
    let target = Address::DomainNameAddress("example.org".to_owned(), 443);
    let io = TcpStream::connect(at).await.unwrap();
    io.set_nodelay(true).unwrap();
    let mut stream =
        ProxyClientStream::from_stream(Context::new_shared(ServerType::Local), io, &config, target);
    // Its first write has to fit one chunk.
    stream.write_all(b"x").await.unwrap();
    let sink = tokio::spawn(async move {
        let (io, _peer) = listener.accept().await.unwrap();
        let context = Context::new_shared(ServerType::Server);
        let mut stream = ProxyServerStream::from_stream(context, io, config.method(), config.key());
        stream.handshake().await.unwrap();
        stream.read_exact(&mut [0; 1]).await.unwrap();
        Box::new(stream) as Box<dyn AsyncRead + Send + Unpin>
    });
    (stream, sink)
}

async fn plain() -> (impl AsyncWrite + Unpin + Send + 'static, Sink) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let stream = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let sink = tokio::spawn(async move {
        Box::new(listener.accept().await.unwrap().0) as Box<dyn AsyncRead + Send + Unpin>
    });
    (stream, sink)
}

/// Resident memory that an idle pair of streams costs, both ends together.
async fn idle() {
    let (client, cx, mut listener) = server().await;
    let target = Target::Stream("example.org:443".parse().unwrap());
    let before = resident_bytes();
    let mut held = Vec::new();
    for _ in 0..IDLE_CONNECTIONS {
        let mut near = client.dial(&cx, &target).await.unwrap().channel.into_stream().unwrap();
        let accepting = async { listener.accept().await.unwrap().handshake().await.unwrap() };
        let (accepted, _) = tokio::join!(accepting, async {
            near.write_all(b"x").await.unwrap();
            near.flush().await.unwrap();
        });
        let mut far = accepted.channel.into_stream().unwrap();
        let mut byte = [0];
        far.read_exact(&mut byte).await.unwrap();
        far.write_all(&byte).await.unwrap();
        near.read_exact(&mut byte).await.unwrap();
        // Both wait for more now.
        for stream in [&mut near, &mut far] {
            drop(tokio::time::timeout(Duration::ZERO, stream.read(&mut byte)).await);
        }
        held.push((near, far));
    }
    let pairs = held.len() as f64;
    println!(
        "idle: {:.1} KiB for both ends of a connection",
        (resident_bytes() - before) as f64 / pairs / 1024.0
    );
}

/// User and system time of this process.
fn cpu_time() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    let ticks: u64 = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
    Duration::from_millis(ticks * 10)
}

fn resident_bytes() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    statm.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap() * 4096
}
