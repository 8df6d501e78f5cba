//! What a session knows of one stream.

use std::{collections::VecDeque, task::Waker, time::Instant};

use super::chunks::Chunks;
use crate::{config::FIRST_WINDOW_BYTES, error::Broken};

/// One stream, from its open frame until its owner drops it.
#[derive(Debug)]
pub(super) struct Stream {
    /// Received and not yet read.
    pub(super) received: Chunks,
    /// Our window: what the peer may have sent that was not read, in bytes.
    pub(super) window: usize,
    /// What the peer may still send, in bytes.
    pub(super) allowed: usize,
    /// What was read since the peer was last granted more, in bytes.
    pub(super) consumed: usize,
    /// Whether it waits for its window frame to be written.
    pub(super) credit_due: bool,
    /// When the peer was last granted more.
    pub(super) credited: Instant,
    /// The peer ended its direction.
    pub(super) peer_ended: bool,

    /// What we may still send, in bytes.
    pub(super) credit: usize,
    /// Frames sent, as far as padding counts them.
    pub(super) frames: u8,
    /// We ended our direction.
    pub(super) ended: bool,
    /// It waits for its turn to write.
    pub(super) waits: bool,
    /// The round in which it may write although others wait; 0 for none.
    pub(super) turn: u64,

    /// The peer ended both directions early.
    pub(super) broken: Option<Broken>,
    pub(super) reader: Option<Waker>,
    pub(super) writer: Option<Waker>,
}

impl Stream {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            received: Chunks::default(),
            window: FIRST_WINDOW_BYTES,
            allowed: FIRST_WINDOW_BYTES,
            consumed: 0,
            credit_due: false,
            credited: now,
            peer_ended: false,
            credit: FIRST_WINDOW_BYTES,
            frames: 0,
            ended: false,
            waits: false,
            turn: 0,
            broken: None,
            reader: None,
            writer: None,
        }
    }

    /// Whether both directions came to their ends and everything was read.
    pub(super) const fn is_done(&self) -> bool {
        self.ended && self.peer_ended && self.received.len() == 0
    }

    /// Hands those who wait for this stream over to be woken.
    pub(super) fn rouse(&mut self, wakes: &mut VecDeque<Waker>) {
        wakes.extend(self.reader.take());
        wakes.extend(self.writer.take());
    }
}

/// Remembers who waits, without a clone when it is the same task as before.
pub(super) fn remember(slot: &mut Option<Waker>, waker: &Waker) {
    match slot {
        Some(known) => known.clone_from(waker),
        None => *slot = Some(waker.clone()),
    }
}
