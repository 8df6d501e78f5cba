//! QUIC handshakes: with an innocent name, with one believed blocked; and datagrams of the same size and port that no
//! filter for QUIC version 1 can mean.

use std::sync::Arc;

use commucat_verdict::{
    ControlKind,
    observations::{
        Condition, NameClass, Observations, Payload, PortClass, Protocol, Series, ServerKind, Subtest,
    },
};
use tokio::time::Instant;

use super::{MethodError, Outcome};
use crate::{
    safety::Risk,
    trial::{
        Bench, Carrier, datagram,
        experiment::{Arm, experiment},
        quic::{self, PortOrder},
    },
};

/// Handshakes at a time.
const CONCURRENCY: usize = 3;

/// Handshakes that nobody has a reason to stop for their name.
pub(crate) async fn harmless(bench: &Arc<Bench>, until: Instant) -> Result<Outcome, MethodError> {
    let server = bench.server(ServerKind::Foreign).filter(|server| !server.quic.is_empty());
    let Some(server) = server else {
        return Err(MethodError::NoTarget { kind: ServerKind::Foreign, what: "quic ports" });
    };
    let mut arms = Vec::new();
    for class in [PortClass::Https, PortClass::High] {
        if server.quic.of_class(class).next().is_none() {
            continue;
        }
        let condition =
            |payload| Condition::new(Subtest::Quic, Protocol::Quic, ServerKind::Foreign, payload).port(class);
        arms.push(handshake_arm(bench, condition(Payload::QuicV1).name(NameClass::Innocent), None));
        arms.push(unknown_arm(bench, condition(Payload::QuicUnknown)));
    }
    if let Some(domestic) = bench.server(ServerKind::Domestic)
        && let Some(class) = domestic.quic.iter().next().map(crate::targets::class_of)
    {
        let condition = Condition::new(Subtest::Quic, Protocol::Quic, ServerKind::Domestic, Payload::QuicV1);
        let condition = condition.name(NameClass::Innocent).port(class);
        arms.push(handshake_arm(bench, condition, Some(ControlKind::Domestic)));
    }
    Ok(measure(bench, arms, until).await)
}

/// Handshakes with a name believed blocked.
pub(crate) async fn blocked(bench: &Arc<Bench>, until: Instant) -> Result<Outcome, MethodError> {
    if bench.targets.names.blocked.is_empty() {
        return Err(MethodError::Lacks { what: "names believed blocked here: add them to [names] blocked" });
    }
    bench.targets.consent.check(Risk::Medium, "a QUIC handshake with a name believed blocked")?;
    let server = bench.server(ServerKind::Foreign).filter(|server| !server.quic.is_empty());
    let Some(server) = server else {
        return Err(MethodError::NoTarget { kind: ServerKind::Foreign, what: "quic ports" });
    };
    // High ports first: there are several, so that each trial can have one of its own.
    let class = [PortClass::High, PortClass::Https]
        .into_iter()
        .find(|class| server.quic.of_class(*class).next().is_some())
        .unwrap_or(PortClass::High);
    let condition = Condition::new(Subtest::Quic, Protocol::Quic, ServerKind::Foreign, Payload::QuicV1)
        .name(NameClass::Blocked)
        .port(class);
    let mut outcome = measure(bench, vec![handshake_arm(bench, condition.clone(), None)], until).await;
    let random = condition.clone().name(NameClass::Random);
    let mut after = vec![handshake_arm(bench, random, Some(ControlKind::SameServer))];
    if class == PortClass::High && outcome.observations.series.iter().any(Series::blocked) {
        let low = Condition { payload: Payload::QuicLowSource, ..condition };
        after.push(handshake_arm(bench, low, None));
    }
    outcome.absorb(measure(bench, after, until).await);
    Ok(outcome)
}

/// Both.
pub(crate) async fn run(bench: &Arc<Bench>, until: Instant) -> Result<Outcome, MethodError> {
    let mut outcome = harmless(bench, until).await?;
    match blocked(bench, until).await {
        Ok(more) => outcome.absorb(more),
        Err(refused) => outcome.left_out.push(refused.to_string()),
    }
    Ok(outcome)
}

fn handshake_arm(bench: &Arc<Bench>, condition: Condition, control: Option<ControlKind>) -> Arm {
    let bench = Arc::clone(bench);
    Arm::new(condition, control, move |condition| {
        let bench = Arc::clone(&bench);
        async move {
            let name = bench.name(condition.name?)?;
            let address = bench.port(condition.server, Carrier::Quic, condition.port)?;
            let low = condition.payload == Payload::QuicLowSource;
            let order = if low { PortOrder::NotAbove } else { PortOrder::Above };
            Some(quic::handshake(&bench, address, name.as_deref(), order).await)
        }
    })
}

fn unknown_arm(bench: &Arc<Bench>, condition: Condition) -> Arm {
    let bench = Arc::clone(bench);
    Arm::new(condition, Some(ControlKind::SameServer), move |condition| {
        let bench = Arc::clone(&bench);
        async move {
            let address = bench.port(condition.server, Carrier::Quic, condition.port)?;
            let datagram = quic::unknown_version(&mut bench.rng());
            let wanted = quic::is_version_negotiation;
            Some(datagram::ask(&bench, Carrier::Quic, address, &datagram, wanted).await)
        }
    })
}

async fn measure(bench: &Arc<Bench>, arms: Vec<Arm>, until: Instant) -> Outcome {
    let (series, cut) = experiment(bench, arms, CONCURRENCY, until).await;
    Outcome { observations: Observations { series, ..Observations::default() }, cut, left_out: Vec::new() }
}
