//! What happens to flows that already work: they freeze, they are reset, they are slowed, or too many are one too many.

mod freeze;

use super::view::{all, is_hello, line, passes};
use crate::{
    Confidence, Finding, Thresholds, ids,
    observations::{Fingerprint, NameClass, Observations, Series, ServerKind, Subtest, Unit},
};

/// Searches that have to agree on a limit of connections.
const REPEATS_MIN: u32 = 2;
/// How far apart they may be, in connections.
const RANGE_MAX: f64 = 2.0;
/// Turns that a comparison of rates needs.
const TURNS_MIN: u32 = 5;

pub(super) fn findings(observations: &Observations) -> Vec<Finding> {
    let found = [freeze::finding(observations), throttled(observations), connections(observations)];
    found.into_iter().flatten().collect()
}

fn throttled(observations: &Observations) -> Option<Finding> {
    let rates = observations.rates.iter().find(|rates| {
        rates.ratio.median < rates.threshold && rates.ratio.high < 1.0 && rates.ratio.repeats >= TURNS_MIN
    })?;
    let left = observations.limits.iter().find(|limit| limit.unit == Unit::KbitPerSecond);
    let ratio = rates.ratio;
    let mut line = format!(
        "a name believed blocked gets {:.2} of the rate of an innocent one on the same server (95 %: {:.2} to {:.2}, {} turns)",
        ratio.median, ratio.low, ratio.high, ratio.repeats
    );
    let mut thresholds = Thresholds::default();
    if let Some(left) = left {
        line.push_str(&format!("; {:.0} kbit/s are left", left.value.median));
        thresholds.kbps = Some(left.value);
    }
    let finding = Finding::new(ids::FLOW_THROTTLED, Subtest::Throttle, Confidence::Certain, line);
    Some(finding.with_thresholds(thresholds).hint("throttle-sni"))
}

fn connections(observations: &Observations) -> Option<Finding> {
    let limit = observations.limits.iter().find(|limit| {
        limit.unit == Unit::Connections
            && limit.value.repeats >= REPEATS_MIN
            && limit.value.high - limit.value.low <= RANGE_MAX
    })?;
    let groups = |fingerprint, name, server| {
        all(observations, Subtest::Conns, move |one| {
            let mut alone = one.clone();
            alone.parallel = 1;
            one.parallel > 1 && is_hello(&alone, server, fingerprint, name)
        })
    };
    let browser = Fingerprint::ChromeCurrent;
    let stopped = groups(browser, NameClass::Random, ServerKind::Foreign).find(|one| one.blocked())?;
    let alone = passes(observations, Subtest::Conns, |one| {
        is_hello(one, ServerKind::Foreign, browser, NameClass::Random)
    });
    let others = groups(Fingerprint::CurlLike, NameClass::Random, ServerKind::Foreign)
        .chain(groups(browser, NameClass::Empty, ServerKind::Foreign))
        .chain(groups(browser, NameClass::Random, ServerKind::Domestic));
    let controls: Vec<&Series> = others.filter(|one| one.passes()).collect();
    if !alone || controls.is_empty() {
        return None;
    }
    let value = limit.value;
    let line = format!(
        "{:.0} handshakes beside each other pass ({:.0} to {:.0}, {} searches with fresh names); {}",
        value.median,
        value.low,
        value.high,
        value.repeats,
        line([stopped], controls)
    );
    let thresholds = Thresholds { conns: Some(value), ..Thresholds::default() };
    let finding = Finding::new(ids::CONN_PARALLEL_LIMIT, Subtest::Conns, Confidence::Certain, line);
    Some(finding.with_thresholds(thresholds).hint(format!("tspu-conn?limit={:.0}", value.median)))
}
