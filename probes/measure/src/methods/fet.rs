//! First payloads that look like nothing: random bytes, beside the same behind the head of a TLS record. A blocker that
//! rolls dice needs many flows; each has a port of its own, since the port is punished.

use std::sync::Arc;

use commucat_dissect::fet;
use commucat_verdict::{
    ControlKind,
    observations::{Condition, Observations, Payload, Protocol, ServerKind, Subtest},
};
use tokio::time::Instant;

use super::{MethodError, Outcome};
use crate::{
    safety::Risk,
    stats::Hypothesis,
    trial::{
        Bench, Carrier,
        experiment::{Arm, experiment},
        tcp,
    },
};

/// Probability with which the blocker known to do this acts (Wu et al. 2023).
const BLOCKED_SHARE: f64 = 0.263;
/// Flows at a time. None shares a port with another.
const CONCURRENCY: usize = 10;
/// Most flows with random bytes.
const TRIALS_MAX: usize = 48;
/// Most flows of a control.
const CONTROL_TRIALS_MAX: usize = 24;
/// Sizes of the first payload, in bytes.
const SIZES: std::ops::Range<usize> = 200..400;
/// Payload after the first, in bytes: what follows is dropped, the first may pass.
const SECOND: usize = 64;
/// The head of an application data record (RFC 8446 §5.1), which the rule exempts.
const RECORD_HEAD: [u8; 3] = [0x17, 0x03, 0x03];

/// Sends random first payloads until it is clear.
pub(crate) async fn run(bench: &Arc<Bench>, until: Instant) -> Result<Outcome, MethodError> {
    bench.targets.consent.check(Risk::Medium, "a first payload that looks encrypted")?;
    let mut arms = Vec::new();
    let plans = [
        (ServerKind::Foreign, Payload::Random, None),
        (ServerKind::Foreign, Payload::TlsRecord, Some(ControlKind::SameServer)),
        (ServerKind::Domestic, Payload::Random, Some(ControlKind::Domestic)),
    ];
    for (kind, payload, control) in plans {
        if bench.any_port(kind, Carrier::Tcp).is_none() {
            continue;
        }
        let condition = Condition::new(Subtest::Fet, Protocol::Tcp, kind, payload);
        let shared = Arc::clone(bench);
        let mut arm = Arm::new(condition, control, move |condition| {
            let bench = Arc::clone(&shared);
            async move {
                let address = bench.lend(condition.server).await?;
                let messages = messages(condition.payload, &mut bench.rng());
                let trial = tcp::echo(&bench, address, &messages).await;
                bench.give_back(condition.server, address, &trial);
                Some(trial)
            }
        });
        if payload == Payload::Random && control.is_none() {
            arm.hypothesis = Hypothesis::Sometimes(BLOCKED_SHARE);
            arm.most = TRIALS_MAX;
            arm.at_once = CONCURRENCY;
        } else {
            arm.hypothesis = Hypothesis::Sometimes(2.0 * BLOCKED_SHARE);
            arm.most = CONTROL_TRIALS_MAX;
            arm.at_once = CONCURRENCY / 2;
        }
        arms.push(arm);
    }
    let (series, cut) = experiment(bench, arms, CONCURRENCY + 2, until).await;
    Ok(Outcome {
        observations: Observations { series, ..Observations::default() },
        cut,
        left_out: Vec::new(),
    })
}

fn messages(payload: Payload, rng: &mut fastrand::Rng) -> Vec<Vec<u8>> {
    let mut first = fully_encrypted(rng);
    if payload == Payload::TlsRecord {
        first.splice(..RECORD_HEAD.len(), RECORD_HEAD);
    }
    let mut second = vec![0; SECOND];
    second.fill_with(|| rng.u8(..));
    vec![first, second]
}

/// Random bytes that no exemption of the known rule covers.
pub(crate) fn fully_encrypted(rng: &mut fastrand::Rng) -> Vec<u8> {
    loop {
        let mut bytes = vec![0; rng.usize(SIZES)];
        bytes.fill_with(|| rng.u8(..));
        if fet::exemption(&bytes).is_none() {
            return bytes;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_payloads_are_what_they_claim() {
        let mut rng = fastrand::Rng::with_seed(1);
        for _flow in 0..50 {
            let random = messages(Payload::Random, &mut rng);
            assert_eq!(fet::exemption(&random[0]), None);
            let record = messages(Payload::TlsRecord, &mut rng);
            assert!(fet::exemption(&record[0]).is_some());
        }
    }
}
