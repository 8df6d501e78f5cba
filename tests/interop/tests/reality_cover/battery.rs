//! A prober with the whole battery, and with what only REALITY would answer, cannot tell a bridge from the site.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use commucat_battery::{
    Aspect, Comparison, Limits, Pace, Probe, Runner, Survey, client_hello, compare, payloads,
};
use commucat_net::SystemNet;
use commucat_tests_interop::RelayBridge;
use serde_json::json;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};

use crate::{
    PATIENCE,
    hellos::ours,
    probes::{another_version, probes},
    targets::{self, NAME, Site},
};

/// How often everything is sent.
const ROUNDS: usize = 3;
/// How often a time is taken.
const TIMES: usize = 40;
/// X25519MLKEM768.
const HYBRID: u16 = 0x11ec;

#[tokio::test(flavor = "multi_thread")]
async fn nginx_cannot_be_told_from_its_bridge() {
    if let Some(site) = targets::nginx().await {
        cannot_be_told(&site).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn s_server_cannot_be_told_from_its_bridge() {
    if let Some(site) = targets::openssl().await {
        cannot_be_told(&site).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_go_server_cannot_be_told_from_its_bridge() {
    if let Some(site) = targets::go().await {
        cannot_be_told(&site).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rustls_server_cannot_be_told_from_its_bridge() {
    let site = targets::rustls_site().await;
    let survey = cannot_be_told(&site).await;
    let hello = &survey.of("another-short-id").unwrap().rounds[0];
    let tls = hello.reply.as_ref().unwrap().tls.as_ref().unwrap();
    assert_eq!(tls.hello.as_ref().unwrap().group, Some(HYBRID));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_is_too_old_gets_the_site() {
    for site in targets::all().await {
        let bridge =
            crate::bridge_with(site.at, serde_json::json!({ "min_client_version": "255.0.0" })).await;
        let mut surveys = [Survey::default(), Survey::default()];
        for _round in 0..ROUNDS {
            for (at, survey) in [bridge.address, site.at].into_iter().zip(&mut surveys) {
                let probes = [another_version(&bridge).await];
                let runner = Runner::new(SystemNet::new(), limits(&site));
                add(survey, runner.survey(&at.into(), &probes, 11).await.unwrap());
            }
        }
        let found = compare(&surveys[0], &surveys[1]);
        assert!(found.compared == 1 && found.differences.is_empty(), "{}: {found:?}", site.kind);
        assert_eq!(bridge.users_seen(), [] as [&str; 0]);
    }
}

/// What the site answered.
async fn cannot_be_told(site: &Site) -> Survey {
    // A connection that waits for a visitor would be the one that `s_server` serves.
    let dials = if site.one_by_one() { json!({ "target_dials": { "ready": 0 } }) } else { json!({}) };
    let bridge = crate::bridge_with(site.at, dials).await;
    let flight = ours(&bridge).await;
    played(bridge.address, &flight).await;
    let material = payloads::Material { site: Some(NAME.to_owned()), flight: Some(flight), seed: 11 };
    let whole = payloads::all(&material).unwrap();
    let mut surveys = [Survey::default(), Survey::default()];
    for _round in 0..if site.one_by_one() { 2 } else { ROUNDS } {
        // One server is asked after the other: both are on this machine, and neither may be late for the other's sake.
        for (at, survey) in [bridge.address, site.at].into_iter().zip(&mut surveys) {
            let all: Vec<Probe> = whole.iter().cloned().chain(probes(&bridge).await).collect();
            let runner = Runner::new(SystemNet::new(), limits(site));
            add(survey, runner.survey(&at.into(), &all, 11).await.unwrap());
        }
    }
    let found: Comparison = compare(&surveys[0], &surveys[1]);
    assert!(found.compared > 75 && found.unpaired.is_empty(), "{} compared", found.compared);
    let lines: Vec<String> = found.differences.iter().map(ToString::to_string).collect();
    assert!(lines.is_empty(), "{}, bridge against site:\n{}", site.kind, lines.join("\n"));
    println!("{}: {} probes, no difference; unsteady: {:?}", site.kind, found.compared, unsteady(&found));
    assert_eq!(bridge.users_seen(), [] as [&str; 0]);
    let [_, of_site] = surveys;
    of_site
}

fn limits(site: &Site) -> Limits {
    let (parallel, patience) = if site.one_by_one() { (1, 400) } else { (12, 900) };
    Limits {
        connect: Duration::from_secs(5),
        patience: Duration::from_millis(patience),
        quiet: Duration::from_millis(150),
        parallel,
        rounds: 1,
        threshold_bytes: 0,
    }
}

fn add(to: &mut Survey, more: Survey) {
    if to.observed.is_empty() {
        *to = more;
        return;
    }
    for (known, more) in to.observed.iter_mut().zip(more.observed) {
        known.rounds.extend(more.rounds);
    }
}

fn unsteady(found: &Comparison) -> Vec<(&str, Aspect)> {
    found.unstable.iter().map(|one| (&*one.probe, one.aspect)).collect()
}

/// A hello is brought once, as by its owner: from then on it is a replay.
async fn played(bridge: SocketAddr, hello: &[u8]) {
    let mut stream = TcpStream::connect(bridge).await.unwrap();
    stream.write_all(hello).await.unwrap();
    timeout(PATIENCE, stream.read_exact(&mut [0; 64])).await.expect("an answer").unwrap();
}

/// The time to the first byte behind a stranger's hello, and behind one of ours that somebody took: the medians of bridge
/// and site are of one class. Their ratio is told.
#[tokio::test(flavor = "multi_thread")]
async fn answers_come_in_the_time_of_the_site() {
    for site in targets::all().await {
        let bridge = crate::bridge(site.at).await;
        for what in ["a stranger's hello", "a hello of ours"] {
            let [of_bridge, of_site] = medians(&bridge, &site, what == "a hello of ours").await;
            let ratio = of_bridge.as_secs_f64() / of_site.as_secs_f64();
            println!("{}, {what}: {of_bridge:?} against {of_site:?}, {ratio:.2} times", site.kind);
            assert_eq!(Pace::of(of_bridge), Pace::of(of_site), "{}, {what}", site.kind);
        }
    }
}

async fn medians(bridge: &RelayBridge, site: &Site, taken: bool) -> [Duration; 2] {
    let mut times = [const { Vec::new() }; 2];
    for _time in 0..TIMES {
        for (at, times) in [bridge.address, site.at].into_iter().zip(&mut times) {
            let hello = if taken { ours(bridge).await } else { client_hello(NAME).unwrap() };
            times.push(time_to_first_byte(at, &hello).await);
        }
    }
    times.map(|mut times| {
        times.sort_unstable();
        times[times.len() / 2]
    })
}

async fn time_to_first_byte(at: SocketAddr, hello: &[u8]) -> Duration {
    let mut stream = TcpStream::connect(at).await.unwrap();
    let start = Instant::now();
    stream.write_all(hello).await.unwrap();
    timeout(PATIENCE, stream.read_exact(&mut [0; 1])).await.expect("an answer").unwrap();
    start.elapsed()
}
