//! What the bridge says it serves: endpoints on its own host are added, others are not.

use std::time::{Duration, SystemTime};

use commucat_client::{Options, Runtime};
use commucat_net::SystemNet;
use commucat_transport_api::HostPort;

use crate::{
    mini::{Params, bundle, link},
    peer::{Bridge, Manner, within},
};

/// An answer that offers these, from a bridge whose clock is 100 s behind.
fn answer(offered: &[HostPort]) -> String {
    let offer = |at: &HostPort| {
        let spec = &link(&[(at.clone(), Params::default())]).endpoints[0];
        serde_json::json!({
            "spec": spec, "priority": 1, "checked_age_s": 1, "max_age_s": 60,
            "check": { "ok": true, "connect_ms": 3 },
            "obfuscation": { "summary": "nothing", "layers": ["mini"], "stream": true, "datagram": true },
        })
    };
    let behind = SystemTime::now().checked_sub(Duration::from_secs(100)).unwrap();
    let now = behind.duration_since(SystemTime::UNIX_EPOCH).unwrap();
    let now_ms = u64::try_from(now.as_millis()).unwrap();
    serde_json::json!({
        "version": 1, "generated_at_ms": now_ms, "valid_for_s": 600, "server_time_ms": now_ms,
        "min_client_version": "0.1.0", "endpoints": offered.iter().map(offer).collect::<Vec<_>>(),
    })
    .to_string()
}

#[tokio::test]
async fn endpoints_of_the_same_host_are_added_and_the_clock_is_noted() {
    let bridge = Bridge::start(Manner::default()).await;
    let sister = Bridge::start(Manner::default()).await;
    let foreign: HostPort = "192.0.2.9:443".parse().unwrap();
    let offered = [foreign, bridge.address.clone(), sister.address.clone()];
    bridge.change(|manner| manner.api = Some(answer(&offered)));
    let mut link = link(&[(bridge.address.clone(), Params::default())]);
    link.assist = true;
    let options = Options { listen: "127.0.0.1:0".parse().unwrap(), ..Options::default() };
    let client = Runtime::start(SystemNet::new(), &bundle(), &link, options).await.unwrap();
    let mut status = client.status();
    let learnt = within(status.wait_for(|status| status.endpoints.len() > 1)).await.unwrap().clone();
    assert_eq!(learnt.endpoints.len(), 2, "neither the foreign host nor the known endpoint");
    let ahead = learnt.clock_ahead_s.unwrap();
    assert!((99..=130).contains(&ahead), "{ahead}");
}
