//! The sentences. One place, so that the doctor and the running client say the same.

use std::fmt::Write as _;

use commucat_transport_api::ProbeReport;

use crate::{
    Cause, CauseKind, Confidence, ControlKind, Diagnosis, Evidence, LocalNetwork, MAX_CLOCK_SKEW_SECONDS, ids,
};

/// What was decided, before it has words.
#[derive(Debug)]
pub(crate) struct Finding {
    pub(crate) cause: Cause,
    pub(crate) verdict_id: &'static str,
    pub(crate) confidence: Confidence,
    pub(crate) also_possible: &'static [CauseKind],
}

/// Puts a finding into words.
pub(crate) fn diagnosis(found: Finding, evidence: &Evidence<'_>) -> Diagnosis {
    let controlled = evidence.controls.others_asked();
    Diagnosis {
        sentence: sentence(&found, controlled, evidence),
        what_to_do: what_to_do(&found, evidence),
        evidence_line: evidence_line(evidence),
        cause: found.cause,
        verdict_id: found.verdict_id,
        confidence: found.confidence,
        also_possible: found.also_possible.to_vec(),
    }
}

fn sentence(found: &Finding, controlled: bool, evidence: &Evidence<'_>) -> String {
    match &found.cause {
        Cause::Ok => "The bridge answers and accepts us.".to_owned(),
        Cause::NoNetwork if found.verdict_id == ids::NET_CAPTIVE => {
            "No network: a captive portal answers in place of other hosts.".to_owned()
        }
        Cause::NoNetwork => "No network: nothing beyond this machine answers.".to_owned(),
        Cause::Unreachable => format!("The bridge is unreachable: {}.", unreachable_how(found.verdict_id)),
        Cause::Blocked { how } => {
            format!("Blocked: {} ({}).", blocked_how(how), support(evidence))
        }
        Cause::WrongKey if found.also_possible.contains(&CauseKind::ClockSkew) => {
            "Wrong key: the bridge did not accept the key in the link (this machine's clock was not checked)."
                .to_owned()
        }
        Cause::WrongKey => "Wrong key: the bridge did not accept the key in the link.".to_owned(),
        Cause::WrongUser => {
            "Wrong user: the bridge accepts its key, but does not know the user in the link.".to_owned()
        }
        Cause::ClockSkew { seconds } => format!(
            "Clock skew: the clock of this machine is {} s {} the bridge's; {MAX_CLOCK_SKEW_SECONDS} s are allowed.",
            seconds.unsigned_abs(),
            if *seconds >= 0 { "ahead of" } else { "behind" },
        ),
        Cause::VersionTooOld => {
            "Version too old: the bridge asks for a newer version of this program.".to_owned()
        }
        Cause::BridgeFull => "Bridge full: it is at its limit of connections.".to_owned(),
        Cause::TargetUnreachable => {
            "The bridge works, but it cannot reach the host that was asked for, or may not.".to_owned()
        }
        Cause::CannotTell { between }
            if found.verdict_id == ids::FLOW_DROP && between.contains(&CauseKind::WrongKey) =>
        {
            let clock = if between.contains(&CauseKind::ClockSkew) { ", a wrong clock" } else { "" };
            format!(
                "Wrong key{clock} or blocked: nothing comes back after the first bytes, and the bridge answers a wrong key with the same silence."
            )
        }
        Cause::CannotTell { between } if between.contains(&CauseKind::WrongKey) => {
            "The certificate is not the bridge's: the link is of another bridge, or somebody sits in between."
                .to_owned()
        }
        Cause::CannotTell { .. } => {
            let why = if controlled { "from one side both look the same" } else { "no control to tell" };
            format!("Unreachable or blocked ({why}): {}.", undecided_how(found.verdict_id))
        }
    }
}

fn unreachable_how(id: &str) -> &'static str {
    match id {
        ids::TCP_REFUSED => "its address refuses the connection, so nothing listens on that port",
        ids::TCP_NO_ROUTE => "the network says that there is no way to its address",
        ids::DNS_TIMEOUT => "the resolver of this network does not answer",
        ids::DNS_NXDOMAIN => "the resolver of this network does not know its name",
        ids::TLS_ALERT => "what answers at its address refuses the TLS handshake",
        ids::PEER_OTHER => "something else answers at its address",
        _ => "the connection failed",
    }
}

fn blocked_how(id: &str) -> &'static str {
    match id {
        ids::NET_WHITELIST => "this network lets only chosen hosts through",
        ids::DNS_BOGON => "the resolver gives a false address for the bridge",
        ids::TCP_RST => "the connection is reset while it is opened",
        ids::TCP_TIMEOUT => "packets to this port of the bridge get no answer",
        ids::TLS_RST_AFTER_CH => "the connection is reset right after the TLS hello",
        ids::TLS_DROP_AFTER_CH => "nothing comes back after the TLS hello",
        ids::TLS_FIN_AFTER_CH => "the connection is closed right after the TLS hello",
        ids::FLOW_RST => "the connection is reset after the first bytes",
        ids::FLOW_DROP => "nothing comes back after the first bytes",
        ids::FLOW_FIN => "the connection is closed after the first bytes",
        ids::FLOW_FREEZE => "the transfer begins and then stands still",
        ids::FLOW_THROTTLED => "the transfer is held far below the speed of the path",
        _ => "the path is interfered with",
    }
}

fn undecided_how(id: &str) -> &'static str {
    match id {
        ids::TCP_TIMEOUT => "the bridge does not answer at all",
        ids::INCONCLUSIVE => "the connection failed in an unexpected way",
        other => blocked_how(other),
    }
}

/// What makes us say "blocked".
fn support(evidence: &Evidence<'_>) -> &'static str {
    let controls = evidence.controls;
    if controls.passed(ControlKind::Domestic) && controls.all_failed(ControlKind::Unrelated) {
        "a host of this country answers, foreign ones do not"
    } else if controls.passed(ControlKind::Unrelated) {
        "other hosts answer"
    } else {
        "the bridge itself answers otherwise"
    }
}

fn what_to_do(found: &Finding, evidence: &Evidence<'_>) -> String {
    let text = match &found.cause {
        Cause::Ok => "Nothing.",
        Cause::NoNetwork if found.verdict_id == ids::NET_CAPTIVE => {
            "Open a web page and log in to the network first."
        }
        Cause::NoNetwork => "Connect this machine to a network and try again.",
        Cause::Unreachable => match found.verdict_id {
            ids::TCP_REFUSED => "Ask the operator whether the bridge runs, and compare the port in the link.",
            ids::DNS_NXDOMAIN => "Check the host name in the link, or try another resolver.",
            ids::DNS_TIMEOUT => {
                "Set another resolver, or ask for a link with an address in place of the name."
            }
            ids::PEER_OTHER | ids::TLS_ALERT => {
                "Compare host and port in the link, and ask for a fresh link."
            }
            _ => "Check host and port in the link, and ask the operator whether the bridge runs.",
        },
        Cause::Blocked { .. } => "Use another endpoint or another transport; a fresh link may hold one.",
        Cause::WrongKey if found.also_possible.contains(&CauseKind::ClockSkew) => {
            "Paste the link again, whole; set the clock (timedatectl set-ntp true); else ask for a fresh link."
        }
        Cause::WrongKey => {
            "Paste the link again, whole; if that does not help, ask the operator for a fresh one."
        }
        Cause::WrongUser => "Ask the operator for a fresh link: this user was removed, disabled or renamed.",
        Cause::ClockSkew { .. } => "Set the clock (timedatectl set-ntp true).",
        Cause::VersionTooOld => "Update this program.",
        Cause::BridgeFull => "Try again later, or ask the operator for a link of another bridge.",
        Cause::TargetUnreachable => "Check the host name you asked for; other hosts work.",
        Cause::CannotTell { between }
            if found.verdict_id == ids::FLOW_DROP && between.contains(&CauseKind::WrongKey) =>
        {
            "Paste the link again, whole, and set the clock (timedatectl set-ntp true); if that does not help, use another endpoint."
        }
        Cause::CannotTell { between } if between.contains(&CauseKind::WrongKey) => {
            "Do not go on over this network before you compared the link with the operator."
        }
        Cause::CannotTell { .. } if evidence.controls.others_asked() => {
            "Ask the operator whether the bridge runs; try another network, or another endpoint."
        }
        Cause::CannotTell { .. } => {
            "Run `commucat doctor` with controls, or ask the operator whether the bridge runs."
        }
    };
    text.to_owned()
}

fn evidence_line(evidence: &Evidence<'_>) -> String {
    let mut line = steps(evidence.probe);
    let controls = evidence.controls;
    for kind in [ControlKind::SameServer, ControlKind::Unrelated, ControlKind::Domestic] {
        let made = controls.measured.iter().filter(|control| control.kind == kind).count();
        if made > 0 {
            let passed =
                controls.measured.iter().filter(|control| control.kind == kind && control.passed()).count();
            let name = match kind {
                ControlKind::SameServer => "same host",
                ControlKind::Unrelated => "other hosts",
                ControlKind::Domestic => "domestic hosts",
            };
            append(&mut line, format_args!("; {name} {passed}/{made}"));
        }
    }
    if !evidence.siblings.is_empty() {
        let working = evidence.siblings.iter().filter(|report| report.first_failure().is_none()).count();
        append(&mut line, format_args!("; other endpoints {working}/{}", evidence.siblings.len()));
    }
    if let Some(ahead) = controls.clock_ahead_s {
        append(&mut line, format_args!("; clock {ahead:+} s"));
    }
    if controls.local == LocalNetwork::NoRoute {
        line.push_str("; no route out of this machine");
    }
    line
}

fn steps(report: &ProbeReport) -> String {
    let mut line = String::new();
    for (at, step) in report.steps.iter().enumerate() {
        let separator = if at == 0 { "" } else { ", " };
        let control = if step.control { " (control)" } else { "" };
        match &step.outcome {
            Ok(took) => {
                append(
                    &mut line,
                    format_args!("{separator}{}{control} ok {} ms", step.name, took.as_millis()),
                );
            }
            Err(failure) => append(
                &mut line,
                format_args!(
                    "{separator}{}{control} failed after {} ms: {} ({} B sent, {} B received)",
                    step.name,
                    failure.elapsed.as_millis(),
                    failure.signal,
                    failure.sent,
                    failure.received
                ),
            ),
        }
    }
    line
}

fn append(line: &mut String, text: std::fmt::Arguments<'_>) {
    // Writing to a String does not fail.
    let _infallible = line.write_fmt(text);
}
