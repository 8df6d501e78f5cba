//! sing-box 1.14.3 on either side. Its server takes our client. Its client fits no bridge with the rules of Xray 26.9, ours
//! among them: it takes the hybrid key share out of its hello.

mod program;

use commucat_tests_interop::{
    echo_service,
    shadowsocks::{Ending, through_our_client},
};
use rustls::version::TLS13;
use tokio::time::timeout;

use self::program::SingBox;
use crate::{
    MORE_BYTES, SOME_BYTES,
    ends::{PATIENCE, Setup, stream},
    inner::{Inner, bulk},
    site::site,
    strangers::{Log, reaches},
    tap::Tap,
};

#[tokio::test(flavor = "multi_thread")]
async fn our_client_to_its_server() {
    let Some(sing_box) = SingBox::find() else { return };
    for setup in [Setup::default(), Setup::VISION] {
        let (_running, at) = sing_box.server(setup.flow, site(120).await).await;
        for fingerprint in ["chrome", "firefox"] {
            let client = setup.client(at, fingerprint);
            through_our_client(&*client, Ending::AfterAnswer).await.unwrap();
        }
        let client = setup.client(at, "chrome");
        let echo = echo_service().await.unwrap();
        timeout(PATIENCE, bulk(stream(&*client, echo).await, MORE_BYTES)).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn our_client_goes_below_tls_with_its_server() {
    let Some(sing_box) = SingBox::find() else { return };
    let (_running, at) = sing_box.server(Setup::VISION.flow, site(120).await).await;
    let outer = Tap::start(at).await;
    let client = Setup::VISION.client(outer.address, "chrome");
    let inner = Inner::start(&TLS13).await;
    let tap = Tap::start(inner.address).await;
    let streams = [stream(&*client, tap.address).await, stream(&*client, tap.address).await];
    timeout(PATIENCE, inner.through(streams, SOME_BYTES)).await.unwrap();
    assert_eq!(outer.heard(&tap.middles()), [true; 2]);
}

#[tokio::test]
async fn its_client_is_a_stranger_to_our_server() {
    let Some(sing_box) = SingBox::find() else { return };
    let bridge = Setup::default().bridge().await;
    let echo = echo_service().await.unwrap();
    for fingerprint in ["chrome", "firefox", "ios"] {
        let log = Log::start();
        let (_running, proxy) = sing_box.client(&bridge, "", fingerprint).await;
        assert!(!reaches(proxy, echo).await, "{fingerprint}");
        let lines = log.passed_on();
        let reason = "why=no hybrid key share before the X25519 one";
        assert!(
            !lines.is_empty() && lines.iter().all(|line| line.contains(reason)),
            "{fingerprint}: {lines:?}"
        );
    }
    assert!(bridge.users_seen().is_empty());
}
