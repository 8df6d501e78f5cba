//! Xray 26.10 on either side of our REALITY.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod site;
mod xray;

use std::{net::SocketAddr, time::Duration};

use commucat_net::SystemNet;
use commucat_reality::Reality;
use commucat_tests_interop::{
    RelayBridge, echo_service,
    programs::free_address,
    shadowsocks::{Ending, exchange, user},
    socks_connect,
};
use commucat_transport_api::{Cx, HostPort, PluggableTransport as _, Spec, Target};
use serde_json::{Value, json};

use crate::{
    site::{NAME, site},
    xray::Xray,
};

const PATIENCE: Duration = Duration::from_secs(60);
/// X25519 keys as `xray x25519` makes them, and an ML-DSA-65 seed; of nobody.
const PRIVATE_KEY: &str = "WLTZYAAgODIEQ3dDmMtIC0lOo0Ib4rdK1QRzVNUCrXo";
const UUID: &str = "b831381d-6324-4d53-ad4f-8cda48b30811";
const SHORT_ID: &str = "0123456789abcdef";
const ML_DSA_SEED: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8";

/// Our own server's view of a key pair: what a client of it is told.
async fn public_keys(ml_dsa: bool) -> (String, Option<String>) {
    let mut params = json!({
        "target": "127.0.0.1:1", "server_names": [NAME], "private_key": PRIVATE_KEY, "short_ids": [SHORT_ID],
    });
    if ml_dsa {
        params["mldsa65_seed"] = ML_DSA_SEED.into();
    }
    let spec = Spec::new(commucat_reality::ID, "127.0.0.1:1".parse().unwrap(), params).unwrap();
    let server = Reality::new().server(&spec, &std::sync::Arc::default()).unwrap();
    let client = server.client_spec(&"127.0.0.1:1".parse().unwrap(), &user("anna", 1)).unwrap();
    let text = |key: &str| client.params.get(key).and_then(Value::as_str).map(str::to_owned);
    (text("public_key").unwrap(), text("mldsa65_verify"))
}

async fn through(proxy: SocketAddr) {
    let echo = echo_service().await.unwrap();
    let stream = tokio::time::timeout(PATIENCE, socks_connect(proxy, &echo.into())).await.unwrap().unwrap();
    tokio::time::timeout(PATIENCE, exchange(stream, Ending::AfterAnswer)).await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn our_client_to_its_server() {
    let Some(xray) = Xray::find() else { return };
    for ml_dsa in [false, true] {
        let site = site(120).await;
        let at = free_address().unwrap();
        let (public_key, verify) = public_keys(ml_dsa).await;
        let mut reality = json!({
            "target": site.to_string(), "serverNames": [NAME], "privateKey": PRIVATE_KEY, "shortIds": [SHORT_ID],
        });
        if ml_dsa {
            reality["mldsa65Seed"] = ML_DSA_SEED.into();
        }
        let _running = xray.server(at, UUID, "", &reality).await;
        let mut params = json!({
            "server_name": NAME, "public_key": public_key, "short_id": SHORT_ID, "user": UUID,
        });
        if let Some(verify) = verify {
            params["mldsa65_verify"] = verify.into();
        }
        for fingerprint in ["chrome", "firefox"] {
            params["fingerprint"] = fingerprint.into();
            let spec = Spec::new(commucat_reality::ID, HostPort::from(at), params.clone()).unwrap();
            let client = Reality::new().client(&spec).unwrap();
            let cx = Cx::new(SystemNet::new(), PATIENCE);
            let echo = Target::Stream(echo_service().await.unwrap().into());
            let opened =
                client.dial(&cx, &echo).await.unwrap_or_else(|e| panic!("{fingerprint} {ml_dsa}: {e:?}"));
            let stream = opened.channel.into_stream().unwrap();
            tokio::time::timeout(PATIENCE, exchange(stream, Ending::AfterAnswer)).await.unwrap().unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn its_client_to_our_server() {
    let Some(xray) = Xray::find() else { return };
    for ml_dsa in [false, true] {
        let site = site(120).await;
        let mut params = json!({
            "target": site.to_string(), "server_names": [NAME], "private_key": PRIVATE_KEY, "short_ids": [SHORT_ID],
        });
        if ml_dsa {
            params["mldsa65_seed"] = ML_DSA_SEED.into();
        }
        let bridge = RelayBridge::start(&Reality::new(), params, vec![user("anna", 1)]).await.unwrap();
        let spec = bridge.client_spec(&user("anna", 1)).unwrap();
        let text = |key: &str| spec.params.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
        let mut reality = json!({
            "serverName": NAME, "fingerprint": "chrome", "password": text("public_key"), "shortId": text("short_id"),
        });
        if ml_dsa {
            reality["mldsa65Verify"] = text("mldsa65_verify").into();
        }
        let (_running, proxy) = xray.client(bridge.address, &text("user"), "", &reality).await;
        through(proxy).await;
        assert_eq!(bridge.users_seen(), ["anna"]);
    }
}
