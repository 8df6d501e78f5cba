//! Headless Chromium: opens a page of the cover site, and from it a WebSocket with a token.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use std::{process::Command, time::Duration};

use commucat_tests_interop::{
    programs::{Running, need},
    websocket::{EchoBridge, unused_token, user},
};
use serde_json::json;

/// Sends, waits for the echo, says what it got, ends.
const PAGE: &str = r#"<!DOCTYPE html><title>page</title><script>
const socket = new WebSocket("wss://" + location.host + "PATH", ["TOKEN"]);
socket.binaryType = "arraybuffer";
const sent = new Uint8Array(200000).map((_, at) => at % 251);
const got = [];
socket.onopen = () => socket.send(sent);
socket.onmessage = (event) => {
    got.push(...new Uint8Array(event.data));
    if (got.length === sent.length) {
        const same = got.every((byte, at) => byte === sent[at]);
        const right = socket.protocol === "TOKEN" && socket.extensions === "";
        socket.send(new TextEncoder().encode(same && right ? "verdict: right" : "verdict: wrong"));
        socket.send(new Uint8Array(0));
    }
};
</script>"#;

#[tokio::test]
async fn a_browser_is_a_client() {
    let Some(chromium) = need("chromium", "chromium").unwrap() else { return };
    let site = tempfile::tempdir().unwrap();
    let over = json!({ "cover": { "folder": site.path() } });
    let mut bridge = EchoBridge::start(over).await.unwrap();
    let spec = bridge.spec(&user("anna", 1).unwrap(), json!({})).unwrap();
    let token = unused_token(&spec).await.unwrap();
    let page = PAGE.replace("PATH", spec.params["path"].as_str().unwrap()).replace("TOKEN", &token);
    std::fs::write(site.path().join("index.html"), page).unwrap();
    let profile = tempfile::tempdir().unwrap();
    let _running = Running::start(
        Command::new(chromium)
            .args(["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"])
            .args(["--disable-background-networking", "--disable-component-update", "--disable-sync"])
            .args(["--ignore-certificate-errors", "--remote-debugging-port=0"])
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .arg(format!("https://{}/", bridge.at)),
    )
    .unwrap();
    let carried = tokio::time::timeout(Duration::from_secs(60), bridge.carried.recv()).await;
    let carried = carried.expect("the browser opened its WebSocket").unwrap();
    assert!(carried.ends_with(b"verdict: right"), "{} bytes", carried.len());
    assert_eq!(carried.len(), 200_000 + 14);
}
