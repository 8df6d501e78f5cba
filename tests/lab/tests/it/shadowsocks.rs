//! Shadowsocks as Debian packages it (shadowsocks-libev): its flow is random bytes from the first one on.

use std::process::Output;

use commucat_lab::PlaceChild;

use crate::stage::{Stage, program, run, until};

const SERVER: &str = "203.0.113.10";
const CIPHER: [&str; 4] = ["-k", "a password", "-m", "chacha20-ietf-poly1305"];

/// Server and client, until dropped.
struct Running {
    _server: PlaceChild,
    _client: PlaceChild,
}

impl Running {
    fn start(stage: &Stage) -> Self {
        let mut server = stage.lab.world().command("ss-server");
        let server = server.args(["-s", SERVER, "-p", "8388"]).args(CIPHER).spawn().unwrap();
        let mut client = stage.lab.client().command("ss-local");
        client.args(["-s", SERVER, "-p", "8388", "-b", "127.0.0.1", "-l", "1080"]);
        let client = client.args(CIPHER).spawn().unwrap();
        let listens = |place: &commucat_lab::Place, at: &'static str| {
            until(at, || place.run(|| std::net::TcpStream::connect(at).is_ok()).unwrap());
        };
        // The world talks to itself here: nothing of it passes the censor.
        listens(stage.lab.world(), "203.0.113.10:8388");
        listens(stage.lab.client(), "127.0.0.1:1080");
        Self { _server: server, _client: client }
    }
}

fn fetch(stage: &Stage, seconds: &str) -> Output {
    let mut curl = stage.lab.client().command("curl");
    curl.args(["--disable", "--silent", "--show-error", "--max-time", seconds, "--output", "/dev/null"]);
    curl.args(["--write-out", "%{http_code}", "--socks5-hostname", "127.0.0.1:1080"]);
    run(curl.arg("http://innocent.example/bytes/100000"))
}

fn missing() -> bool {
    let package = "shadowsocks-libev";
    program("ss-server", package).is_none()
        || program("ss-local", package).is_none()
        || program("curl", "curl").is_none()
}

#[test]
fn its_flow_falls_to_the_rule_about_random_bytes() {
    if missing() {
        return;
    }
    let Some(stage) = Stage::with("gfw-fet?p=1") else { return };
    let _running = Running::start(&stage);
    // One flow in some hundred is exempt by chance. A blocked one leaves the server blocked, so the last shows it.
    for _ in 0..2 {
        fetch(&stage, "2");
    }
    let last = fetch(&stage, "2");
    assert!(!last.status.success(), "{}", String::from_utf8_lossy(&last.stdout));
    stage.blamed("gfw-fet");
}

#[test]
fn without_a_censor_it_carries() {
    if missing() {
        return;
    }
    let Some(stage) = Stage::with("clean") else { return };
    let _running = Running::start(&stage);
    let fetched = fetch(&stage, "20");
    assert_eq!(
        String::from_utf8_lossy(&fetched.stdout),
        "200",
        "{}",
        String::from_utf8_lossy(&fetched.stderr)
    );
    stage.untouched();
}
