//! QUIC clients that nobody here wrote: aioquic, and quinn with its common settings.

use std::{
    net::SocketAddr,
    path::PathBuf,
    process::{Command, Output},
    sync::Arc,
    time::Duration,
};

use commucat_control::wire;
use quinn::{ClientConfig, Endpoint, crypto::rustls::QuicClientConfig};

use crate::stage::{Stage, program, run, skip};

const SERVER: &str = "203.0.113.20";
const AIOQUIC: &str = "aioquic==1.3.0";

/// Connects, asks for the time over a stream, prints what it got. Exit code 3: no connection came about.
const CLIENT: &str = r#"
import asyncio, ssl, sys
from aioquic.asyncio import connect
from aioquic.quic.configuration import QuicConfiguration
async def main(host, name):
    configuration = QuicConfiguration(is_client=True, alpn_protocols=["commucat-probe/1"])
    configuration.verify_mode = ssl.CERT_NONE
    configuration.server_name = name
    try:
        async with asyncio.timeout(4):
            async with connect(host, 443, configuration=configuration) as client:
                reader, writer = await client.create_stream()
                writer.write(b"GET /hello HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
                writer.write_eof()
                print((await reader.read(65536)).decode())
    except (TimeoutError, ConnectionError):
        sys.exit(3)
asyncio.run(main(sys.argv[1], sys.argv[2]))
"#;

/// A Python that has aioquic: a virtual environment in the cache, made when it is missing.
fn python() -> Option<PathBuf> {
    let system = program("python3", "python3-venv")?;
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let cache = cache.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache")));
    let folder = cache.unwrap_or_else(std::env::temp_dir).join("commucat/lab").join(AIOQUIC);
    let python = folder.join("bin/python");
    let works = || {
        Command::new(&python).args(["-c", "import aioquic"]).output().is_ok_and(|out| out.status.success())
    };
    if works() {
        return Some(python);
    }
    let made = Command::new(system).args(["-m", "venv", "--clear"]).arg(&folder).output();
    let pip =
        ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--only-binary", ":all:", AIOQUIC];
    let installed = Command::new(&python).args(pip).output();
    let all_well = |made: std::io::Result<Output>| made.is_ok_and(|out| out.status.success());
    if !all_well(made) || !all_well(installed) || !works() {
        skip(&format!(
            "{AIOQUIC} could not be installed from the package index (apt-get install python3-venv)"
        ));
        return None;
    }
    Some(python)
}

fn visit(stage: &Stage, python: &PathBuf, name: &str) -> Output {
    let mut client = stage.lab.client().command(python);
    run(client.args(["-c", CLIENT, SERVER, name]))
}

#[track_caller]
fn answered(output: &Output, name: &str) {
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && out.contains(name), "{out}{err}");
}

#[test]
fn aioquic_with_a_blocked_name_vanishes_and_with_another_does_not() {
    let Some(python) = python() else { return };
    let Some(stage) = Stage::with("quic-sni-gfw") else { return };
    answered(&visit(&stage, &python, "innocent.example"), "innocent.example");
    stage.untouched();
    let blocked = visit(&stage, &python, "blocked.example");
    assert_eq!(blocked.status.code(), Some(3), "{}", String::from_utf8_lossy(&blocked.stderr));
    stage.blamed("quic-sni-gfw");
}

#[test]
fn aioquic_without_a_censor_is_served() {
    let Some(python) = python() else { return };
    let Some(stage) = Stage::with("clean") else { return };
    answered(&visit(&stage, &python, "blocked.example"), "blocked.example");
    stage.untouched();
}

/// Whether quinn gets a connection and an answer.
fn quinn(stage: &Stage, name: &'static str) -> bool {
    let mut tls =
        rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
            .with_protocol_versions(&[&rustls::version::TLS13])
            .unwrap()
            .with_root_certificates(stage.world.authority().roots().unwrap())
            .with_no_client_auth();
    tls.alpn_protocols = vec![wire::ALPN_PROBE.to_vec()];
    let config = ClientConfig::new(Arc::new(QuicClientConfig::try_from(tls).unwrap()));
    let at: SocketAddr = format!("{SERVER}:443").parse().unwrap();
    let visit = async move {
        let endpoint = Endpoint::client("0.0.0.0:0".parse().unwrap())?;
        let connection = endpoint.connect_with(config, at, name)?.await?;
        let (mut send, mut receive) = connection.open_bi().await?;
        send.write_all(b"GET /time HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await?;
        send.finish()?;
        Ok::<_, anyhow::Error>(receive.read_to_end(65_536).await?.starts_with(b"HTTP/1.1 200"))
    };
    let limited = async move { tokio::time::timeout(Duration::from_secs(4), visit).await };
    matches!(stage.lab.client().runtime().unwrap().block_on(limited).unwrap(), Ok(Ok(true)))
}

/// quinn's hello has a post-quantum key and takes two datagrams; rustls puts its name anywhere in it. The censor reads
/// the first datagram only, so this client is missed every second time, but not twenty times in a row.
#[test]
fn quinn_with_a_blocked_name_vanishes_and_with_another_does_not() {
    let Some(stage) = Stage::with("quic-sni-gfw") else { return };
    assert!(quinn(&stage, "innocent.example"));
    stage.untouched();
    assert!((0..20).any(|_| !quinn(&stage, "blocked.example")));
    stage.blamed("quic-sni-gfw");
}

#[test]
fn quinn_without_a_censor_is_served() {
    let Some(stage) = Stage::with("clean") else { return };
    assert!(quinn(&stage, "blocked.example"));
    stage.untouched();
}
