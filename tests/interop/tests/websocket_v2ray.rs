//! Debian's v2ray-plugin without its multiplexer, on either side of ours, with and without TLS.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use std::{net::SocketAddr, path::Path, process::Command};

use commucat_tests_interop::{
    programs::{Running, free_address, need},
    websocket::{Certificate, EchoBridge, check_echo, dial, tcp_echo, user},
};
use commucat_transport_api::{HostPort, Spec, Target};
use commucat_websocket::ID;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

const PROGRAM: &str = "ss-v2ray-plugin";
const PACKAGE: &str = "shadowsocks-v2ray-plugin";

/// As a Shadowsocks program would start it (SIP003).
fn plugin(program: &Path, remote: SocketAddr, local: SocketAddr, options: &str) -> Running {
    let mut command = Command::new(program);
    command
        .env("SS_REMOTE_HOST", remote.ip().to_string())
        .env("SS_REMOTE_PORT", remote.port().to_string())
        .env("SS_LOCAL_HOST", local.ip().to_string())
        .env("SS_LOCAL_PORT", local.port().to_string())
        .env("SS_PLUGIN_OPTIONS", options);
    Running::start(&mut command).unwrap()
}

async fn its_client_through_our_server(tls: bool) {
    let Some(program) = need(PROGRAM, PACKAGE).unwrap() else { return };
    let certificate = Certificate::for_name("bridge.example").unwrap();
    let over = json!({
        "auth": "none", "path": "/ws", "tls": if tls { "on" } else { "off" },
        "cert_file": certificate.cert, "key_file": certificate.key,
    });
    let mut bridge = EchoBridge::start(over).await.unwrap();
    let local = free_address().unwrap();
    let tls = if tls { format!(";tls;cert={}", certificate.cert.display()) } else { String::new() };
    let mut running = plugin(&program, bridge.at, local, &format!("mux=0;path=/ws;host=bridge.example{tls}"));
    running.listens_at(local).await.unwrap();
    for length in [1, 1000, 3_000_000] {
        check_echo(TcpStream::connect(local).await.unwrap(), length).await.unwrap();
    }
    // Our end of stream ends theirs: the bridge echoes, then closes because the plug-in's user did.
    let mut stream = TcpStream::connect(local).await.unwrap();
    stream.write_all(b"the last words").await.unwrap();
    let mut back = [0; 14];
    stream.read_exact(&mut back).await.unwrap();
    drop(stream);
    loop {
        if bridge.carried.recv().await.unwrap() == b"the last words" {
            break;
        }
    }
}

#[tokio::test]
async fn its_client_through_our_server_without_tls() {
    its_client_through_our_server(false).await;
}

#[tokio::test]
async fn its_client_through_our_server_with_tls() {
    its_client_through_our_server(true).await;
}

async fn our_client_through_its_server(tls: bool) {
    let Some(program) = need(PROGRAM, PACKAGE).unwrap() else { return };
    let certificate = Certificate::for_name("bridge.example").unwrap();
    let (target, _echo) = tcp_echo().await.unwrap();
    let at = free_address().unwrap();
    let options = if tls {
        format!(";tls;cert={};key={}", certificate.cert.display(), certificate.key.display())
    } else {
        String::new()
    };
    let mut running =
        plugin(&program, at, target, &format!("server;mux=0;path=/ws;host=bridge.example{options}"));
    running.listens_at(at).await.unwrap();
    let mut params = json!({ "auth": "none", "path": "/ws", "host": "bridge.example", "tls": "off" });
    if tls {
        params["tls"] = Value::Null;
        params.as_object_mut().unwrap().remove("tls");
        params["pin"] = json!(certificate.pin);
    }
    let spec = Spec::new(ID, HostPort::from(at), params).unwrap();
    for length in [1, 1000, 3_000_000] {
        let stream = dial(&spec, &Target::Bridge).await.unwrap();
        check_echo(stream, length).await.unwrap();
    }
    assert!(user("anna", 1).is_ok());
}

#[tokio::test]
async fn our_client_through_its_server_without_tls() {
    our_client_through_its_server(false).await;
}

#[tokio::test]
async fn our_client_through_its_server_with_tls() {
    our_client_through_its_server(true).await;
}

/// A target that says something and closes: the plug-in's close frame is our end of stream.
#[tokio::test]
async fn its_close_is_our_end_of_stream() {
    let Some(program) = need(PROGRAM, PACKAGE).unwrap() else { return };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let target = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut one = [0];
            if stream.read(&mut one).await.is_ok_and(|got| got == 1) {
                stream.write_all(&[7; 100_000]).await.unwrap();
            }
        }
    });
    let at = free_address().unwrap();
    let mut running = plugin(&program, at, target, "server;mux=0;path=/ws;host=bridge.example");
    running.listens_at(at).await.unwrap();
    let params = json!({ "auth": "none", "path": "/ws", "tls": "off" });
    let spec = Spec::new(ID, HostPort::from(at), params).unwrap();
    let mut stream = dial(&spec, &Target::Bridge).await.unwrap();
    stream.write_all(b"x").await.unwrap();
    let mut all = Vec::new();
    stream.read_to_end(&mut all).await.unwrap();
    assert_eq!(all.len(), 100_000);
}
