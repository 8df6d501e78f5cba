//! A session without IO: bytes, time and chance come in; bytes and tasks to be woken come out.
//!
//! Whoever drives it hands arriving bytes to [`Core::handle_input`], calls [`Core::handle_timeout`] when
//! [`Core::poll_timeout`] says so, and sends what [`Core::poll_transmit`] gives. Owners of streams call the rest. Tasks
//! that can go on are collected, to be woken when whoever holds the core has let go of it.

mod chunks;
mod recv;
mod send;
mod stream;
#[cfg(test)]
mod tests;
mod timers;

use std::{
    collections::{BTreeMap, VecDeque},
    mem,
    task::{Context, Poll, Waker},
    time::Instant,
};

use commucat_transport_api::{Failure, Phase, Signal, Target};

use self::{chunks::Spare, stream::Stream, timers::Timers};
use crate::{
    config::{Config, FIRST_WINDOW_BYTES},
    dice::{Dice, Source},
    error::{Refusal, Violation},
    frame::{self, OpenTarget, Reader},
};

/// Which end of the carrier this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    /// It dialled the carrier: it opens streams.
    Dialled,
    /// It accepted the carrier.
    Accepted,
}

/// How far a session is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Life {
    Open,
    /// What is written still goes out, then the carrier ends.
    Closing,
    /// Nothing more happens.
    Over,
}

/// One session.
#[derive(Debug)]
pub(crate) struct Core {
    side: Side,
    config: Config,
    dice: Dice,
    born: Instant,
    /// As of the last call that was told.
    now: Instant,
    life: Life,
    failure: Option<Failure>,
    violation: Option<Violation>,
    /// Somebody holds the session itself, not only streams.
    owned: bool,
    /// We take no new streams.
    draining: bool,
    /// The peer takes no new streams.
    peer_drains: bool,

    streams: BTreeMap<u32, Stream>,
    /// The next stream we open, or the least that the peer may open.
    next_stream: u32,
    /// Opened by the peer, not yet accepted.
    unaccepted: VecDeque<(u32, Target)>,
    /// All windows together, in bytes.
    granted: usize,
    spare: Spare,

    reader: Reader,
    /// Control frames that the peer may still send before it is a flood.
    patience: u64,
    patient_at: Instant,

    /// Frames to send.
    out: Vec<u8>,
    /// Streams that wait for their turn to write.
    turns: VecDeque<u32>,
    /// Counts how often turns were given out; a turn of an earlier round has lapsed.
    round: u64,
    /// Turns of this round that were not taken yet.
    given: usize,
    /// What each turn of this round may write, in bytes.
    share: usize,
    /// Streams whose peer is to be granted more.
    credits: Vec<u32>,
    /// Pings to answer.
    pongs: Vec<u64>,
    timers: Timers,

    sent: u64,
    received: u64,
    /// The driver, which has nothing to send.
    hungry: bool,
    driver: Option<Waker>,
    /// Tasks that wait for the session: for a stream to accept, a pong, or its end.
    watchers: Vec<Waker>,
    wakes: VecDeque<Waker>,
}

impl Core {
    pub(crate) fn new(side: Side, config: Config, now: Instant, source: Source) -> Self {
        let mut dice = Dice::new(source);
        Self {
            side,
            config: config.checked(),
            born: now,
            now,
            life: Life::Open,
            failure: None,
            violation: None,
            owned: true,
            draining: false,
            peer_drains: false,
            streams: BTreeMap::new(),
            next_stream: 1,
            unaccepted: VecDeque::new(),
            granted: 0,
            spare: Spare::default(),
            reader: Reader::default(),
            patience: recv::PATIENCE,
            patient_at: now,
            out: Vec::new(),
            turns: VecDeque::new(),
            round: 0,
            given: 0,
            share: 0,
            credits: Vec::new(),
            pongs: Vec::new(),
            timers: Timers::new(now, &mut dice),
            dice,
            sent: 0,
            received: 0,
            hungry: false,
            driver: None,
            watchers: Vec::new(),
            wakes: VecDeque::new(),
        }
    }

    /// Opens a stream, whose target the peer reads with the first bytes that go out.
    pub(crate) fn open(&mut self, target: &OpenTarget) -> Result<u32, Refusal> {
        if self.side != Side::Dialled {
            return Err(Refusal::WrongEnd);
        }
        let exhausted = self.next_stream > u32::MAX - 2;
        if self.is_going_away() || exhausted {
            return Err(Refusal::GoingAway);
        }
        if self.streams.len() >= self.config.max_streams {
            return Err(Refusal::TooManyStreams);
        }
        if self.is_stalled() {
            return Err(Refusal::Stalled);
        }
        let id = self.next_stream;
        self.next_stream += 2;
        self.admit(id);
        let padding = self.padding(id, target.len());
        frame::put_open(&mut self.out, id, target, padding);
        self.widen(id);
        self.timers.opened();
        self.rouse_driver();
        Ok(id)
    }

    /// The next stream that the peer opened; `None` when no more can come.
    pub(crate) fn poll_accept(&mut self, cx: &Context<'_>) -> Poll<Option<(u32, Target)>> {
        if let Some((id, target)) = self.unaccepted.pop_front() {
            self.widen(id);
            self.rouse_driver();
            return Poll::Ready(Some((id, target)));
        }
        if self.side == Side::Dialled || self.life != Life::Open {
            return Poll::Ready(None);
        }
        self.watch(cx);
        Poll::Pending
    }

    /// What ended the session, once it is over.
    pub(crate) fn poll_closed(&mut self, cx: &Context<'_>) -> Poll<Failure> {
        if let Some(failure) = &self.failure {
            return Poll::Ready(failure.clone());
        }
        self.watch(cx);
        Poll::Pending
    }

    /// No new streams; the carrier ends with the last one.
    pub(crate) fn drain(&mut self) {
        if mem::replace(&mut self.draining, true) {
            return;
        }
        if self.life == Life::Open && self.side == Side::Accepted {
            frame::put_go_away(&mut self.out, frame::go_away::DRAIN);
        }
        self.rouse_driver();
    }

    /// Nobody holds the session itself any more: what was not accepted is refused, and the carrier ends with the last stream.
    pub(crate) fn disown(&mut self) {
        self.owned = false;
        while let Some((id, _target)) = self.unaccepted.pop_front() {
            self.refuse(id);
            self.remove(id);
        }
        self.drain();
    }

    /// Ends the session at once: every stream fails with this.
    pub(crate) fn fail(&mut self, phase: Phase, signal: Signal) {
        self.out.clear();
        self.end(phase, signal);
        self.life = Life::Over;
    }

    /// The peer broke the protocol: it is told so, and every stream fails.
    fn violated(&mut self, violation: Violation) {
        self.violation = Some(violation);
        self.out.clear();
        frame::put_go_away(&mut self.out, frame::go_away::VIOLATION);
        self.end(Phase::Data, Signal::UnexpectedBytes);
        self.life = Life::Closing;
    }

    fn end(&mut self, phase: Phase, signal: Signal) {
        if self.failure.is_some() {
            return;
        }
        let elapsed = self.now.saturating_duration_since(self.born);
        self.failure = Some(Failure::new(phase, signal, elapsed).with_bytes(self.sent, self.received));
        while let Some((id, _target)) = self.unaccepted.pop_front() {
            self.remove(id);
        }
        self.turns.clear();
        self.credits.clear();
        self.pongs.clear();
        for stream in self.streams.values_mut() {
            stream.rouse(&mut self.wakes);
        }
        self.wakes.extend(self.watchers.drain(..));
        self.wakes.extend(self.driver.take());
    }

    /// Whether no stream can be opened any more.
    pub(crate) fn is_going_away(&self) -> bool {
        self.draining || self.peer_drains || self.life != Life::Open
    }

    /// Whether what is written is to go out and the carrier to end.
    pub(crate) fn is_closing(&self) -> bool {
        self.life == Life::Closing
    }

    /// Whether nothing more happens.
    pub(crate) fn is_over(&self) -> bool {
        self.life == Life::Over
    }

    /// Whether the session has ended, or is only saying so.
    pub(crate) const fn has_failed(&self) -> bool {
        self.failure.is_some()
    }

    /// How the peer broke the protocol, when it did.
    pub(crate) const fn violation(&self) -> Option<Violation> {
        self.violation
    }

    pub(crate) fn streams(&self) -> usize {
        self.streams.len()
    }

    /// Bytes received and not yet read, on all streams.
    pub(crate) fn held(&self) -> usize {
        self.streams.values().map(|stream| stream.received.len()).sum()
    }

    /// Bytes sent and received on the carrier.
    pub(crate) const fn moved(&self) -> (u64, u64) {
        (self.sent, self.received)
    }

    pub(crate) const fn born(&self) -> Instant {
        self.born
    }

    /// The driver waits: wake it when there is something to send, or something else to do.
    pub(crate) fn park(&mut self, waker: &Waker) {
        stream::remember(&mut self.driver, waker);
    }

    /// Some of the tasks that can go on, until there are no more.
    pub(crate) fn take_wakes<const N: usize>(&mut self, batch: &mut [Option<Waker>; N]) -> bool {
        for slot in batch.iter_mut() {
            *slot = self.wakes.pop_front();
        }
        !self.wakes.is_empty()
    }

    /// Gives back memory that is kept for traffic.
    pub(crate) fn release(&mut self) {
        self.spare.release();
        if self.out.is_empty() {
            self.out = Vec::new();
        }
    }

    fn admit(&mut self, id: u32) {
        self.streams.insert(id, Stream::new(self.now));
        self.granted += FIRST_WINDOW_BYTES;
    }

    /// Forgets a stream.
    fn remove(&mut self, id: u32) -> Option<Stream> {
        let mut stream = self.streams.remove(&id)?;
        self.granted -= stream.window;
        stream.received.clear(&mut self.spare);
        if stream.turn != 0 && stream.turn == self.round {
            self.given -= 1;
        }
        if stream.waits {
            self.turns.retain(|waiting| *waiting != id);
        }
        if stream.credit_due {
            self.credits.retain(|due| *due != id);
        }
        Some(stream)
    }

    fn refuse(&mut self, id: u32) {
        if self.life == Life::Open {
            frame::put_reset(&mut self.out, id, frame::reset::REFUSED);
        }
    }

    fn watch(&mut self, cx: &Context<'_>) {
        if !self.watchers.iter().any(|known| known.will_wake(cx.waker())) {
            self.watchers.push(cx.waker().clone());
        }
    }

    fn rouse_watchers(&mut self) {
        self.wakes.extend(self.watchers.drain(..));
    }

    fn rouse_driver(&mut self) {
        self.wakes.extend(self.driver.take());
    }
}
