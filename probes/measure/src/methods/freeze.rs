//! Flows that stop after some packets or bytes. More than 64 KiB go each way, because a request and its head alone
//! pass; where a flow stops, a trickle of tiny messages tells whether packets or bytes were counted.

pub(crate) mod transfer;

use std::sync::Arc;

use commucat_verdict::{
    ControlKind,
    observations::{
        Condition, Counting, Direction, Limit, NameClass, Observations, Payload, Protocol, ServerKind,
        Subtest, Transfer, Unit,
    },
};
use tokio::{task::JoinSet, time::Instant};

use self::transfer::Order;
use super::{MethodError, Outcome};
use crate::{
    progress::Event,
    stats,
    trial::{Bench, Carrier},
};

/// Bytes of a transfer. Freezes were seen between 15 and 20 KB; 64 KiB and a margin.
const TRANSFER_BYTES: u64 = 96 * 1024;
/// Messages of a trickle: twice as many packets, which is twice the largest count seen.
const TRICKLE_MESSAGES: u64 = 40;
/// Flows that have to stop before a limit is stated.
const REPEATS: usize = 3;

/// One transfer each way. Where one stops: repeats, the trickle, and the same transfers to other servers.
pub(crate) async fn run(bench: &Arc<Bench>, until: Instant) -> Result<Outcome, MethodError> {
    if bench.any_port(ServerKind::Foreign, Carrier::Tcp).is_none() {
        return Err(MethodError::NoTarget { kind: ServerKind::Foreign, what: "tcp ports" });
    }
    let once = [Direction::Down, Direction::Up].map(|direction| plan(ServerKind::Foreign, direction, None));
    let (mut transfers, mut cut) = perform(bench, once.to_vec(), until).await;
    if transfers.iter().any(|transfer| transfer.stalled || transfer.failure.is_some()) {
        let mut more = Vec::new();
        for direction in [Direction::Down, Direction::Up, Direction::Both] {
            let made = usize::from(direction != Direction::Both);
            more.extend((made..REPEATS).map(|_| plan(ServerKind::Foreign, direction, None)));
            for (kind, control) in [
                (ServerKind::Domestic, ControlKind::Domestic),
                (ServerKind::ForeignOther, ControlKind::Unrelated),
            ] {
                if bench.any_port(kind, Carrier::Tcp).is_some() {
                    more.push(plan(kind, direction, Some(control)));
                }
            }
        }
        let (repeats, cut_again) = perform(bench, more, until).await;
        transfers.extend(repeats);
        cut |= cut_again;
    }
    let limits = limits(&transfers);
    Ok(Outcome {
        observations: Observations { transfers, limits, ..Observations::default() },
        cut,
        left_out: Vec::new(),
    })
}

fn plan(server: ServerKind, direction: Direction, control: Option<ControlKind>) -> Order {
    let (payload, bytes) = match direction {
        Direction::Down => (Payload::Download, TRANSFER_BYTES),
        Direction::Up => (Payload::Upload, TRANSFER_BYTES),
        Direction::Both => (Payload::Trickle, TRICKLE_MESSAGES),
    };
    let condition = Condition::new(Subtest::Freeze, Protocol::Tls, server, payload).name(NameClass::Innocent);
    Order { condition, control, direction, amount: bytes, at_most: None }
}

/// All at the same time: a freeze is of one flow, and each has a port of its own.
async fn perform(bench: &Arc<Bench>, orders: Vec<Order>, until: Instant) -> (Vec<Transfer>, bool) {
    let wanted = orders.len();
    let mut running = JoinSet::new();
    for order in orders {
        let bench = Arc::clone(bench);
        running.spawn(async move { transfer::perform(&bench, &order).await });
    }
    let mut transfers: Vec<Transfer> = Vec::new();
    while let Ok(Some(ended)) = tokio::time::timeout_at(until, running.join_next()).await {
        if let Ok(Some(transfer)) = ended {
            bench.progress.event(&Event::Transfer(&transfer));
            transfers.push(transfer);
        }
    }
    transfers.sort_by_key(|transfer| transfer.number);
    let cut = transfers.len() < wanted;
    (transfers, cut)
}

/// What the stopped flows let through: packets by the trickle, which counts them best, and bytes by the bulk.
fn limits(transfers: &[Transfer]) -> Vec<Limit> {
    let stopped = |direction: Option<Direction>| {
        transfers.iter().filter(move |transfer| {
            transfer.control.is_none()
                && transfer.stalled
                && direction.is_none_or(|direction| transfer.direction == direction)
        })
    };
    let mut limits = Vec::new();
    let packets: Vec<f64> =
        stopped(Some(Direction::Both)).filter_map(|transfer| transfer.packets.map(f64::from)).collect();
    if let (Some(value), Some(first)) = (stats::spread(&packets), stopped(Some(Direction::Both)).next()) {
        limits.push(Limit {
            subtest: Subtest::Freeze,
            condition: first.condition.clone(),
            unit: Unit::Packets,
            value,
            counting: first.counting,
        });
    }
    for direction in [Direction::Down, Direction::Up] {
        let bytes: Vec<f64> = stopped(Some(direction)).map(|transfer| whole(transfer.flow_bytes)).collect();
        if let (Some(value), Some(first)) = (stats::spread(&bytes), stopped(Some(direction)).next()) {
            limits.push(Limit {
                subtest: Subtest::Freeze,
                condition: first.condition.clone(),
                unit: Unit::Bytes,
                value,
                counting: Counting::None,
            });
        }
    }
    limits
}

/// Byte counts of a flow are far below 2^53.
#[expect(clippy::cast_precision_loss, reason = "see above")]
const fn whole(bytes: u64) -> f64 {
    bytes as f64
}
