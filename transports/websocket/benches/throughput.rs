//! Bytes a second and CPU seconds a GB of both ends, each in a process of its own, over loopback. No relay and no other
//! program: what the transport itself costs. `cargo bench -p commucat-websocket -- [ws|raw] [on|off] [GB]`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a measuring program, not a library"
)]

use std::{
    env,
    io::{BufRead as _, BufReader},
    process::{Command, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use commucat_net::SystemNet;
use commucat_transport_api::{Cx, PluggableTransport as _, Secret, Spec, Target, User, UserTable};
use commucat_websocket::{ID, WebSocket};
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

const CHUNK_BYTES: usize = 256 * 1024;
const GB: u64 = 1_000_000_000;

fn main() {
    let arguments: Vec<String> = env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let argument =
        |at: usize, default: &str| arguments.get(at).cloned().unwrap_or_else(|| default.to_owned());
    match argument(0, "ws").as_str() {
        "serve" => runtime.block_on(serve(&argument(1, "ws"), &argument(2, "on"))),
        mode => runtime.block_on(measure(mode, &argument(1, "on"), argument(2, "4").parse().unwrap())),
    }
}

fn anna() -> User {
    User { id: "anna".parse().unwrap(), secret: Secret::new([1; 32]) }
}

/// Sends or swallows, as the first byte of a stream asks: `d` and a length, or `u`.
async fn serve(mode: &str, tls: &str) {
    let mut params = WebSocket::new().generate_server_params().unwrap();
    params["mode"] = json!(mode);
    params["tls"] = json!(tls);
    let users = Arc::new(UserTable::new(vec![anna()]));
    let spec = Spec::new(ID, "127.0.0.1:0".parse().unwrap(), params).unwrap();
    let server = WebSocket::new().server(&spec, &users).unwrap();
    let mut listener = server.listen(&Cx::new(SystemNet::new(), Duration::from_secs(5))).await.unwrap();
    let at = listener.local_addr().unwrap().into();
    println!("{}", serde_json::to_string(&server.client_spec(&at, &anna()).unwrap()).unwrap());
    loop {
        let incoming = listener.accept().await.unwrap();
        let mut stream = incoming.handshake().await.unwrap().channel.into_stream().unwrap();
        let direction = stream.read_u8().await.unwrap();
        let mut left = stream.read_u64().await.unwrap();
        let mut chunk = vec![7; CHUNK_BYTES];
        while left > 0 {
            if direction == b'd' {
                stream.write_all(&chunk).await.unwrap();
                left = left.saturating_sub(chunk.len() as u64);
            } else {
                left = left.saturating_sub(stream.read(&mut chunk).await.unwrap() as u64);
            }
        }
        stream.shutdown().await.unwrap();
        while stream.read(&mut chunk).await.is_ok_and(|got| got > 0) {}
    }
}

async fn measure(mode: &str, tls: &str, gigabytes: u64) {
    let mut child = Command::new(env::current_exe().unwrap())
        .args(["serve", mode, tls])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let spec: Spec = serde_json::from_str(&line).unwrap();
    let client = WebSocket::new().client(&spec).unwrap();
    let total = gigabytes * GB;
    for direction in *b"dudu" {
        let cx = Cx::new(SystemNet::new(), Duration::from_secs(5));
        let mut stream = client.dial(&cx, &Target::Bridge).await.unwrap().channel.into_stream().unwrap();
        let (start, ours, theirs) = (Instant::now(), cpu_s(std::process::id()), cpu_s(child.id()));
        stream.write_u8(direction).await.unwrap();
        stream.write_u64(total).await.unwrap();
        let mut chunk = vec![7; CHUNK_BYTES];
        let mut left = total;
        if direction == b'u' {
            while left > 0 {
                stream.write_all(&chunk).await.unwrap();
                left = left.saturating_sub(chunk.len() as u64);
            }
        }
        stream.shutdown().await.unwrap();
        while stream.read(&mut chunk).await.unwrap() > 0 {}
        let took = start.elapsed().as_secs_f64();
        let (ours, theirs) = (cpu_s(std::process::id()) - ours, cpu_s(child.id()) - theirs);
        let per_gb = |cpu: f64| cpu / (total as f64 / GB as f64);
        println!(
            "{mode} tls {tls} {}: {:.2} Gbit/s, CPU-s/GB client {:.3} server {:.3} both {:.3}",
            if direction == b'd' { "down" } else { "up  " },
            total as f64 * 8.0 / took / 1e9,
            per_gb(ours),
            per_gb(theirs),
            per_gb(ours + theirs)
        );
    }
    child.kill().unwrap();
    child.wait().unwrap();
}

/// CPU seconds of a process, user and system: fields 14 and 15 of its `stat`, in hundredths.
fn cpu_s(process: u32) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap();
    let (_, fields) = stat.rsplit_once(')').unwrap();
    let fields: Vec<&str> = fields.split_whitespace().collect();
    let ticks: u32 = fields[11].parse::<u32>().unwrap() + fields[12].parse::<u32>().unwrap();
    f64::from(ticks) / 100.0
}
