//! Any operations on two cores, over a pipe of any chunks and at any times: what one writes the other reads, once and in
//! order. And any bytes of a peer.

use std::{collections::BTreeMap, task::Poll, time::Duration};

use proptest::prelude::*;

use super::{Pair, cx, read, start, web};
use crate::{
    config::Config,
    core::Core,
    error::Broken,
    frame::{self, MAX_BODY_BYTES, OpenTarget},
};

/// What a test does to a pair of cores.
#[derive(Clone, Debug)]
enum Op {
    Open,
    Accept,
    Write { far: bool, stream: usize, bytes: usize },
    Read { far: bool, stream: usize, bytes: usize },
    Shutdown { far: bool, stream: usize },
    Drop { far: bool, stream: usize },
    Carry { far: bool, bytes: usize },
    Wait(u64),
}

fn op() -> impl Strategy<Value = Op> {
    let end = || (any::<bool>(), 0usize..6);
    prop_oneof![
        1 => Just(Op::Open),
        2 => Just(Op::Accept),
        6 => (end(), 1usize..100_000).prop_map(|((far, stream), bytes)| Op::Write { far, stream, bytes }),
        6 => (end(), 1usize..100_000).prop_map(|((far, stream), bytes)| Op::Read { far, stream, bytes }),
        1 => end().prop_map(|(far, stream)| Op::Shutdown { far, stream }),
        1 => end().prop_map(|(far, stream)| Op::Drop { far, stream }),
        9 => (any::<bool>(), 1usize..70_000).prop_map(|(far, bytes)| Op::Carry { far, bytes }),
        1 => (0u64..1500).prop_map(Op::Wait),
    ]
}

/// One direction of one stream, as its owners see it.
#[derive(Debug, Default)]
struct Seen {
    written: u64,
    read: u64,
    ended: bool,
    reader_gone: bool,
    writer_gone: bool,
}

/// Two cores, the bytes between them, and what must come out.
struct Model {
    pair: Pair,
    pipes: [Vec<u8>; 2],
    /// By stream and by who reads: near is 0.
    seen: BTreeMap<(u32, usize), Seen>,
    ends: [Vec<u32>; 2],
}

/// The byte at an offset of a direction.
fn pattern(id: u32, far: usize, at: u64) -> u8 {
    (at.wrapping_mul(31) ^ (at >> 9) ^ u64::from(id) ^ (far as u64)).to_le_bytes()[0]
}

impl Model {
    fn new() -> Self {
        let pair = Pair::new(Config { max_streams: 16, max_receive: 2 << 20, ..Config::default() });
        Self { pair, pipes: Default::default(), seen: BTreeMap::new(), ends: Default::default() }
    }

    fn core(&mut self, far: usize) -> &mut Core {
        if far == 1 { &mut self.pair.far } else { &mut self.pair.near }
    }

    fn pick(&self, far: bool, stream: usize) -> Option<(usize, u32)> {
        let far = usize::from(far);
        let held = &self.ends[far];
        (!held.is_empty()).then(|| (far, held[stream % held.len()]))
    }

    fn apply(&mut self, op: &Op) {
        match *op {
            Op::Open => {
                if let Ok(id) = self.pair.near.open(&web()) {
                    self.ends[0].push(id);
                }
            }
            Op::Accept => {
                if let Poll::Ready(Some((id, _target))) = self.pair.far.poll_accept(&cx()) {
                    self.ends[1].push(id);
                }
            }
            Op::Write { far, stream, bytes } => {
                let Some((far, id)) = self.pick(far, stream) else { return };
                let from = self.seen.entry((id, 1 - far)).or_default().written;
                let bytes: Vec<u8> = (from..from + bytes as u64).map(|at| pattern(id, 1 - far, at)).collect();
                if let Poll::Ready(Ok(written)) = self.core(far).poll_write(&cx(), id, &bytes) {
                    let seen = self.seen.entry((id, 1 - far)).or_default();
                    assert!(!seen.ended, "nothing is taken after the end");
                    seen.written += written as u64;
                }
            }
            Op::Read { far, stream, bytes } => {
                if let Some((far, id)) = self.pick(far, stream) {
                    self.read(far, id, bytes);
                }
            }
            Op::Shutdown { far, stream } => {
                let Some((far, id)) = self.pick(far, stream) else { return };
                if self.core(far).shutdown(id).is_ok() {
                    self.seen.entry((id, 1 - far)).or_default().ended = true;
                }
            }
            Op::Drop { far, stream } => {
                let Some((far, id)) = self.pick(far, stream) else { return };
                self.core(far).drop_stream(id);
                self.ends[far].retain(|held| *held != id);
                self.seen.entry((id, far)).or_default().reader_gone = true;
                self.seen.entry((id, 1 - far)).or_default().writer_gone = true;
            }
            Op::Carry { far, bytes } => self.carry(usize::from(far), bytes),
            Op::Wait(millis) => self.pair.pass(Duration::from_millis(millis)),
        }
    }

    /// Reads, and looks at what came. Whether anything did.
    fn read(&mut self, far: usize, id: u32, most: usize) -> bool {
        let outcome = read(self.core(far), id, most);
        let seen = self.seen.entry((id, far)).or_default();
        match outcome {
            Poll::Ready(Ok(bytes)) if bytes.is_empty() => {
                assert!(
                    seen.ended && seen.read == seen.written,
                    "a clean end comes after everything: {seen:?}"
                );
                false
            }
            Poll::Ready(Ok(bytes)) => {
                let expected = (seen.read..).map(|at| pattern(id, far, at));
                assert!(bytes.iter().copied().eq(expected.take(bytes.len())), "stream {id}");
                seen.read += bytes.len() as u64;
                true
            }
            Poll::Ready(Err(broken)) => {
                assert!(
                    matches!(broken, Broken::Reset | Broken::Refused) && seen.writer_gone,
                    "{broken:?} {seen:?}"
                );
                false
            }
            Poll::Pending => false,
        }
    }

    /// Moves some bytes out of one end, towards the other.
    fn carry(&mut self, far: usize, most: usize) {
        let now = self.pair.now;
        let mut more = Vec::new();
        self.core(far).poll_transmit(now, &mut more);
        self.pipes[far].extend(more);
        let cut = most.min(self.pipes[far].len());
        let bytes: Vec<u8> = self.pipes[far].drain(..cut).collect();
        self.core(1 - far).handle_input(now, &bytes);
        assert!(!self.pair.near.has_failed() && !self.pair.far.has_failed(), "honest ends break no rule");
    }

    /// Reads and carries until nothing moves, then looks that nothing is missing.
    fn settle(&mut self) {
        for _round in 0..10_000 {
            self.apply(&Op::Accept);
            self.carry(0, usize::MAX);
            self.carry(1, usize::MAX);
            let mut moved = false;
            for far in [0, 1] {
                for id in self.ends[far].clone() {
                    moved |= self.read(far, id, 1 << 20);
                }
            }
            if !moved && self.pipes.iter().all(Vec::is_empty) && self.pair.far.unaccepted.is_empty() {
                break;
            }
        }
        for ((id, far), seen) in &self.seen {
            let held = self.ends[*far].contains(id);
            if held && !seen.reader_gone && !seen.writer_gone {
                assert_eq!(seen.read, seen.written, "stream {id} to {far} is whole");
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn whatever_happens_every_byte_arrives_once_and_in_order(ops in prop::collection::vec(op(), 1..160)) {
        let mut model = Model::new();
        for op in &ops {
            model.apply(op);
        }
        model.settle();
        for core in [&model.pair.near, &model.pair.far] {
            let together: usize = core.streams.values().map(|stream| stream.window).sum();
            prop_assert_eq!(together, core.granted);
            prop_assert!(core.granted <= core.config.max_receive);
        }
    }

    #[test]
    fn any_bytes_of_a_peer_are_bounded(data in prop::collection::vec(any::<u8>(), 0..600)) {
        prop_assert!(crate::fuzzing::peer(start(), &data));
    }

    #[test]
    fn any_frames_of_a_peer_are_bounded(
        first in any::<[u8; 2]>(),
        frames in prop::collection::vec(wild_frame(), 0..40),
        flip in prop::option::of((any::<prop::sample::Index>(), any::<u8>())),
    ) {
        let mut data: Vec<u8> = first.into_iter().chain(frames.concat()).collect();
        if let Some((at, bits)) = flip {
            let at = at.index(data.len());
            data[at] ^= bits;
        }
        prop_assert!(crate::fuzzing::peer(start(), &data));
    }
}

/// A frame that is well formed, in a place where it may be wrong.
fn wild_frame() -> impl Strategy<Value = Vec<u8>> {
    let kinds = (1u8..10, 0u32..10, any::<u8>(), prop::option::of(0usize..50));
    (kinds, prop_oneof![9 => 0usize..50, 1 => 10_000usize..MAX_BODY_BYTES]).prop_map(
        |((kind, id, byte, padding), length)| {
            let mut out = Vec::new();
            match kind {
                1 => frame::put_open(
                    &mut out,
                    id | 1,
                    &if byte < 128 { web() } else { OpenTarget::Datagrams },
                    padding,
                ),
                2 => frame::put_data(&mut out, id | 1, &vec![byte; length.min(16_000)], padding),
                3 => frame::put_window(&mut out, id | 1, u32::from(byte) << 20),
                4 => frame::put_end(&mut out, id | 1),
                5 => frame::put_reset(&mut out, id | 1, byte & 1),
                6 => frame::put_ping(&mut out, u64::from(byte)),
                7 => frame::put_pong(&mut out, u64::from(byte)),
                8 if byte < 64 => frame::put_go_away(&mut out, byte & 1),
                _ => frame::put_sign(&mut out),
            }
            out
        },
    )
}
