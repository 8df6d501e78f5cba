//! Packets that wait for their time. Buffers are used again, so a queue that has found its size allocates nothing.

use std::{cmp::Reverse, collections::BinaryHeap, time::Duration};

use commucat_censor::IN_FLIGHT_PACKETS_MAX;

/// Packets that may wait at once: two links in each direction, of which each bounds itself, and what the censor holds.
/// In full packets that is about 200 MB.
pub(super) const QUEUED_PACKETS_MAX: usize = 4 * IN_FLIGHT_PACKETS_MAX;

/// Packets in the order of their times; those of one time in the order in which they came.
#[derive(Debug)]
pub(super) struct TimerQueue<S> {
    order: BinaryHeap<Reverse<Entry>>,
    slots: Vec<Slot<S>>,
    free: Vec<usize>,
    next: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Entry {
    at: Duration,
    number: u64,
    slot: usize,
}

#[derive(Debug)]
struct Slot<S> {
    stage: S,
    packet: Vec<u8>,
}

/// The queue is full and did not take the packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Full;

impl<S: Copy> TimerQueue<S> {
    pub(super) const fn new() -> Self {
        Self { order: BinaryHeap::new(), slots: Vec::new(), free: Vec::new(), next: 0 }
    }

    /// Keeps a copy of a packet until its time.
    pub(super) fn push(&mut self, at: Duration, stage: S, packet: &[u8]) -> Result<(), Full> {
        let slot = match self.free.pop() {
            Some(slot) => slot,
            None if self.slots.len() < QUEUED_PACKETS_MAX => {
                self.slots.push(Slot { stage, packet: Vec::new() });
                self.slots.len() - 1
            }
            None => return Err(Full),
        };
        let Some(kept) = self.slots.get_mut(slot) else { return Err(Full) };
        kept.stage = stage;
        kept.packet.clear();
        kept.packet.extend_from_slice(packet);
        self.order.push(Reverse(Entry { at, number: self.next, slot }));
        self.next += 1;
        Ok(())
    }

    /// When the first packet is due.
    pub(super) fn first(&self) -> Option<Duration> {
        self.order.peek().map(|Reverse(entry)| entry.at)
    }

    /// The first packet, when it is due now: copied into `into`, whose memory is used again.
    pub(super) fn pop(&mut self, now: Duration, into: &mut Vec<u8>) -> Option<S> {
        if self.first()? > now {
            return None;
        }
        let Reverse(entry) = self.order.pop()?;
        let slot = self.slots.get_mut(entry.slot)?;
        // The buffers change places: no byte is copied, and both stay in use.
        std::mem::swap(into, &mut slot.packet);
        self.free.push(entry.slot);
        Some(slot.stage)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn packets_come_by_time_and_then_by_turn() {
        let mut queue = TimerQueue::new();
        for (at, stage) in [(20, 'c'), (10, 'a'), (10, 'b'), (30, 'd')] {
            queue.push(ms(at), stage, &[stage as u8]).unwrap();
        }
        let mut buffer = Vec::new();
        assert_eq!(queue.first(), Some(ms(10)));
        assert_eq!(queue.pop(ms(9), &mut buffer), None);
        for stage in ['a', 'b', 'c'] {
            assert_eq!(queue.pop(ms(20), &mut buffer), Some(stage));
            assert_eq!(buffer, [stage as u8]);
        }
        assert_eq!(queue.pop(ms(20), &mut buffer), None);
        assert_eq!(queue.first(), Some(ms(30)));
    }

    #[test]
    fn slots_are_used_again_and_bounded() {
        let mut queue = TimerQueue::new();
        let mut buffer = Vec::new();
        for round in 0..1000 {
            queue.push(ms(round), (), b"packet").unwrap();
            assert_eq!(queue.pop(ms(round), &mut buffer), Some(()));
        }
        assert_eq!(queue.slots.len(), 1);
        for _packet in 0..QUEUED_PACKETS_MAX {
            queue.push(ms(1), (), b"").unwrap();
        }
        assert_eq!(queue.push(ms(1), (), b""), Err(Full));
    }
}
