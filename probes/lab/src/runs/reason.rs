//! Why a run failed, in one sentence: what the censor did first, with its numbers, and what the client saw.

use std::{collections::BTreeMap, fmt::Write as _, time::Duration};

use commucat_censor::{Done, Event, Why};
use commucat_transport_api::DialError;
use serde_json::Value;

use super::exchange::Broken;
use crate::report::{RunResult, time};

/// What the client saw when it failed.
#[derive(Debug)]
pub(super) struct Failed {
    /// Which part of the run.
    pub(super) stage: &'static str,
    /// What happened, without numbers that differ each time.
    pub(super) what: String,
    /// Bytes that moved: up, down.
    pub(super) moved: (u64, u64),
    /// Since the beginning of the run.
    pub(super) after: Duration,
}

impl Failed {
    pub(super) fn dial(stage: &'static str, error: &DialError, after: Duration) -> Self {
        let what = error.failure().map_or_else(
            || error.to_string(),
            // Without the time: the sentence says it for the whole run.
            |failure| format!("{} ({:?})", failure.signal, failure.phase).to_lowercase(),
        );
        Self { stage, what, moved: (0, 0), after }
    }

    pub(super) fn exchange(stage: &'static str, broken: &Broken, after: Duration) -> Self {
        let direction = if broken.sending { "sending" } else { "receiving" };
        let what = broken.error.as_ref().map_or_else(
            || "what arrived is not what was sent".to_owned(),
            |error| format!("{direction} failed: {}", error.kind()),
        );
        Self { stage, what, moved: broken.moved, after }
    }

    pub(super) fn late(stage: &'static str, moved: (u64, u64), after: Duration) -> Self {
        Self { stage, what: "nothing more came in time".to_owned(), moved, after }
    }
}

/// What an event says of what the censor did.
#[derive(Clone, Debug)]
pub(super) struct Act {
    policy: &'static str,
    action: Done,
    packet: u64,
    bytes: u64,
    why: Why,
    lasts_ms: Option<u64>,
    count: u64,
}

impl From<&Event> for Act {
    fn from(event: &Event) -> Self {
        Self {
            policy: event.policy,
            action: event.action,
            packet: event.packet,
            bytes: event.bytes,
            why: event.why.clone(),
            lasts_ms: event.until_ms.map(|until| until.saturating_sub(event.t_ms)),
            count: event.count,
        }
    }
}

impl Act {
    /// Whether it touches a packet. Marks and notes do not; a call of the prober does not either, but what comes of it
    /// may.
    const fn touches(&self) -> bool {
        !matches!(self.action, Done::Tag | Done::Note | Done::Probe)
    }
}

/// How a run ended, from what the client saw and what the censor did.
pub(super) fn result(failed: Option<&Failed>, acts: &[Act]) -> RunResult {
    let acted = acts.iter().find(|act| act.touches());
    match (failed, acted) {
        (None, None) => RunResult::Passed,
        (Some(failed), None) => RunResult::Failed {
            reason: capital(&format!("{}; the censor did nothing that touches a packet.", seen(failed))),
            kind: format!("client {} {}", failed.stage, failed.what),
        },
        (None, Some(act)) => RunResult::Failed {
            reason: format!("{}; the client got everything all the same.", said(act)),
            kind: format!("{} {}", act.policy, verb(act.action)),
        },
        (Some(failed), Some(act)) => RunResult::Failed {
            reason: format!("{}; {}.", said(act), seen(failed)),
            kind: format!("{} {} {}", act.policy, verb(act.action), failed.stage),
        },
    }
}

/// How often each policy did what.
pub(super) fn tally(acts: &[Act]) -> BTreeMap<String, u64> {
    let mut tally = BTreeMap::new();
    for act in acts {
        *tally.entry(format!("{} {}", act.policy, verb(act.action))).or_default() += act.count;
    }
    tally
}

const fn verb(done: Done) -> &'static str {
    match done {
        Done::Drop => "dropped a packet",
        Done::Inject => "injected packets",
        Done::Kill => "passed a sentence",
        Done::ResidualDrop => "went on dropping packets",
        Done::ResidualReset => "went on resetting connections",
        Done::Police => "policed packets",
        Done::Delay => "delayed a packet",
        Done::Tag => "marked a flow",
        Done::Probe => "called the prober",
        Done::Malformed => "dropped a malformed packet",
        Done::Note => "noted something",
        _ => "acted",
    }
}

fn said(act: &Act) -> String {
    let mut out = format!("{} {}", act.policy, verb(act.action));
    if act.packet > 0 {
        // Writing to a string cannot fail.
        write!(out, " at packet {} ({} bytes)", act.packet, act.bytes).ok();
    }
    let facts = serde_json::to_value(&act.why).unwrap_or(Value::Null);
    let facts: Vec<_> = facts.as_object().into_iter().flatten().map(fact).collect();
    if !facts.is_empty() {
        write!(out, " [{}]", facts.join(", ")).ok();
    }
    if let Some(lasts) = act.lasts_ms {
        write!(out, " for {}", time(lasts)).ok();
    }
    out
}

fn fact((name, value): (&String, &Value)) -> String {
    let shown = match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => match number.as_f64() {
            Some(value) if number.is_f64() => format!("{value:.3}"),
            _ => number.to_string(),
        },
        other => other.to_string(),
    };
    format!("{name} {shown}")
}

fn seen(failed: &Failed) -> String {
    let (up, down) = failed.moved;
    let moved = if up + down == 0 { String::new() } else { format!(", with {up} bytes up and {down} down") };
    let after = u64::try_from(failed.after.as_millis()).unwrap_or(u64::MAX);
    format!("{} failed after {}{moved}: {}", failed.stage, time(after), failed.what)
}

/// With a capital at the front. Names of policies stay as they are written, so only what the client saw gets one.
fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().into_iter().flat_map(char::to_uppercase).chain(chars).collect()
}

#[cfg(test)]
mod tests {
    use commucat_transport_api::{Failure, Phase, Signal};

    use super::*;

    fn act(action: Done) -> Act {
        let why = Why::new().and("set_bits", 4.0123).and("residual_s", 180);
        Act { policy: "gfw-fet", action, packet: 4, bytes: 600, why, lasts_ms: Some(180_000), count: 1 }
    }

    fn failed() -> Failed {
        let failure = Failure::new(Phase::Handshake, Signal::Timeout, Duration::from_secs(20));
        Failed::dial("the start", &DialError::network(failure), Duration::from_secs(20))
    }

    #[test]
    fn a_sentence_names_the_policy_and_its_numbers() {
        let RunResult::Failed { reason, kind } = result(Some(&failed()), &[act(Done::Tag), act(Done::Kill)])
        else {
            panic!("it failed")
        };
        assert_eq!(
            reason,
            "gfw-fet passed a sentence at packet 4 (600 bytes) [residual_s 180, set_bits 4.012] for 180.0 s; the \
             start failed after 20.0 s: no answer in time (handshake)."
        );
        assert_eq!(kind, "gfw-fet passed a sentence the start");
    }

    #[test]
    fn marks_and_calls_of_the_prober_do_not_fail_a_run() {
        let harmless = [Done::Tag, Done::Note, Done::Probe].map(act);
        assert_eq!(result(None, &harmless), RunResult::Passed);
        let RunResult::Failed { reason, .. } = result(None, &[act(Done::Police)]) else {
            panic!("it was touched")
        };
        assert!(reason.ends_with("the client got everything all the same."), "{reason}");
        let RunResult::Failed { reason, .. } = result(Some(&failed()), &harmless) else {
            panic!("it failed")
        };
        assert!(reason.starts_with("The start failed after 20.0 s"), "{reason}");
        assert_eq!(tally(&harmless).len(), 3);
    }
}
