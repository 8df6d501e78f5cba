//! Datagrams: all of them, or those that look like a VPN.

use super::view::{all, blocked, foreign_answers, is, line, passes};
use crate::{
    Confidence, Finding, ids,
    observations::{Observations, Payload, Series, ServerKind, Subtest},
};

const SHAPES: [Payload; 3] = [Payload::WireGuard, Payload::OpenVpn, Payload::Dtls];

pub(super) fn findings(observations: &Observations) -> Vec<Finding> {
    everything(observations).or_else(|| shapes(observations)).into_iter().collect()
}

/// No harmless datagram comes back, although the same server answers over TCP.
fn everything(observations: &Observations) -> Option<Finding> {
    let small =
        blocked(observations, Subtest::Udp, |one| is(one, ServerKind::Foreign, Payload::DatagramSmall))?;
    if !foreign_answers(observations)
        || passes(observations, Subtest::Udp, |one| one.server == ServerKind::Foreign)
    {
        return None;
    }
    let tcp =
        all(observations, Subtest::Env, |one| one.server == ServerKind::Foreign).find(|one| one.passes());
    let domestic = all(observations, Subtest::Udp, |one| one.server == ServerKind::Domestic);
    let domestic: Vec<&Series> = domestic.filter(|one| one.passes()).collect();
    let confidence = if domestic.is_empty() { Confidence::Likely } else { Confidence::Certain };
    let line = line([small], tcp.into_iter().chain(domestic));
    Some(Finding::new(ids::UDP_BLOCKED, Subtest::Udp, confidence, line).hint("udp-off"))
}

/// A shape does not pass, random datagrams of the same sizes do.
fn shapes(observations: &Observations) -> Option<Finding> {
    let control = all(observations, Subtest::Udp, |one| is(one, ServerKind::Foreign, Payload::VpnSized))
        .find(|one| one.passes())?;
    let stopped: Vec<&Series> = SHAPES
        .into_iter()
        .filter_map(|shape| {
            blocked(observations, Subtest::Udp, move |one| is(one, ServerKind::Foreign, shape))
        })
        .collect();
    if stopped.is_empty() {
        return None;
    }
    let finding =
        Finding::new(ids::PROTO_VPN_SIGNATURE, Subtest::Udp, Confidence::Certain, line(stopped, [control]));
    Some(finding.hint("vpn-sig"))
}
