//! The acceptance suite of the house, for each family of methods, over loopback and over simulated paths.

use std::{sync::Arc, time::Duration};

use commucat_net::SystemNet;
use commucat_shadowsocks::Shadowsocks;
use commucat_testkit::{
    sim::{LinkPolicy, SimNet},
    suite::{self, Cover, Fixture},
};
use serde_json::{Value, json};

use crate::support::KEY_32;

/// Identity headers, trial of keys in both editions.
fn methods() -> [Value; 3] {
    [
        json!({"method": "2022-blake3-aes-256-gcm", "key": KEY_32}),
        json!({"method": "2022-blake3-chacha20-poly1305", "key": null}),
        json!({"method": "chacha20-ietf-poly1305", "key": null, "prefix": "POST%20"}),
    ]
}

async fn run(fixture: Fixture) {
    suite::run_all(&fixture).await.into_result().unwrap_or_else(|report| panic!("{report}"));
}

#[tokio::test]
async fn passes_over_loopback() {
    let runs = [json!({})].into_iter().chain(methods()).map(|params| {
        let transport = Arc::new(Shadowsocks::new());
        let fixture = Fixture::over(transport, SystemNet::new(), Cover::silence()).unwrap();
        // A UDP client does not say that it goes: only time tells, and the suite waits for it.
        run(fixture.with_params(params).with_params(json!({"udp_idle_s": 1})))
    });
    futures_util::future::join_all(runs).await;
}

#[tokio::test(start_paused = true)]
async fn passes_over_a_lossy_path() {
    for (seed, params) in (1..).zip(methods()) {
        let net = SimNet::new(seed);
        net.set_policy(LinkPolicy::with_delay(Duration::from_millis(80)).loss_percent(5));
        let fixture = Fixture::simulated(Arc::new(Shadowsocks::new()), &net, Cover::silence()).unwrap();
        run(fixture.with_params(params)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn adds_no_delay_to_a_long_path() {
    let net = SimNet::new(11);
    net.set_policy(LinkPolicy::with_delay(Duration::from_millis(80)));
    run(Fixture::simulated(Arc::new(Shadowsocks::new()), &net, Cover::silence()).unwrap()).await;
}
