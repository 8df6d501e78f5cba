//! One direction of a stream as the two ends see it: bytes in order, a bounded window, one end of stream. Pure; how
//! long a segment travels is the link's affair.

use std::collections::{BTreeMap, VecDeque};

use bytes::{Bytes, BytesMut};

/// A piece of the stream. The last one of a direction has `fin`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Segment {
    pub(super) bytes: Bytes,
    pub(super) fin: bool,
}

/// One direction of a stream.
#[derive(Debug)]
pub(super) struct Pipe {
    /// Bytes that may still be written before the reader made room.
    credit: usize,
    next_number: u64,
    finished: bool,
    /// Sent and not arrived, by number.
    under_way: BTreeMap<u64, Segment>,
    expected: u64,
    /// Arrived before an earlier one.
    early: BTreeMap<u64, Segment>,
    readable: VecDeque<Bytes>,
    ended: bool,
}

/// What a read gives.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Read {
    /// These bytes.
    Bytes(Bytes),
    /// The stream ended.
    End,
    /// Nothing yet.
    Wait,
}

impl Pipe {
    pub(super) const fn new(window: usize) -> Self {
        Self {
            credit: window,
            next_number: 0,
            finished: false,
            under_way: BTreeMap::new(),
            expected: 0,
            early: BTreeMap::new(),
            readable: VecDeque::new(),
            ended: false,
        }
    }

    /// Takes as many bytes as the window has room for and gives the numbers of the segments they became.
    pub(super) fn write(&mut self, data: &[u8], segment_bytes: usize) -> (usize, std::ops::Range<u64>) {
        let first = self.next_number;
        let taken = data.get(..data.len().min(self.credit)).unwrap_or_default();
        for chunk in taken.chunks(segment_bytes.max(1)) {
            self.push(Segment { bytes: Bytes::copy_from_slice(chunk), fin: false });
        }
        self.credit -= taken.len();
        (taken.len(), first..self.next_number)
    }

    /// Ends the direction; the number of the last segment, when this is the first time.
    pub(super) fn finish(&mut self) -> Option<u64> {
        if std::mem::replace(&mut self.finished, true) {
            return None;
        }
        Some(self.push(Segment { bytes: Bytes::new(), fin: true }))
    }

    pub(super) const fn is_finished(&self) -> bool {
        self.finished
    }

    /// Payload bytes of a segment that has not arrived.
    pub(super) fn payload(&self, number: u64) -> Option<usize> {
        self.under_way.get(&number).map(|segment| segment.bytes.len())
    }

    /// A segment came. True when the reader can go on.
    pub(super) fn arrive(&mut self, number: u64) -> bool {
        let Some(segment) = self.under_way.remove(&number) else { return false };
        self.early.insert(number, segment);
        let before = self.expected;
        while let Some(segment) = self.early.remove(&self.expected) {
            self.expected += 1;
            self.ended |= segment.fin;
            if !segment.bytes.is_empty() {
                self.readable.push_back(segment.bytes);
            }
        }
        self.expected > before
    }

    /// Takes up to `most` bytes.
    pub(super) fn read(&mut self, most: usize) -> Read {
        let Some(mut first) = self.readable.pop_front() else {
            return if self.ended { Read::End } else { Read::Wait };
        };
        if first.len() > most {
            let rest = first.split_off(most);
            self.readable.push_front(rest);
            return Read::Bytes(first);
        }
        // Small pieces that lie ready are read as one, as a kernel's buffer would give them.
        if self.readable.front().is_none_or(|next| first.len() + next.len() > most) {
            return Read::Bytes(first);
        }
        let mut joined = BytesMut::from(first);
        while let Some(next) = self.readable.pop_front() {
            if joined.len() + next.len() > most {
                self.readable.push_front(next);
                break;
            }
            joined.extend_from_slice(&next);
        }
        Read::Bytes(joined.freeze())
    }

    /// The reader made room, and the writer has heard of it.
    pub(super) const fn add_credit(&mut self, bytes: usize) {
        self.credit += bytes;
    }

    /// Whether bytes have arrived that nobody read.
    pub(super) fn has_unread(&self) -> bool {
        !self.readable.is_empty() || self.early.values().any(|segment| !segment.bytes.is_empty())
    }

    fn push(&mut self, segment: Segment) -> u64 {
        let number = self.next_number;
        self.next_number += 1;
        self.under_way.insert(number, segment);
        number
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_window_bounds_what_is_written() {
        let mut pipe = Pipe::new(10);
        assert_eq!(pipe.write(b"hello, world", 4), (10, 0..3));
        assert_eq!(pipe.write(b"x", 4), (0, 3..3));
        for number in 0..3 {
            pipe.arrive(number);
        }
        assert_eq!(pipe.write(b"x", 4), (0, 3..3), "arrival makes no room");
        assert_eq!(pipe.read(6), Read::Bytes("hell".into()), "a piece that would not fit stays whole");
        pipe.add_credit(4);
        assert_eq!(pipe.write(b"xyz", 4), (3, 3..4));
    }

    #[test]
    fn the_end_comes_after_the_last_byte_and_stays() {
        let mut pipe = Pipe::new(10);
        pipe.write(b"ab", 1);
        let fin = pipe.finish().unwrap();
        assert_eq!(pipe.finish(), None);
        assert!(!pipe.arrive(fin) && !pipe.arrive(1), "nothing can be read before number 0");
        assert_eq!(pipe.read(9), Read::Wait);
        assert!(pipe.arrive(0));
        assert_eq!(pipe.read(9), Read::Bytes("ab".into()));
        assert_eq!((pipe.read(9), pipe.read(9)), (Read::End, Read::End));
    }

    proptest! {
        #[test]
        fn any_order_of_arrival_gives_the_bytes_in_order(
            writes in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..20),
            order in any::<u64>(),
            segment in 1usize..16,
            most in 1usize..32,
        ) {
            let mut pipe = Pipe::new(usize::MAX >> 1);
            for data in &writes {
                let (taken, _numbers) = pipe.write(data, segment);
                prop_assert_eq!(taken, data.len());
            }
            let last = pipe.finish().unwrap();
            let mut numbers: Vec<u64> = (0..=last).collect();
            let mut rng = super::super::rng::SimRng::new(order, "shuffle");
            numbers.sort_by_cached_key(|_| rng.next_u64());
            let mut got = Vec::new();
            for number in numbers {
                pipe.arrive(number);
                prop_assert!(!pipe.arrive(number), "a copy changes nothing");
                while let Read::Bytes(bytes) = pipe.read(most) {
                    prop_assert!(!bytes.is_empty() && bytes.len() <= most);
                    got.extend_from_slice(&bytes);
                }
            }
            prop_assert_eq!(got, writes.concat());
            prop_assert_eq!(pipe.read(1), Read::End);
        }
    }
}
