//! Slow, greedy and many: each costs bounded memory and time, and others are served.

use std::{sync::Arc, time::Duration};

use commucat_testkit::sim::SimNet;
use commucat_transport_api::{AcceptError, ListenError, Net, PluggableTransport as _, UserTable};
use commucat_websocket::WebSocket;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::support::{Bridge, cx, exchange, params, real, tls_off};

/// Resident memory of this process, in KiB.
fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[tokio::test(start_paused = true)]
async fn ten_thousand_half_open_connections_cost_little_and_others_are_served() {
    let net = SimNet::new(5);
    let there: Arc<dyn Net> = Arc::new(net.for_host([10, 99, 0, 1].into()));
    let mut bridge = Bridge::at(there, params(json!({})), ([10, 99, 0, 1], 443).into()).await;
    let before = resident_kib();
    let mut silent = Vec::new();
    for at in 0..10_000 {
        let mut stream = net.connect_stream(&bridge.at).await.unwrap();
        if at % 2 == 0 {
            // The first byte of a hello that never comes.
            stream.write_all(&[0x16]).await.unwrap();
        }
        silent.push(stream);
    }
    let client = bridge.client(json!({}));
    let here: Arc<dyn Net> = Arc::new(net.clone());
    let mut stream = crate::support::dial(&*client, &here).await.unwrap();
    assert_eq!(exchange(&mut stream, b"served").await.unwrap(), b"served");
    let grown = resident_kib().saturating_sub(before);
    println!("10,000 half-open connections: {grown} KiB more");
    assert!(grown < 400 * 1024, "10,000 half-open connections took {grown} KiB, both ends and the simulator");
    // All of them are let go by their deadlines.
    assert!(bridge.outcomes.recv().await.unwrap().is_ok());
    for _ in 0..10_000 {
        assert!(matches!(bridge.outcomes.recv().await.unwrap(), Err(AcceptError::Limit(_))));
    }
}

#[tokio::test(start_paused = true)]
async fn a_trickled_head_runs_into_the_deadline() {
    let net = SimNet::new(6);
    let there: Arc<dyn Net> = Arc::new(net.for_host([10, 99, 0, 1].into()));
    let mut bridge = Bridge::at(there, params(tls_off()), ([10, 99, 0, 1], 80).into()).await;
    let mut stream = net.connect_stream(&bridge.at).await.unwrap();
    let start = net.now();
    for byte in b"GET / HTTP/1.1\r\nX-Header: aaaaaaaaaaaaaaaaaaaaaaaaaaaa" {
        if stream.write_all(&[*byte]).await.is_err() {
            break;
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    assert!(matches!(bridge.outcomes.recv().await.unwrap(), Err(AcceptError::Limit(_))));
    assert!(net.now() - start < Duration::from_secs(60));
}

#[tokio::test]
async fn one_byte_at_a_time_is_let_in() {
    let bridge = Bridge::start(real(), params(tls_off())).await;
    let recorder = commucat_testkit::wrap::Recorder::new(real());
    // A flight that was refused for its path costs no salt, so it can be sent again as it should have been.
    let client = bridge.client(json!({ "path": "/wrong" }));
    crate::support::dial(&*client, &recorder.net()).await.unwrap_err();
    let wrong = String::from_utf8(recorder.streams()[0].sent.clone()).unwrap();
    let path = bridge.spec(json!({})).params["path"].as_str().unwrap().to_owned();
    let right = wrong.replacen("/wrong", &path, 1);
    let mut stream = bridge.net.connect_stream(&bridge.at).await.unwrap();
    for byte in right.bytes() {
        stream.write_all(&[byte]).await.unwrap();
    }
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 101");
}

#[tokio::test]
async fn bad_setups_are_typed_errors() {
    let users = Arc::new(UserTable::default());
    let spec = |params| {
        commucat_transport_api::Spec::new(commucat_websocket::ID, "127.0.0.1:0".parse().unwrap(), params)
    };
    let refused = |over: serde_json::Value| {
        let spec = spec(params(over)).unwrap();
        WebSocket::new().server(&spec, &users).unwrap_err().field()
    };
    assert_eq!(
        refused(json!({ "cert_file": "/nothing/c.pem", "key_file": "/nothing/k.pem" })),
        Some("cert_file")
    );
    assert_eq!(refused(json!({ "cert_file": "/nothing/c.pem" })), Some("key_file"));
    assert_eq!(refused(json!({ "cert_pem": "no certificate" })), Some("cert_pem"));
    assert_eq!(refused(json!({ "key_pem": "no key" })), Some("key_pem"));
    assert_eq!(refused(json!({ "key": "short" })), Some("key"));
    assert_eq!(refused(json!({ "path": "no-slash" })), Some("path"));
    assert_eq!(refused(json!({ "cover": { "folder": "/nothing" } })), Some("cover"));
    assert_eq!(refused(json!({ "cover": { "origin": "https://a/b" } })), Some("cover"));
    assert_eq!(refused(json!({ "client": { "nonsense": 1 } })), Some("client"));
    assert_eq!(refused(json!({ "nonsense": 1 })), Some("params"));
    assert_eq!(refused(json!({ "tolerance_s": 0 })), Some("tolerance_s"));
    assert_eq!(refused(json!({ "ping": { "idle_s": [9, 8] } })), Some("ping"));
    // A port that is taken.
    let bridge = Bridge::start(real(), params(json!({}))).await;
    let mut taken = spec(params(json!({}))).unwrap();
    taken.endpoint = bridge.at.clone();
    let server = WebSocket::new().server(&taken, &users).unwrap();
    assert!(matches!(server.listen(&cx(&bridge.net)).await, Err(ListenError::Bind { .. })));
}

#[tokio::test]
async fn certificate_files_are_read_anew_by_a_new_server() {
    let dir = tempfile::tempdir().unwrap();
    let (cert, key) = (dir.path().join("c.pem"), dir.path().join("k.pem"));
    let mut pins = std::collections::BTreeSet::new();
    for _ in 0..2 {
        let fresh = params(json!({}));
        std::fs::write(&cert, fresh["cert_pem"].as_str().unwrap()).unwrap();
        std::fs::write(&key, fresh["key_pem"].as_str().unwrap()).unwrap();
        let bridge = Bridge::start(real(), params(json!({ "cert_file": cert, "key_file": key }))).await;
        // A certificate from files is not pinned by itself: it is renewed.
        let spec = bridge
            .server
            .client_spec(&"bridge.example:443".parse().unwrap(), &crate::support::user("anna", 1));
        assert!(!spec.unwrap().params.as_object().unwrap().contains_key("pin"));
        let pin = pin_of(fresh["cert_pem"].as_str().unwrap());
        let mut stream = bridge.dial(json!({ "pin": pin })).await.unwrap();
        assert_eq!(exchange(&mut stream, b"x").await.unwrap(), b"x");
        pins.insert(pin);
    }
    assert_eq!(pins.len(), 2);
}

/// What `client_spec` says of the same certificate when it is inline.
fn pin_of(pem: &str) -> String {
    use base64::{
        Engine as _,
        engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
    };
    let base64: String = pem.lines().filter(|line| !line.starts_with("-----")).collect();
    URL_SAFE_NO_PAD.encode(boring::sha::sha256(&STANDARD.decode(base64).unwrap()))
}
