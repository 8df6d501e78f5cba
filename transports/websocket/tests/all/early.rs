//! The first payload inside the upgrade request.

use std::{sync::Arc, time::Duration};

use commucat_testkit::sim::{LinkPolicy, SimNet};
use commucat_transport_api::{DialError, Net, PluggableTransport as _, Signal};
use commucat_websocket::WebSocket;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::support::{Bridge, dial, exchange, params, real, user};

#[tokio::test(start_paused = true)]
async fn it_saves_a_round_trip() {
    let delay = Duration::from_millis(50);
    for mode in ["ws", "raw"] {
        let mut took = Vec::new();
        for early_data in [0, 2048] {
            let net = SimNet::new(1);
            net.set_policy(LinkPolicy::with_delay(delay));
            let there = net.for_host([10, 99, 0, 1].into());
            let params = params(json!({ "tls": "off", "mode": mode }));
            let bridge = Bridge::at(Arc::new(there), params, ([10, 99, 0, 1], 443).into()).await;
            let here: Arc<dyn Net> = Arc::new(net);
            let start = here.now();
            let client = bridge.client(json!({ "early_data": early_data }));
            let mut stream = dial(&*client, &here).await.unwrap();
            assert_eq!(exchange(&mut stream, &[7; 1000]).await.unwrap(), [7; 1000]);
            took.push(here.now() - start);
        }
        assert_eq!(took[0], took[1] + 2 * delay, "{mode}: {took:?}");
    }
}

#[tokio::test]
async fn it_works_with_and_without_a_first_write_and_with_ends() {
    for over in [json!({}), json!({ "mode": "raw" }), json!({ "auth": "none", "tls": "off" })] {
        let bridge = Bridge::start(real(), params(over.clone())).await;
        let client = bridge.client(json!({ "early_data": 100 }));
        let target = commucat_transport_api::Target::Bridge;
        let open = || async {
            let opened = client.dial(&crate::support::cx(&bridge.net), &target).await.unwrap();
            opened.channel.into_stream().unwrap()
        };
        let mut stream = open().await;
        assert_eq!(exchange(&mut stream, b"short").await.unwrap(), b"short");
        let mut stream = open().await;
        stream.write_all(&[9; 300]).await.unwrap();
        stream.shutdown().await.unwrap();
        let mut all = Vec::new();
        stream.read_to_end(&mut all).await.unwrap();
        assert_eq!(all, [9; 300], "{over}");
        // Nobody writes: the end alone goes through.
        let mut stream = open().await;
        stream.shutdown().await.unwrap();
        assert_eq!(stream.read_to_end(&mut all).await.unwrap(), 0);
    }
}

#[tokio::test]
async fn a_refusal_comes_with_the_first_read() {
    let bridge = Bridge::start(real(), params(json!({}))).await;
    let spec = bridge.spec_of(&user("boris", 2), json!({ "early_data": 2048 }));
    let client = WebSocket::new().client(&spec).unwrap();
    let mut stream = dial(&*client, &bridge.net).await.unwrap();
    let error = exchange(&mut stream, b"hello").await.unwrap_err();
    let cause = error.get_ref().and_then(|inner| inner.downcast_ref::<DialError>()).unwrap();
    assert_eq!(cause.failure().unwrap().signal, Signal::UnknownUser);
}
