//! Hellos: fingerprint × name, on the control server. The name and the look are all that differs.

use std::sync::Arc;

use commucat_verdict::{
    ControlKind,
    observations::{Condition, Fingerprint, NameClass, Observations, Payload, Protocol, ServerKind, Subtest},
};
use tokio::time::Instant;

use super::{MethodError, Outcome};
use crate::{
    safety::Risk,
    trial::{
        Bench, Carrier,
        experiment::{Arm, experiment},
        hello, tcp,
    },
};

/// Hellos at a time. Few: some networks count handshakes beside each other.
const CONCURRENCY: usize = 3;

const FINGERPRINTS: [Fingerprint; 4] =
    [Fingerprint::ChromeCurrent, Fingerprint::Firefox, Fingerprint::CurlLike, Fingerprint::ChromeStale];

/// Cells of the matrix that `quick` leaves out: they would cost handshakes that some networks count, and decide
/// nothing that the others do not.
const fn is_quick(fingerprint: Fingerprint, name: NameClass) -> bool {
    match fingerprint {
        Fingerprint::ChromeCurrent => true,
        Fingerprint::CurlLike => matches!(name, NameClass::Innocent | NameClass::Blocked),
        _ => matches!(name, NameClass::Innocent),
    }
}

/// Hellos that nobody has a reason to stop for their name.
pub(crate) async fn harmless(
    bench: &Arc<Bench>,
    until: Instant,
    quick: bool,
) -> Result<Outcome, MethodError> {
    let names = [NameClass::Innocent, NameClass::Empty, NameClass::Random];
    let mut arms = arms(bench, &names, quick);
    if bench.server(ServerKind::Domestic).is_some() {
        let condition = condition(ServerKind::Domestic, Fingerprint::ChromeCurrent, NameClass::Innocent);
        arms.push(arm(bench, condition, Some(ControlKind::Domestic)));
    }
    Ok(measure(bench, arms, until).await)
}

/// Hellos with names believed blocked, and afterwards an innocent one: does the server still answer?
pub(crate) async fn blocked(bench: &Arc<Bench>, until: Instant, quick: bool) -> Result<Outcome, MethodError> {
    if bench.targets.names.blocked.is_empty() {
        return Err(MethodError::Lacks { what: "names believed blocked here: add them to [names] blocked" });
    }
    bench.targets.consent.check(Risk::Medium, "a hello with a name believed blocked")?;
    let mut outcome = measure(bench, arms(bench, &[NameClass::Blocked], quick), until).await;
    let after = condition(ServerKind::Foreign, Fingerprint::CurlLike, NameClass::Random);
    outcome.absorb(measure(bench, vec![arm(bench, after, Some(ControlKind::SameServer))], until).await);
    Ok(outcome)
}

/// The whole matrix.
pub(crate) async fn run(bench: &Arc<Bench>, until: Instant) -> Result<Outcome, MethodError> {
    let mut outcome = harmless(bench, until, false).await?;
    match blocked(bench, until, false).await {
        Ok(more) => outcome.absorb(more),
        Err(refused) => outcome.left_out.push(refused.to_string()),
    }
    Ok(outcome)
}

fn arms(bench: &Arc<Bench>, names: &[NameClass], quick: bool) -> Vec<Arm> {
    let mut arms = Vec::new();
    for fingerprint in FINGERPRINTS {
        for name in names.iter().copied().filter(|name| !quick || is_quick(fingerprint, *name)) {
            arms.push(arm(bench, condition(ServerKind::Foreign, fingerprint, name), None));
        }
    }
    arms
}

const fn condition(server: ServerKind, fingerprint: Fingerprint, name: NameClass) -> Condition {
    Condition::new(Subtest::Tls, Protocol::Tls, server, Payload::Hello).fingerprint(fingerprint).name(name)
}

/// An arm that sends hellos.
pub(crate) fn arm(bench: &Arc<Bench>, condition: Condition, control: Option<ControlKind>) -> Arm {
    let bench = Arc::clone(bench);
    Arm::new(condition, control, move |condition| {
        let bench = Arc::clone(&bench);
        async move {
            let name = bench.name(condition.name?)?;
            let built = hello::build(condition.fingerprint?, name, hello::Ech::AsUsual, &mut bench.rng())?;
            let address = bench.any_port(condition.server, Carrier::Tcp)?;
            Some(tcp::hello(&bench, address, &built).await)
        }
    })
}

async fn measure(bench: &Arc<Bench>, arms: Vec<Arm>, until: Instant) -> Outcome {
    let (series, cut) = experiment(bench, arms, CONCURRENCY, until).await;
    Outcome { observations: Observations { series, ..Observations::default() }, cut, left_out: Vec::new() }
}
