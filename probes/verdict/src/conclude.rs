//! From observations to findings. No clock, no socket: equal observations give equal findings.
//!
//! # Rules
//! * A finding needs its control: without one that passed there is no finding, or `inconclusive`.
//! * The more specific finding stands in for the more general one: where only listed addresses answer, nothing is said
//!   of the hellos and datagrams that did not arrive there.
//! * One failed trial is no finding. Series are decided by their sequential test, transfers and limits by repeats.

mod dns;
mod flow;
mod net;
mod proto;
mod quic;
mod tls;
mod udp;
mod view;

use crate::{Finding, ids, observations::Observations};

/// Names the mechanisms that the observations show. Empty when nothing was found.
pub fn conclude(observations: &Observations) -> Vec<Finding> {
    let names = dns::findings(observations);
    let surroundings = net::findings(observations);
    if surroundings.iter().any(explains_everything) {
        return surroundings.into_iter().chain(names).collect();
    }
    let shutdown = surroundings.iter().any(|finding| finding.verdict_id == ids::NET_SHUTDOWN);
    let mut findings = surroundings;
    findings.extend(names);
    findings.extend(tls::findings(observations));
    if !shutdown {
        findings.extend(quic::findings(observations));
        findings.extend(udp::findings(observations));
        findings.extend(proto::findings(observations));
    }
    findings.extend(flow::findings(observations));
    findings
}

/// Whether nothing else that was observed can mean anything beside this.
fn explains_everything(finding: &Finding) -> bool {
    matches!(
        &*finding.verdict_id,
        ids::NET_DOWN | ids::NET_CAPTIVE | ids::NET_WHITELIST | ids::IP_BLOCKED | ids::INCONCLUSIVE
    )
}
