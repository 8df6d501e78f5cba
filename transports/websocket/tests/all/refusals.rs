//! What a refused client learns, and that nobody else does.

use std::sync::Arc;

use commucat_testkit::sim::SimNet;
use commucat_transport_api::{AcceptError, DialError, Phase, PluggableTransport as _, Retry, Signal, Spec};
use commucat_websocket::WebSocket;
use serde_json::json;

use crate::support::{Bridge, cx, dial, exchange, params, real, tls_off, user};

fn signal(error: &DialError) -> (Phase, Signal) {
    let failure = error.failure().unwrap_or_else(|| panic!("{error:?}"));
    assert!(failure.sent > 0 && failure.received > 0, "{failure:?}");
    (failure.phase, failure.signal.clone())
}

async fn dial_spec(bridge: &Bridge, spec: &Spec) -> Result<(), DialError> {
    let client = WebSocket::new().client(spec).unwrap();
    dial(&*client, &bridge.net).await.map(drop)
}

#[tokio::test]
async fn each_cause_is_named_on_every_path() {
    for over in [json!({}), tls_off(), json!({ "mode": "raw" })] {
        let mut bridge = Bridge::start(real(), params(over)).await;
        let mut stream = bridge.dial(json!({})).await.unwrap();
        assert_eq!(exchange(&mut stream, b"hello").await.unwrap(), b"hello");
        assert!(bridge.outcomes.recv().await.unwrap().unwrap().contains("anna"));

        let boris = bridge.spec_of(&user("boris", 2), json!({}));
        let error = dial_spec(&bridge, &boris).await.unwrap_err();
        assert_eq!(signal(&error), (Phase::Authenticate, Signal::UnknownUser));
        assert_eq!(error.retry(), Retry::Never);

        let key = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
        let error = dial_spec(&bridge, &bridge.spec(json!({ "key": key }))).await.unwrap_err();
        assert_eq!(signal(&error), (Phase::Authenticate, Signal::AuthRejected));
        assert!(std::error::Error::source(&error).unwrap().to_string().contains("404"), "{error:?}");

        let error = dial_spec(&bridge, &bridge.spec(json!({ "path": "/other" }))).await.unwrap_err();
        assert_eq!(signal(&error), (Phase::Authenticate, Signal::AuthRejected));

        bridge.users.set_full(true);
        let error = bridge.dial(json!({})).await.unwrap_err();
        assert_eq!(signal(&error), (Phase::Authenticate, Signal::BridgeFull));
        assert_eq!(error.retry(), Retry::Backoff);
        bridge.users.set_full(false);
        bridge.dial(json!({})).await.unwrap();

        assert_eq!(exchange(&mut stream, b"still here").await.unwrap(), b"still here");
    }
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_is_wrong_is_measured() {
    for (offset, expected) in [(300, 300), (-7200, -7200)] {
        let net = SimNet::new(3);
        let there = net.for_host([10, 99, 0, 1].into());
        net.set_clock_offset(offset);
        let bridge = Bridge::at(Arc::new(there), params(tls_off()), ([10, 99, 0, 1], 443).into()).await;
        let here: Arc<dyn commucat_transport_api::Net> = Arc::new(net);
        let error = dial(&*bridge.client(json!({})), &here).await.unwrap_err();
        let (phase, Signal::ClockSkew(seconds)) = signal(&error) else { panic!("{error:?}") };
        assert_eq!(phase, Phase::Authenticate);
        assert!((seconds - expected).abs() <= 2, "{seconds}");
        // With a wrong key there is no verdict; the date of the answer tells.
        let key = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
        let error = dial(&*bridge.client(json!({ "key": key })), &here).await.unwrap_err();
        let (_, Signal::ClockSkew(seconds)) = signal(&error) else { panic!("{error:?}") };
        assert!((seconds - expected).abs() <= 2, "{seconds}");
    }
}

#[tokio::test]
async fn another_certificate_is_named() {
    let bridge = Bridge::start(real(), params(json!({}))).await;
    let pin = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    let error = bridge.dial(json!({ "pin": pin })).await.unwrap_err();
    let failure = error.failure().unwrap();
    assert_eq!((failure.phase, &failure.signal), (Phase::Handshake, &Signal::WrongCertificate));
    // Without a pin the browsers' roots decide, and a self-signed certificate is nobody's.
    let mut spec = bridge.spec(json!({ "sni": "bridge.example" }));
    spec.params.as_object_mut().unwrap().remove("pin");
    let error = dial_spec(&bridge, &spec).await.unwrap_err();
    assert_eq!(error.failure().unwrap().signal, Signal::WrongCertificate);
}

#[tokio::test]
async fn what_is_no_bridge_is_named() {
    let net = real();
    let bridge = Bridge::start(Arc::clone(&net), params(json!({}))).await;
    // TLS spoken to a port without it, and the other way round.
    let plain = Bridge::start(Arc::clone(&net), params(tls_off())).await;
    let mut spec = bridge.spec(json!({}));
    spec.endpoint = plain.at.clone();
    let error = dial_spec(&bridge, &spec).await.unwrap_err();
    assert_eq!(error.failure().unwrap().phase, Phase::Handshake);
    assert_eq!(error.failure().unwrap().signal, Signal::UnexpectedBytes, "{error:?}");
    let mut spec = plain.spec(json!({}));
    spec.endpoint = bridge.at.clone();
    let error = dial_spec(&bridge, &spec).await.unwrap_err();
    assert_eq!(error.failure().unwrap().phase, Phase::Authenticate);
    // Nobody at all.
    let closed = net.listen_stream(([127, 0, 0, 1], 0).into()).await.unwrap().local_addr().unwrap();
    spec.endpoint = closed.into();
    let error = dial_spec(&bridge, &spec).await.unwrap_err();
    assert_eq!(error.failure().unwrap().signal, Signal::Refused);
    assert_eq!(error.failure().unwrap().phase, Phase::Connect);
}

#[tokio::test]
async fn a_replayed_token_opens_nothing_and_says_nothing() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let mut bridge = Bridge::start(real(), params(tls_off())).await;
    let recorder = commucat_testkit::wrap::Recorder::new(real());
    let client = bridge.client(json!({}));
    drop(dial(&*client, &recorder.net()).await.unwrap());
    bridge.outcomes.recv().await.unwrap().unwrap();
    let flight = recorder.streams()[0].sent.clone();
    let mut ids = std::collections::BTreeSet::new();
    for _ in 0..2 {
        let mut stream = bridge.net.connect_stream(&bridge.at).await.unwrap();
        stream.write_all(&flight).await.unwrap();
        stream.shutdown().await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 404 Not Found\r\n"), "{answer}");
        let id = answer.lines().find_map(|line| line.strip_prefix("X-Request-Id: ")).unwrap().to_owned();
        assert!(ids.insert(id), "ids are random");
        assert!(matches!(bridge.outcomes.recv().await.unwrap(), Err(AcceptError::Replayed)));
    }
    drop(cx(&bridge.net));
}
