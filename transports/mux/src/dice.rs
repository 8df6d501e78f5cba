//! Chance, handed in: what lengths and times are drawn from.

use std::{fmt, ops::Range, time::Duration};

/// Bytes drawn from the source at once.
const STORE_BYTES: usize = 64;

/// Fills bytes with randomness; `false` when there is none.
pub(crate) type Source = Box<dyn FnMut(&mut [u8]) -> bool + Send>;

/// Draws numbers. Nothing drawn here is a secret: without randomness every draw is the least of its range.
pub(crate) struct Dice {
    source: Source,
    store: [u8; STORE_BYTES],
    left: usize,
}

impl Dice {
    pub(crate) const fn new(source: Source) -> Self {
        Self { source, store: [0; STORE_BYTES], left: 0 }
    }

    /// A number below `bound`, 0 when that is 0. The bias is below 2⁻³² times the bound.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        let drawn = u128::from(self.draw());
        u64::try_from((drawn * u128::from(bound)) >> u64::BITS).unwrap_or_default()
    }

    /// A time in that range; its start when it is empty.
    pub(crate) fn time(&mut self, range: &Range<Duration>) -> Duration {
        let width = range.end.saturating_sub(range.start).as_nanos();
        let width = u64::try_from(width).unwrap_or(u64::MAX);
        range.start + Duration::from_nanos(self.below(width))
    }

    fn draw(&mut self) -> u64 {
        if self.left == 0 {
            if !(self.source)(&mut self.store) {
                return 0;
            }
            self.left = STORE_BYTES / 8;
        }
        self.left -= 1;
        let at = self.left * 8;
        let bytes = self.store.get(at..at + 8).and_then(|eight| eight.try_into().ok());
        bytes.map_or(0, u64::from_le_bytes)
    }
}

impl fmt::Debug for Dice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dice").finish_non_exhaustive()
    }
}
