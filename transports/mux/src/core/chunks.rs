//! What was received and not yet read: a queue of chunks that are used again.

use std::collections::VecDeque;

use tokio::io::ReadBuf;

/// A chunk, in bytes.
const CHUNK_BYTES: usize = 16 * 1024;
/// The least chunk: a stream that says little holds little.
const MIN_CHUNK_BYTES: usize = 256;
/// Chunks kept for the next stream that receives: 512 KiB.
const MAX_SPARE: usize = 32;

/// Bytes in order.
#[derive(Debug, Default)]
pub(super) struct Chunks {
    chunks: VecDeque<Vec<u8>>,
    /// Bytes of the first chunk that were read.
    at: usize,
    len: usize,
}

impl Chunks {
    pub(super) const fn len(&self) -> usize {
        self.len
    }

    pub(super) fn push(&mut self, mut bytes: &[u8], spare: &mut Spare) {
        self.len += bytes.len();
        while !bytes.is_empty() {
            let full = self.chunks.back().is_none_or(|tail| tail.len() == tail.capacity());
            if full {
                self.chunks.push_back(spare.take(bytes.len()));
            }
            let Some(tail) = self.chunks.back_mut() else { return };
            let room = tail.capacity() - tail.len();
            let (now, later) = bytes.split_at(room.min(bytes.len()));
            tail.extend_from_slice(now);
            bytes = later;
        }
    }

    /// Moves bytes to `into` until that is full or nothing is left; says how many.
    pub(super) fn pop(&mut self, into: &mut ReadBuf<'_>, spare: &mut Spare) -> usize {
        let mut moved = 0;
        while into.remaining() > 0 {
            let Some(head) = self.chunks.front() else { break };
            let ready = head.get(self.at..).unwrap_or_default();
            let ready = ready.get(..into.remaining()).unwrap_or(ready);
            into.put_slice(ready);
            moved += ready.len();
            self.at += ready.len();
            if self.at == head.len() {
                self.at = 0;
                if let Some(read) = self.chunks.pop_front() {
                    spare.keep(read);
                }
            }
        }
        self.len -= moved;
        moved
    }

    /// Gives everything up.
    pub(super) fn clear(&mut self, spare: &mut Spare) {
        for chunk in self.chunks.drain(..) {
            spare.keep(chunk);
        }
        (self.at, self.len) = (0, 0);
    }
}

/// Chunks that nobody uses.
#[derive(Debug, Default)]
pub(super) struct Spare(Vec<Vec<u8>>);

impl Spare {
    fn take(&mut self, wanted: usize) -> Vec<u8> {
        let fresh = || Vec::with_capacity(wanted.next_power_of_two().clamp(MIN_CHUNK_BYTES, CHUNK_BYTES));
        if wanted < CHUNK_BYTES / 2 { fresh() } else { self.0.pop().unwrap_or_else(fresh) }
    }

    fn keep(&mut self, mut chunk: Vec<u8>) {
        if chunk.capacity() >= CHUNK_BYTES && self.0.len() < MAX_SPARE {
            chunk.clear();
            self.0.push(chunk);
        }
    }

    /// Gives the memory back.
    pub(super) fn release(&mut self) {
        self.0 = Vec::new();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_come_out_as_they_went_in() {
        let (mut chunks, mut spare) = (Chunks::default(), Spare::default());
        let bytes: Vec<u8> = (0..100_000u32).map(|n| (n * 7 % 251) as u8).collect();
        let mut read = Vec::new();
        for (round, part) in bytes.chunks(9_001).enumerate() {
            chunks.push(part, &mut spare);
            let mut into = vec![0; 5_000 + round * 1_000];
            let mut into = ReadBuf::new(&mut into);
            chunks.pop(&mut into, &mut spare);
            read.extend_from_slice(into.filled());
        }
        let mut rest = vec![0; chunks.len()];
        let mut rest = ReadBuf::new(&mut rest);
        assert_eq!(chunks.pop(&mut rest, &mut spare), rest.capacity());
        read.extend_from_slice(rest.filled());
        assert!(read == bytes && chunks.len() == 0 && chunks.chunks.is_empty());
    }

    #[test]
    fn single_bytes_share_a_chunk_and_chunks_are_used_again() {
        let (mut chunks, mut spare) = (Chunks::default(), Spare::default());
        for _ in 0..MIN_CHUNK_BYTES {
            chunks.push(&[1], &mut spare);
        }
        assert_eq!(chunks.chunks.len(), 1);
        chunks.clear(&mut spare);
        for _ in 0..10 * MAX_SPARE {
            chunks.push(&[2; CHUNK_BYTES], &mut spare);
        }
        chunks.clear(&mut spare);
        assert_eq!((chunks.len(), spare.0.len()), (0, MAX_SPARE));
        chunks.push(&[3; CHUNK_BYTES], &mut spare);
        assert_eq!(spare.0.len(), MAX_SPARE - 1);
    }
}
