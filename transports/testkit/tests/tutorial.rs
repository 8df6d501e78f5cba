//! The transport of the tutorial passes the suite: on a lossy path, on a clean one, and over loopback.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

#[path = "../examples/minimal_transport.rs"]
#[allow(dead_code, unreachable_pub, reason = "the example has a `main` of its own")]
mod minimal_transport;

use std::{sync::Arc, time::Duration};

use commucat_net::SystemNet;
use commucat_testkit::{
    sim::{LinkPolicy, SimNet},
    suite::{self, Behaviour, Cover, Fixture, Scale},
};
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

#[tokio::test(start_paused = true)]
async fn on_a_narrow_path_that_reorders() {
    let policy = LinkPolicy::with_delay(Duration::from_millis(20))
        .jitter(Duration::from_millis(10))
        .reorder_percent(10, Duration::from_millis(30))
        .rate(10_000_000)
        .window(32 * 1024);
    passes(simulated(policy), &[Behaviour::PromptEnd]).await;
}

#[tokio::test]
async fn over_loopback_with_64_mib() {
    let fixture = Fixture::over(Arc::new(PlainXor), SystemNet::new(), Cover::silence()).unwrap();
    passes(fixture.with_scale(Scale::Full), &[Behaviour::PromptEnd]).await;
}
