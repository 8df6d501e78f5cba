//! The pump between a carrier and the core: a future that its owner polls or spawns.

use std::{
    fmt,
    future::Future,
    io, mem,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::{Duration, Instant},
};

use commucat_transport_api::{BoxFuture, BoxStream, Phase, Signal};
use tokio::io::{AsyncRead as _, AsyncWrite as _, ReadBuf};

use crate::{core::Core, session::Shared};

/// Bytes read from the carrier at once: four TLS records.
const READ_BYTES: usize = 64 * 1024;
/// Reads or writes before other tasks get a turn.
const ROUNDS_A_POLL: usize = 16;
/// Buffers are kept for this long after the last byte moved.
const BUFFERS_KEPT: Duration = Duration::from_secs(1);
/// How long a carrier that was ended in order may take to say that it saw the end.
const LINGER: Duration = Duration::from_secs(3);

/// Moves a session's bytes. It ends when the session does: in order, when nobody holds it and no stream is open, or with
/// the carrier. Dropped before, it ends the session, and every stream fails.
#[must_use = "a session does nothing unless its driver is polled"]
pub struct Driver {
    io: BoxStream,
    shared: Arc<Shared>,
    /// For reading; empty while nothing moves.
    input: Vec<u8>,
    /// Frames that the carrier has yet to take, and how far it is.
    output: Vec<u8>,
    written: usize,
    flushed: bool,
    moved: Instant,
    sleep: Option<(Instant, BoxFuture<'static, ()>)>,
    stage: Stage,
    /// When a carrier that is being ended in order is given up.
    give_up: Option<Instant>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Running,
    /// The last bytes are out; the carrier is to be shut down.
    Shutting,
    /// Waits until the peer has seen the end.
    Lingering,
    Done,
}

impl Driver {
    pub(crate) fn new(io: BoxStream, shared: Arc<Shared>) -> Self {
        let moved = shared.net.now();
        Self {
            io,
            shared,
            input: Vec::new(),
            output: Vec::new(),
            written: 0,
            flushed: true,
            moved,
            sleep: None,
            stage: Stage::Running,
            give_up: None,
        }
    }

    /// Reads once. Whether anything came.
    fn receive(&mut self, cx: &mut Context<'_>, now: Instant) -> io::Result<bool> {
        if self.input.is_empty() {
            self.input = vec![0; READ_BYTES];
        }
        let mut buf = ReadBuf::new(&mut self.input);
        let Poll::Ready(read) = Pin::new(&mut self.io).poll_read(cx, &mut buf) else { return Ok(false) };
        read?;
        if buf.filled().is_empty() {
            self.shared.with(|core| core.handle_end(now));
            self.stage = Stage::Done;
            return Ok(true);
        }
        if self.stage == Stage::Running {
            let filled = buf.filled();
            self.shared.with(|core| core.handle_input(now, filled));
        }
        Ok(true)
    }

    /// Lets the core's timers pass, writes once, and flushes when there is no more. Whether anything left.
    fn transmit(&mut self, cx: &mut Context<'_>, now: Instant) -> io::Result<bool> {
        let taken = self.written == self.output.len();
        if taken {
            self.output.clear();
            self.written = 0;
        }
        let output = &mut self.output;
        self.shared.with(|core| {
            core.handle_timeout(now);
            if taken {
                core.park(cx.waker());
                core.poll_transmit(now, output);
            }
        });
        let Some(rest) = self.output.get(self.written..).filter(|rest| !rest.is_empty()) else {
            return self.flush(cx).map(|()| false);
        };
        let Poll::Ready(wrote) = Pin::new(&mut self.io).poll_write(cx, rest) else { return Ok(false) };
        let wrote = wrote?;
        if wrote == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        self.written += wrote;
        self.flushed = false;
        Ok(true)
    }

    fn flush(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        if !self.flushed
            && let Poll::Ready(flushed) = Pin::new(&mut self.io).poll_flush(cx)
        {
            self.flushed = true;
            flushed?;
        }
        Ok(())
    }

    /// Goes on with the end of a session that ends in order. Whether a step was taken.
    fn finish(&mut self, cx: &mut Context<'_>, now: Instant) -> io::Result<bool> {
        if self.give_up.is_some_and(|at| at <= now) {
            self.stage = Stage::Done;
            return Ok(true);
        }
        match self.stage {
            Stage::Running => Ok(self.finish_running(now)),
            Stage::Shutting => {
                let Poll::Ready(ended) = Pin::new(&mut self.io).poll_shutdown(cx) else { return Ok(false) };
                ended?;
                self.stage = Stage::Lingering;
                Ok(true)
            }
            Stage::Lingering | Stage::Done => Ok(false),
        }
    }

    fn finish_running(&mut self, now: Instant) -> bool {
        let core = self.shared.lock();
        if core.is_over() {
            self.stage = Stage::Done;
            return true;
        }
        if !core.is_closing() {
            return false;
        }
        self.give_up.get_or_insert(now + LINGER);
        if self.written == self.output.len() && self.flushed {
            self.stage = Stage::Shutting;
            return true;
        }
        false
    }

    /// Waits for the next timer. Whether one is due.
    fn wait(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let core = self.shared.lock().poll_timeout();
        let idle = (!self.input.is_empty()).then(|| self.moved + BUFFERS_KEPT);
        let Some(at) = [core, idle, self.give_up].into_iter().flatten().min() else {
            self.sleep = None;
            return Poll::Pending;
        };
        // A sleep that ends too early costs less than a new one for every byte that moves.
        if self.sleep.as_ref().is_none_or(|(known, _sleep)| *known > at) {
            self.sleep = Some((at, self.shared.net.sleep_until(at)));
        }
        let Some((_at, sleep)) = &mut self.sleep else { return Poll::Pending };
        ready!(sleep.as_mut().poll(cx));
        self.sleep = None;
        Poll::Ready(())
    }

    /// Gives the buffers back when nothing moved for a while.
    fn rest(&mut self, now: Instant) {
        if now.saturating_duration_since(self.moved) < BUFFERS_KEPT {
            return;
        }
        self.input = Vec::new();
        if self.output.is_empty() {
            self.output = Vec::new();
        }
        self.shared.lock().release();
    }

    /// One round. Whether anything happened that calls for another.
    fn round(&mut self, cx: &mut Context<'_>) -> io::Result<bool> {
        let now = self.shared.net.now();
        let mut moved = self.receive(cx, now)?;
        if self.stage == Stage::Running {
            moved |= self.transmit(cx, now)?;
        }
        if moved {
            self.moved = now;
        } else {
            self.rest(now);
        }
        Ok(self.finish(cx, now)? || moved)
    }

    fn fail(&mut self, error: &io::Error) {
        let signal = Signal::from_io(error);
        self.shared.with(|core| core.fail(Phase::Data, signal));
        self.stage = Stage::Done;
    }
}

impl Future for Driver {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        this.shared.lock().park(cx.waker());
        for _round in 0..ROUNDS_A_POLL {
            if this.stage == Stage::Done {
                return Poll::Ready(());
            }
            match this.round(cx) {
                Ok(true) => {}
                Ok(false) => {
                    if this.shared.with(Core::give_turns) {
                        break;
                    }
                    if this.wait(cx).is_pending() {
                        return Poll::Pending;
                    }
                }
                Err(error) => this.fail(&error),
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        if mem::replace(&mut self.stage, Stage::Done) != Stage::Done {
            self.shared.with(|core| core.fail(Phase::Data, Signal::Other));
        }
    }
}

impl fmt::Debug for Driver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Driver").field("stage", &self.stage).finish_non_exhaustive()
    }
}
