//! What leaves: owners that write in turns, and the one buffer that the driver takes whole.

use std::{
    mem,
    task::{Context, Poll},
    time::Instant,
};

use commucat_transport_api::{Phase, Signal};

use super::{Core, Life, stream::remember};
use crate::{
    error::Broken,
    frame::{self, MAX_BODY_BYTES, MAX_FRAME_BYTES, PAD_FIELD_BYTES},
};

/// Frames waiting for the carrier, in bytes: eight full ones, so that one write of the driver is eight TLS records.
const OUT_BYTES: usize = 8 * MAX_FRAME_BYTES;
/// What control frames may add to that while the carrier takes nothing, in bytes.
const STALLED_BYTES: usize = OUT_BYTES + 256 * 1024;

/// Frames at the beginning of a stream's direction that are padded: an inner TLS handshake is over by then
/// (XTLS Vision counts 8 too).
const PADDED_FRAMES: u8 = 8;
/// Shorter content is brought to at least this length, in bytes (Vision's numbers).
const PAD_TO_BYTES: usize = 900;
/// The chance on top of it.
const LONG_PADDING_BYTES: u64 = 500;
/// The chance for longer content.
const SHORT_PADDING_BYTES: u64 = 256;

impl Core {
    /// Takes bytes of a stream, as many as its window and its turn allow.
    pub(crate) fn poll_write(
        &mut self,
        cx: &Context<'_>,
        id: u32,
        bytes: &[u8],
    ) -> Poll<Result<usize, Broken>> {
        let room = OUT_BYTES.saturating_sub(self.out.len());
        let Some(stream) = self.streams.get_mut(&id) else { return Poll::Ready(Err(Broken::Reset)) };
        if let Some(failure) = &self.failure {
            return Poll::Ready(Err(Broken::Carrier(failure.clone())));
        }
        if let Some(broken) = &stream.broken {
            return Poll::Ready(Err(broken.clone()));
        }
        if stream.ended {
            return Poll::Ready(Err(Broken::Ended));
        }
        if bytes.is_empty() {
            return Poll::Ready(Ok(0));
        }
        let had_turn = stream.turn != 0 && stream.turn == self.round;
        stream.turn = 0;
        self.given -= usize::from(had_turn);
        if stream.credit == 0 {
            remember(&mut stream.writer, cx.waker());
            return Poll::Pending;
        }
        let others_wait = !self.turns.is_empty() || self.given > 0;
        if room == 0 || (others_wait && !had_turn) {
            remember(&mut stream.writer, cx.waker());
            if !mem::replace(&mut stream.waits, true) {
                self.turns.push_back(id);
            }
            if room > 0 {
                // Somebody has a turn and does not take it: only the driver can go past him.
                self.rouse_driver();
            }
            return Poll::Pending;
        }
        let most = if others_wait { self.share.min(room) } else { room };
        let written = self.put(id, bytes, most);
        if self.hungry {
            self.rouse_driver();
        }
        Poll::Ready(Ok(written))
    }

    /// Ends our direction of a stream.
    pub(crate) fn shutdown(&mut self, id: u32) -> Result<(), Broken> {
        let Some(stream) = self.streams.get_mut(&id) else { return Err(Broken::Reset) };
        if stream.ended {
            return Ok(());
        }
        if let Some(broken) = &stream.broken {
            return Err(broken.clone());
        }
        if let Some(failure) = &self.failure {
            return Err(Broken::Carrier(failure.clone()));
        }
        stream.ended = true;
        frame::put_end(&mut self.out, id);
        self.timers.spoke();
        self.rouse_driver();
        Ok(())
    }

    /// The owner of a stream let go of it. Unless both directions came to their ends, the peer sees a reset.
    pub(crate) fn drop_stream(&mut self, id: u32) {
        let Some(stream) = self.remove(id) else { return };
        let open = self.life == Life::Open && stream.broken.is_none();
        if open && !stream.is_done() {
            frame::put_reset(&mut self.out, id, frame::reset::CANCELLED);
        }
        self.rouse_driver();
    }

    /// Moves frames to `into`, which is empty: everything that is to be sent now. Nothing when there is nothing.
    pub(crate) fn poll_transmit(&mut self, now: Instant, into: &mut Vec<u8>) {
        self.now = now;
        self.settle();
        if self.life == Life::Open {
            self.put_control();
        }
        self.hungry = self.out.is_empty();
        if !self.hungry {
            mem::swap(&mut self.out, into);
            self.out.clear();
            self.sent += into.len() as u64;
            self.earn_patience(into.len());
            self.timers.sent(now);
        }
        let _others_follow = self.give_turns();
    }

    /// Gives as many streams as there is room for their turn, in the order in which they came to wait: each may write the
    /// same share, of one frame or more. Whether more could follow: the driver comes back when these had the chance to
    /// take theirs. A turn that is not taken by then lapses.
    pub(crate) fn give_turns(&mut self) -> bool {
        let room = OUT_BYTES.saturating_sub(self.out.len()).div_ceil(MAX_FRAME_BYTES);
        let most = self.turns.len().min(room);
        if most == 0 {
            return false;
        }
        self.round += 1;
        self.given = most;
        self.share = room / most * MAX_BODY_BYTES;
        for id in self.turns.drain(..most) {
            // A stream that is dropped leaves the queue.
            let Some(stream) = self.streams.get_mut(&id) else { continue };
            stream.waits = false;
            stream.turn = self.round;
            self.wakes.extend(stream.writer.take());
        }
        !self.turns.is_empty()
    }

    /// Whether the carrier took nothing for so long that not even control frames find room.
    pub(super) const fn is_stalled(&self) -> bool {
        self.out.len() >= STALLED_BYTES
    }

    /// The padding of the next frame of a stream's direction, which has that much content.
    pub(super) fn padding(&mut self, id: u32, content: usize) -> Option<usize> {
        let stream = self.streams.get_mut(&id).filter(|stream| stream.frames < PADDED_FRAMES)?;
        stream.frames += 1;
        let room = (MAX_BODY_BYTES - PAD_FIELD_BYTES).checked_sub(content)?;
        let drawn = if content < PAD_TO_BYTES {
            PAD_TO_BYTES - content + usize::try_from(self.dice.below(LONG_PADDING_BYTES)).unwrap_or_default()
        } else {
            usize::try_from(self.dice.below(SHORT_PADDING_BYTES)).unwrap_or_default()
        };
        Some(drawn.min(room))
    }

    /// Frames as much of the bytes as fits.
    fn put(&mut self, id: u32, bytes: &[u8], most: usize) -> usize {
        let Some(stream) = self.streams.get_mut(&id) else { return 0 };
        let most = most.min(stream.credit).min(bytes.len());
        stream.credit -= most;
        let bytes = bytes.get(..most).unwrap_or_default();
        for content in bytes.chunks(MAX_BODY_BYTES) {
            let padding = self.padding(id, content.len());
            frame::put_data(&mut self.out, id, content, padding);
        }
        self.timers.spoke();
        most
    }

    /// Writes what waits beside the data: grants, pongs, a ping, a sign of life.
    fn put_control(&mut self) {
        while let Some(id) = self.credits.pop() {
            if let Some(credit) = self.credit(id) {
                frame::put_window(&mut self.out, id, credit);
                self.timers.wants_round_trip(self.now);
            }
        }
        for id in self.pongs.drain(..) {
            frame::put_pong(&mut self.out, id);
        }
        if let Some(id) = self.timers.ping_to_send(self.now) {
            frame::put_ping(&mut self.out, id);
        }
        if self.timers.sign_to_send(self.out.is_empty()) {
            frame::put_sign(&mut self.out);
        }
    }

    /// Begins to end a session that nobody needs.
    fn settle(&mut self) {
        if self.life != Life::Open {
            return;
        }
        self.timers.note_use(self.now, !self.streams.is_empty());
        if self.close_at().is_some_and(|at| at <= self.now) {
            self.life = Life::Closing;
            self.end(Phase::Data, Signal::Other);
        }
    }
}
