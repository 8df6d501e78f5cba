//! Looking things up in observations, and saying them in a line.

use commucat_transport_api::{Phase, Signal};

use crate::observations::{
    Condition, Fingerprint, NameClass, Observations, Payload, PortClass, Series, ServerKind, Subtest, Trial,
};

/// The series under conditions that `wanted` accepts.
pub(super) fn all<'a>(
    observations: &'a Observations,
    subtest: Subtest,
    wanted: impl Fn(&Condition) -> bool + 'a,
) -> impl Iterator<Item = &'a Series> {
    observations.series_of(subtest).filter(move |series| wanted(&series.condition))
}

/// Whether a series under such a condition passes.
pub(super) fn passes(
    observations: &Observations,
    subtest: Subtest,
    wanted: impl Fn(&Condition) -> bool,
) -> bool {
    all(observations, subtest, wanted).any(Series::passes)
}

/// The first series under such a condition that the test decided to fail.
pub(super) fn blocked<'a>(
    observations: &'a Observations,
    subtest: Subtest,
    wanted: impl Fn(&Condition) -> bool + 'a,
) -> Option<&'a Series> {
    all(observations, subtest, wanted).find(|series| series.blocked())
}

/// Whether the foreign control server answers a whole request on any port.
pub(super) fn foreign_answers(observations: &Observations) -> bool {
    passes(observations, Subtest::Env, |condition| condition.server == ServerKind::Foreign)
}

/// Whether the domestic control server answers.
pub(super) fn domestic_answers(observations: &Observations) -> bool {
    passes(observations, Subtest::Env, |condition| condition.server == ServerKind::Domestic)
}

/// A hello of that look and that kind of name, to that server, alone.
pub(super) fn is_hello(
    condition: &Condition,
    server: ServerKind,
    fingerprint: Fingerprint,
    name: NameClass,
) -> bool {
    condition.payload == Payload::Hello
        && condition.server == server
        && condition.fingerprint == Some(fingerprint)
        && condition.name == Some(name)
        && condition.parallel == 1
}

/// That payload to that server.
pub(super) fn is(condition: &Condition, server: ServerKind, payload: Payload) -> bool {
    condition.server == server && condition.payload == payload
}

/// That payload to that server on that kind of port.
pub(super) fn is_on(condition: &Condition, server: ServerKind, payload: Payload, port: PortClass) -> bool {
    is(condition, server, payload) && condition.port == port
}

/// How the failures of a series mostly looked.
pub(super) fn usual_failure(series: &Series) -> Option<(Phase, &Signal)> {
    let failures: Vec<(Phase, &Signal)> = series
        .trials
        .iter()
        .filter_map(|trial| trial.failure.as_ref())
        .map(|failure| (failure.phase, &failure.signal))
        .collect();
    // The earlier one when two are equally frequent: later ones may be a consequence.
    let count = |one: &(Phase, &Signal)| failures.iter().filter(|other| *other == one).count();
    failures.iter().enumerate().max_by_key(|(at, one)| (count(one), usize::MAX - at)).map(|(_, one)| *one)
}

/// Whether most failures happened before a connection was open.
pub(super) fn never_opens(series: &Series) -> bool {
    usual_failure(series).is_some_and(|(phase, _)| phase <= Phase::Connect)
}

/// Whether the server's side ever spoke in a failed trial.
pub(super) fn was_answered(trial: &Trial) -> bool {
    trial.failure.as_ref().is_none_or(|failure| {
        failure.received > 0
            || failure.phase > Phase::Connect
            || matches!(failure.signal, Signal::Refused | Signal::Reset)
    })
}

/// A series in words: `hello to foreign, blocked name: 2/2 failed (connection reset)`.
pub(super) fn told(series: &Series) -> String {
    let (failed, made) = (series.failed(), series.made());
    if failed == 0 {
        return format!("{} {made}/{made} ok", series.condition);
    }
    let how = usual_failure(series).map(|(_, signal)| signal.to_string()).unwrap_or_default();
    format!("{} {failed}/{made} failed ({how})", series.condition)
}

/// Several series in words.
pub(super) fn told_all<'a>(series: impl IntoIterator<Item = &'a Series>) -> String {
    series.into_iter().map(told).collect::<Vec<_>>().join("; ")
}

/// The evidence of a finding: what failed, and which controls passed.
pub(super) fn line<'a>(
    failed: impl IntoIterator<Item = &'a Series>,
    controls: impl IntoIterator<Item = &'a Series>,
) -> String {
    let controls = told_all(controls);
    let failed = told_all(failed);
    if controls.is_empty() { failed } else { format!("{failed}; control: {controls}") }
}
