//! The transport of the tutorial passes the suite: on a lossy path, on a clean one, and over loopback. And the chapter
//! shows what is here.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

#[path = "../examples/minimal_transport.rs"]
#[allow(dead_code, unreachable_pub, reason = "the example has a `main` of its own")]
mod minimal_transport;

use std::{path::Path, sync::Arc, time::Duration};

use commucat_net::SystemNet;
use commucat_testkit::{
    sim::{LinkPolicy, SimNet},
    suite::{self, Behaviour, Cover, Fixture, Scale},
};
use commucat_transport_api::Registry;
use minimal_transport::{NO_USERS, PlainXor};

/// What cannot be checked of a transport that has no users, no datagrams and no links.
const SKIPPED: [Behaviour; 9] = [
    Behaviour::Replay,
    Behaviour::Strangers,
    Behaviour::WrongSecret,
    Behaviour::TwoUsers,
    Behaviour::UserRemoved,
    Behaviour::Datagrams,
    Behaviour::LongestDatagram,
    Behaviour::OversizeDatagram,
    Behaviour::Link,
];

// ANCHOR: passes
async fn passes(fixture: Fixture, also_skipped: &[Behaviour]) {
    let report = suite::run_all(&fixture.without_users(NO_USERS)).await.into_result().unwrap();
    for (behaviour, _reason) in report.skipped() {
        assert!(SKIPPED.contains(&behaviour) || also_skipped.contains(&behaviour), "{report}");
    }
}

fn simulated(policy: LinkPolicy) -> Fixture {
    let net = SimNet::new(7);
    net.set_policy(policy);
    Fixture::simulated(Arc::new(PlainXor), &net, Cover::silence()).unwrap()
}

#[tokio::test(start_paused = true)]
async fn on_a_lossy_path() {
    let policy = LinkPolicy::with_delay(Duration::from_millis(80)).loss_percent(5);
    passes(simulated(policy), &[Behaviour::PromptEnd]).await;
}

#[tokio::test(start_paused = true)]
async fn on_a_clean_path() {
    passes(simulated(LinkPolicy::with_delay(Duration::from_millis(80))), &[]).await;
}

// ANCHOR_END: passes

#[tokio::test(start_paused = true)]
async fn on_a_narrow_path_that_reorders() {
    let policy = LinkPolicy::with_delay(Duration::from_millis(20))
        .jitter(Duration::from_millis(10))
        .reorder_percent(10, Duration::from_millis(30))
        .rate(10_000_000)
        .window(32 * 1024);
    passes(simulated(policy), &[Behaviour::PromptEnd]).await;
}

// ANCHOR: loopback
#[tokio::test]
async fn over_loopback_with_64_mib() {
    let fixture = Fixture::over(Arc::new(PlainXor), SystemNet::new(), Cover::silence()).unwrap();
    passes(fixture.with_scale(Scale::Full), &[Behaviour::PromptEnd]).await;
}
// ANCHOR_END: loopback

// ANCHOR: register
#[test]
fn a_registry_knows_it() {
    let mut registry = Registry::default();
    registry.register(PlainXor).unwrap();
    let spec = r#"{ "transport": "plainxor", "endpoint": "bridge.example:4000", "params": { "key": 90 } }"#;
    assert!(registry.client(&serde_json::from_str(spec).unwrap()).is_ok());
    let broken = spec.replace("90", "900");
    assert!(
        registry.client(&serde_json::from_str(&broken).unwrap()).is_err(),
        "found before a packet leaves"
    );
}
// ANCHOR_END: register

/// The chapter's includes point at code that is there, and its table names every behaviour.
#[test]
fn the_chapter_shows_what_is_here() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/src");
    let chapter = std::fs::read_to_string(folder.join("add-a-transport.md")).unwrap();
    let mut included = 0;
    for include in chapter.split("{{#include ").skip(1) {
        let (file, anchor) = include.split("}}").next().unwrap().split_once(':').unwrap();
        let code = std::fs::read_to_string(folder.join(file)).unwrap();
        assert!(code.contains(&format!("// ANCHOR: {anchor}\n")), "{file} has no anchor {anchor}");
        assert!(
            code.contains(&format!("// ANCHOR_END: {anchor}\n")),
            "{file} does not end the anchor {anchor}"
        );
        included += 1;
    }
    assert!(included >= 8, "the chapter shows the whole transport");
    for behaviour in Behaviour::ALL {
        assert!(chapter.contains(&format!("| {behaviour} |")), "the chapter does not name `{behaviour}`");
    }
}
