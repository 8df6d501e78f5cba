//! The first bytes of one direction of a TCP connection, put in order.
//!
//! What a censor's box does, and no more: it keeps the first [`PREFIX_BYTES_MAX`] bytes; a byte that came first stays,
//! whatever a later segment says about the same place (the first copy wins); segments that would make too many islands
//! are not kept. Sequence numbers count from the SYN, or from the first segment seen when the SYN was not.

/// Bytes of each direction that are put together.
pub const PREFIX_BYTES_MAX: usize = 16 * 1024;

/// Islands of bytes between holes, at most, for each direction.
const ISLANDS_MAX: usize = 32;

/// The beginning of one direction.
#[derive(Debug, Default)]
pub(crate) struct Stream {
    /// The sequence number of the first byte.
    base: Option<u32>,
    /// The bytes by place; what lies in a hole is zero.
    bytes: Vec<u8>,
    /// Which places are known: half-open, in order, never touching.
    islands: Vec<(usize, usize)>,
}

impl Stream {
    /// The SYN with that sequence number was seen.
    pub(crate) fn open(&mut self, syn_sequence: u32) {
        self.base.get_or_insert_with(|| syn_sequence.wrapping_add(1));
    }

    /// Whether a SYN with that sequence number is the one that was seen.
    pub(crate) fn begins_after(&self, syn_sequence: u32) -> bool {
        self.base == Some(syn_sequence.wrapping_add(1))
    }

    /// The bytes known without a hole.
    pub(crate) fn prefix(&self) -> &[u8] {
        self.bytes.get(..self.known()).unwrap_or_default()
    }

    /// Memory held, in bytes.
    pub(crate) const fn held(&self) -> usize {
        self.bytes.len()
    }

    /// Takes a segment. `room` is how many more bytes may be held; it is lowered by what is used. True when the
    /// prefix grew.
    pub(crate) fn insert(&mut self, sequence: u32, payload: &[u8], room: &mut usize) -> bool {
        let base = *self.base.get_or_insert(sequence);
        let distance = i64::from(sequence.wrapping_sub(base).cast_signed());
        let skip = usize::try_from(-distance).unwrap_or_default();
        let start = usize::try_from(distance).unwrap_or_default();
        let Some(payload) = payload.get(skip..) else { return false };
        let end = (start + payload.len()).min(PREFIX_BYTES_MAX);
        if start >= end || end <= self.known() {
            return false;
        }
        let growth = end.saturating_sub(self.bytes.len());
        if growth > *room || !self.has_place(start, end) {
            return false;
        }
        *room -= growth;
        if growth > 0 {
            self.bytes.resize(end, 0);
        }
        let known_before = self.known();
        self.fill(start, end, payload);
        self.known() > known_before
    }

    fn known(&self) -> usize {
        match self.islands.first() {
            Some((0, end)) => *end,
            _ => 0,
        }
    }

    /// Whether the segment touches an island or there may be one more.
    fn has_place(&self, start: usize, end: usize) -> bool {
        self.islands.len() < ISLANDS_MAX || self.islands.iter().any(|(from, to)| *from <= end && start <= *to)
    }

    /// Writes what is not known yet, and joins the islands it touches.
    fn fill(&mut self, start: usize, end: usize, payload: &[u8]) {
        if let [(_, known_to)] = self.islands.as_mut_slice()
            && *known_to == start
        {
            *known_to = end;
            self.write(start, start, end, payload);
            return;
        }
        let (mut from, mut to, mut cursor) = (start, end, start);
        let mut kept = Vec::with_capacity(self.islands.len() + 1);
        let islands = std::mem::take(&mut self.islands);
        let mut place = 0;
        for (known_from, known_to) in islands {
            if known_to < start || known_from > end {
                if known_to < start {
                    place = kept.len() + 1;
                }
                kept.push((known_from, known_to));
                continue;
            }
            self.write(start, cursor, known_from.min(end), payload);
            cursor = cursor.max(known_to);
            from = from.min(known_from);
            to = to.max(known_to);
        }
        self.write(start, cursor, end, payload);
        kept.insert(place.min(kept.len()), (from, to));
        self.islands = kept;
    }

    /// Copies the bytes for the places `from..to`; the payload begins at `start`.
    fn write(&mut self, start: usize, from: usize, to: usize, payload: &[u8]) {
        if from >= to {
            return;
        }
        let source = payload.get(from - start..to - start);
        if let (Some(source), Some(target)) = (source, self.bytes.get_mut(from..to)) {
            target.copy_from_slice(source);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const BASE: u32 = 0xffff_fff0;

    fn stream() -> Stream {
        let mut stream = Stream::default();
        stream.open(BASE.wrapping_sub(1));
        stream
    }

    fn put(stream: &mut Stream, at: usize, bytes: &[u8]) -> bool {
        let mut room = usize::MAX;
        stream.insert(BASE.wrapping_add(u32::try_from(at).unwrap()), bytes, &mut room)
    }

    #[test]
    fn every_split_in_every_order_gives_the_same_bytes() {
        let whole: Vec<u8> = (0..200).collect();
        for cut in 0..=whole.len() {
            let (head, tail) = whole.split_at(cut);
            for backwards in [false, true] {
                let mut stream = stream();
                if backwards {
                    put(&mut stream, cut, tail);
                    assert_eq!(stream.prefix().len(), if cut == 0 { 200 } else { 0 });
                    put(&mut stream, 0, head);
                } else {
                    put(&mut stream, 0, head);
                    assert_eq!(stream.prefix(), head);
                    put(&mut stream, cut, tail);
                }
                assert_eq!(stream.prefix(), whole);
            }
        }
    }

    #[test]
    fn the_first_copy_wins() {
        let mut stream = stream();
        assert!(put(&mut stream, 0, b"abcd"));
        assert!(!put(&mut stream, 0, b"ABCD"));
        assert!(put(&mut stream, 2, b"CDef"));
        assert_eq!(stream.prefix(), b"abcdef");
        put(&mut stream, 8, b"i");
        assert!(put(&mut stream, 5, b"FghI"));
        assert_eq!(stream.prefix(), b"abcdefghi");
    }

    #[test]
    fn without_a_syn_the_first_segment_is_the_beginning() {
        let mut stream = Stream::default();
        let mut room = 100;
        assert!(stream.insert(5, b"abc", &mut room));
        assert!(!stream.insert(1, b"old", &mut room));
        assert!(stream.insert(3, b"xxabcdef", &mut room));
        assert_eq!(stream.prefix(), b"abcdef");
        assert_eq!((room, stream.held()), (94, 6));
    }

    #[test]
    fn nothing_is_kept_beyond_the_limits() {
        let mut one = stream();
        assert!(put(&mut one, 0, &vec![1; PREFIX_BYTES_MAX + 1000]));
        assert_eq!(one.prefix().len(), PREFIX_BYTES_MAX);
        assert!(!put(&mut one, PREFIX_BYTES_MAX, b"more"));
        let mut many = stream();
        for index in 0..200 {
            put(&mut many, 1 + index * 3, b"x");
        }
        assert_eq!(many.islands.len(), ISLANDS_MAX);
        let mut starved = stream();
        let mut room = 10;
        assert!(!starved.insert(BASE, &[1; 11], &mut room));
        assert_eq!((room, starved.held()), (10, 0));
    }

    proptest! {
        /// Segments in any order, repeated and overlapping, of one text: the prefix is always a prefix of the text,
        /// and all of it once all was sent.
        #[test]
        fn any_order_of_any_segments(
            length in 1_usize..600,
            cuts in prop::collection::vec((0_usize..600, 1_usize..90), 0..40),
        ) {
            let text: Vec<u8> = (0..length).map(|index| u8::try_from(index * 7 % 251).unwrap()).collect();
            let mut stream = stream();
            for (start, size) in cuts {
                let start = start.min(length);
                let end = (start + size).min(length);
                put(&mut stream, start, &text[start..end]);
                prop_assert_eq!(stream.prefix(), &text[..stream.prefix().len()]);
                prop_assert!(stream.islands.windows(2).all(|pair| pair[0].1 < pair[1].0));
            }
            put(&mut stream, 0, &text);
            prop_assert_eq!(stream.prefix(), &text[..]);
            prop_assert_eq!(stream.islands, vec![(0, length)]);
        }

        /// A byte never changes once it is known, whatever contradicts it.
        #[test]
        fn known_bytes_stay(segments in prop::collection::vec((0_u32..300, any::<u8>(), 1_usize..60), 0..60)) {
            let mut stream = stream();
            let mut model = vec![None; 400];
            for (start, fill, size) in segments {
                let room_left = stream.islands.len() < ISLANDS_MAX;
                put(&mut stream, start as usize, &vec![fill; size]);
                if room_left {
                    model[start as usize..start as usize + size].iter_mut().for_each(|place| {
                        place.get_or_insert(fill);
                    });
                }
                let known: Vec<u8> = model.iter().map_while(|place| *place).collect();
                prop_assert_eq!(stream.prefix(), &known[..]);
            }
        }
    }
}
