//! First payloads: known protocols only, or everything but what looks encrypted.

use super::view::{all, is, is_on, line};
use crate::{
    Confidence, Finding, ids,
    observations::{Observations, Payload, PortClass, Series, ServerKind, Subtest},
};

const CLASSES: [PortClass; 4] = [PortClass::Https, PortClass::Http, PortClass::Dns, PortClass::High];

pub(super) fn findings(observations: &Observations) -> Vec<Finding> {
    let known_only = known_only(observations);
    // Where unknown protocols do not pass, random bytes do not either: that is the same mechanism.
    let everywhere = known_only.as_ref().is_some_and(|(_, class)| *class == PortClass::High);
    let random = if everywhere { None } else { random(observations) };
    known_only.map(|(finding, _)| finding).into_iter().chain(random).collect()
}

/// Unknown protocols do not pass on a port where known ones do.
fn known_only(observations: &Observations) -> Option<(Finding, PortClass)> {
    let cell = |class, payload| {
        all(observations, Subtest::Allowlist, move |one| is_on(one, ServerKind::Foreign, payload, class))
            .find(|series| series.made() > 0)
    };
    let mut found = CLASSES.into_iter().filter_map(|class| {
        let known: Vec<&Series> = [Payload::Hello, Payload::Http]
            .into_iter()
            .filter_map(|one| cell(class, one))
            .filter(|one| one.passes())
            .collect();
        let unknown: Vec<&Series> =
            [Payload::Ssh, Payload::Text].into_iter().filter_map(|one| cell(class, one)).collect();
        let stopped = unknown.len() == 2 && unknown.iter().all(|one| one.blocked());
        (stopped && !known.is_empty()).then_some((class, unknown, known))
    });
    let (class, unknown, known) = found.next()?;
    let others = found.map(|(class, ..)| class.as_str()).collect::<Vec<_>>().join(", ");
    let domestic = all(observations, Subtest::Allowlist, |one| {
        one.server == ServerKind::Domestic && matches!(one.payload, Payload::Ssh | Payload::Text)
    });
    let domestic: Vec<&Series> = domestic.filter(|one| one.passes()).collect();
    let mut line = line(unknown, known.into_iter().chain(domestic));
    if !others.is_empty() {
        line.push_str("; the same on ");
        line.push_str(&others);
    }
    let hint = if class == PortClass::High { "ir-allow6" } else { "ir-protofilter" };
    let finding = Finding::new(ids::PROTO_ALLOWLIST, Subtest::Allowlist, Confidence::Certain, line);
    Some((finding.hint(hint), class))
}

/// Random first payloads do not always pass; behind the head of a TLS record they do.
fn random(observations: &Observations) -> Option<Finding> {
    let random = all(observations, Subtest::Fet, |one| is(one, ServerKind::Foreign, Payload::Random))
        .find(|series| series.blocked())?;
    let control = all(observations, Subtest::Fet, |one| is(one, ServerKind::Foreign, Payload::TlsRecord))
        .find(|series| series.passes())?;
    let domestic = all(observations, Subtest::Fet, |one| one.server == ServerKind::Domestic);
    let domestic: Vec<&Series> = domestic.filter(|one| one.passes()).collect();
    let confidence = if domestic.is_empty() { Confidence::Likely } else { Confidence::Certain };
    let count = |n: usize| f64::from(u32::try_from(n).unwrap_or(u32::MAX));
    let share_of = |series: &Series| 100.0 * count(series.failed()) / count(series.made().max(1));
    let share = share_of(random);
    // On a network that loses as much behind the head of a record, nobody looks at heads.
    if share_of(control) > share / 2.0 {
        return None;
    }
    let (low, high) = interval(random.failed(), random.made());
    let line = format!(
        "{}; share {share:.0} % (95 %: {low:.0} to {high:.0} %)",
        line([random], [control].into_iter().chain(domestic))
    );
    Some(
        Finding::new(ids::PROTO_FET, Subtest::Fet, confidence, line)
            .hint(format!("gfw-fet?p={:.2}", share / 100.0)),
    )
}

/// Wilson's 95 % interval of a share, in percent.
fn interval(failed: usize, made: usize) -> (f64, f64) {
    /// 97.5 % quantile of the normal distribution.
    const Z: f64 = 1.96;
    let count = |n: usize| f64::from(u32::try_from(n).unwrap_or(u32::MAX));
    let (n, p) = (count(made.max(1)), count(failed) / count(made.max(1)));
    let centre = (p + Z * Z / (2.0 * n)) / (1.0 + Z * Z / n);
    let half = Z / (1.0 + Z * Z / n) * (p * (1.0 - p) / n + Z * Z / (4.0 * n * n)).sqrt();
    (100.0 * (centre - half).max(0.0), 100.0 * (centre + half).min(1.0))
}
