//! What holds for the whole network: nothing answers, only chosen addresses answer, only a few ports are left.

use commucat_transport_api::{Phase, Signal};

use super::view::{
    all, domestic_answers, foreign_answers, line, never_opens, passes, told_all, usual_failure, was_answered,
};
use crate::{
    Confidence, Finding, ids,
    observations::{Observations, Payload, PortClass, Series, ServerKind, Subtest},
};

pub(super) fn findings(observations: &Observations) -> Vec<Finding> {
    let asked: Vec<&Series> =
        all(observations, Subtest::Env, |_| true).filter(|one| one.made() > 0).collect();
    let Some(environment) = &observations.environment else {
        return Vec::new();
    };
    let certainly_down = environment.routed == Some(false) && !asked.iter().any(|one| one.passes());
    if certainly_down {
        let line = format!("this machine has no route to the control servers; {}", told_all(asked));
        return vec![Finding::new(ids::NET_DOWN, Subtest::Env, Confidence::Certain, line)];
    }
    if asked.is_empty() {
        return Vec::new();
    }
    if environment.captive && !foreign_answers(observations) {
        let line = format!("something else answers and asks for a login; {}", told_all(asked));
        return vec![Finding::new(ids::NET_CAPTIVE, Subtest::Env, Confidence::Likely, line)];
    }
    if foreign_answers(observations) {
        return ports(observations);
    }
    nobody_abroad(observations, &asked).into_iter().collect()
}

/// The foreign control server answers on no port.
fn nobody_abroad(observations: &Observations, asked: &[&Series]) -> Option<Finding> {
    let of = |kind: ServerKind| asked.iter().copied().filter(move |one| one.condition.server == kind);
    let foreign: Vec<&Series> = of(ServerKind::Foreign).collect();
    if !foreign.iter().any(|one| one.blocked()) {
        return None;
    }
    let finding = |id, confidence, line| Finding::new(id, Subtest::Env, confidence, line);
    let others: Vec<&Series> = of(ServerKind::ForeignOther).chain(cdn(observations)).collect();
    if others.iter().any(|one| one.passes()) {
        // A server that is off looks the same from here, so this stays open.
        let line = line(foreign, others.into_iter().filter(|one| one.passes()));
        return Some(finding(ids::IP_BLOCKED, Confidence::Open, line));
    }
    let heard = asked.iter().flat_map(|one| &one.trials).any(was_answered)
        || observations.lookups.iter().any(|lookup| !lookup.answers.is_empty());
    if domestic_answers(observations) {
        let domestic: Vec<&Series> = of(ServerKind::Domestic).filter(|one| one.passes()).collect();
        let line = line(foreign.into_iter().chain(others.iter().copied()), domestic);
        if others.iter().any(|one| one.blocked()) {
            let whitelist = finding(ids::NET_WHITELIST, Confidence::Certain, line);
            return Some(whitelist.hint("ru-mobile-wl").hint("ir-wl-2026"));
        }
        let open = finding(ids::INCONCLUSIVE, Confidence::Open, line);
        return Some(open.between(&[ids::NET_WHITELIST, ids::IP_BLOCKED]));
    }
    let asked_domestic = of(ServerKind::Domestic).any(Series::blocked);
    let line = told_all(asked.iter().copied());
    if asked_domestic && !heard {
        return Some(finding(ids::NET_DOWN, Confidence::Likely, line));
    }
    let between: &[&str] =
        if heard { &[ids::NET_WHITELIST, ids::IP_BLOCKED] } else { &[ids::NET_DOWN, ids::NET_WHITELIST] };
    Some(finding(ids::INCONCLUSIVE, Confidence::Open, line).between(between))
}

fn cdn(observations: &Observations) -> impl Iterator<Item = &Series> {
    all(observations, Subtest::Ech, |condition| condition.payload == Payload::Hello)
}

/// The foreign control server answers, but not on every port.
fn ports(observations: &Observations) -> Vec<Finding> {
    let on = |class: PortClass| {
        move |one: &&Series| one.condition.server == ServerKind::Foreign && one.condition.port == class
    };
    let env = || all(observations, Subtest::Env, |_| true);
    let high = env().find(on(PortClass::High));
    let https = env().find(on(PortClass::Https));
    let (Some(high), Some(https)) = (high, https) else {
        return Vec::new();
    };
    if high.blocked() && https.passes() && never_opens(high) && !refused(high) {
        return vec![shutdown_or_timeout(observations, high, https)];
    }
    if https.blocked() && high.passes() && never_opens(https) {
        let id = match usual_failure(https) {
            Some((Phase::Connect, Signal::Reset)) => ids::TCP_RST,
            // One packet says both "nobody listens" and "go away": a reset to a SYN is a refusal.
            Some((_, Signal::Refused)) => ids::TCP_RST,
            _ => ids::TCP_TIMEOUT,
        };
        let finding = Finding::new(id, Subtest::Env, Confidence::Likely, line([https], [high]));
        return vec![if id == ids::TCP_RST { finding.hint("p443-rst") } else { finding }];
    }
    Vec::new()
}

fn refused(series: &Series) -> bool {
    matches!(usual_failure(series), Some((_, Signal::Refused | Signal::Reset)))
}

fn shutdown_or_timeout(observations: &Observations, high: &Series, https: &Series) -> Finding {
    let udp: Vec<&Series> =
        all(observations, Subtest::Udp, |condition| condition.server == ServerKind::Foreign).collect();
    let domestic = all(observations, Subtest::Env, |condition| {
        condition.server == ServerKind::Domestic && condition.port == PortClass::High
    });
    let domestic: Vec<&Series> = domestic.filter(|one| one.passes()).collect();
    let web = passes(observations, Subtest::Allowlist, |condition| {
        condition.server == ServerKind::Foreign
            && condition.port == PortClass::Http
            && condition.payload == Payload::Http
    });
    let datagrams_dead = udp.iter().any(|one| one.blocked()) && !udp.iter().any(|one| one.passes());
    let controls = [https].into_iter().chain(domestic.iter().copied());
    if !udp.is_empty() && !datagrams_dead {
        let line = line([high], controls);
        return Finding::new(ids::TCP_TIMEOUT, Subtest::Env, Confidence::Likely, line);
    }
    let small = udp.iter().copied().find(|one| one.condition.payload == Payload::DatagramSmall);
    let line = line([high].into_iter().chain(small), controls);
    let certain = datagrams_dead && (web || !domestic.is_empty());
    let confidence = if certain { Confidence::Certain } else { Confidence::Likely };
    Finding::new(ids::NET_SHUTDOWN, Subtest::Allowlist, confidence, line).hint("ir-blackout-2025")
}
