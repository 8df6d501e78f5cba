//! The seeded mistakes: for each, the doctor names the cause, the verdict and what to do.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use commucat_client::{
    doctor::{ControlTarget, DoctorOptions, Report, run},
    endpoints,
};
use commucat_net::SystemNet;
use commucat_transport_api::{HostPort, Net};
use commucat_verdict::{Cause, CauseKind, ids};
use tokio::io::AsyncWriteExt;

use crate::{
    mini::{BentNet, Params, bundle, link},
    peer::{AfterHello, Bridge, Ends, Manner, origin, read_some, within},
};

/// A well-known host that says what time it is.
async fn landmark() -> (ControlTarget, Ends) {
    let (address, task) = origin(|mut stream| async move {
        read_some(&mut stream).await;
        let date = httpdate::fmt_http_date(std::time::SystemTime::now());
        let answer = format!("HTTP/1.1 204 No Content\r\nDate: {date}\r\n\r\n");
        stream.write_all(answer.as_bytes()).await.ok();
    })
    .await;
    (control(address), task)
}

fn control(address: SocketAddr) -> ControlTarget {
    format!("http://{address}/").parse().unwrap()
}

fn nobody() -> SocketAddr {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

async fn examine(net: Arc<dyn Net>, ends: &[(HostPort, Params)], controls: Vec<ControlTarget>) -> Report {
    let endpoints = endpoints(&bundle(), &link(ends)).unwrap();
    let options = DoctorOptions { controls, budget: Duration::from_secs(2), ask_system: false };
    within(run(&net, &endpoints, &options)).await.unwrap()
}

/// Examines one bridge with a landmark beside it.
async fn one(manner: Manner, params: Params) -> Report {
    let bridge = Bridge::start(manner).await;
    let (landmark, _task) = landmark().await;
    examine(SystemNet::new(), &[(bridge.address.clone(), params)], vec![landmark]).await
}

fn bent(ahead: Duration, down: bool) -> Arc<dyn Net> {
    Arc::new(BentNet { below: SystemNet::new(), ahead, down })
}

#[tokio::test]
async fn a_working_bridge_is_ok() {
    let report = one(Manner::default(), Params::default()).await;
    assert_eq!((report.overall.cause.clone(), report.exit_code()), (Cause::Ok, 0));
    assert_eq!(report.controls.clock_ahead_s.map(i64::abs).map(|off| off <= 1), Some(true));
    let json = serde_json::to_string(&report).unwrap();
    assert!(!json.contains("127.0.0.1"), "a report can be shown: {json}");
}

#[tokio::test]
async fn mistake_1_unreachable() {
    let (landmark, _task) = landmark().await;
    let report = examine(SystemNet::new(), &[(nobody().into(), Params::default())], vec![landmark]).await;
    assert_eq!((report.overall.cause.clone(), report.exit_code()), (Cause::Unreachable, 3));
    assert_eq!(report.overall.verdict_id, ids::TCP_REFUSED);
    assert!(report.what_to_do.contains("port in the link"), "{}", report.what_to_do);
}

#[tokio::test]
async fn mistake_2_blocked_and_how() {
    for (after_hello, how) in
        [(AfterHello::Reset, ids::TLS_RST_AFTER_CH), (AfterHello::Silence, ids::TLS_DROP_AFTER_CH)]
    {
        let manner = Manner { after_hello, ..Manner::default() };
        let report = one(manner.clone(), Params::default()).await;
        assert_eq!((report.overall.cause.clone(), report.exit_code()), (Cause::Blocked { how }, 5));
        assert!(report.sentence.contains("TLS hello"), "{}", report.sentence);
        // Without controls nobody may say so.
        let bridge = Bridge::start(manner).await;
        let report = examine(SystemNet::new(), &[(bridge.address.clone(), Params::default())], vec![]).await;
        assert_eq!((report.overall.cause.kind(), report.exit_code()), (CauseKind::CannotTell, 3));
        assert!(report.sentence.contains("no control to tell"), "{}", report.sentence);
    }
}

#[tokio::test]
async fn mistake_3_wrong_key() {
    let report = one(Manner { key: "other", ..Manner::default() }, Params::default()).await;
    assert_eq!((report.overall.cause.clone(), report.exit_code()), (Cause::WrongKey, 4));
    assert!(report.sentence.contains("key in the link"), "{}", report.sentence);
}

#[tokio::test]
async fn mistake_4_wrong_user() {
    let report = one(Manner { user: "other", ..Manner::default() }, Params::default()).await;
    assert_eq!((report.overall.cause.clone(), report.exit_code()), (Cause::WrongUser, 4));
    assert!(report.sentence.contains("user in the link"), "{}", report.sentence);
}

#[tokio::test]
async fn mistake_5_clock_skew() {
    let bridge = Bridge::start(Manner::default()).await;
    let (landmark, _task) = landmark().await;
    let ends = [(bridge.address.clone(), Params::default())];
    let report = examine(bent(Duration::from_secs(301), false), &ends, vec![landmark]).await;
    let Cause::ClockSkew { seconds } = report.overall.cause else { panic!("{:?}", report.overall) };
    assert!((300..=302).contains(&seconds), "{seconds}");
    assert_eq!(report.exit_code(), 4);
    assert!(report.what_to_do.contains("timedatectl set-ntp true"), "{}", report.what_to_do);
}

/// A bridge that cannot say so: the landmark's clock tells.
#[tokio::test]
async fn mistake_5_clock_skew_behind_a_silent_bridge() {
    let bridge = Bridge::start(Manner { after_hello: AfterHello::Close, ..Manner::default() }).await;
    let (landmark, _task) = landmark().await;
    let ends = [(bridge.address.clone(), Params::default())];
    let report = examine(bent(Duration::from_secs(301), false), &ends, vec![landmark]).await;
    assert_eq!(report.overall.cause.kind(), CauseKind::ClockSkew);
}

#[tokio::test]
async fn mistake_6_version_too_old() {
    let report = one(Manner { min_version: 9, ..Manner::default() }, Params::default()).await;
    assert_eq!((report.overall.cause.clone(), report.exit_code()), (Cause::VersionTooOld, 4));
    assert!(report.what_to_do.contains("Update"), "{}", report.what_to_do);
}

#[tokio::test]
async fn mistake_7_bridge_full() {
    let report = one(Manner { full: true, ..Manner::default() }, Params::default()).await;
    assert_eq!((report.overall.cause.clone(), report.exit_code()), (Cause::BridgeFull, 3));
}

#[tokio::test]
async fn mistake_8_no_network() {
    let (landmark, _task) = landmark().await;
    let ends = [("192.0.2.1:443".parse().unwrap(), Params::default())];
    let report = examine(bent(Duration::ZERO, true), &ends, vec![landmark]).await;
    assert_eq!((report.overall.cause.clone(), report.exit_code()), (Cause::NoNetwork, 3));
    assert!(report.what_to_do.contains("network"), "{}", report.what_to_do);
}

#[tokio::test]
async fn one_working_endpoint_is_enough_and_the_other_is_named() {
    let (good, bad) = (Bridge::start(Manner::default()).await, Bridge::start(Manner::default()).await);
    bad.change(|manner| manner.after_hello = AfterHello::Reset);
    let ends = [(bad.address.clone(), Params::default()), (good.address.clone(), Params::default())];
    let report = examine(SystemNet::new(), &ends, vec![]).await;
    assert_eq!((report.overall.cause.clone(), report.exit_code()), (Cause::Ok, 0));
    assert!(report.sentence.contains("works through mini #2; mini #1: blocked"), "{}", report.sentence);
    assert_eq!(report.endpoints[0].diagnosis.cause.kind(), CauseKind::Blocked, "its sister is the control");
}

#[tokio::test]
async fn a_captive_portal_is_not_taken_for_a_network() {
    let (portal, _task) = origin(|mut stream| async move {
        read_some(&mut stream).await;
        stream.write_all(b"HTTP/1.1 302 Found\r\nLocation: http://login/\r\n\r\n").await.ok();
    })
    .await;
    let mut target = control(portal);
    target.expect = Some(204);
    let net: Arc<dyn Net> = SystemNet::new();
    let ends = [(silent_port().await.0.into(), Params::default())];
    let report = examine(net, &ends, vec![target]).await;
    assert!(report.controls.captive());
    assert_ne!(report.overall.cause, Cause::Ok);
}

/// Accepts and never says anything.
async fn silent_port() -> (SocketAddr, Ends) {
    origin(|_stream| std::future::pending()).await
}
