//! What works from here: the ways that passed, the surest first.

use std::collections::BTreeMap;

use commucat_verdict::{
    Finding, ids,
    observations::{Fingerprint, NameClass, Payload, PortClass, Protocol, Series, ServerKind, Subtest},
};
use serde::Serialize;
use serde_json::Value;

use super::summary::number;
use crate::{Run, SubtestReport};

/// Most ways that are listed.
const WORKS_MAX: usize = 16;
/// Normal quantile of a two-sided 95 % interval.
const Z_95: f64 = 1.96;

/// One way out that passed.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Works {
    /// What was sent, in words.
    pub what: String,
    /// Trials that passed.
    pub passed: usize,
    /// Trials made.
    pub made: usize,
    /// Lower end of the 95 % interval of the success rate (Wilson, 0 to 1): few trials cannot score high.
    pub score: f64,
    /// What the findings say against it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub limits: Vec<String>,
}

/// What distinguishes one way from another.
type Way = (Protocol, Payload, Option<Fingerprint>, Option<NameClass>, PortClass);

/// The ways to hosts abroad that passed at least half of their trials, best first.
pub(crate) fn works(run: &Run) -> Vec<Works> {
    let mut ways = BTreeMap::<Way, (usize, usize)>::new();
    for series in run.observations.series.iter().filter(|series| is_way(series)) {
        let condition = &series.condition;
        let way =
            (condition.protocol, condition.payload, condition.fingerprint, condition.name, condition.port);
        let (passed, made) = ways.entry(way).or_default();
        *made += series.made();
        *passed += series.made().saturating_sub(series.failed());
    }
    let mut works: Vec<_> = ways
        .iter()
        .filter(|(_, (passed, made))| *made > 0 && passed * 2 >= *made)
        .filter(|(way, _)| says_more(**way, &ways))
        .map(|(way, counts)| (*way, *counts))
        .map(|(way, (passed, made))| Works {
            what: words(way),
            passed,
            made,
            score: wilson_low(passed, made),
            limits: limits(way, &run.findings),
        })
        .collect();
    works.extend(run.subtests.iter().filter_map(transport));
    works.sort_by(|one, other| {
        one.limits.len().cmp(&other.limits.len()).then(other.score.total_cmp(&one.score))
    });
    works.truncate(WORKS_MAX);
    works
}

/// Whether a way says more than the plain one beside it: without a name or with an unknown one is only worth telling
/// where the innocent name fails, and a name believed blocked where it does not pass everywhere.
fn says_more(way: Way, ways: &BTreeMap<Way, (usize, usize)>) -> bool {
    let whole = |(passed, made): &(usize, usize)| passed == made;
    let (protocol, payload, fingerprint, name, port) = way;
    match name {
        Some(NameClass::Blocked) => {
            ways.iter().any(|((.., name, _), counts)| *name == Some(NameClass::Blocked) && !whole(counts))
        }
        Some(NameClass::Empty | NameClass::Random | NameClass::EchOuter) => {
            let plain = (protocol, payload, fingerprint, Some(NameClass::Innocent), port);
            !ways.get(&plain).is_some_and(whole)
        }
        _ => true,
    }
}

/// A transport that was measured end to end.
fn transport(report: &SubtestReport) -> Option<Works> {
    let details = report.details.as_ref().filter(|_| report.subtest == Subtest::Transport)?;
    let count =
        |pointer| details.pointer(pointer).and_then(Value::as_u64).and_then(|n| usize::try_from(n).ok());
    let (passed, failed) = (count("/dials/count")?, count("/dials_failed")?);
    let made = passed.checked_add(failed).filter(|made| *made > 0 && passed * 2 >= *made)?;
    let name = details.get("transport").and_then(Value::as_str).unwrap_or("a transport");
    let rate = details.pointer("/down/kbps").and_then(Value::as_f64);
    let rate = rate.map(|kbps| format!(", {} kbit/s down", number(kbps))).unwrap_or_default();
    let what = format!("your bridge, by {name}{rate}");
    Some(Works { what, passed, made, score: wilson_low(passed, made), limits: Vec::new() })
}

/// Every limit of these ways once, with the mark that points at it.
pub(crate) fn legend(works: &[Works]) -> Vec<(char, &str)> {
    let mut limits: Vec<&str> = Vec::new();
    for limit in works.iter().flat_map(|way| &way.limits) {
        if !limits.contains(&limit.as_str()) {
            limits.push(limit);
        }
    }
    ['¹', '²', '³', '⁴', '⁵', '⁶', '⁷', '⁸', '⁹'].into_iter().zip(limits).collect()
}

/// Lower end of the Wilson interval of a success rate.
#[allow(clippy::cast_precision_loss, reason = "trials are far fewer than 2^53")]
fn wilson_low(passed: usize, made: usize) -> f64 {
    if made == 0 {
        return 0.0;
    }
    let (rate, made, square) = (passed as f64 / made as f64, made as f64, Z_95 * Z_95);
    let middle = rate + square / (2.0 * made);
    let reach = Z_95 * (rate * (1.0 - rate) / made + square / (4.0 * made * made)).sqrt();
    ((middle - reach) / (1.0 + square / made)).max(0.0)
}

fn is_way(series: &Series) -> bool {
    let condition = &series.condition;
    let abroad = matches!(condition.server, ServerKind::Foreign | ServerKind::ForeignOther | ServerKind::Cdn);
    let meant = !matches!(condition.payload, Payload::Nothing | Payload::QuicUnknown | Payload::VpnSized);
    abroad && meant && condition.parallel == 1
}

fn words((protocol, payload, fingerprint, name, port): Way) -> String {
    let mut words = match payload {
        Payload::Request => "web over TLS".to_owned(),
        Payload::Hello => "TLS".to_owned(),
        Payload::HelloEch => "TLS with an encrypted hello".to_owned(),
        Payload::Random => "bytes that look random (Shadowsocks and the like)".to_owned(),
        Payload::TlsRecord => "random bytes inside TLS records".to_owned(),
        Payload::Text => "plain text".to_owned(),
        Payload::Ssh => "SSH".to_owned(),
        Payload::Http => "HTTP without TLS".to_owned(),
        Payload::QuicV1 => "QUIC".to_owned(),
        Payload::DatagramSmall => "small datagrams".to_owned(),
        Payload::DatagramLarge => "large datagrams".to_owned(),
        Payload::WireGuard => "WireGuard".to_owned(),
        Payload::OpenVpn => "OpenVPN".to_owned(),
        Payload::Dtls => "DTLS".to_owned(),
        Payload::Download => "long downloads".to_owned(),
        Payload::Upload => "long uploads".to_owned(),
        Payload::Trickle => "long idle-looking connections".to_owned(),
        other => format!("{protocol}: {other}"),
    };
    let look = fingerprint.map(|fingerprint| match fingerprint {
        Fingerprint::ChromeCurrent => "like a current Chrome".to_owned(),
        Fingerprint::ChromeStale => "like an old Chrome".to_owned(),
        Fingerprint::Firefox => "like Firefox".to_owned(),
        Fingerprint::CurlLike => "like a program".to_owned(),
        other => format!("like {other}"),
    });
    let named = name.and_then(|name| match name {
        NameClass::Blocked => Some("with a name believed blocked"),
        NameClass::Empty => Some("without a name"),
        NameClass::Random => Some("with a name nobody knows"),
        _ => None,
    });
    for part in look.as_deref().into_iter().chain(named) {
        words.push_str(", ");
        words.push_str(part);
    }
    if port != PortClass::High {
        words.push_str(", port ");
        words.push_str(port.as_str());
    }
    words
}

/// What was found that touches this way.
fn limits((protocol, payload, ..): Way, findings: &[Finding]) -> Vec<String> {
    let mut limits = Vec::new();
    let stream = matches!(protocol, Protocol::Tcp | Protocol::Tls);
    for finding in findings {
        let thresholds = &finding.thresholds;
        match &*finding.verdict_id {
            ids::FLOW_FREEZE_PACKETS if payload != Payload::Ssh => {
                let after =
                    thresholds.packets.map(|spread| format!(" after {} packets", number(spread.median)));
                limits.push(format!("each flow freezes{}", after.unwrap_or_default()));
            }
            ids::FLOW_FREEZE if payload != Payload::Ssh => {
                let after = thresholds.bytes.map(|spread| format!(" after {} bytes", number(spread.median)));
                limits.push(format!("each flow freezes{}", after.unwrap_or_default()));
            }
            ids::CONN_PARALLEL_LIMIT if stream && protocol == Protocol::Tls => {
                let most =
                    thresholds.conns.map(|spread| format!("at most {} at once", number(spread.median)));
                limits.push(most.unwrap_or_else(|| "few connections at once".to_owned()));
            }
            _ => {}
        }
    }
    limits.sort();
    limits.dedup();
    limits
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_trials_do_not_score_high() {
        assert!(wilson_low(0, 0).abs() < f64::EPSILON);
        assert!(wilson_low(2, 2) < wilson_low(17, 17));
        assert!(wilson_low(16, 17) < wilson_low(17, 17));
        // Wilson (1927) for 8 of 10: 0.490 to 0.943, as any table of it says.
        assert!((wilson_low(8, 10) - 0.490).abs() < 0.001);
    }
}
