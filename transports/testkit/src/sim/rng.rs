//! The simulator's randomness: a named, seeded sequence. Never for keys outside a simulation.

use std::time::Duration;

/// One million: probabilities are whole parts of it, so that no float decides a fate.
pub(super) const PPM: u32 = 1_000_000;

/// SplitMix64 (Steele, Lea, Flood 2014): small, quick, and the same on every machine.
#[derive(Clone, Debug)]
pub(super) struct SimRng(u64);

impl SimRng {
    /// A sequence for one purpose: other purposes of the same seed do not disturb it.
    pub(super) fn new(seed: u64, purpose: &str) -> Self {
        let mut hasher = blake3::Hasher::new_derive_key("commucat testkit simulator sequence v1");
        hasher.update(&seed.to_le_bytes());
        hasher.update(purpose.as_bytes());
        let mut state = [0; 8];
        hasher.finalize_xof().fill(&mut state);
        Self(u64::from_le_bytes(state))
    }

    pub(super) const fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// True in `ppm` of a million cases. Takes from the sequence even when the answer is certain, so that a change
    /// of one probability leaves the other decisions where they were.
    pub(super) const fn chance(&mut self, ppm: u32) -> bool {
        self.next_u64() % (PPM as u64) < ppm as u64
    }

    /// A time from zero up to and including `most`, in whole microseconds.
    pub(super) fn up_to(&mut self, most: Duration) -> Duration {
        let micros = u64::try_from(most.as_micros()).unwrap_or(u64::MAX - 1);
        Duration::from_micros(self.next_u64() % (micros + 1))
    }

    pub(super) fn fill(&mut self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(8) {
            let word = self.next_u64().to_le_bytes();
            for (byte, random) in chunk.iter_mut().zip(word) {
                *byte = random;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_seed_is_one_sequence() {
        let take = |seed, purpose| {
            let mut rng = SimRng::new(seed, purpose);
            [rng.next_u64(), rng.next_u64()]
        };
        assert_eq!(take(7, "a"), take(7, "a"));
        assert_ne!(take(7, "a"), take(7, "b"));
        assert_ne!(take(7, "a"), take(8, "a"));
    }

    #[test]
    fn chances_are_about_right() {
        let mut rng = SimRng::new(1, "chance");
        let hits = (0..100_000).filter(|_| rng.chance(50_000)).count();
        assert!((4_500..5_500).contains(&hits), "{hits}");
        assert!((0..1000).all(|_| !rng.chance(0) && rng.chance(PPM)));
    }
}
