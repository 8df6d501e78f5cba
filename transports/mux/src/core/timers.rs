//! What happens by itself: pings, the death of a carrier that says nothing, the end of one that nobody uses.
//!
//! A carrier is asked whether it lives only when something is due from it: data went out and nothing at all came back
//! for [`PING_AFTER`]. TCP may hold a long queue on a slow path, so whoever receives and has nothing to say gives a sign
//! of life once a second; silence then means that nothing arrives there.

use std::time::{Duration, Instant};

use commucat_transport_api::{Phase, Signal};

use super::{Core, Life, Side};
use crate::dice::Dice;

/// Something is due and nothing came for this long: ask.
const PING_AFTER: Duration = Duration::from_secs(2);
/// Asked, and nothing came for this long: dead.
const DEAD_AFTER: Duration = Duration::from_secs(6);
/// Streams are open and nothing moves: a ping keeps middleboxes from forgetting the connection (30 s is the shortest
/// time after which common carrier-grade NATs do), at no fixed beat.
const KEEPALIVE: std::ops::Range<Duration> = Duration::from_secs(20)..Duration::from_secs(40);
/// Whoever receives says something at least this often.
const SIGN_AFTER: Duration = Duration::from_secs(1);
/// A round trip measured longer ago than this is measured again while data moves.
const ROUND_TRIP_AGE: Duration = Duration::from_secs(10);
/// How long the accepting end of a session that drains leaves the dialling end to end it, so that a stream that is on its
/// way is refused, not lost.
const DRAIN_GRACE: Duration = Duration::from_secs(3);

/// The clocks of one session.
#[derive(Debug)]
pub(super) struct Timers {
    heard: Instant,
    sent: Instant,
    /// Frames that want an answer were written since the driver took any.
    spoke: bool,
    /// When such frames first went out since anything came.
    due_since: Option<Instant>,
    /// When the ping about the silence went out.
    asked: Option<Instant>,
    ping_wanted: bool,
    /// The last ping, while it is not answered.
    ping: Option<(u64, Instant)>,
    next_ping: u64,
    /// Pings below this one were answered.
    answered: u64,
    round_trip: Option<(Duration, Instant)>,
    keepalive: Duration,
    sign_wanted: bool,
    unused_since: Option<Instant>,
}

impl Timers {
    pub(super) fn new(now: Instant, dice: &mut Dice) -> Self {
        Self {
            heard: now,
            sent: now,
            spoke: false,
            due_since: None,
            asked: None,
            ping_wanted: false,
            ping: None,
            next_ping: 0,
            answered: 0,
            round_trip: None,
            keepalive: dice.time(&KEEPALIVE),
            sign_wanted: false,
            unused_since: Some(now),
        }
    }

    /// Anything arrived.
    pub(super) const fn heard(&mut self, now: Instant) {
        self.heard = now;
        self.due_since = None;
        self.asked = None;
    }

    /// Data arrived: if we have been silent, the peer is told that it did.
    pub(super) fn data_arrived(&mut self, now: Instant) {
        self.sign_wanted |= now.saturating_duration_since(self.sent) >= SIGN_AFTER;
    }

    /// A frame was written that wants an answer.
    pub(super) const fn spoke(&mut self) {
        self.spoke = true;
    }

    /// A stream was opened: the first one measures the path.
    pub(super) const fn opened(&mut self) {
        self.spoke = true;
        self.ping_wanted |= self.round_trip.is_none() && self.ping.is_none();
    }

    /// The driver took what was written.
    pub(super) fn sent(&mut self, now: Instant) {
        self.sent = now;
        if std::mem::take(&mut self.spoke) {
            self.due_since.get_or_insert(now);
        }
    }

    /// The ping to send now, if any.
    pub(super) fn ping_to_send(&mut self, now: Instant) -> Option<u64> {
        if !std::mem::take(&mut self.ping_wanted) {
            return None;
        }
        let id = self.next_ping;
        self.next_ping += 1;
        self.ping = Some((id, now));
        self.spoke = true;
        Some(id)
    }

    /// Whether to say that we are there, now that nothing else says it.
    pub(super) const fn sign_to_send(&mut self, nothing_else: bool) -> bool {
        std::mem::replace(&mut self.sign_wanted, false) && nothing_else
    }

    /// A pong came. Whether it answers anything.
    pub(super) fn ponged(&mut self, now: Instant, id: u64) -> bool {
        if id >= self.next_ping || id < self.answered {
            return false;
        }
        self.answered = id + 1;
        if let Some((_last, at)) = self.ping.take_if(|(last, _at)| *last == id) {
            let sample = now.saturating_duration_since(at);
            let smooth = self.round_trip.map_or(sample, |(known, _at)| (known * 7 + sample) / 8);
            self.round_trip = Some((smooth, now));
        }
        true
    }

    pub(super) fn round_trip(&self) -> Option<Duration> {
        self.round_trip.map(|(round_trip, _at)| round_trip)
    }

    /// Windows are tuned by the round trip: measure it again when it is old.
    pub(super) fn wants_round_trip(&mut self, now: Instant) {
        let fresh = |(_known, at): (Duration, Instant)| now.saturating_duration_since(at) < ROUND_TRIP_AGE;
        self.ping_wanted |= self.ping.is_none() && !self.round_trip.is_some_and(fresh);
    }

    /// Remembers since when there is no stream.
    pub(super) fn note_use(&mut self, now: Instant, used: bool) {
        if used {
            self.unused_since = None;
        } else {
            self.unused_since.get_or_insert(now);
        }
    }
}

impl Core {
    /// When [`Self::handle_timeout`] wants to be called.
    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        if self.life != Life::Open {
            return None;
        }
        let times = [self.dead_at(), self.ask_at(), self.keepalive_at(), self.close_at()];
        times.into_iter().flatten().min()
    }

    /// Does what is due. What is to be sent then is in the next [`Self::poll_transmit`].
    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        self.now = now;
        if self.life != Life::Open {
            return;
        }
        let due = |at: Option<Instant>| at.is_some_and(|at| at <= now);
        if due(self.dead_at()) {
            self.fail(Phase::Data, Signal::Timeout);
            return;
        }
        if due(self.ask_at()) {
            self.timers.asked = Some(now);
            self.timers.ping_wanted = true;
        }
        if due(self.keepalive_at()) {
            self.timers.ping_wanted = true;
            self.timers.keepalive = self.dice.time(&KEEPALIVE);
        }
    }

    /// Asks the peer for a sign of life: the number of the ping whose pong is to be waited for.
    pub(crate) fn ask(&mut self) -> u64 {
        if let Some((id, _at)) = self.timers.ping {
            return id;
        }
        self.timers.ping_wanted = true;
        self.rouse_driver();
        self.timers.next_ping
    }

    /// Whether the ping of that number was answered; if not, the task is woken when it may have been.
    pub(crate) fn is_answered(&mut self, cx: &std::task::Context<'_>, ping: u64) -> bool {
        let answered = self.timers.answered > ping;
        if !answered {
            self.watch(cx);
        }
        answered
    }

    /// The smoothed round trip, once it was measured.
    pub(crate) fn round_trip(&self) -> Option<Duration> {
        self.timers.round_trip()
    }

    /// When anything last arrived.
    pub(crate) const fn heard(&self) -> Instant {
        self.timers.heard
    }

    /// Whether it was asked for a sign of life and has yet to give any.
    pub(crate) const fn is_silent(&self) -> bool {
        self.timers.asked.is_some()
    }

    fn dead_at(&self) -> Option<Instant> {
        self.timers.asked.map(|at| at + DEAD_AFTER)
    }

    fn ask_at(&self) -> Option<Instant> {
        let needed = !self.streams.is_empty() || self.timers.ping.is_some();
        let due_since = self.timers.due_since.filter(|_since| needed && self.timers.asked.is_none());
        due_since.map(|since| since + PING_AFTER)
    }

    fn keepalive_at(&self) -> Option<Instant> {
        let still = self.timers.heard.max(self.timers.sent);
        (!self.streams.is_empty()).then(|| still + self.timers.keepalive)
    }

    /// When a session without streams is to end, as things stand.
    pub(super) fn close_at(&self) -> Option<Instant> {
        let since = self.timers.unused_since.filter(|_since| self.streams.is_empty())?;
        let over = self.draining || !self.owned;
        match self.side {
            Side::Dialled if over || self.peer_drains => Some(since),
            Side::Accepted if over => Some(since + DRAIN_GRACE),
            Side::Dialled | Side::Accepted => self.config.idle_close.map(|idle| since + idle),
        }
    }
}
