//! QUIC: every handshake, or those with one name.

use commucat_transport_api::Phase;

use super::view::{all, is_on, line, usual_failure};
use crate::{
    Confidence, Finding, ids,
    observations::{NameClass, Observations, Payload, PortClass, Series, ServerKind, Subtest},
};

const CLASSES: [PortClass; 2] = [PortClass::Https, PortClass::High];

pub(super) fn findings(observations: &Observations) -> Vec<Finding> {
    [every(observations), name(observations)].into_iter().flatten().collect()
}

fn cell(
    observations: &Observations,
    class: PortClass,
    payload: Payload,
    name: Option<NameClass>,
) -> Option<&Series> {
    all(observations, Subtest::Quic, move |condition| {
        is_on(condition, ServerKind::Foreign, payload, class) && condition.name == name
    })
    .find(|series| series.made() > 0)
}

/// Handshakes fail where datagrams of the same size to the same port are answered.
fn every(observations: &Observations) -> Option<Finding> {
    let (stopped, control) = CLASSES.into_iter().find_map(|class| {
        let stopped = cell(observations, class, Payload::QuicV1, Some(NameClass::Innocent))?;
        let control = cell(observations, class, Payload::QuicUnknown, None)?;
        // A handshake that succeeds and then falls silent is another matter: a freeze, for example.
        let at_once = usual_failure(stopped).is_some_and(|(phase, _)| phase <= Phase::Handshake);
        (stopped.blocked() && at_once && control.passes()).then_some((stopped, control))
    })?;
    let domestic = all(observations, Subtest::Quic, |condition| condition.server == ServerKind::Domestic);
    let domestic: Vec<&Series> = domestic.filter(|one| one.passes()).collect();
    let confidence = if domestic.is_empty() { Confidence::Likely } else { Confidence::Certain };
    let line = line([stopped], [control].into_iter().chain(domestic));
    Some(Finding::new(ids::QUIC_DROP, Subtest::Quic, confidence, line).hint("quic-len-tspu"))
}

/// Handshakes with a name believed blocked fail, with an innocent one they do not.
fn name(observations: &Observations) -> Option<Finding> {
    let (stopped, control) = CLASSES.into_iter().find_map(|class| {
        let stopped = cell(observations, class, Payload::QuicV1, Some(NameClass::Blocked))?;
        let control = cell(observations, class, Payload::QuicV1, Some(NameClass::Innocent))?;
        (stopped.blocked() && control.passes()).then_some((stopped, control))
    })?;
    let after = all(observations, Subtest::Quic, |condition| condition.name == Some(NameClass::Random));
    let after: Vec<&Series> = after.filter(|one| one.passes()).collect();
    // Where the source port decides, the name passes from one that is not above the server's.
    let low = all(observations, Subtest::Quic, |condition| condition.payload == Payload::QuicLowSource);
    let low: Vec<&Series> = low.filter(|one| one.passes()).collect();
    let confidence = if after.is_empty() { Confidence::Likely } else { Confidence::Certain };
    let line = line([stopped], [control].into_iter().chain(after).chain(low));
    Some(Finding::new(ids::QUIC_SNI, Subtest::Quic, confidence, line).hint("quic-sni-gfw"))
}
