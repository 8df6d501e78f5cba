//! Slowed flows: the rate with a name believed blocked and with an innocent one, from the same server, beside each
//! other and repeated.

use std::{sync::Arc, time::Duration};

use commucat_verdict::observations::{
    Condition, Counting, Direction, Limit, NameClass, Payload, Protocol, RateComparison, ServerKind, Subtest,
    Transfer, Unit,
};
use tokio::time::Instant;

use super::{
    MethodError, Outcome,
    freeze::transfer::{self, Order},
};
use crate::{
    progress::Event,
    safety::Risk,
    stats,
    trial::{Bench, Carrier},
};

/// Ratio of rates below which a flow counts as slowed.
const RATIO_THRESHOLD: f64 = 0.5;
/// Turns.
const TURNS: usize = 5;
/// Bytes of one transfer, and the longest time for it.
const QUICK_BYTES: u64 = 128 * 1024;
const QUICK_TIME: Duration = Duration::from_millis(1_000);
const FULL_BYTES: u64 = 1024 * 1024;
const FULL_TIME: Duration = Duration::from_secs(5);
/// Transfers that measure the rate that is left, once a flow is known to be slowed: as many, as long, and how much of
/// the beginning does not count, because a policer lets a burst through.
const RATE_REPEATS: usize = 3;
const RATE_TIME: Duration = Duration::from_secs(6);
const RATE_BYTES: u64 = 8 * 1024 * 1024;
const RATE_WARMUP: Duration = Duration::from_millis(1_500);
/// Headers of IPv4 and TCP with timestamps, in bytes: a policer counts whole packets.
const HEADERS: f64 = 52.0;
/// Payload of a full segment, in bytes.
const SEGMENT: f64 = 1448.0;

/// Compares, and measures what is left where there is a difference.
pub(crate) async fn run(bench: &Arc<Bench>, until: Instant, quick: bool) -> Result<Outcome, MethodError> {
    if bench.targets.names.blocked.is_empty() {
        return Err(MethodError::Lacks { what: "names believed blocked here: add them to [names] blocked" });
    }
    bench.targets.consent.check(Risk::Medium, "a transfer with a name believed blocked")?;
    if bench.any_port(ServerKind::Foreign, Carrier::Tcp).is_none() {
        return Err(MethodError::NoTarget { kind: ServerKind::Foreign, what: "tcp ports" });
    }
    let mut outcome = Outcome::default();
    let (mut suspect, mut control) = (Vec::new(), Vec::new());
    let (bytes, time) = if quick { (QUICK_BYTES, QUICK_TIME) } else { (FULL_BYTES, FULL_TIME) };
    for _turn in 0..TURNS {
        // Beside each other, so that both meet the same network.
        let (innocent, blocked) = tokio::join!(
            perform(bench, NameClass::Innocent, bytes, time, until),
            perform(bench, NameClass::Blocked, bytes, time, until),
        );
        let (Some(innocent), Some(blocked)) = (innocent, blocked) else {
            outcome.cut = Instant::now() >= until;
            return Ok(outcome);
        };
        // Stopped, not slowed: that is another subtest's observation.
        let stopped = innocent.failure.is_some() || blocked.failure.is_some();
        control.extend(rate(&innocent, Duration::ZERO));
        suspect.extend(rate(&blocked, Duration::ZERO));
        outcome.observations.transfers.extend([innocent, blocked]);
        if stopped {
            return Ok(outcome);
        }
    }
    let Some(ratio) = stats::ratio_of_medians(&suspect, &control, &mut bench.rng()) else {
        return Ok(outcome);
    };
    outcome.observations.rates.push(RateComparison {
        suspect: condition(NameClass::Blocked),
        control: condition(NameClass::Innocent),
        suspect_kbps: suspect,
        control_kbps: control,
        ratio,
        threshold: RATIO_THRESHOLD,
    });
    if ratio.median < RATIO_THRESHOLD && ratio.high < 1.0 {
        measure_what_is_left(bench, until, &mut outcome).await;
    }
    Ok(outcome)
}

async fn measure_what_is_left(bench: &Arc<Bench>, until: Instant, outcome: &mut Outcome) {
    let mut rates = Vec::new();
    for _repeat in 0..RATE_REPEATS {
        let transfer = perform(bench, NameClass::Blocked, RATE_BYTES, RATE_TIME, until).await;
        let Some(transfer) = transfer else {
            outcome.cut = Instant::now() >= until;
            break;
        };
        rates.extend(rate(&transfer, RATE_WARMUP));
        outcome.observations.transfers.push(transfer);
    }
    if let Some(value) = stats::spread(&rates) {
        outcome.observations.limits.push(Limit {
            subtest: Subtest::Throttle,
            condition: condition(NameClass::Blocked),
            unit: Unit::KbitPerSecond,
            value,
            counting: Counting::Construction,
        });
    }
}

async fn perform(
    bench: &Arc<Bench>,
    name: NameClass,
    amount: u64,
    time: Duration,
    until: Instant,
) -> Option<Transfer> {
    let order = Order {
        condition: condition(name),
        control: None,
        direction: Direction::Down,
        amount,
        at_most: Some(time),
    };
    let transfer = tokio::time::timeout_at(until, transfer::perform(bench, &order)).await.ok()??;
    bench.progress.event(&Event::Transfer(&transfer));
    Some(transfer)
}

const fn condition(name: NameClass) -> Condition {
    Condition::new(Subtest::Throttle, Protocol::Tls, ServerKind::Foreign, Payload::Download).name(name)
}

/// The rate in kbit/s with headers, from the points of the curve after `skip`.
fn rate(transfer: &Transfer, skip: Duration) -> Option<f64> {
    let skip = u64::try_from(skip.as_micros()).unwrap_or(u64::MAX);
    let mut points = transfer.curve.iter().filter(|point| point.at_us >= skip);
    let first = points.next()?;
    let last = points.next_back()?;
    let seconds = Duration::from_micros(last.at_us.checked_sub(first.at_us)?).as_secs_f64();
    let bytes = last.bytes.checked_sub(first.bytes)?;
    let bytes = f64::from(u32::try_from(bytes).unwrap_or(u32::MAX));
    (seconds > 0.0).then(|| bytes * (SEGMENT + HEADERS) / SEGMENT * 8.0 / 1000.0 / seconds)
}

#[cfg(test)]
mod tests {
    use commucat_verdict::observations::CurvePoint;

    use super::*;

    #[test]
    fn the_rate_counts_headers_and_skips_the_burst() {
        let point = |at_us, bytes| CurvePoint { at_us, bytes };
        let mut transfer = Transfer {
            number: 1,
            condition: condition(NameClass::Blocked),
            control: None,
            direction: Direction::Down,
            at_us: 0,
            took_us: 0,
            asked: 0,
            moved: 0,
            packets: None,
            flow_bytes: 0,
            counting: Counting::None,
            stalled: false,
            failure: None,
            curve: vec![
                point(0, 0),
                point(1_000_000, 100_000),
                point(2_000_000, 100_000),
                point(6_000_000, 167_570),
            ],
        };
        // 67570 B of payload in 4 s are 70,000 B on the wire.
        let rate_left = rate(&transfer, RATE_WARMUP).unwrap();
        assert!((rate_left - 140.0).abs() < 0.1, "{rate_left}");
        assert!(rate(&transfer, Duration::ZERO).unwrap() > 200.0);
        transfer.curve.truncate(1);
        assert_eq!(rate(&transfer, Duration::ZERO), None);
    }
}
