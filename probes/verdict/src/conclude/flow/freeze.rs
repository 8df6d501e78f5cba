//! Flows that stop: after how many packets or bytes, and which of the two counts.

use commucat_transport_api::Signal;

use crate::{
    Confidence, Finding, Thresholds,
    conclude::view::foreign_answers,
    ids,
    observations::{Direction, Observations, ServerKind, Spread, Subtest, Transfer, Unit},
};

/// Transfers that have to stop before anything is said.
const STOPS_MIN: usize = 2;
/// Share of transfers that have to stop: a freeze is no accident.
const STOPPED_SHARE_MIN: f64 = 0.6;

pub(super) fn finding(observations: &Observations) -> Option<Finding> {
    // The control on the same server: a short request and its answer pass.
    if !foreign_answers(observations) {
        return None;
    }
    reset(observations).or_else(|| frozen(observations))
}

fn suspects(observations: &Observations) -> impl Iterator<Item = &Transfer> + Clone {
    let wanted = |transfer: &&Transfer| {
        transfer.condition.subtest == Subtest::Freeze
            && transfer.control.is_none()
            && transfer.condition.server == ServerKind::Foreign
    };
    observations.transfers.iter().filter(wanted)
}

/// Transfers to other servers: how many ended well, of how many.
fn controls(observations: &Observations, kind: ServerKind) -> (usize, usize) {
    let of = observations.transfers.iter().filter(|transfer| {
        transfer.condition.subtest == Subtest::Freeze && transfer.condition.server == kind
    });
    let made: Vec<&Transfer> = of.collect();
    (made.iter().filter(|transfer| transfer.failure.is_none()).count(), made.len())
}

fn reset(observations: &Observations) -> Option<Finding> {
    let bulk = suspects(observations).filter(|transfer| transfer.direction != Direction::Both);
    let is_reset = |transfer: &&Transfer| {
        transfer.moved > 0 && transfer.failure.as_ref().is_some_and(|failure| failure.signal == Signal::Reset)
    };
    let (resets, made) = (bulk.clone().filter(is_reset).count(), bulk.clone().count());
    if !enough(resets, made) {
        return None;
    }
    let bytes = bulk.filter(is_reset).map(|transfer| transfer.flow_bytes).min().unwrap_or(0);
    let (fine, controls) = controls(observations, ServerKind::Domestic);
    let line = format!(
        "{resets}/{made} transfers were reset after {bytes} B; domestic control {fine}/{controls} ok"
    );
    let confidence = if fine > 0 { Confidence::Certain } else { Confidence::Likely };
    Some(Finding::new(ids::FLOW_RST, Subtest::Freeze, confidence, line))
}

fn frozen(observations: &Observations) -> Option<Finding> {
    let bulk = [Direction::Down, Direction::Up].into_iter().find_map(|direction| {
        let of = suspects(observations).filter(move |transfer| transfer.direction == direction);
        let made = of.clone().count();
        let stopped: Vec<&Transfer> = of.filter(|transfer| transfer.stalled).collect();
        enough(stopped.len(), made).then_some((stopped, made))
    });
    let (stopped, made) = bulk?;
    let trickle: Vec<&Transfer> =
        suspects(observations).filter(|transfer| transfer.direction == Direction::Both).collect();
    let counted = counts(&stopped, &trickle);
    let (domestic, domestic_made) = controls(observations, ServerKind::Domestic);
    let confidence = match (domestic_made, domestic) {
        (0, _) => Confidence::Likely,
        (_, 0) => Confidence::Open,
        _ => Confidence::Certain,
    };
    let kilobytes = |transfer: &Transfer| transfer.flow_bytes / 1000;
    let (least, most) =
        (stopped.iter().map(|one| kilobytes(one)).min(), stopped.iter().map(|one| kilobytes(one)).max());
    let bulk = format!(
        "{}/{made} transfers stopped without a word after {} to {} KB",
        stopped.len(),
        least.unwrap_or(0),
        most.unwrap_or(0)
    );
    let control = format!("control: domestic transfers {domestic}/{domestic_made} ok, short requests ok");
    let limit = |unit: Unit| {
        observations
            .limits
            .iter()
            .find(|limit| limit.subtest == Subtest::Freeze && limit.unit == unit)
            .map(|limit| limit.value)
    };
    let bytes = limit(Unit::Bytes);
    let finding = |id, line| Finding::new(id, Subtest::Freeze, confidence, line);
    match counted {
        Counted::Packets => {
            let packets = limit(Unit::Packets);
            let at = packets.map(spread).unwrap_or_default();
            let line = format!("froze at packet {at}; {bulk}; {control}");
            let hint = packets
                .map_or_else(|| "tspu-l4-25".to_owned(), |at| format!("tspu-l4-25?packets={:.0}", at.median));
            Some(finding(ids::FLOW_FREEZE_PACKETS, line).hint(hint).with_thresholds(Thresholds {
                packets,
                bytes,
                ..Thresholds::default()
            }))
        }
        Counted::Bytes => {
            let line = format!("{bulk}; flows of tiny messages went on with more packets; {control}");
            let hint = bytes
                .map_or_else(|| "tspu-l4-25".to_owned(), |at| format!("tspu-l4-25?bytes={:.0}", at.median));
            Some(
                finding(ids::FLOW_FREEZE, line)
                    .hint(hint)
                    .with_thresholds(Thresholds { bytes, ..Thresholds::default() }),
            )
        }
        Counted::Unclear => {
            let line = format!("{bulk}; packets or bytes were not told apart; {control}");
            let open = Finding::new(ids::INCONCLUSIVE, Subtest::Freeze, Confidence::Open, line);
            Some(open.between(&[ids::FLOW_FREEZE_PACKETS, ids::FLOW_FREEZE]))
        }
    }
}

fn enough(stopped: usize, made: usize) -> bool {
    let count = |n: usize| f64::from(u32::try_from(n).unwrap_or(u32::MAX));
    stopped >= STOPS_MIN && count(stopped) >= STOPPED_SHARE_MIN * count(made)
}

fn spread(value: Spread) -> String {
    format!("{:.0} ({:.0} to {:.0}, {} flows)", value.median, value.low, value.high, value.repeats)
}

enum Counted {
    Packets,
    Bytes,
    Unclear,
}

/// Tiny messages have as many packets as a transfer, but a fraction of its bytes. Whichever amount the stopped flows
/// of both kinds have in common is the one that is counted.
fn counts(bulk: &[&Transfer], trickle: &[&Transfer]) -> Counted {
    let stopped: Vec<&Transfer> = trickle.iter().copied().filter(|transfer| transfer.stalled).collect();
    let went_on = trickle.iter().filter(|transfer| transfer.failure.is_none()).count();
    if went_on > stopped.len() {
        return Counted::Bytes;
    }
    if stopped.len() < STOPS_MIN {
        return Counted::Unclear;
    }
    let middle = |of: &[&Transfer], amount: fn(&Transfer) -> Option<f64>| {
        let mut values: Vec<f64> = of.iter().filter_map(|transfer| amount(transfer)).collect();
        values.sort_by(f64::total_cmp);
        values.get(values.len() / 2).copied().filter(|value| *value > 0.0)
    };
    let apart = |amount: fn(&Transfer) -> Option<f64>| {
        Some((middle(bulk, amount)? / middle(&stopped, amount)?).ln().abs())
    };
    let packets = apart(|transfer| transfer.packets.map(f64::from));
    let bytes = apart(|transfer| u32::try_from(transfer.flow_bytes).ok().map(f64::from));
    match (packets, bytes) {
        (Some(packets), Some(bytes)) if packets > bytes => Counted::Bytes,
        // Without a count of packets in the bulk: the trickle stopped with a fraction of the bytes.
        (Some(_) | None, Some(_)) => Counted::Packets,
        (_, None) => Counted::Unclear,
    }
}
