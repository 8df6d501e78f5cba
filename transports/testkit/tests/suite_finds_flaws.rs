//! The suite can fail: a complete transport passes all of it, and each broken promise is found by the check for it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

#[path = "reference/gated.rs"]
#[allow(
    unreachable_pub,
    missing_docs,
    missing_debug_implementations,
    unnameable_types,
    clippy::let_underscore_must_use,
    clippy::cast_possible_truncation,
    clippy::map_err_ignore,
    reason = "a test's own transport"
)]
mod gated;

use std::{sync::Arc, time::Duration};

use commucat_net::SystemNet;
use commucat_testkit::{
    sim::{LinkPolicy, SimNet},
    suite::{self, Behaviour, Cover, Fixture, Scale},
};
use gated::{Flaw, Gated};

/// Each flaw, and the check that must find it.
const FLAWS: &[(Flaw, Behaviour)] = &[
    (Flaw::NoHalfClose, Behaviour::HalfClose),
    (Flaw::NoHalfClose, Behaviour::ServerHalfClose),
    (Flaw::NoHalfClose, Behaviour::TcpSemantics),
    (Flaw::LateEnd, Behaviour::PromptEnd),
    (Flaw::LazyHello, Behaviour::ServerSpeaksFirst),
    (Flaw::NoBackPressure, Behaviour::TcpSemantics),
    (Flaw::CorruptsBulk, Behaviour::Bulk),
    (Flaw::CorruptsBulk, Behaviour::SlowReader),
    (Flaw::WholeHelloInOneRead, Behaviour::OneByteAtATime),
    (Flaw::WrongTarget, Behaviour::RoundTrip),
    (Flaw::AcceptsReplay, Behaviour::Replay),
    (Flaw::AnswersStrangers, Behaviour::Strangers),
    (Flaw::AnswersStrangers, Behaviour::Replay),
    (Flaw::ClosesOnStrangers, Behaviour::Strangers),
    (Flaw::PanicsOnNoise, Behaviour::Strangers),
    (Flaw::StuckHandshake, Behaviour::CancelDial),
    (Flaw::AnySecret, Behaviour::WrongSecret),
    (Flaw::AnySecret, Behaviour::UserRemoved),
    (Flaw::NoUser, Behaviour::TwoUsers),
    (Flaw::KeepsRemovedUsers, Behaviour::UserRemoved),
    (Flaw::ForgetsPublic, Behaviour::ClientSpec),
    (Flaw::WrongLink, Behaviour::Link),
    (Flaw::CutsDatagrams, Behaviour::OversizeDatagram),
    (Flaw::DropsLongest, Behaviour::LongestDatagram),
    (Flaw::OnePeer, Behaviour::Datagrams),
    (Flaw::ForgivesParams, Behaviour::BadParams),
    (Flaw::KeepsPort, Behaviour::PortFreed),
    (Flaw::FewConnections, Behaviour::Concurrent),
    (Flaw::SlowHoldsAll, Behaviour::SlowReader),
];

fn simulated(flaw: Flaw, policy: LinkPolicy, cover: Cover) -> Fixture {
    let net = SimNet::new(11);
    net.set_policy(policy);
    Fixture::simulated(Arc::new(Gated(flaw)), &net, cover).unwrap()
}

fn clean() -> LinkPolicy {
    LinkPolicy::with_delay(Duration::from_millis(80))
}

#[tokio::test(start_paused = true)]
async fn a_complete_transport_passes_all_of_it() {
    let fixture = simulated(Flaw::None, clean(), gated::cover());
    let report = suite::run_all(&fixture).await.into_result().unwrap();
    assert_eq!(report.skipped(), []);
}

#[tokio::test(start_paused = true)]
async fn a_complete_transport_passes_on_a_lossy_path() {
    let fixture = simulated(Flaw::None, clean().loss_percent(5), gated::cover());
    let report = suite::run_all(&fixture).await.into_result().unwrap();
    assert_eq!(
        report.skipped().iter().map(|(behaviour, _)| *behaviour).collect::<Vec<_>>(),
        [Behaviour::PromptEnd]
    );
}

/// The whole suite, packet by packet.
#[test]
fn two_runs_with_one_seed_send_the_same_packets() {
    let run = |seed| {
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let net = SimNet::new(seed);
            net.set_policy(clean().loss_percent(5));
            let fixture = Fixture::simulated(Arc::new(Gated(Flaw::None)), &net, gated::cover()).unwrap();
            suite::run_all(&fixture).await.into_result().unwrap();
            net.trace()
        })
    };
    let first = run(1);
    assert!(first.total() > 10_000, "{}", first.total());
    assert_eq!((first.total(), first.digest()), {
        let again = run(1);
        (again.total(), again.digest())
    });
    assert_ne!(first.digest(), run(2).digest());
}

#[tokio::test]
async fn a_complete_transport_passes_over_loopback() {
    let fixture = Fixture::over(Arc::new(Gated(Flaw::None)), SystemNet::new(), gated::cover()).unwrap();
    suite::run_all(&fixture.with_scale(Scale::Quick)).await.into_result().unwrap();
}

#[test]
fn every_check_has_a_flaw_that_it_finds() {
    for behaviour in Behaviour::ALL {
        assert!(FLAWS.iter().any(|(_flaw, found_by)| found_by == behaviour), "nothing fails {behaviour}");
    }
}

#[tokio::test(start_paused = true)]
async fn each_flaw_is_found_by_the_check_for_it() {
    for (flaw, behaviour) in FLAWS {
        let fixture = simulated(*flaw, clean(), gated::cover());
        let outcome = suite::check(*behaviour, &fixture).await;
        assert!(outcome.is_err(), "{flaw:?} was not found by the check of {behaviour}: {outcome:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn silence_is_found_where_a_cover_should_answer() {
    let cover = Cover::answers(&b"GET / HTTP/1.1\r\nHost: cover.example\r\n\r\n"[..], &b"HTTP/1.1 "[..]);
    let fixture = simulated(Flaw::None, clean(), cover);
    let outcome = suite::check(Behaviour::Strangers, &fixture).await;
    assert!(outcome.is_err_and(|error| error.to_string().contains("should have answered")));
}
