//! What arrives: frames from the peer, and owners that read what they brought.

use std::{
    task::{Context, Poll},
    time::{Duration, Instant},
};

use commucat_transport_api::{Phase, Signal, Target};
use tokio::io::ReadBuf;

use super::{Core, Life, Side, stream::remember};
use crate::{
    config::FIRST_WINDOW_BYTES,
    error::{Broken, Violation},
    frame::{Frame, OpenTarget, Piece, go_away, reset},
};

/// Control frames that a peer may send in one burst. An honest one sends a handful a stream; a page that opens and drops a
/// thousand streams at once still passes.
pub(super) const PATIENCE: u64 = 8192;
/// Control frames a second that a peer may go on with. Window frames are paid for by the data they answer.
const PATIENCE_A_SECOND: u64 = 2048;
/// Data we sent that pays for one window frame, in bytes: less than a peer of ours reads before it sends one.
const BYTES_A_WINDOW_FRAME: u64 = 4096;
/// Pings that wait for their answers: an honest peer has one under way.
const MAX_PONGS: usize = 64;
/// A window larger than this is nonsense, in bytes.
const MAX_CREDIT: usize = 1 << 31;
/// A window that is read empty within this many round trips held its stream up, and is doubled.
const ROUND_TRIPS_A_WINDOW: u32 = 2;
/// The round trip of which nothing is known.
const UNKNOWN_ROUND_TRIP: Duration = Duration::from_millis(100);

impl Core {
    /// Takes bytes that arrived. After a violation nothing is read any more.
    pub(crate) fn handle_input(&mut self, now: Instant, mut bytes: &[u8]) {
        self.now = now;
        self.received += bytes.len() as u64;
        self.timers.heard(now);
        while !self.has_failed() {
            let taken = match self.reader.next(&mut bytes) {
                Ok(None) => return,
                Ok(Some(piece)) => self.take(piece),
                Err(violation) => Err(violation),
            };
            if let Err(violation) = taken {
                self.violated(violation);
            }
        }
    }

    /// The carrier ended. That is in order where no stream was open.
    pub(crate) fn handle_end(&mut self, now: Instant) {
        self.now = now;
        self.fail(Phase::Data, Signal::UnexpectedEof);
    }

    /// Reads what a stream received. `Ready` with nothing read is its end.
    pub(crate) fn poll_read(
        &mut self,
        cx: &Context<'_>,
        id: u32,
        into: &mut ReadBuf<'_>,
    ) -> Poll<Result<(), Broken>> {
        let Some(stream) = self.streams.get_mut(&id) else { return Poll::Ready(Err(Broken::Reset)) };
        let read = stream.received.pop(into, &mut self.spare);
        if read > 0 {
            self.consumed(id, read);
            return Poll::Ready(Ok(()));
        }
        if stream.peer_ended || into.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        if let Some(broken) = &stream.broken {
            return Poll::Ready(Err(broken.clone()));
        }
        if let Some(failure) = &self.failure {
            return Poll::Ready(Err(Broken::Carrier(failure.clone())));
        }
        remember(&mut stream.reader, cx.waker());
        Poll::Pending
    }

    fn take(&mut self, piece: Piece<'_>) -> Result<(), Violation> {
        match piece {
            Piece::Head { stream, content } => self.take_data_head(stream, content),
            Piece::Content { stream, bytes } => {
                if let Some(stream) = self.streams.get_mut(&stream) {
                    stream.received.push(bytes, &mut self.spare);
                    self.wakes.extend(stream.reader.take());
                }
                Ok(())
            }
            Piece::Frame(frame) => self.take_frame(frame),
        }
    }

    /// Checks a data frame before its content comes.
    fn take_data_head(&mut self, id: u32, content: usize) -> Result<(), Violation> {
        self.timers.data_arrived(self.now);
        if content == 0 {
            self.spend_patience()?;
        }
        self.was_opened(id)?;
        // A stream that was dropped here may still have data under way.
        let Some(stream) = self.streams.get_mut(&id) else { return Ok(()) };
        if stream.peer_ended || stream.broken.is_some() {
            return Err(Violation::AfterEnd);
        }
        stream.allowed = stream.allowed.checked_sub(content).ok_or(Violation::WindowOverrun)?;
        Ok(())
    }

    fn take_frame(&mut self, frame: Frame) -> Result<(), Violation> {
        match frame {
            Frame::Open { stream, target } => {
                self.spend_patience()?;
                self.take_open(stream, target)
            }
            Frame::Window { stream, credit } => self.take_window(stream, credit),
            Frame::End { stream } => self.take_end(stream),
            Frame::Reset { stream, code } => {
                self.spend_patience()?;
                self.take_reset(stream, code)
            }
            Frame::Ping(id) => {
                self.spend_patience()?;
                if self.pongs.len() >= MAX_PONGS {
                    return Err(Violation::Flood);
                }
                self.pongs.push(id);
                Ok(())
            }
            Frame::Pong(id) => {
                self.spend_patience()?;
                if self.timers.ponged(self.now, id) {
                    self.rouse_watchers();
                }
                Ok(())
            }
            Frame::GoAway(go_away::DRAIN) => {
                self.peer_drains = true;
                self.rouse_watchers();
                Ok(())
            }
            Frame::GoAway(_complaint) => {
                self.fail(Phase::Data, Signal::Other);
                Ok(())
            }
            Frame::Padding => self.spend_patience(),
        }
    }

    fn take_open(&mut self, id: u32, target: Target) -> Result<(), Violation> {
        if self.side != Side::Accepted || id.is_multiple_of(2) || id < self.next_stream {
            return Err(Violation::BadOpen);
        }
        self.next_stream = id.saturating_add(2);
        let full = self.streams.len() >= self.config.max_streams
            || self.unaccepted.len() >= self.config.max_unaccepted;
        if full || self.is_going_away() || OpenTarget::new(&target).is_none() {
            if self.is_stalled() {
                return Err(Violation::Flood);
            }
            self.refuse(id);
            return Ok(());
        }
        self.admit(id);
        self.unaccepted.push_back((id, target));
        self.rouse_watchers();
        Ok(())
    }

    fn take_window(&mut self, id: u32, credit: u32) -> Result<(), Violation> {
        self.spend_patience()?;
        self.was_opened(id)?;
        let Some(stream) = self.streams.get_mut(&id) else { return Ok(()) };
        stream.credit += credit as usize;
        if stream.credit > MAX_CREDIT {
            return Err(Violation::WindowOverflow);
        }
        self.wakes.extend(stream.writer.take());
        Ok(())
    }

    fn take_end(&mut self, id: u32) -> Result<(), Violation> {
        self.was_opened(id)?;
        let Some(stream) = self.streams.get_mut(&id) else { return self.spend_patience() };
        if stream.peer_ended || stream.broken.is_some() {
            return Err(Violation::AfterEnd);
        }
        stream.peer_ended = true;
        self.wakes.extend(stream.reader.take());
        Ok(())
    }

    fn take_reset(&mut self, id: u32, code: u8) -> Result<(), Violation> {
        self.was_opened(id)?;
        if let Some(at) = self.unaccepted.iter().position(|(waiting, _target)| *waiting == id) {
            self.unaccepted.remove(at);
            self.remove(id);
            return Ok(());
        }
        let Some(stream) = self.streams.get_mut(&id) else { return Ok(()) };
        stream.broken = Some(if code == reset::REFUSED { Broken::Refused } else { Broken::Reset });
        stream.rouse(&mut self.wakes);
        Ok(())
    }

    /// Whether there ever was such a stream: frames for one that is gone are late, frames for another are wrong.
    const fn was_opened(&self, id: u32) -> Result<(), Violation> {
        if id % 2 == 1 && id < self.next_stream { Ok(()) } else { Err(Violation::BadStream) }
    }

    /// Counts one control frame of the peer.
    fn spend_patience(&mut self) -> Result<(), Violation> {
        if self.patience == 0 {
            let passed = self.now.saturating_duration_since(self.patient_at).as_millis();
            let regained = u64::try_from(passed).unwrap_or(u64::MAX).saturating_mul(PATIENCE_A_SECOND) / 1000;
            self.patience = regained.min(PATIENCE);
            self.patient_at = self.now;
        }
        self.patience = self.patience.checked_sub(1).ok_or(Violation::Flood)?;
        Ok(())
    }

    /// Data that was sent will be answered by window frames.
    pub(super) fn earn_patience(&mut self, sent: usize) {
        self.patience = (self.patience + sent as u64 / BYTES_A_WINDOW_FRAME).min(PATIENCE);
    }

    /// The owner read that much: the peer is granted as much again when half a window was read.
    fn consumed(&mut self, id: u32, read: usize) {
        let Some(stream) = self.streams.get_mut(&id) else { return };
        stream.consumed += read;
        let over = stream.peer_ended || stream.broken.is_some();
        if over || stream.credit_due || stream.consumed < stream.window / 2 || self.failure.is_some() {
            return;
        }
        stream.credit_due = true;
        self.credits.push(id);
        self.rouse_driver();
    }

    /// Grants what was read, and more when the window held the stream up. Gives what to say to the peer.
    pub(super) fn credit(&mut self, id: u32) -> Option<u32> {
        let room = self.room_to_grow();
        let round_trip = self.timers.round_trip().unwrap_or(UNKNOWN_ROUND_TRIP);
        let stream = self.streams.get_mut(&id)?;
        stream.credit_due = false;
        let mut credit = std::mem::take(&mut stream.consumed);
        let since = self.now.saturating_duration_since(stream.credited);
        stream.credited = self.now;
        if since <= round_trip * ROUND_TRIPS_A_WINDOW {
            let growth = stream.window.min(self.config.max_window - stream.window).min(room);
            stream.window += growth;
            self.granted += growth;
            credit += growth;
        }
        stream.allowed += credit;
        u32::try_from(credit).ok()
    }

    /// Grants a new stream the rest of its first window.
    pub(super) fn widen(&mut self, id: u32) {
        let room = self.room_to_grow();
        let Some(stream) = self.streams.get_mut(&id) else { return };
        let growth = (self.config.window - FIRST_WINDOW_BYTES).min(room);
        let Some(credit) = u32::try_from(growth).ok().filter(|credit| *credit > 0) else { return };
        stream.window += growth;
        stream.allowed += growth;
        self.granted += growth;
        if self.life == Life::Open {
            crate::frame::put_window(&mut self.out, id, credit);
        }
    }

    /// What windows may grow by, so that every stream that may still come finds its first window.
    fn room_to_grow(&self) -> usize {
        let to_come = self.config.max_streams.saturating_sub(self.streams.len());
        self.config.max_receive.saturating_sub(self.granted + to_come * FIRST_WINDOW_BYTES)
    }
}
