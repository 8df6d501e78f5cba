//! Runs made up by hand: one that saw much of what there is to see, one that saw nothing, one without a network.

use std::{net::SocketAddr, time::Duration};

use commucat_measure::{RUN_FORMAT, Run, Status, SubtestReport, Vantage};
use commucat_transport_api::{Failure, Phase, Signal};
use commucat_verdict::{
    Confidence, ControlKind, Finding, Thresholds, ids,
    observations::{
        Condition, Counting, CurvePoint, Decision, Direction, Environment, Fingerprint, Limit, Lookup,
        LookupAnswer, NameClass, Observations, Operation, Payload, Protocol, RateComparison, ResolverKind,
        Series, ServerKind, Spread, Step, Subtest, TlsSeen, Transfer, Trial, Unit,
    },
};

/// 2026-11-21 17:03:42 UTC.
pub const STARTED_MS: u64 = 1_795_280_622_000;
pub const BRIDGE: &str = "203.0.113.20";
pub const PRIVATE_HOST: &str = "cat-behind-the-door.example";

/// A run on a network that does much of what networks do.
pub fn interfered() -> Run {
    let subtests = [
        Subtest::Env,
        Subtest::Dns,
        Subtest::Tls,
        Subtest::Quic,
        Subtest::Udp,
        Subtest::Freeze,
        Subtest::Conns,
        Subtest::Throttle,
        Subtest::Fet,
        Subtest::Transport,
    ];
    let mut reports: Vec<_> = (0..).zip(subtests).map(|(at, subtest)| report(subtest, at)).collect();
    reports[9].details = Some(serde_json::json!({
        "transport": "shadowsocks", "bootstrap_s": 0.25, "dials": { "count": 9, "p50_us": 61_000, "p95_us": 70_000 },
        "dials_failed": 1, "down": { "bytes": 262_144, "took_us": 400_000, "kbps": 5_242 }, "failure": "the connection was closed too early",
        "endpoint": format!("{PRIVATE_HOST}:8443"), "password": "hunter2",
    }));
    reports.push(SubtestReport {
        status: Status::Refused {
            reason: "allowlist is risk class medium: allow it with `--risk medium`".into(),
        },
        ..report(Subtest::Allowlist, 10)
    });
    Run {
        format: RUN_FORMAT,
        software_version: "0.1.0".to_owned(),
        command: "quick".to_owned(),
        started_unix_ms: STARTED_MS,
        took_ms: 58_400,
        seed: 42,
        vantage: Vantage {
            asn: "AS64500".to_owned(),
            country: "RU".to_owned(),
            network_type: "mobile".to_owned(),
            ..Vantage::default()
        },
        subtests: reports,
        observations: observations(),
        findings: findings(),
    }
}

/// A run on a network that does nothing.
pub fn clear() -> Run {
    let mut run = interfered();
    run.findings.clear();
    run.started_unix_ms += 3_600_000;
    run.seed = 43;
    run.subtests.truncate(9);
    for series in &mut run.observations.series {
        series.decision = Decision::Passes;
        series.trials.iter_mut().for_each(|trial| trial.failure = None);
    }
    run.observations.transfers.retain(|transfer| !transfer.stalled);
    run.observations.lookups.truncate(1);
    run.observations.limits.clear();
    run.observations.rates.clear();
    run
}

/// A run without a network.
pub fn offline() -> Run {
    let mut run = clear();
    run.seed = 44;
    run.started_unix_ms += 3_600_000;
    run.observations = Observations::default();
    run.subtests.truncate(1);
    run.findings = vec![Finding::new(
        ids::NET_DOWN,
        Subtest::Env,
        Confidence::Certain,
        "no route out of this machine".into(),
    )];
    run
}

/// Days of runs, in which blocking comes and goes.
pub fn days(runs: u64) -> Vec<Run> {
    let one = |n: u64| {
        let mut run = match n % 24 {
            0..=9 => clear(),
            10 => offline(),
            _ => interfered(),
        };
        if n.is_multiple_of(3) {
            run.findings.retain(|finding| finding.subtest != Subtest::Dns);
        }
        run.started_unix_ms = STARTED_MS + n * 900_000;
        run.seed = n;
        run
    };
    (0..runs).map(one).collect()
}

fn report(subtest: Subtest, at: u64) -> SubtestReport {
    SubtestReport { subtest, at_us: at * 5_000_000, took_us: 4_800_000, status: Status::Done, details: None }
}

fn findings() -> Vec<Finding> {
    let spread = |median, low, high| Some(Spread { median, low, high, repeats: 3 });
    let mut freeze = Finding::new(
        ids::FLOW_FREEZE_PACKETS,
        Subtest::Freeze,
        Confidence::Certain,
        "froze at packet 25 (17.4 KB) 3 of 3; the domestic control moved 64 KB 3 of 3".to_owned(),
    )
    .hint("tspu-l4-25?packets=25")
    .with_thresholds(Thresholds {
        packets: spread(25.0, 24.0, 26.0),
        bytes: spread(17_376.0, 17_100.0, 17_500.0),
        ..Thresholds::default()
    });
    freeze.residual_s = Some(60);
    vec![
        Finding::new(
            ids::DNS_INJECTED,
            Subtest::Dns,
            Confidence::Certain,
            "two answers to one question, 4 ms and 61 ms after it, 3 of 3".to_owned(),
        ),
        Finding::new(
            ids::TLS_RST_AFTER_CH,
            Subtest::Tls,
            Confidence::Certain,
            "reset after the hello 2 of 2 with a blocked name; innocent names passed 4 of 4".to_owned(),
        ),
        Finding::new(
            ids::TLS_FP_BLOCKED,
            Subtest::Tls,
            Confidence::Likely,
            "an old Chrome's hello failed 2 of 2, a current one passed 2 of 2".to_owned(),
        ),
        freeze,
        Finding::new(
            ids::CONN_PARALLEL_LIMIT,
            Subtest::Conns,
            Confidence::Likely,
            "6 handshakes at once passed 2 of 2, 12 failed 2 of 2; with a new name 12 passed".to_owned(),
        )
        .with_thresholds(Thresholds { conns: spread(6.0, 6.0, 7.0), ..Thresholds::default() }),
        Finding::new(
            ids::INCONCLUSIVE,
            Subtest::Quic,
            Confidence::Open,
            "1 of 3 handshakes failed; the control failed as well".to_owned(),
        )
        .between(&[ids::QUIC_DROP, ids::UDP_BLOCKED]),
        Finding::new(
            ids::FLOW_THROTTLED,
            Subtest::Throttle,
            Confidence::Certain,
            "141 kbit/s with a blocked name, 9 300 with an innocent one, in five turns".to_owned(),
        )
        .with_thresholds(Thresholds { kbps: spread(141.0, 138.0, 143.0), ..Thresholds::default() }),
    ]
}

fn observations() -> Observations {
    let suspect = Condition::new(Subtest::Throttle, Protocol::Tls, ServerKind::Foreign, Payload::Download);
    let freeze = Condition::new(Subtest::Freeze, Protocol::Tls, ServerKind::Foreign, Payload::Download);
    Observations {
        environment: Some(Environment {
            routed: Some(true),
            interface: Some("wwan0-office".to_owned()),
            network_type: "mobile".to_owned(),
            rtt_us: Some(48_000),
            ..Environment::default()
        }),
        series: series(),
        lookups: lookups(),
        transfers: transfers(&freeze),
        limits: vec![Limit {
            subtest: Subtest::Freeze,
            condition: freeze,
            unit: Unit::Packets,
            value: Spread { median: 25.0, low: 24.0, high: 26.0, repeats: 3 },
            counting: Counting::Kernel,
        }],
        rates: vec![RateComparison {
            control: suspect.clone().name(NameClass::Innocent),
            suspect: suspect.name(NameClass::Blocked),
            suspect_kbps: vec![139.0, 141.0, 143.0, 138.0, 142.0],
            control_kbps: vec![9_100.0, 9_300.0, 8_700.0, 9_500.0, 9_400.0],
            ratio: Spread { median: 0.015, low: 0.014, high: 0.016, repeats: 5 },
            threshold: 0.5,
        }],
    }
}

fn series() -> Vec<Series> {
    let mut all = Vec::new();
    let mut number = 100;
    let mut add = |condition: Condition, control, failures: &[Option<Failure>]| {
        let trials = failures.iter().map(|failure| {
            number += 1;
            trial(number, &condition, failure.clone())
        });
        let trials: Vec<_> = trials.collect();
        let failed = failures.iter().flatten().count();
        let decision = match failed {
            0 => Decision::Passes,
            failed if failed == failures.len() => Decision::Fails,
            _ => Decision::Open,
        };
        all.push(Series { condition, control, trials, decision, baseline: 0.02 });
    };
    let open = Condition::new(Subtest::Env, Protocol::Tcp, ServerKind::Domestic, Payload::Http);
    add(open, Some(ControlKind::Domestic), &[None, None]);
    let reset = Failure::new(Phase::Handshake, Signal::Reset, Duration::from_millis(52)).with_bytes(517, 0);
    let silent = Failure::new(Phase::Handshake, Signal::Timeout, Duration::from_secs(2)).with_bytes(1_800, 0);
    let hello = Condition::new(Subtest::Tls, Protocol::Tls, ServerKind::Foreign, Payload::Hello);
    for look in
        [Fingerprint::ChromeCurrent, Fingerprint::ChromeStale, Fingerprint::Firefox, Fingerprint::CurlLike]
    {
        for name in [NameClass::Innocent, NameClass::Blocked, NameClass::Empty, NameClass::Random] {
            let failure = match (look, name) {
                (_, NameClass::Blocked) => Some(reset.clone()),
                (Fingerprint::ChromeStale, NameClass::Innocent | NameClass::Random) => Some(silent.clone()),
                _ => None,
            };
            let control = (name == NameClass::Innocent).then_some(ControlKind::SameServer);
            add(hello.clone().fingerprint(look).name(name), control, &[failure.clone(), failure]);
        }
    }
    let quic = Condition::new(Subtest::Quic, Protocol::Quic, ServerKind::Foreign, Payload::QuicV1);
    add(quic.name(NameClass::Innocent), None, &[Some(silent.clone()), None, None]);
    let datagram = Condition::new(Subtest::Udp, Protocol::Udp, ServerKind::Foreign, Payload::DatagramSmall);
    add(datagram, Some(ControlKind::SameServer), &[None, None, None]);
    let many = Condition::new(Subtest::Conns, Protocol::Tls, ServerKind::Foreign, Payload::Hello)
        .fingerprint(Fingerprint::ChromeCurrent);
    for name in [NameClass::Innocent, NameClass::Random] {
        for parallel in [1, 4, 6, 12] {
            let failure = (parallel > 6 && name == NameClass::Innocent).then(|| silent.clone());
            add(many.clone().name(name).parallel(parallel), None, &[failure.clone(), failure]);
        }
    }
    let refused = Failure::new(Phase::Connect, Signal::Refused, Duration::from_millis(40));
    let raw = Condition::new(Subtest::Fet, Protocol::Tcp, ServerKind::Foreign, Payload::Random);
    add(raw, None, &[None, None, Some(refused)]);
    let ssh = Condition::new(Subtest::Fet, Protocol::Tcp, ServerKind::Foreign, Payload::Ssh);
    add(ssh, Some(ControlKind::SameServer), &[const { None }; 17]);
    all
}

fn trial(number: u32, condition: &Condition, failure: Option<Failure>) -> Trial {
    let at_us = u64::from(number) * 100_000;
    let address: SocketAddr = format!("{BRIDGE}:{}", 20_000 + number % 60).parse().unwrap();
    let name = match condition.name {
        Some(NameClass::Innocent) => Some("www.example.org"),
        Some(NameClass::Blocked) => Some("blocked.example"),
        Some(NameClass::Random) => Some("q7fk2-nobody-knows.example"),
        _ => None,
    };
    let step = |after, operation, bytes, failure| Step { at_us: at_us + after, operation, bytes, failure };
    let shakes = matches!(condition.protocol, Protocol::Tls | Protocol::Quic);
    let mut steps =
        vec![step(20_000, Operation::Connect, 0, None), step(20_100, Operation::Write, 517, None)];
    if failure.as_ref().is_none_or(|failure| failure.phase > Phase::Connect) && shakes {
        let kind = if condition.protocol == Protocol::Quic {
            Operation::QuicHandshake
        } else {
            Operation::TlsHandshake
        };
        steps.push(step(60_000, kind, 0, failure.clone()));
    }
    steps.push(step(61_000, Operation::Read, 1_200, failure.clone()));
    steps.push(step(62_000, Operation::Close, 0, None));
    Trial {
        number,
        at_us,
        took_us: 62_000,
        address: Some(address),
        source_port: 51_234,
        server_name: name.map(str::to_owned),
        sent: 517,
        received: if failure.is_some() { 0 } else { 1_200 },
        tls: (failure.is_none() && shakes).then(|| TlsSeen {
            version: Some("TLSv1.3".to_owned()),
            cipher_suite: Some("TLS_AES_128_GCM_SHA256".to_owned()),
            alpn: Some("http/1.1".to_owned()),
            pin: Some("c0ffee".repeat(10) + "abcd"),
            pin_matches: Some(true),
            ja4_sent: Some("t13d1516h2_8daaf6152771_d8a2da3f94cd".to_owned()),
            ja4_seen: Some("t13d1516h2_8daaf6152771_d8a2da3f94cd".to_owned()),
            name_seen: name.map(str::to_owned),
        }),
        failure,
        steps,
    }
}

fn lookups() -> Vec<Lookup> {
    let answer = |after_us, address: &str, bogon| LookupAnswer {
        after_us,
        rcode: 0,
        authoritative: bogon,
        addresses: vec![address.parse().unwrap()],
        ttl_s: Some(60),
        bogon,
    };
    let lookup = |number, resolver, name: &str, class, answers| Lookup {
        number,
        at_us: 5_000_000 + u64::from(number) * 1_000,
        window_us: 3_000_000,
        resolver,
        address: "192.0.2.53:53".parse().unwrap(),
        tcp: false,
        name: name.to_owned(),
        class,
        record: "A".to_owned(),
        answers,
        failure: None,
    };
    let (innocent, blocked) = (NameClass::Innocent, NameClass::Blocked);
    let both = vec![answer(4_000, "10.10.34.34", true), answer(61_000, "198.51.100.7", false)];
    let refused = LookupAnswer { rcode: 5, addresses: Vec::new(), ..answer(9_000, "10.10.34.35", false) };
    let mut unanswered = lookup(4, ResolverKind::Control, "blocked.example", blocked, Vec::new());
    unanswered.failure = Some(Failure::new(Phase::Resolve, Signal::Timeout, Duration::from_secs(3)));
    vec![
        lookup(
            1,
            ResolverKind::System,
            "www.example.org",
            innocent,
            vec![answer(30_000, "198.51.100.1", false)],
        ),
        lookup(2, ResolverKind::System, "blocked.example", blocked, both.clone()),
        lookup(3, ResolverKind::NoResolver, "blocked.example", blocked, both[..1].to_vec()),
        unanswered,
        lookup(5, ResolverKind::Control, "blocked.example", blocked, vec![refused]),
        lookup(
            6,
            ResolverKind::Control,
            "www.example.org",
            innocent,
            vec![answer(80_000, "2001:db8:9::7", false)],
        ),
    ]
}

fn transfers(condition: &Condition) -> Vec<Transfer> {
    let frozen = |number: u32, direction, limit: u64| {
        let points = (1..=12_u64).map(|n| CurvePoint { at_us: n * 40_000, bytes: limit * n / 12 });
        Transfer {
            number,
            condition: condition.clone(),
            control: None,
            direction,
            at_us: 25_000_000,
            took_us: 15_000_000,
            asked: 65_536,
            moved: limit,
            packets: Some(25),
            flow_bytes: limit + 2_000,
            counting: Counting::Kernel,
            stalled: true,
            failure: Some(
                Failure::new(Phase::Data, Signal::Timeout, Duration::from_secs(15)).with_bytes(600, limit),
            ),
            curve: points.collect(),
        }
    };
    let whole = |number: u32, took_us: u64| Transfer {
        control: Some(ControlKind::Domestic),
        condition: Condition { server: ServerKind::Domestic, ..condition.clone() },
        stalled: false,
        failure: None,
        moved: 65_536,
        took_us,
        packets: Some(61),
        curve: (1..=16_u64).map(|n| CurvePoint { at_us: took_us * n / 16, bytes: 4_096 * n }).collect(),
        ..frozen(number, Direction::Down, 65_536)
    };
    vec![
        frozen(301, Direction::Down, 17_376),
        frozen(302, Direction::Down, 17_100),
        frozen(303, Direction::Up, 16_384),
        frozen(304, Direction::Both, 52),
        whole(305, 640_000),
        whole(306, 910_000),
    ]
}
