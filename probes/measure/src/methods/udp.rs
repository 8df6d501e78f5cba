//! Datagrams: harmless ones of two sizes, and the shapes by which VPN protocols are known, beside random ones of the
//! same sizes.

mod shapes;

use std::sync::Arc;

use commucat_verdict::{
    ControlKind,
    observations::{Condition, Observations, Payload, Protocol, ServerKind, Subtest},
};
use tokio::time::Instant;

use super::{MethodError, Outcome};
use crate::trial::{
    Bench, Carrier, datagram,
    experiment::{Arm, experiment},
};

/// Flows at a time.
const CONCURRENCY: usize = 6;

/// Sends everything once and as often as the tests need.
pub(crate) async fn run(bench: &Arc<Bench>, until: Instant) -> Result<Outcome, MethodError> {
    if bench.any_port(ServerKind::Foreign, Carrier::Udp).is_none() {
        return Err(MethodError::NoTarget { kind: ServerKind::Foreign, what: "udp ports" });
    }
    let payloads = [
        (Payload::DatagramSmall, None),
        (Payload::DatagramLarge, None),
        (Payload::VpnSized, Some(ControlKind::SameServer)),
        (Payload::WireGuard, None),
        (Payload::OpenVpn, None),
        (Payload::Dtls, None),
    ];
    let mut arms: Vec<Arm> = payloads
        .into_iter()
        .map(|(payload, control)| arm(bench, ServerKind::Foreign, payload, control))
        .collect();
    for (kind, control) in
        [(ServerKind::Domestic, ControlKind::Domestic), (ServerKind::ForeignOther, ControlKind::Unrelated)]
    {
        if bench.any_port(kind, Carrier::Udp).is_some() {
            arms.push(arm(bench, kind, Payload::DatagramSmall, Some(control)));
        }
    }
    let (series, cut) = experiment(bench, arms, CONCURRENCY, until).await;
    Ok(Outcome {
        observations: Observations { series, ..Observations::default() },
        cut,
        left_out: Vec::new(),
    })
}

fn arm(bench: &Arc<Bench>, kind: ServerKind, payload: Payload, control: Option<ControlKind>) -> Arm {
    let condition = Condition::new(Subtest::Udp, Protocol::Udp, kind, payload);
    let bench = Arc::clone(bench);
    Arm::new(condition, control, move |condition| {
        let bench = Arc::clone(&bench);
        async move {
            let address = bench.any_port(condition.server, Carrier::Udp)?;
            let datagrams = shapes::datagrams(condition.payload, &mut bench.rng());
            Some(datagram::echo(&bench, address, &datagrams).await)
        }
    })
}
