//! Cuts what is written into blocks, and decides when a direction needs no more of them.

use super::{
    Command, MAX_CONTENT_BYTES, UUID_BYTES,
    detector::{Detector, Direction},
    padding_bytes, put_block,
    records::Records,
};

/// Bytes looked at in one write: what TLS has in its longest record.
const MAX_TAKEN_BYTES: usize = 16 << 10;
/// A record of application data (TLS 1.2 and 1.3).
const APPLICATION_DATA: [u8; 3] = [0x17, 3, 3];

/// The writing side of a direction.
#[derive(Debug)]
pub(super) struct Shaper {
    /// Goes in front of the first block.
    user: Option<[u8; UUID_BYTES]>,
    records: Records,
}

/// What became of the bytes of one write.
#[derive(Debug)]
pub(super) struct Shaped {
    /// How many of them are in the blocks.
    pub(super) taken: usize,
    /// Blocks, each to be sealed as a record of its own.
    pub(super) blocks: Vec<Vec<u8>>,
    /// How the direction goes on.
    pub(super) next: Command,
}

impl Shaper {
    pub(super) const fn new(user: [u8; UUID_BYTES]) -> Self {
        Self { user: Some(user), records: Records::new() }
    }

    /// Whether no block was made yet.
    pub(super) const fn is_fresh(&self) -> bool {
        self.user.is_some()
    }

    /// A block without content, to hide the length of what stands before it or to end a direction.
    pub(super) fn empty(&mut self, command: Command, random: u32) -> Vec<u8> {
        let mut block = Vec::new();
        put_block(&mut block, self.user.take(), command, &[], padding_bytes(0, true, random));
        block
    }

    /// Makes blocks of a beginning of `bytes`, which the detector hears of.
    pub(super) fn shape(
        &mut self,
        detector: &mut Detector,
        bytes: &[u8],
        random: &mut dyn FnMut() -> u32,
    ) -> Shaped {
        let bytes = bytes.get(..bytes.len().min(MAX_TAKEN_BYTES)).unwrap_or_default();
        for part in bytes.chunks(MAX_CONTENT_BYTES) {
            detector.observe(Direction::Out, part);
        }
        let starts = self.records.is_at_start() && bytes.starts_with(&APPLICATION_DATA);
        let end = self.records.follow(bytes);
        let may_switch = starts || detector.is_past_flights(Direction::Out);
        let (taken, next, long) = if detector.is_tls() && may_switch && end > 0 {
            // Whole records stay in blocks, so that what follows begins with one.
            (end, if detector.is_direct() { Command::Direct } else { Command::End }, true)
        } else if detector.gives_up() {
            (bytes.len(), Command::End, detector.is_tls())
        } else {
            (bytes.len(), Command::Continue, detector.is_tls())
        };
        let content = bytes.get(..taken).unwrap_or_default();
        let count = content.len().div_ceil(MAX_CONTENT_BYTES);
        let blocks = content
            .chunks(MAX_CONTENT_BYTES)
            .enumerate()
            .map(|(at, part)| {
                let command = if at + 1 == count { next } else { Command::Continue };
                let mut block = Vec::new();
                let padding = padding_bytes(part.len(), long, random());
                put_block(&mut block, self.user.take(), command, part, padding);
                block
            })
            .collect();
        Shaped { taken, blocks, next }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vless::vision::Unpadder;

    const USER: [u8; UUID_BYTES] = [5; UUID_BYTES];

    fn record(kind: u8, bytes: usize) -> Vec<u8> {
        let [high, low] = u16::try_from(bytes).unwrap().to_be_bytes();
        let mut record = vec![kind, 3, 3, high, low];
        record.resize(5 + bytes, 0xaa);
        record
    }

    fn client_hello() -> Vec<u8> {
        let mut hello = record(0x16, 500);
        hello[5] = 1;
        hello
    }

    fn server_hello() -> Vec<u8> {
        let mut hello = record(0x16, 90);
        hello[5] = 2;
        hello[43] = 32;
        hello[76..78].copy_from_slice(&[0x13, 1]);
        hello[80..86].copy_from_slice(&[0, 0x2b, 0, 2, 3, 4]);
        hello
    }

    /// A client's writes, after the server's answer when that is given.
    fn write(shaper: &mut Shaper, detector: &mut Detector, bytes: &[u8]) -> Shaped {
        shaper.shape(detector, bytes, &mut || 0)
    }

    #[test]
    fn a_client_of_tls_1_3_goes_below_with_its_first_whole_record() {
        let (mut shaper, mut detector) = (Shaper::new(USER), Detector::new());
        let first = write(&mut shaper, &mut detector, &client_hello());
        assert_eq!((first.next, first.blocks.len()), (Command::Continue, 1));
        assert_eq!(first.blocks[0].len(), UUID_BYTES + 5 + 900, "long padding");
        detector.observe(Direction::In, &server_hello());
        let finished = [record(0x14, 1), record(0x17, 53)].concat();
        // The handshake's end and a request: whole records, and nothing is left of the flights.
        let request = [finished, record(0x17, 300), vec![0x17, 3, 3]].concat();
        let second = write(&mut shaper, &mut detector, &request);
        assert_eq!((second.next, second.taken), (Command::Direct, request.len() - 3));
    }

    #[test]
    fn a_server_keeps_its_flight_in_blocks() {
        let (mut shaper, mut detector) = (Shaper::new(USER), Detector::new());
        detector.observe(Direction::In, &client_hello());
        let flight = [server_hello(), record(0x14, 1), record(0x17, 4000)].concat();
        assert_eq!(write(&mut shaper, &mut detector, &flight[..2000]).next, Command::Continue);
        assert_eq!(write(&mut shaper, &mut detector, &flight[2000..]).next, Command::Continue);
        detector.observe(Direction::In, &record(0x17, 53));
        // A record in two writes: only when it is whole the direction changes.
        let body = record(0x17, 9000);
        assert_eq!(write(&mut shaper, &mut detector, &body[..3000]).next, Command::Continue);
        let last = write(&mut shaper, &mut detector, &body[3000..]);
        assert_eq!((last.next, last.taken), (Command::Direct, 6005));
    }

    #[test]
    fn other_protocols_end_their_padding() {
        let (mut shaper, mut detector) = (Shaper::new(USER), Detector::new());
        let ends =
            (0..9).map(|_| write(&mut shaper, &mut detector, b"hello").next).position(|n| n == Command::End);
        assert_eq!(ends, Some(6), "with the last buffer but one that is looked at");
    }

    #[test]
    fn long_writes_are_cut_and_read_back() {
        let (mut shaper, mut detector) = (Shaper::new(USER), Detector::new());
        let bytes: Vec<u8> = (0..40_000_u32).map(|at| u8::try_from(at % 251).unwrap()).collect();
        let (mut written, mut out, mut unpadder) = (0, Vec::new(), Unpadder::new(USER));
        while written < bytes.len() {
            let shaped = write(&mut shaper, &mut detector, &bytes[written..]);
            assert!(shaped.blocks.iter().all(|block| block.len() <= super::super::MAX_BLOCK_BYTES));
            for block in &shaped.blocks {
                unpadder.take(&mut block.as_slice(), &mut out).unwrap();
            }
            written += shaped.taken;
            assert_eq!(out, bytes[..written]);
        }
    }
}
