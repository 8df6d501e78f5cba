//! Random bytes out of a seed, so that a hello can be written twice. Not for keys that protect anything.

use aws_lc_rs::digest::{SHA256, SHA256_OUTPUT_LEN, digest};

/// A stream of bytes: SHA-256 over the seed and a counter.
#[derive(Debug)]
pub(super) struct Draw {
    seed: u64,
    counter: u64,
    block: [u8; SHA256_OUTPUT_LEN],
    used: usize,
}

impl Draw {
    pub(super) const fn new(seed: u64) -> Self {
        Self { seed, counter: 0, block: [0; SHA256_OUTPUT_LEN], used: SHA256_OUTPUT_LEN }
    }

    pub(super) fn byte(&mut self) -> u8 {
        if let Some(byte) = self.block.get(self.used) {
            self.used += 1;
            return *byte;
        }
        let mut input = [0; 16];
        let parts = self.seed.to_be_bytes().into_iter().chain(self.counter.to_be_bytes());
        input.iter_mut().zip(parts).for_each(|(to, from)| *to = from);
        let hash = digest(&SHA256, &input);
        self.block.iter_mut().zip(hash.as_ref()).for_each(|(to, from)| *to = *from);
        self.counter += 1;
        self.used = 1;
        self.block.first().copied().unwrap_or_default()
    }

    pub(super) fn bytes(&mut self, length: usize) -> Vec<u8> {
        std::iter::repeat_with(|| self.byte()).take(length).collect()
    }

    pub(super) fn array<const N: usize>(&mut self) -> [u8; N] {
        std::array::from_fn(|_at| self.byte())
    }

    /// A number below `bound`, each as likely as the next to within 2^-24; zero when the bound is zero.
    pub(super) fn below(&mut self, bound: usize) -> usize {
        let wide = u32::from_be_bytes(self.array());
        usize::try_from(wide).unwrap_or_default().checked_rem(bound).unwrap_or_default()
    }

    /// One of them, `None` of none.
    pub(super) fn one_of<T: Copy>(&mut self, values: &[T]) -> Option<T> {
        values.get(self.below(values.len())).copied()
    }

    /// One of the sixteen GREASE values.
    pub(super) fn grease(&mut self) -> u16 {
        let byte = self.byte() & 0xf0 | 0x0a;
        u16::from_be_bytes([byte, byte])
    }

    /// Fisher and Yates.
    pub(super) fn shuffle<T>(&mut self, values: &mut [T]) {
        for last in (1..values.len()).rev() {
            values.swap(last, self.below(last + 1));
        }
    }
}
