//! The decision itself. Order matters: what a bridge says comes first, then what the machine says, then what silence
//! means beside the controls.

use commucat_transport_api::{Failure, Phase, ProbeReport, ProbeStep, Signal};

use crate::{
    Cause, CauseKind, Confidence, ControlKind, Controls, Diagnosis, Evidence, LocalNetwork, ids,
    wording::{self, Finding},
};

/// Clock difference that bridges still accept, in seconds (Shadowsocks 2022, section 3.1.4; ours keep to the same).
pub const MAX_CLOCK_SKEW_SECONDS: i64 = 30;

const UNREACHABLE_OR_BLOCKED: &[CauseKind] = &[CauseKind::Unreachable, CauseKind::Blocked];

/// Names the cause that the evidence shows.
pub fn diagnose(evidence: &Evidence<'_>) -> Diagnosis {
    let Some(step) = first_failed_step(evidence.probe) else {
        return wording::diagnosis(finding(Cause::Ok, ids::OK, Confidence::Certain), evidence);
    };
    let Err(failure) = &step.outcome else {
        return wording::diagnosis(finding(Cause::Ok, ids::OK, Confidence::Certain), evidence);
    };
    let found = said_by_the_bridge(failure)
        .or_else(|| no_network(failure, evidence.controls))
        .or_else(|| key_or_clock(step, failure, evidence))
        .unwrap_or_else(|| by_phase(step, failure, evidence));
    wording::diagnosis(found, evidence)
}

fn first_failed_step(report: &ProbeReport) -> Option<&ProbeStep> {
    report.steps.iter().find(|step| !step.control && step.outcome.is_err())
}

const fn finding(cause: Cause, verdict_id: &'static str, confidence: Confidence) -> Finding {
    Finding { cause, verdict_id, confidence, also_possible: &[] }
}

/// What only a bridge that knows our key can say.
fn said_by_the_bridge(failure: &Failure) -> Option<Finding> {
    let (cause, id) = match failure.signal {
        Signal::ClockSkew(seconds) => (Cause::ClockSkew { seconds }, ids::AUTH_CLOCK),
        Signal::UnknownUser => (Cause::WrongUser, ids::AUTH_USER),
        Signal::VersionTooOld => (Cause::VersionTooOld, ids::BRIDGE_VERSION),
        Signal::BridgeFull => (Cause::BridgeFull, ids::BRIDGE_FULL),
        Signal::TargetUnreachable => (Cause::TargetUnreachable, ids::BRIDGE_TARGET),
        _ => return None,
    };
    Some(finding(cause, id, Confidence::Certain))
}

fn no_network(failure: &Failure, controls: &Controls) -> Option<Finding> {
    if failure.signal == Signal::LocalNetworkDown {
        return Some(finding(Cause::NoNetwork, ids::NET_DOWN, Confidence::Certain));
    }
    let nothing_came = failure.received == 0 && failure.phase <= Phase::Connect;
    if !nothing_came || matches!(failure.signal, Signal::Refused | Signal::Reset) {
        return None;
    }
    if controls.captive() {
        return Some(finding(Cause::NoNetwork, ids::NET_CAPTIVE, Confidence::Likely));
    }
    if controls.passed(ControlKind::Domestic) && controls.all_failed(ControlKind::Unrelated) {
        let how = ids::NET_WHITELIST;
        return Some(finding(Cause::Blocked { how }, how, Confidence::Likely));
    }
    if controls.passed(ControlKind::SameServer) {
        return None;
    }
    if controls.nobody_answers() {
        let certain = controls.local == LocalNetwork::NoRoute;
        let confidence = if certain { Confidence::Certain } else { Confidence::Likely };
        // Without a domestic control a network that lets only chosen hosts through looks like none at all.
        let also_possible: &[_] = if certain { &[] } else { &[CauseKind::Blocked] };
        return Some(Finding {
            cause: Cause::NoNetwork,
            verdict_id: ids::NET_DOWN,
            confidence,
            also_possible,
        });
    }
    let no_route = controls.local == LocalNetwork::NoRoute && !controls.others_asked();
    let says_so = matches!(failure.signal, Signal::Unreachable | Signal::NameNotFound | Signal::Timeout);
    (no_route && says_so).then(|| finding(Cause::NoNetwork, ids::NET_DOWN, Confidence::Likely))
}

/// A bridge that cannot read us may have another key, another user list or another time. Its sister endpoints and a
/// foreign clock can tell which.
fn key_or_clock(step: &ProbeStep, failure: &Failure, evidence: &Evidence<'_>) -> Option<Finding> {
    let rejected = match (failure.phase, &failure.signal) {
        (_, Signal::AuthRejected) | (Phase::Authenticate, Signal::UnexpectedEof) => true,
        (_, Signal::HttpStatus(status)) => matches!(status, 400..=404 | 410 | 426),
        _ => false,
    };
    let clock = evidence.controls.clock_ahead_s;
    let skewed = clock.filter(|ahead| ahead.abs() > MAX_CLOCK_SKEW_SECONDS);
    let ended = failure.phase >= Phase::Handshake
        && matches!(failure.signal, Signal::Timeout | Signal::UnexpectedEof | Signal::Reset);
    if let (true, Some(seconds)) = (rejected || ended, skewed) {
        return Some(finding(Cause::ClockSkew { seconds }, ids::AUTH_CLOCK, Confidence::Likely));
    }
    let silent = is_silent_protocol(step, failure) && !evidence.worked_before;
    if !rejected && !silent {
        return None;
    }
    let siblings = || evidence.siblings.iter();
    let told = siblings().filter_map(ProbeReport::first_failure).find_map(said_by_the_bridge);
    if let Some(mut told) = told {
        told.confidence = Confidence::Likely;
        return Some(told);
    }
    let sister_rejected =
        siblings().filter_map(ProbeReport::first_failure).any(|f| f.signal == Signal::AuthRejected);
    if rejected || sister_rejected {
        let also_possible: &[_] = if clock.is_some() {
            &[CauseKind::WrongUser]
        } else {
            &[CauseKind::WrongUser, CauseKind::ClockSkew]
        };
        let confidence = Confidence::Likely;
        return Some(Finding {
            cause: Cause::WrongKey,
            verdict_id: ids::AUTH_KEY,
            confidence,
            also_possible,
        });
    }
    if siblings().any(works) {
        return None;
    }
    let between: &[_] = if clock.is_some() {
        &[CauseKind::WrongKey, CauseKind::Blocked]
    } else {
        &[CauseKind::WrongKey, CauseKind::ClockSkew, CauseKind::Blocked]
    };
    Some(open(ids::FLOW_DROP, between))
}

/// Protocols without a handshake of their own answer a wrong key with silence, on purpose: it looks like a filter.
fn is_silent_protocol(step: &ProbeStep, failure: &Failure) -> bool {
    let waited = failure.signal == Signal::Timeout && failure.received == 0;
    waited && matches!(failure.phase, Phase::Handshake | Phase::Data) && !is_tls(step)
}

/// A carried transport puts its carrier's name before the step.
fn is_tls(step: &ProbeStep) -> bool {
    step.name == "tls" || step.name.ends_with(" tls")
}

fn works(report: &ProbeReport) -> bool {
    !report.steps.is_empty() && report.first_failure().is_none()
}

fn by_phase(step: &ProbeStep, failure: &Failure, evidence: &Evidence<'_>) -> Finding {
    match failure.phase {
        Phase::Resolve => resolving(failure, evidence.controls),
        Phase::Connect => connecting(failure, evidence),
        _ => talking(step, failure, evidence),
    }
}

fn resolving(failure: &Failure, controls: &Controls) -> Finding {
    let outside = controls.passed(ControlKind::Unrelated);
    match failure.signal {
        Signal::DnsPoisoned if outside => {
            finding(Cause::Blocked { how: ids::DNS_BOGON }, ids::DNS_BOGON, Confidence::Likely)
        }
        Signal::DnsPoisoned => open(ids::DNS_BOGON, UNREACHABLE_OR_BLOCKED),
        Signal::Timeout => unreachable(ids::DNS_TIMEOUT),
        _ => unreachable(ids::DNS_NXDOMAIN),
    }
}

fn connecting(failure: &Failure, evidence: &Evidence<'_>) -> Finding {
    let same_server = same_server_answers(evidence);
    let outside = evidence.controls.passed(ControlKind::Unrelated);
    match failure.signal {
        Signal::Refused => Finding { also_possible: &[], ..unreachable(ids::TCP_REFUSED) },
        Signal::Unreachable => unreachable(ids::TCP_NO_ROUTE),
        Signal::Reset if same_server || outside => {
            let how = ids::TCP_RST;
            Finding {
                also_possible: &[CauseKind::Unreachable],
                ..finding(Cause::Blocked { how }, how, Confidence::Likely)
            }
        }
        Signal::Reset => open(ids::TCP_RST, UNREACHABLE_OR_BLOCKED),
        // The host lives and only this port is silent. A host that is off and one whose address is dropped look the
        // same, so controls elsewhere do not decide it.
        Signal::Timeout if same_server => {
            let how = ids::TCP_TIMEOUT;
            Finding {
                also_possible: &[CauseKind::Unreachable],
                ..finding(Cause::Blocked { how }, how, Confidence::Likely)
            }
        }
        Signal::Timeout => open(ids::TCP_TIMEOUT, UNREACHABLE_OR_BLOCKED),
        _ => unreachable(ids::INCONCLUSIVE),
    }
}

/// The connection stands; what comes after it fails.
fn talking(step: &ProbeStep, failure: &Failure, evidence: &Evidence<'_>) -> Finding {
    let tls = is_tls(step);
    let moving = failure.phase == Phase::Data && failure.received > 0;
    let id = match failure.signal {
        Signal::Reset if tls => ids::TLS_RST_AFTER_CH,
        Signal::Reset => ids::FLOW_RST,
        Signal::Timeout if tls => ids::TLS_DROP_AFTER_CH,
        Signal::Timeout if moving => ids::FLOW_FREEZE,
        Signal::Timeout => ids::FLOW_DROP,
        Signal::UnexpectedEof if tls => ids::TLS_FIN_AFTER_CH,
        Signal::UnexpectedEof => ids::FLOW_FIN,
        Signal::Throttled => ids::FLOW_THROTTLED,
        Signal::WrongCertificate => return open(ids::TLS_MITM, &[CauseKind::WrongKey, CauseKind::Blocked]),
        Signal::TlsAlert(_) => return unreachable(ids::TLS_ALERT),
        Signal::HttpStatus(511) => return finding(Cause::NoNetwork, ids::NET_CAPTIVE, Confidence::Likely),
        Signal::HttpStatus(_) | Signal::UnexpectedBytes => return unreachable(ids::PEER_OTHER),
        _ => return open(ids::INCONCLUSIVE, UNREACHABLE_OR_BLOCKED),
    };
    interference(id, failure, evidence)
}

/// The path behaves as interference does: the controls decide whether we may say so.
fn interference(how: &'static str, failure: &Failure, evidence: &Evidence<'_>) -> Finding {
    let blocked = || finding(Cause::Blocked { how }, how, Confidence::Likely);
    if same_server_answers(evidence) {
        return blocked();
    }
    // Ordinary servers do close connections they do not like; they neither reset after a hello nor fall silent.
    let unusual = !matches!(failure.signal, Signal::UnexpectedEof);
    if unusual && evidence.controls.passed(ControlKind::Unrelated) {
        return Finding { also_possible: &[CauseKind::Unreachable], ..blocked() };
    }
    open(how, UNREACHABLE_OR_BLOCKED)
}

/// Whether the bridge's host answered something innocuous: a control step of the probe, a control, or a sister
/// endpoint that works.
fn same_server_answers(evidence: &Evidence<'_>) -> bool {
    // A step that took no time asked nobody.
    let measured = |step: &ProbeStep| step.outcome.as_ref().is_ok_and(|took| !took.is_zero());
    let step_passed = evidence.probe.steps.iter().any(|step| step.control && measured(step));
    let sibling_works = evidence.siblings.iter().any(|report| {
        !report.steps.is_empty()
            && report.first_failure().is_none_or(|failure| failure.phase >= Phase::Authenticate)
    });
    step_passed || sibling_works || evidence.controls.passed(ControlKind::SameServer)
}

const fn unreachable(id: &'static str) -> Finding {
    Finding {
        cause: Cause::Unreachable,
        verdict_id: id,
        confidence: Confidence::Likely,
        also_possible: &[CauseKind::Blocked],
    }
}

fn open(id: &'static str, between: &'static [CauseKind]) -> Finding {
    Finding {
        cause: Cause::CannotTell { between: between.to_vec() },
        verdict_id: id,
        confidence: Confidence::Open,
        also_possible: between,
    }
}
