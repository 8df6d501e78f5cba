//! Debian's Chromium: as a stranger who visits a bridge, and as the one whose hello ours must be like.

use std::{
    net::SocketAddr,
    process::Command,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use commucat_dissect::tls::{ClientHello, Transport};
use commucat_mimic::{Client, ClientOptions, NoRandomness, Template, WebPki};
use commucat_net::SystemNet;
use commucat_tests_interop::programs::{Running, need};
use commucat_transport_api::Net as _;
use tokio::{
    io::AsyncReadExt as _,
    net::{TcpListener, TcpStream},
    sync::mpsc,
    time::timeout,
};

use crate::targets::{self, NAME, PAGE};

/// Bytes of a Chromium hello without its name and its ECH payload.
const HELLO_BYTES: usize = 1759;
/// Bytes of an ECH GREASE extension around its payload: type, KDF, AEAD, config id, a key of 32 bytes and two lengths.
const ECH_AROUND_BYTES: usize = 1 + 2 + 2 + 1 + 2 + 32 + 2;

fn chromium(program: &std::path::Path, profile: &std::path::Path, at: SocketAddr) -> Command {
    let mut command = Command::new(program);
    command
        .args(["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"])
        .args(["--disable-background-networking", "--disable-component-update", "--disable-sync"])
        .args(["--ignore-certificate-errors", "--no-proxy-server", "--timeout=20000"])
        .arg(format!("--host-resolver-rules=MAP * {at}"))
        .arg(format!("--user-data-dir={}", profile.display()))
        .args(["--dump-dom", &format!("https://{NAME}/")]);
    command
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_visits_the_site() {
    let Some(program) = need("chromium", "chromium").unwrap() else { return };
    let Some(site) = targets::nginx().await else { return };
    let bridge = crate::bridge(site.at).await;
    let profile = tempfile::tempdir().unwrap();
    let output = chromium(&program, profile.path(), bridge.address).output().unwrap();
    let page = String::from_utf8_lossy(&output.stdout);
    assert!(page.contains(PAGE), "{page}");
    assert!(bridge.users_seen().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn our_hello_is_that_of_the_browser() {
    let Some(program) = need("chromium", "chromium").unwrap() else { return };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let profile = tempfile::tempdir().unwrap();
    let _running =
        Running::start(&mut chromium(&program, profile.path(), listener.local_addr().unwrap())).unwrap();
    let theirs = timeout(Duration::from_secs(60), hello_for_the_site(&listener)).await.expect("a hello");
    let ours = our_hello();
    assert_eq!(ours.ja4(Transport::Tcp), theirs.ja4(Transport::Tcp), "the template is not of this Chromium");
    assert_eq!(extensions(&ours), extensions(&theirs));
    for hello in [&ours, &theirs] {
        let ech = hello.extension(0xfe0d).map_or(0, |body| body.len() - ECH_AROUND_BYTES);
        assert_eq!(hello.message().len(), HELLO_BYTES + NAME.len() + ech);
    }
}

/// The browser may open connections that it does not use at once.
async fn hello_for_the_site(listener: &TcpListener) -> ClientHello {
    let (found, mut hellos) = mpsc::channel(1);
    loop {
        tokio::select! {
            Some(hello) = hellos.recv() => return hello,
            accepted = listener.accept() => {
                let (mut stream, _) = accepted.unwrap();
                let found = found.clone();
                tokio::spawn(async move {
                    let hello = first_record(&mut stream).await?;
                    if hello.server_name() == Some(NAME) {
                        found.send(hello).await.ok();
                    }
                    Some(stream)
                });
            }
        }
    }
}

async fn first_record(stream: &mut TcpStream) -> Option<ClientHello> {
    let mut head = [0; 5];
    stream.read_exact(&mut head).await.ok()?;
    let mut body = vec![0; usize::from(u16::from_be_bytes([head[3], head[4]]))];
    stream.read_exact(&mut body).await.ok()?;
    Some(ClientHello::parse(&body).expect("one hello in one record"))
}

fn our_hello() -> ClientHello {
    let options =
        ClientOptions::new(Template::chromium_156().unwrap(), Some(NAME), Arc::new(WebPki::bundled()));
    let net = SystemNet::new();
    let mut random = |bytes: &mut [u8]| net.fill_random(bytes).map_err(|_error| NoRandomness);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let client = Client::new(options, now, &mut random).unwrap();
    ClientHello::parse(client.client_hello()).unwrap()
}

/// Numbers and lengths of all extensions, without GREASE and the length of ECH, which is drawn.
fn extensions(hello: &ClientHello) -> Vec<(u16, usize)> {
    let grease = |number: u16| number & 0x0f0f == 0x0a0a && number >> 8 == number & 0xff;
    let mut all: Vec<(u16, usize)> = hello
        .extensions()
        .map(|(number, body)| match number {
            0xfe0d => (number, 0),
            number if grease(number) => (0x0a0a, body.len()),
            number => (number, body.len()),
        })
        .collect();
    all.sort_unstable();
    all
}
