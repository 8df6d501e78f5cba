//! One transfer over a connection of its own, with its course over time and its packets.

use std::{sync::Arc, time::Duration};

use commucat_control::wire;
use commucat_transport_api::{Failure, Phase, Signal};
use commucat_verdict::{
    ControlKind,
    observations::{Condition, Counting, CurvePoint, Direction, Transfer},
};
use tokio::time::Instant;

use crate::trial::{
    Bench, Carrier, Draft, micros, request::Channel, segments::Segments, tcp::Failed, to_u64,
};

/// Bytes of one write of an upload.
const WRITE_BYTES: usize = 4 * 1024;
/// Bytes read at once.
const READ_BYTES: usize = 16 * 1024;
/// Bytes of one message of a trickle.
const MESSAGE: &[u8] = b"ab";
/// Most points of a curve.
const POINTS_MAX: usize = 256;
/// How often the acknowledgements of an upload are looked at.
const LOOK: Duration = Duration::from_millis(25);
/// How long an upload without a kernel that counts may stay silent after its last byte, in timeouts.
const BLIND_TIMEOUTS: u32 = 4;

/// What to transfer.
#[derive(Clone, Debug)]
pub(crate) struct Order {
    pub(crate) condition: Condition,
    pub(crate) control: Option<ControlKind>,
    pub(crate) direction: Direction,
    /// Bytes; messages of a trickle.
    pub(crate) amount: u64,
    /// End it after this time, moved or not.
    pub(crate) at_most: Option<Duration>,
}

struct Course {
    began: Instant,
    moved: u64,
    last_progress: Instant,
    /// Segments we had sent when the last progress was seen: what was sent later may not have passed.
    sent_at_progress: u32,
    writes: u32,
    reads: u32,
    curve: Vec<CurvePoint>,
}

impl Course {
    fn new() -> Self {
        let now = Instant::now();
        Self {
            began: now,
            moved: 0,
            last_progress: now,
            sent_at_progress: 0,
            writes: 0,
            reads: 0,
            curve: Vec::new(),
        }
    }

    /// Notes that nothing has moved until now.
    fn mark(&mut self) {
        self.curve.push(CurvePoint { at_us: micros(self.began.elapsed()), bytes: self.moved });
    }

    fn progress(&mut self, moved: u64, counted: Option<Segments>) {
        if moved <= self.moved && moved != 0 {
            return;
        }
        self.moved = moved;
        self.last_progress = Instant::now();
        self.sent_at_progress = counted.map_or(0, |segments| segments.sent);
        if self.curve.len() >= POINTS_MAX {
            // Every second point goes: the shape stays, and so do the first point and the room for the last.
            let mut keep = false;
            self.curve.retain(|_point| {
                keep = !keep;
                keep
            });
        }
        self.curve.push(CurvePoint { at_us: micros(self.began.elapsed()), bytes: moved });
    }
}

/// Performs it; `None` when there is no port left.
pub(crate) async fn perform(bench: &Arc<Bench>, order: &Order) -> Option<Transfer> {
    let address = bench.any_port(order.condition.server, Carrier::Tcp)?;
    let name = bench.name(order.condition.name?)?;
    let mut draft = Draft::new(bench, address, name.as_deref());
    let (number, at_us) = (draft.number(), bench.at_us());
    let mut course = Course::new();
    let opened = Channel::open(bench, &mut draft, address, name.as_deref()).await;
    let mut transfer = blank(order, number, at_us);
    let mut channel = match opened {
        Ok(channel) => channel,
        Err((_, failure)) => {
            bench.poison(Carrier::Tcp, address);
            transfer.took_us = micros(course.began.elapsed());
            transfer.failure = Some(failure);
            return Some(transfer);
        }
    };
    course.began = Instant::now();
    let moved = match order.direction {
        Direction::Down => down(bench, order, &mut draft, &mut channel, &mut course).await,
        Direction::Up => up(bench, order, &mut draft, &mut channel, &mut course).await,
        Direction::Both => both(bench, order, &mut draft, &mut channel, &mut course).await,
    };
    fill(&mut transfer, &channel, course, moved.err().map(|(_, failure)| failure));
    if transfer.failure.is_some() {
        bench.poison(Carrier::Tcp, address);
    }
    Some(transfer)
}

fn blank(order: &Order, number: u32, at_us: u64) -> Transfer {
    Transfer {
        number,
        condition: order.condition.clone(),
        control: order.control,
        direction: order.direction,
        at_us,
        took_us: 0,
        asked: order.amount,
        moved: 0,
        packets: None,
        flow_bytes: 0,
        counting: Counting::None,
        stalled: false,
        failure: None,
        curve: Vec::new(),
    }
}

/// What passed: everything that came back, and what we had sent before the last sign of life.
fn fill(transfer: &mut Transfer, channel: &Channel, course: Course, failure: Option<Failure>) {
    /// SYN, SYN-ACK, ACK; hello; the server's flight; our finish.
    const OPENING: u32 = 6;
    transfer.took_us = micros(course.began.elapsed());
    transfer.moved = course.moved;
    transfer.stalled = failure.as_ref().is_some_and(|failure| failure.signal == Signal::Timeout);
    match channel.counter.as_ref().and_then(|counter| counter.read()) {
        Some(segments) => {
            transfer.counting = Counting::Kernel;
            let sent = if transfer.stalled { course.sent_at_progress } else { segments.sent };
            transfer.packets = Some(sent.saturating_add(segments.received));
            transfer.flow_bytes = segments.bytes_acked.saturating_add(segments.bytes_received);
        }
        None => {
            transfer.counting = Counting::Construction;
            transfer.packets = (transfer.direction == Direction::Both)
                .then(|| OPENING.saturating_add(course.writes).saturating_add(course.reads));
            transfer.flow_bytes = course.moved;
        }
    }
    transfer.failure = failure;
    transfer.curve = course.curve;
}

async fn down(
    bench: &Bench,
    order: &Order,
    draft: &mut Draft,
    channel: &mut Channel,
    course: &mut Course,
) -> Result<(), Failed> {
    let timeout = bench.timeout();
    let path = format!("{}?bytes={}", wire::SOURCE, order.amount);
    let request = channel.request("GET", &path, None);
    channel.send(draft, &request, timeout).await?;
    course.progress(0, count(channel));
    let head = channel.head(draft, Instant::now() + timeout).await?;
    let ends = order.at_most.map(|most| course.began + most);
    let mut buffer = vec![0; READ_BYTES];
    let mut moved = 0;
    while moved < head.content_length {
        // Where the time is limited, silence is slowness: a sender that is policed pauses for seconds.
        let until = ends.unwrap_or_else(|| Instant::now() + timeout);
        match channel.receive(draft, &mut buffer, until).await {
            Ok(len) => {
                moved += to_u64(len);
                course.progress(moved, count(channel));
            }
            Err((_, failure)) if ends.is_some() && failure.signal == Signal::Timeout => {
                course.mark();
                return Ok(());
            }
            Err(failed) => return Err(failed),
        }
        if ends.is_some_and(|ends| Instant::now() >= ends) {
            return Ok(());
        }
    }
    Ok(())
}

async fn up(
    bench: &Bench,
    order: &Order,
    draft: &mut Draft,
    channel: &mut Channel,
    course: &mut Course,
) -> Result<(), Failed> {
    let timeout = bench.timeout();
    let request = channel.request("POST", wire::SINK, Some(order.amount));
    channel.send(draft, &request, timeout).await?;
    let before = count(channel).map_or(0, |segments| segments.bytes_acked);
    course.progress(0, count(channel));
    let chunk: Vec<u8> = (0..WRITE_BYTES).map(|at| u8::try_from(at % 251).unwrap_or(0)).collect();
    let mut left = usize::try_from(order.amount).unwrap_or(usize::MAX);
    while left > 0 {
        let len = left.min(chunk.len());
        channel.send(draft, chunk.get(..len).unwrap_or_default(), timeout).await?;
        left -= len;
        acknowledged(channel, course, before);
    }
    let patience = if channel.counter.is_some() { timeout } else { timeout * BLIND_TIMEOUTS };
    // The head of the answer; meanwhile the acknowledgements show whether bytes still move.
    let mut waiting = Vec::new();
    let mut buffer = vec![0; READ_BYTES];
    loop {
        match channel.receive(draft, &mut buffer, Instant::now() + LOOK).await {
            Ok(len) => waiting.extend_from_slice(buffer.get(..len).unwrap_or_default()),
            Err((_, failure)) if failure.signal == Signal::Timeout => {}
            Err(failed) => return Err(failed),
        }
        acknowledged(channel, course, before);
        if waiting.starts_with(b"HTTP/1.1 200") {
            course.progress(order.amount, count(channel));
            return Ok(());
        }
        if course.last_progress.elapsed() >= patience {
            use commucat_verdict::observations::Operation;
            return Err((Operation::Write, draft.failure(Phase::Data, Signal::Timeout)));
        }
    }
}

/// Looks how much of an upload has arrived.
fn acknowledged(channel: &Channel, course: &mut Course, before: u64) {
    if let Some(segments) = count(channel) {
        let moved = segments.bytes_acked.saturating_sub(before);
        if moved > course.moved {
            course.progress(moved, Some(segments));
        }
    }
}

async fn both(
    bench: &Bench,
    order: &Order,
    draft: &mut Draft,
    channel: &mut Channel,
    course: &mut Course,
) -> Result<(), Failed> {
    let timeout = bench.timeout();
    let mut request = channel.request("POST", wire::ECHO, Some(to_u64(MESSAGE.len())));
    request.extend_from_slice(MESSAGE);
    course.progress(0, count(channel));
    let mut buffer = vec![0; MESSAGE.len()];
    for _message in 0..order.amount {
        channel.send(draft, &request, timeout).await?;
        course.writes = course.writes.saturating_add(1);
        let until = Instant::now() + timeout;
        let head = channel.head(draft, until).await?;
        let mut left = head.content_length;
        while left > 0 {
            left = left.saturating_sub(to_u64(channel.receive(draft, &mut buffer, until).await?));
        }
        course.reads = course.reads.saturating_add(1);
        course.progress(course.moved + to_u64(MESSAGE.len()), count(channel));
    }
    Ok(())
}

pub(crate) fn count(channel: &Channel) -> Option<Segments> {
    channel.counter.as_ref().and_then(|counter| counter.read())
}
