//! Hellos: the name, the fingerprint, the encrypted hello, and who answers.

use commucat_transport_api::Signal;

use super::view::{all, blocked, is, is_hello, line, passes, usual_failure};
use crate::{
    Confidence, Finding, ids,
    observations::{Fingerprint, NameClass, Observations, Payload, Series, ServerKind, Subtest, TlsSeen},
};

const FINGERPRINTS: [Fingerprint; 4] =
    [Fingerprint::CurlLike, Fingerprint::ChromeCurrent, Fingerprint::Firefox, Fingerprint::ChromeStale];
const HARMLESS: [NameClass; 3] = [NameClass::Innocent, NameClass::Random, NameClass::Empty];

pub(super) fn findings(observations: &Observations) -> Vec<Finding> {
    let found = [in_the_middle(observations), ech(observations), fingerprint(observations)];
    let names = listed_names_only(observations).or_else(|| name(observations));
    found.into_iter().flatten().chain(names).collect()
}

/// The series of hellos to the foreign server with that look and name.
fn hello(observations: &Observations, fingerprint: Fingerprint, name: NameClass) -> Option<&Series> {
    all(observations, Subtest::Tls, move |condition| {
        is_hello(condition, ServerKind::Foreign, fingerprint, name)
    })
    .find(|series| series.made() > 0)
}

fn harmless_of(observations: &Observations, fingerprint: Fingerprint) -> impl Iterator<Item = &Series> {
    HARMLESS.into_iter().filter_map(move |name| hello(observations, fingerprint, name))
}

/// A name that is believed blocked does not pass, others do.
fn name(observations: &Observations) -> Option<Finding> {
    let (stopped, controls) = FINGERPRINTS.into_iter().find_map(|fingerprint| {
        let stopped = hello(observations, fingerprint, NameClass::Blocked).filter(|one| one.blocked())?;
        let controls: Vec<&Series> =
            harmless_of(observations, fingerprint).filter(|one| one.passes()).collect();
        (!controls.is_empty()).then_some((stopped, controls))
    })?;
    let id = match usual_failure(stopped)?.1 {
        Signal::Reset | Signal::Refused => ids::TLS_RST_AFTER_CH,
        Signal::Timeout => ids::TLS_DROP_AFTER_CH,
        Signal::UnexpectedEof => ids::TLS_FIN_AFTER_CH,
        _ => return None,
    };
    let line = line([stopped], controls);
    let finding = Finding::new(id, Subtest::Tls, Confidence::Certain, line);
    Some(match id {
        ids::TLS_RST_AFTER_CH => finding.hint("sni-rst").hint("sni-drop-ir"),
        _ => finding,
    })
}

/// Innocent names of the targets pass, names that nobody uses and none at all do not: a list of names.
fn listed_names_only(observations: &Observations) -> Option<Finding> {
    let fingerprint = Fingerprint::ChromeCurrent;
    let listed = hello(observations, fingerprint, NameClass::Innocent).filter(|one| one.passes())?;
    let random = hello(observations, fingerprint, NameClass::Random).filter(|one| one.blocked())?;
    let empty = hello(observations, fingerprint, NameClass::Empty);
    if empty.is_some_and(Series::passes) {
        return None;
    }
    let line = line([random].into_iter().chain(empty), [listed]);
    Some(
        Finding::new(ids::NET_WHITELIST_SNI, Subtest::Tls, Confidence::Likely, line)
            .hint("ru-mobile-wl?match=name"),
    )
}

/// One look does not pass with harmless names, another does.
fn fingerprint(observations: &Observations) -> Option<Finding> {
    let innocent = |fingerprint| hello(observations, fingerprint, NameClass::Innocent);
    let passing: Vec<&Series> =
        FINGERPRINTS.into_iter().filter_map(innocent).filter(|one| one.passes()).collect();
    let stopped: Vec<&Series> =
        FINGERPRINTS.into_iter().filter_map(innocent).filter(|one| one.blocked()).collect();
    if passing.is_empty() || stopped.is_empty() {
        return None;
    }
    let ja4 = stopped
        .iter()
        .flat_map(|series| &series.trials)
        .find_map(|trial| trial.tls.as_ref().and_then(|tls| tls.ja4_sent.as_deref()))
        .unwrap_or("unknown");
    let line = format!("{} (JA4 {ja4})", line(stopped, passing));
    Some(Finding::new(ids::TLS_FP_BLOCKED, Subtest::Tls, Confidence::Certain, line).hint("tspu-ja4"))
}

/// The extension with the provider's public name does not pass; without it, or with another name, it does.
fn ech(observations: &Observations) -> Option<Finding> {
    let cell = |payload, name| {
        move |condition: &crate::observations::Condition| {
            is(condition, ServerKind::Cdn, payload) && condition.name == Some(name)
        }
    };
    let stopped = blocked(observations, Subtest::Ech, cell(Payload::HelloEch, NameClass::EchOuter))?;
    let without = all(observations, Subtest::Ech, cell(Payload::Hello, NameClass::EchOuter))
        .find(|one| one.passes())?;
    let other = all(observations, Subtest::Ech, cell(Payload::HelloEch, NameClass::Innocent));
    let other: Vec<&Series> = other.filter(|one| one.made() > 0).collect();
    let line = line([stopped], [without].into_iter().chain(other));
    Some(Finding::new(ids::TLS_ECH_BLOCKED, Subtest::Ech, Confidence::Certain, line).hint("tspu-ech"))
}

/// Somebody else's certificate, or a hello that arrived other than it was sent.
fn in_the_middle(observations: &Observations) -> Option<Finding> {
    let seen = || {
        observations
            .series
            .iter()
            .flat_map(|series| &series.trials)
            .filter_map(|trial| trial.tls.as_ref().map(|tls| (trial, tls)))
    };
    let wrong = seen().filter(|(_, tls)| tls.pin_matches == Some(false)).count();
    let right = seen().filter(|(_, tls)| tls.pin_matches == Some(true)).count();
    if wrong > 0 {
        let line = format!(
            "{wrong} handshakes showed another key than the control server's; {right} showed its own"
        );
        // All of them may also be a pin that is out of date.
        let confidence = if right > 0 { Confidence::Certain } else { Confidence::Likely };
        return Some(Finding::new(ids::TLS_MITM, Subtest::Tls, confidence, line));
    }
    let rewritten = |tls: &TlsSeen| tls.ja4_seen.is_some() && tls.ja4_seen != tls.ja4_sent;
    let (trial, tls) = seen().find(|(_, tls)| rewritten(tls))?;
    let line = format!(
        "the control server saw another hello than was sent: JA4 {} in place of {}{}",
        tls.ja4_seen.as_deref().unwrap_or("none"),
        tls.ja4_sent.as_deref().unwrap_or("none"),
        if tls.name_seen == trial.server_name { "" } else { ", and another name" },
    );
    let own = passes(observations, Subtest::Env, |condition| condition.server == ServerKind::Foreign);
    own.then(|| Finding::new(ids::TLS_MITM, Subtest::Tls, Confidence::Likely, line))
}
