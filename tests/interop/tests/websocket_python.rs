//! The Python package `websockets`, on either side of ours.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use std::{path::PathBuf, process::Command};

use commucat_tests_interop::{
    programs::{Running, cache_dir, free_address, need, skip},
    websocket::{EchoBridge, check_echo, dial, unused_token, user},
};
use commucat_transport_api::{HostPort, Spec, Target};
use commucat_websocket::ID;
use serde_json::json;

const VERSION: &str = "17.4";
/// SHA-256 of `websockets-17.4-py3-none-any.whl`.
const WHEEL_SHA256: &str = "c6bd2c9781915592b209160d0f017d4c7c82ad53075e6b0c24d2a89299e7f9e9";

/// A Python that has the package: a virtual environment in the cache, made when it is missing.
fn python() -> Option<PathBuf> {
    let system = need("python3", "python3-venv").unwrap()?;
    let dir = cache_dir(&format!("python-websockets-{VERSION}")).unwrap();
    let python = dir.join("venv/bin/python");
    let works = |python: &PathBuf| {
        Command::new(python).args(["-c", "import websockets"]).status().is_ok_and(|s| s.success())
    };
    if works(&python) {
        return Some(python);
    }
    let requirements = dir.join("requirements.txt");
    std::fs::write(&requirements, format!("websockets=={VERSION} --hash=sha256:{WHEEL_SHA256}\n")).unwrap();
    let made = Command::new(system).args(["-m", "venv", "--clear"]).arg(dir.join("venv")).status();
    // The pure wheel for any Python, so that one hash is right everywhere.
    let platform = ["--platform", "any", "--implementation", "py", "--abi", "none", "--only-binary", ":all:"];
    let installed = Command::new(&python)
        .args(["-m", "pip", "install", "--quiet", "--no-deps", "--require-hashes", "--upgrade"])
        .args(platform)
        .arg("--target")
        .arg(dir.join("packages"))
        .arg("-r")
        .arg(&requirements)
        .status();
    if !made.is_ok_and(|status| status.success()) || !installed.is_ok_and(|status| status.success()) {
        skip("websockets could not be installed from the package index (apt-get install python3-venv)")
            .unwrap();
        return None;
    }
    let site = Command::new(&python)
        .args(["-c", "import sysconfig; print(sysconfig.get_paths()['purelib'])"])
        .output()
        .unwrap();
    let site = PathBuf::from(String::from_utf8(site.stdout).unwrap().trim());
    std::fs::write(site.join("packages.pth"), dir.join("packages").as_os_str().as_encoded_bytes()).unwrap();
    assert!(works(&python), "the package is installed and cannot be imported");
    Some(python)
}

const CLIENT: &str = r#"
import asyncio, ssl, sys, websockets
url, token = sys.argv[1], sys.argv[2]
async def main():
    tls = ssl.create_default_context(); tls.check_hostname = False; tls.verify_mode = ssl.CERT_NONE
    async with websockets.connect(url, ssl=tls, subprotocols=[token], max_size=None) as ws:
        assert ws.subprotocol == token
        for length in (1, 125, 126, 65535, 65536, 900000):
            sent = bytes(i * 7 % 256 for i in range(length))
            await ws.send(sent)
            back = b""
            while len(back) < length:
                back += await ws.recv()
            assert back == sent, length
        async def fragments():
            for part in (b"one ", b"two ", b"three"):
                yield part
        await ws.send(fragments())
        back = b""
        while len(back) < 13:
            back += await ws.recv()
        assert back == b"one two three"
        await (await ws.ping(b"payload"))
        await ws.send(b"")                      # our end of stream
        assert await ws.recv() == b""           # and the bridge's
        try:
            await ws.recv()
            raise SystemExit("a message after the end")
        except websockets.ConnectionClosedOK as closed:
            assert closed.rcvd.code == 1000
    print("all good")
asyncio.run(main())
"#;

#[tokio::test]
async fn its_client_with_a_token() {
    let Some(python) = python() else { return };
    let bridge = EchoBridge::start(json!({})).await.unwrap();
    let spec = bridge.spec(&user("anna", 1).unwrap(), json!({})).unwrap();
    let token = unused_token(&spec).await.unwrap();
    let url = format!("wss://{}{}", bridge.at, spec.params["path"].as_str().unwrap());
    let output =
        tokio::task::spawn_blocking(move || Command::new(python).args(["-c", CLIENT, &url, &token]).output());
    let output = output.await.unwrap().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.stdout, b"all good\n");
}

const SERVER: &str = r#"
import asyncio, sys, websockets
async def echo(ws):
    async for message in ws:
        await ws.send(message)
async def main():
    async with websockets.serve(echo, "127.0.0.1", int(sys.argv[1]), max_size=None):
        await asyncio.Future()
asyncio.run(main())
"#;

#[tokio::test]
async fn our_client_to_its_server() {
    let Some(python) = python() else { return };
    let at = free_address().unwrap();
    let mut running =
        Running::start(Command::new(python).args(["-c", SERVER, &at.port().to_string()])).unwrap();
    running.listens_at(at).await.unwrap();
    let params = json!({ "auth": "none", "path": "/any", "tls": "off" });
    let spec = Spec::new(ID, HostPort::from(at), params).unwrap();
    for length in [1, 200, 70_000, 3_000_000] {
        let stream = dial(&spec, &Target::Bridge).await.unwrap();
        check_echo(stream, length).await.unwrap();
    }
}
