//! When to ping, when to give up, when to give buffers back. No IO: the connection tells what it saw and asks.

use std::{
    fmt,
    sync::Arc,
    task::{Context, Poll},
    time::{Duration, Instant},
};

use commucat_transport_api::{BoxFuture, Net};

/// Pings in a row without a single byte of answer before a connection counts as dead.
const MISSED_MAX: u32 = 3;
/// Quiet time after which buffers are given back.
const RELEASE_AFTER: Duration = Duration::from_secs(2);

/// What is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Due {
    /// Send a ping.
    Ping,
    /// Give idle buffers back.
    Release,
    /// The peer is gone.
    Dead,
}

/// The timer of one connection.
pub(crate) struct Keepalive {
    net: Arc<dyn Net>,
    /// Quiet time before a ping; `None` where the mode has no pings.
    interval: Option<Duration>,
    timer: Option<(Instant, BoxFuture<'static, ()>)>,
    /// The first byte received since the timer last fired.
    heard: Option<Instant>,
    quiet_since: Instant,
    missed: u32,
    /// Unanswered pings prove nothing.
    one_sided: bool,
}

impl Keepalive {
    /// `interval` was drawn at random by the caller.
    pub(crate) fn new(net: Arc<dyn Net>, interval: Option<Duration>) -> Self {
        let quiet_since = net.now();
        Self { net, interval, timer: None, heard: None, quiet_since, missed: 0, one_sided: false }
    }

    /// Pings go on, and missing answers no longer count.
    pub(crate) const fn expect_no_pongs(&mut self) {
        self.one_sided = true;
    }

    /// Bytes came.
    pub(crate) fn heard(&mut self) {
        if self.heard.is_none() {
            let now = self.net.now();
            self.heard = Some(now);
            // A timer that waits for a ping would hold the buffers that these bytes filled for as long.
            self.timer.take_if(|(at, _)| *at > now + RELEASE_AFTER);
        }
    }

    /// Says what is due; `Pending` has set the timer. `holding`: buffers could be given back.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>, holding: bool) -> Poll<Due> {
        loop {
            let Some((_, timer)) = &mut self.timer else {
                let Some(at) = self.next(holding) else { return Poll::Pending };
                self.timer = Some((at, self.net.sleep_until(at)));
                continue;
            };
            if timer.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            self.timer = None;
            if let Some(due) = self.fired(holding) {
                return Poll::Ready(due);
            }
        }
    }

    fn next(&self, holding: bool) -> Option<Instant> {
        let now = self.net.now();
        let ping = self.interval.map(|interval| (self.quiet_since + interval).max(now));
        let release = holding.then(|| now + RELEASE_AFTER);
        match (ping, release) {
            (Some(ping), Some(release)) => Some(ping.min(release)),
            (one, other) => one.or(other),
        }
    }

    fn fired(&mut self, holding: bool) -> Option<Due> {
        let now = self.net.now();
        if let Some(heard) = self.heard.take() {
            self.quiet_since = heard;
            self.missed = 0;
            return None;
        }
        let ping_due = self.interval.is_some_and(|interval| now >= self.quiet_since + interval);
        if !ping_due {
            return holding.then_some(Due::Release);
        }
        self.quiet_since = now;
        self.missed = self.missed.saturating_add(1);
        Some(if self.missed > MISSED_MAX && !self.one_sided { Due::Dead } else { Due::Ping })
    }
}

impl fmt::Debug for Keepalive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keepalive")
            .field("interval", &self.interval)
            .field("missed", &self.missed)
            .finish_non_exhaustive()
    }
}
