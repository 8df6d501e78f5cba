//! Pings on a quiet connection, and the end of one whose peer is gone.

use std::{net::IpAddr, sync::Arc, time::Duration};

use commucat_testkit::sim::SimNet;
use commucat_transport_api::Net;
use serde_json::json;
use tokio::io::AsyncReadExt as _;

use crate::support::{Bridge, dial, exchange, params};

const BRIDGE: [u8; 4] = [10, 99, 0, 1];

async fn start(net: &SimNet) -> Bridge {
    let there: Arc<dyn Net> = Arc::new(net.for_host(BRIDGE.into()));
    Bridge::at(there, params(json!({})), (BRIDGE, 443).into()).await
}

#[tokio::test(start_paused = true)]
async fn a_quiet_hour_ends_nothing() {
    let net = SimNet::new(8);
    let bridge = start(&net).await;
    let here: Arc<dyn Net> = Arc::new(net.clone());
    let mut stream = dial(&*bridge.client(json!({ "ping": { "idle_s": [20, 45] } })), &here).await.unwrap();
    let before = net.trace().entries().len();
    let mut one = [0];
    let quiet = tokio::time::timeout(Duration::from_secs(3600), stream.read(&mut one)).await;
    assert!(quiet.is_err(), "nothing comes and nothing breaks");
    let packets = net.trace().entries().len() - before;
    // A ping and a pong every 20 to 45 seconds, and what the simulated TCP needs for them.
    assert!(packets >= 2 * 3600 / 45, "{packets} packets");
    assert_eq!(exchange(&mut stream, b"awake").await.unwrap(), b"awake");
}

#[tokio::test(start_paused = true)]
async fn a_dead_peer_is_noticed() {
    let net = SimNet::new(9);
    let bridge = start(&net).await;
    let here: Arc<dyn Net> = Arc::new(net.clone());
    let mut stream = dial(&*bridge.client(json!({ "ping": { "idle_s": [10, 10] } })), &here).await.unwrap();
    assert_eq!(exchange(&mut stream, b"alive").await.unwrap(), b"alive");
    let there: IpAddr = BRIDGE.into();
    net.cut(net.host(), there);
    let start = net.now();
    let mut one = [0];
    let read = tokio::time::timeout(Duration::from_secs(600), stream.read(&mut one)).await;
    let error = read.expect("the end is noticed").unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::TimedOut);
    let took = net.now() - start;
    assert!((Duration::from_secs(35)..=Duration::from_secs(60)).contains(&took), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn a_slow_answer_to_a_half_closed_request_still_comes() {
    use tokio::io::AsyncWriteExt as _;
    let net = SimNet::new(10);
    let there: Arc<dyn Net> = Arc::new(net.for_host(BRIDGE.into()));
    let users = Arc::new(commucat_transport_api::UserTable::new(vec![crate::support::user("anna", 1)]));
    let spec = commucat_transport_api::Spec::new(
        commucat_websocket::ID,
        std::net::SocketAddr::from((BRIDGE, 443)).into(),
        params(json!({})),
    )
    .unwrap();
    use commucat_transport_api::PluggableTransport as _;
    let transport = commucat_websocket::WebSocket::new();
    let server = transport.server(&spec, &users).unwrap();
    let mut listener = server.listen(&crate::support::cx(&there)).await.unwrap();
    let client_spec = server.client_spec(&spec.endpoint, &crate::support::user("anna", 1)).unwrap();
    tokio::spawn(async move {
        let mut stream =
            listener.accept().await.unwrap().handshake().await.unwrap().channel.into_stream().unwrap();
        let mut asked = Vec::new();
        stream.read_to_end(&mut asked).await.unwrap();
        // Ten minutes of thought, in which nobody reads this stream.
        tokio::time::sleep(Duration::from_secs(600)).await;
        stream.write_all(&asked).await.unwrap();
        stream.shutdown().await.unwrap();
        tokio::time::sleep(Duration::from_secs(60)).await;
    });
    let here: Arc<dyn Net> = Arc::new(net);
    let mut stream = dial(&*transport.client(&client_spec).unwrap(), &here).await.unwrap();
    stream.write_all(b"question").await.unwrap();
    stream.shutdown().await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    assert_eq!(answer, b"question");
}
