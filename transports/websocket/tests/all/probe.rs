//! The probe's steps, on a bridge that works and on some that do not.

use std::sync::Arc;

use commucat_transport_api::{PluggableTransport as _, Signal, UserTable};
use commucat_websocket::{ID, WebSocket};
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::support::{Bridge, cx, params, real, user};

/// A bridge whose own HTTP answers.
async fn http_bridge() -> (commucat_transport_api::Spec, tokio::task::JoinHandle<()>) {
    let users = Arc::new(UserTable::new(vec![user("anna", 1)]));
    let spec =
        commucat_transport_api::Spec::new(ID, "127.0.0.1:0".parse().unwrap(), params(json!({}))).unwrap();
    let server = WebSocket::new().server(&spec, &users).unwrap();
    let mut listener = server.listen(&cx(&real())).await.unwrap();
    let at = listener.local_addr().unwrap().into();
    let client = server.client_spec(&at, &user("anna", 1)).unwrap();
    let task = tokio::spawn(async move {
        loop {
            let incoming = listener.accept().await.unwrap();
            tokio::spawn(async move {
                let Ok(accepted) = incoming.handshake().await else { return };
                let mut stream = accepted.channel.into_stream().unwrap();
                let mut head = [0; 4];
                stream.read_exact(&mut head).await.unwrap();
                assert_eq!(&head, b"HEAD");
                stream.write_all(b"HTTP/1.1 404 Not Found\r\n\r\n").await.unwrap();
                stream.shutdown().await.unwrap();
            });
        }
    });
    (client, task)
}

#[tokio::test]
async fn a_good_bridge_passes_every_step() {
    let (spec, _task) = http_bridge().await;
    let client = WebSocket::new().client(&spec).unwrap();
    let report = client.probe(&cx(&real())).await;
    let names: Vec<_> = report.steps.iter().map(|step| (&*step.name, step.control)).collect();
    assert_eq!(
        names,
        [
            ("resolve", false),
            ("connect", false),
            ("tls", false),
            ("cover page", true),
            ("authenticate", false),
            ("round-trip", false)
        ]
    );
    assert!(report.steps.iter().all(|step| step.outcome.is_ok()), "{report:?}");
}

#[tokio::test]
async fn a_wrong_user_fails_where_it_should_and_the_control_passes() {
    let bridge = Bridge::start(real(), params(json!({}))).await;
    let client = WebSocket::new().client(&bridge.spec_of(&user("boris", 2), json!({}))).unwrap();
    let report = client.probe(&cx(&bridge.net)).await;
    let failed: Vec<_> =
        report.steps.iter().filter(|step| step.outcome.is_err()).map(|step| &*step.name).collect();
    assert_eq!(failed, ["authenticate"]);
    assert_eq!(report.first_failure().unwrap().signal, Signal::UnknownUser);
}

#[tokio::test]
async fn nobody_there_fails_at_connect() {
    let mut spec = http_bridge().await.0;
    spec.endpoint = "127.0.0.1:1".parse().unwrap();
    let report = WebSocket::new().client(&spec).unwrap().probe(&cx(&real())).await;
    assert_eq!(&*report.steps.last().unwrap().name, "connect");
    assert_eq!(report.first_failure().unwrap().signal, Signal::Refused);
}
