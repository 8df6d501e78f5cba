//! The acceptance suite of the house.

use std::sync::Arc;

use commucat_net::SystemNet;
use commucat_reality::Reality;
use commucat_testkit::suite::{self, Cover, Fixture};
use commucat_transport_api::Net;
use serde_json::json;

use crate::support::{params, site_with_names};

async fn run(fixture: Fixture) {
    suite::run_all(&fixture).await.into_result().unwrap_or_else(|report| panic!("{report}"));
}

/// What rustls says to noise: an alert.
fn cover() -> Cover {
    Cover::answers(*b"GET / HTTP/1.1\r\n\r\n", [21, 3, 3, 0, 2, 2])
}

#[tokio::test]
async fn passes_over_loopback() {
    let net: Arc<dyn Net> = SystemNet::new();
    // Long enough for a certificate with ML-DSA-65.
    let site = site_with_names(&net, 120).await;
    let variants = [
        json!({}),
        json!({"carriers": 3}),
        json!({"mldsa65_seed": "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"}),
        json!({"fingerprint": "firefox"}),
        json!({"flow": "xtls-rprx-vision"}),
    ];
    let runs = variants.into_iter().map(|more| {
        let fixture = Fixture::over(Arc::new(Reality::new()), Arc::clone(&net), cover()).unwrap();
        // A replayed hello gets the site's handshake.
        let replayed = Cover::answers([], [22, 3, 3]);
        run(fixture.with_params(params(&site)).with_params(more).with_replay_cover(replayed))
    });
    futures_util::future::join_all(runs).await;
}
