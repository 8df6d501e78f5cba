//! Every cause from its evidence, and the invariants over all evidence there can be.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use std::time::Duration;

use commucat_transport_api::{Failure, Phase, ProbeReport, ProbeStep, Signal};
use commucat_verdict::{
    Cause, CauseKind, Confidence, Control, ControlKind, Controls, Diagnosis, Evidence, LocalNetwork,
    diagnose, ids, overall,
};

const MS: Duration = Duration::from_millis(20);
const BLOCK_SUPPORT: [ControlKind; 3] =
    [ControlKind::SameServer, ControlKind::Unrelated, ControlKind::Domestic];

fn failed(step: &'static str, phase: Phase, signal: Signal, received: u64) -> ProbeReport {
    let failure = Failure::new(phase, signal, MS).with_bytes(100, received);
    let mut steps = Vec::new();
    if phase > Phase::Connect {
        steps.push(ProbeStep::new("connect", Ok(MS)));
    }
    steps.push(ProbeStep::new(step, Err(failure)));
    ProbeReport::new(steps)
}

fn works() -> ProbeReport {
    ProbeReport::new(vec![ProbeStep::new("connect", Ok(MS)), ProbeStep::new("round-trip", Ok(MS))])
}

fn pass(kind: ControlKind) -> Control {
    Control::new(kind, Ok(MS))
}

fn fail(kind: ControlKind, signal: Signal) -> Control {
    Control::new(kind, Err(Failure::new(Phase::Connect, signal, MS)))
}

fn controls(measured: Vec<Control>) -> Controls {
    Controls { measured, ..Controls::none() }
}

fn outside() -> Controls {
    Controls { clock_ahead_s: Some(0), ..controls(vec![pass(ControlKind::Unrelated)]) }
}

fn of(probe: &ProbeReport, controls: &Controls) -> Diagnosis {
    diagnose(&Evidence::new(probe, controls))
}

#[test]
fn what_the_bridge_says_is_believed() {
    let said = [
        (Signal::ClockSkew(301), Cause::ClockSkew { seconds: 301 }),
        (Signal::UnknownUser, Cause::WrongUser),
        (Signal::VersionTooOld, Cause::VersionTooOld),
        (Signal::BridgeFull, Cause::BridgeFull),
        (Signal::TargetUnreachable, Cause::TargetUnreachable),
    ];
    for (signal, cause) in said {
        let found = of(&failed("authenticate", Phase::Authenticate, signal, 90), &Controls::none());
        assert_eq!((found.cause, found.confidence), (cause, Confidence::Certain));
    }
}

#[test]
fn the_clock_sentence_has_the_seconds_and_the_command() {
    let found = of(&failed("upgrade", Phase::Authenticate, Signal::ClockSkew(301), 90), &Controls::none());
    assert!(found.sentence.contains("301 s ahead of the bridge's; 30 s are allowed"), "{}", found.sentence);
    assert!(found.what_to_do.contains("timedatectl set-ntp true"));
    let found = of(&failed("upgrade", Phase::Authenticate, Signal::ClockSkew(-42), 90), &Controls::none());
    assert!(found.sentence.contains("42 s behind the bridge's"), "{}", found.sentence);
}

#[test]
fn a_bridge_that_works_is_ok() {
    assert_eq!(of(&works(), &Controls::none()).cause, Cause::Ok);
    let mut with_failed_control = works();
    let failure = Failure::new(Phase::Connect, Signal::Timeout, MS);
    with_failed_control.steps.push(ProbeStep::control("other-name", Err(failure)));
    assert_eq!(of(&with_failed_control, &Controls::none()).cause, Cause::Ok);
}

#[test]
fn no_network_needs_silence_everywhere() {
    let silent = failed("connect", Phase::Connect, Signal::Timeout, 0);
    let all_dead = controls(vec![fail(ControlKind::Unrelated, Signal::Timeout)]);
    let found = of(&silent, &all_dead);
    assert_eq!((found.cause, found.verdict_id), (Cause::NoNetwork, ids::NET_DOWN));
    assert_eq!(found.also_possible, [CauseKind::Blocked], "a whitelist regime looks the same");

    let no_route = Controls { local: LocalNetwork::NoRoute, ..all_dead };
    assert_eq!(of(&silent, &no_route).confidence, Confidence::Certain);

    let down = failed("connect", Phase::Connect, Signal::LocalNetworkDown, 0);
    assert_eq!(of(&down, &Controls::none()).cause, Cause::NoNetwork);

    // Somebody answered: there is a network.
    let refused_elsewhere = controls(vec![fail(ControlKind::Unrelated, Signal::Refused)]);
    assert_ne!(of(&silent, &refused_elsewhere).cause, Cause::NoNetwork);
    let refused = failed("connect", Phase::Connect, Signal::Refused, 0);
    let found = of(&refused, &controls(vec![fail(ControlKind::Unrelated, Signal::Timeout)]));
    assert_eq!(found.cause, Cause::Unreachable);
}

#[test]
fn a_captive_portal_and_a_whitelist_have_their_names() {
    let silent = failed("connect", Phase::Connect, Signal::Timeout, 0);
    let mut portal = pass(ControlKind::Unrelated);
    portal.captive = true;
    let found = of(&silent, &controls(vec![portal]));
    assert_eq!((found.cause, found.verdict_id), (Cause::NoNetwork, ids::NET_CAPTIVE));

    let whitelist =
        controls(vec![fail(ControlKind::Unrelated, Signal::Timeout), pass(ControlKind::Domestic)]);
    let found = of(&silent, &whitelist);
    assert_eq!(found.cause, Cause::Blocked { how: ids::NET_WHITELIST });
}

#[test]
fn a_silent_address_is_blocked_only_when_its_host_lives() {
    let silent = failed("connect", Phase::Connect, Signal::Timeout, 0);
    let cannot_tell = Cause::CannotTell { between: vec![CauseKind::Unreachable, CauseKind::Blocked] };
    let found = of(&silent, &Controls::none());
    assert_eq!(found.cause, cannot_tell);
    assert!(found.sentence.contains("no control to tell"), "{}", found.sentence);
    let found = of(&silent, &outside());
    assert_eq!(found.cause, cannot_tell, "a host that is off looks the same");
    assert!(found.sentence.contains("from one side both look the same"), "{}", found.sentence);
    let found = of(&silent, &controls(vec![pass(ControlKind::SameServer)]));
    assert_eq!(found.cause, Cause::Blocked { how: ids::TCP_TIMEOUT });
    let siblings = [works()];
    let found = diagnose(&Evidence::new(&silent, &Controls::none()).with_siblings(&siblings));
    assert_eq!(found.cause, Cause::Blocked { how: ids::TCP_TIMEOUT });
}

#[test]
fn interference_is_named_by_where_it_happens() {
    let cases = [
        ("tls", Phase::Handshake, Signal::Reset, 0, ids::TLS_RST_AFTER_CH),
        ("tls", Phase::Handshake, Signal::Timeout, 0, ids::TLS_DROP_AFTER_CH),
        ("round-trip", Phase::Handshake, Signal::Reset, 0, ids::FLOW_RST),
        ("round-trip", Phase::Data, Signal::Timeout, 9000, ids::FLOW_FREEZE),
        ("round-trip", Phase::Data, Signal::Throttled, 9000, ids::FLOW_THROTTLED),
        ("connect", Phase::Connect, Signal::Reset, 0, ids::TCP_RST),
        ("resolve", Phase::Resolve, Signal::DnsPoisoned, 0, ids::DNS_BOGON),
    ];
    for (step, phase, signal, received, id) in cases {
        let report = failed(step, phase, signal, received);
        let found = of(&report, &outside());
        assert_eq!((&found.cause, found.verdict_id), (&Cause::Blocked { how: id }, id), "{step}");
        let found = of(&report, &Controls::none());
        assert_eq!(
            (found.cause.kind(), found.verdict_id),
            (CauseKind::CannotTell, id),
            "{step} without controls"
        );
    }
}

/// Shadowsocks answers a wrong key with silence, as it answers everybody.
#[test]
fn silence_of_a_protocol_without_handshake_is_a_wrong_key_or_a_filter() {
    let silent = failed("handshake", Phase::Handshake, Signal::Timeout, 0);
    let between = |found: Diagnosis| match found.cause {
        Cause::CannotTell { between } => between,
        other => panic!("{other:?}"),
    };
    assert_eq!(between(of(&silent, &outside())), [CauseKind::WrongKey, CauseKind::Blocked]);
    let all = [CauseKind::WrongKey, CauseKind::ClockSkew, CauseKind::Blocked];
    assert_eq!(between(of(&silent, &Controls::none())), all);

    let beside = |sibling: ProbeReport| {
        let siblings = [sibling];
        diagnose(&Evidence::new(&silent, &outside()).with_siblings(&siblings)).cause
    };
    assert_eq!(beside(works()), Cause::Blocked { how: ids::FLOW_DROP }, "its sister has the right key");
    let refused = |signal| failed("authenticate", Phase::Authenticate, signal, 90);
    assert_eq!(beside(refused(Signal::AuthRejected)), Cause::WrongKey);
    assert_eq!(beside(refused(Signal::UnknownUser)), Cause::WrongUser);

    let found = diagnose(&Evidence::new(&silent, &outside()).worked_before(true));
    assert_eq!(found.cause, Cause::Blocked { how: ids::FLOW_DROP }, "its key was right a while ago");
}

#[test]
fn a_step_that_asked_nobody_is_no_control() {
    let mut silent = failed("connect", Phase::Connect, Signal::Timeout, 0);
    silent.steps.insert(0, ProbeStep::control("shape of the first packet", Ok(Duration::ZERO)));
    assert_eq!(of(&silent, &Controls::none()).cause.kind(), CauseKind::CannotTell);
    silent.steps.insert(0, ProbeStep::control("cover page", Ok(MS)));
    assert_eq!(of(&silent, &Controls::none()).cause.kind(), CauseKind::Blocked);
}

#[test]
fn a_closed_connection_alone_is_no_block() {
    let closed = failed("tls", Phase::Handshake, Signal::UnexpectedEof, 0);
    assert_eq!(of(&closed, &outside()).cause.kind(), CauseKind::CannotTell);
    let found = of(&closed, &controls(vec![pass(ControlKind::SameServer)]));
    assert_eq!(found.cause, Cause::Blocked { how: ids::TLS_FIN_AFTER_CH });
}

#[test]
fn ordinary_trouble_is_unreachable() {
    let cases = [
        ("connect", Phase::Connect, Signal::Refused, ids::TCP_REFUSED),
        ("connect", Phase::Connect, Signal::Unreachable, ids::TCP_NO_ROUTE),
        ("resolve", Phase::Resolve, Signal::NameNotFound, ids::DNS_NXDOMAIN),
        ("resolve", Phase::Resolve, Signal::Timeout, ids::DNS_TIMEOUT),
        ("tls", Phase::Handshake, Signal::TlsAlert(112), ids::TLS_ALERT),
        ("upgrade", Phase::Handshake, Signal::HttpStatus(502), ids::PEER_OTHER),
        ("upgrade", Phase::Handshake, Signal::UnexpectedBytes, ids::PEER_OTHER),
    ];
    for (step, phase, signal, id) in cases {
        let found = of(&failed(step, phase, signal, 0), &outside());
        assert_eq!((&found.cause, found.verdict_id), (&Cause::Unreachable, id), "{step}");
    }
}

#[test]
fn a_rejected_key_is_told_from_a_wrong_clock_by_a_foreign_clock() {
    let rejected = failed("round-trip", Phase::Authenticate, Signal::AuthRejected, 0);
    let found = of(&rejected, &outside());
    assert_eq!(found.cause, Cause::WrongKey);
    assert!(!found.also_possible.contains(&CauseKind::ClockSkew));
    let found = of(&rejected, &Controls::none());
    assert_eq!(found.cause, Cause::WrongKey);
    assert!(found.also_possible.contains(&CauseKind::ClockSkew));
    assert!(found.sentence.contains("clock was not checked"), "{}", found.sentence);
    let skewed = Controls { clock_ahead_s: Some(-301), ..outside() };
    assert_eq!(of(&rejected, &skewed).cause, Cause::ClockSkew { seconds: -301 });
    let silent = failed("round-trip", Phase::Data, Signal::Timeout, 0);
    assert_eq!(of(&silent, &skewed).cause, Cause::ClockSkew { seconds: -301 });
}

#[test]
fn a_sister_endpoint_that_can_tell_tells() {
    let rejected = failed("round-trip", Phase::Authenticate, Signal::AuthRejected, 0);
    for (signal, cause) in
        [(Signal::UnknownUser, Cause::WrongUser), (Signal::ClockSkew(99), Cause::ClockSkew { seconds: 99 })]
    {
        let siblings = [failed("upgrade", Phase::Authenticate, signal, 90)];
        let found = diagnose(&Evidence::new(&rejected, &Controls::none()).with_siblings(&siblings));
        assert_eq!((found.cause, found.confidence), (cause, Confidence::Likely));
    }
}

#[test]
fn a_cover_site_that_answers_means_a_wrong_key() {
    let cover = failed("upgrade", Phase::Handshake, Signal::HttpStatus(404), 300);
    assert_eq!(of(&cover, &outside()).cause, Cause::WrongKey);
    let portal = failed("upgrade", Phase::Handshake, Signal::HttpStatus(511), 300);
    assert_eq!(of(&portal, &outside()).verdict_id, ids::NET_CAPTIVE);
}

#[test]
fn one_working_endpoint_speaks_for_the_bridge() {
    let silent = of(&failed("connect", Phase::Connect, Signal::Timeout, 0), &Controls::none());
    let user = of(&failed("upgrade", Phase::Authenticate, Signal::UnknownUser, 9), &Controls::none());
    let fine = of(&works(), &Controls::none());
    assert_eq!(overall(&[silent.clone(), user.clone(), fine]).unwrap().cause, Cause::Ok);
    assert_eq!(overall(&[silent, user]).unwrap().cause, Cause::WrongUser);
    assert!(overall(&[]).is_none());
}

#[test]
fn a_diagnosis_serializes() {
    let found = of(&failed("tls", Phase::Handshake, Signal::Reset, 0), &outside());
    let json = serde_json::to_value(&found).unwrap();
    assert_eq!(json["cause"], serde_json::json!({"kind": "blocked", "how": "tls.rst_after_ch"}));
    assert_eq!(json["confidence"], "likely");
}

/// Over every phase, signal, step name, byte count and every set of controls.
#[test]
fn nothing_is_called_blocked_without_a_control_that_passed() {
    let phases = [Phase::Resolve, Phase::Connect, Phase::Handshake, Phase::Authenticate, Phase::Data];
    let mut seen = 0;
    for phase in phases {
        for signal in all_signals() {
            for step in ["tls", "connect", "round-trip"] {
                for received in [0, 5000] {
                    let report = failed(step, phase, signal.clone(), received);
                    for set in all_control_sets() {
                        check(&report, &set, &signal);
                        seen += 1;
                    }
                }
            }
        }
    }
    assert!(seen > 10_000, "{seen}");
}

fn check(report: &ProbeReport, set: &Controls, signal: &Signal) {
    let found = of(report, set);
    assert_eq!(found, of(report, set), "equal evidence, equal diagnosis");
    let supported = BLOCK_SUPPORT.into_iter().any(|kind| set.passed(kind));
    if found.cause.kind() == CauseKind::Blocked {
        assert!(supported, "{signal:?} with {set:?} gave {found:?}");
    }
    assert_ne!(found.cause, Cause::Ok);
    for text in [&found.sentence, &found.what_to_do, &found.evidence_line] {
        assert!(!text.is_empty());
    }
    assert!(found.sentence.ends_with('.') && found.what_to_do.ends_with('.'), "{found:?}");
    assert_eq!(
        found.confidence == Confidence::Open,
        found.cause.kind() == CauseKind::CannotTell,
        "{found:?}"
    );
}

fn all_signals() -> Vec<Signal> {
    use Signal as S;
    vec![
        S::Timeout,
        S::Refused,
        S::Reset,
        S::Unreachable,
        S::LocalNetworkDown,
        S::NameNotFound,
        S::DnsPoisoned,
        S::TlsAlert(40),
        S::WrongCertificate,
        S::HttpStatus(404),
        S::HttpStatus(502),
        S::HttpStatus(511),
        S::UnexpectedEof,
        S::UnexpectedBytes,
        S::AuthRejected,
        S::UnknownUser,
        S::ClockSkew(90),
        S::VersionTooOld,
        S::BridgeFull,
        S::TargetUnreachable,
        S::Throttled,
        S::Other,
    ]
}

fn all_control_sets() -> Vec<Controls> {
    let mut sets = Vec::new();
    // Per kind: not made, passed, failed.
    for bits in 0..27 {
        let mut measured = Vec::new();
        for (at, kind) in BLOCK_SUPPORT.into_iter().enumerate() {
            match bits / 3_u32.pow(at.try_into().unwrap()) % 3 {
                1 => measured.push(pass(kind)),
                2 => measured.push(fail(kind, Signal::Timeout)),
                _ => {}
            }
        }
        for (local, clock) in [(LocalNetwork::Unknown, None), (LocalNetwork::NoRoute, Some(400))] {
            sets.push(Controls { local, measured: measured.clone(), clock_ahead_s: clock });
        }
    }
    sets
}
