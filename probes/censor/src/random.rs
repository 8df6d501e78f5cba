//! Random numbers from a seed (SplitMix64 feeding xoshiro256**): the same seed gives the same lab on every machine.
//! Not for keys.

/// A seeded generator. Two with the same seed and stream draw the same numbers.
#[derive(Clone, Debug)]
pub struct Random {
    state: [u64; 4],
}

impl Random {
    /// A generator of its own for each `stream` of one seed, so that one consumer's draws never move another's.
    pub fn new(seed: u64, stream: u64) -> Self {
        let mut feed = seed ^ stream.wrapping_mul(0xd1b5_4a32_d192_ed03);
        Self {
            state: [split_mix(&mut feed), split_mix(&mut feed), split_mix(&mut feed), split_mix(&mut feed)],
        }
    }

    /// Any 64 bits.
    pub fn next_u64(&mut self) -> u64 {
        let [a, b, c, d] = self.state;
        let result = b.wrapping_mul(5).rotate_left(7).wrapping_mul(9);
        let (c2, d2) = (c ^ a, d ^ b);
        self.state = [a ^ d2, b ^ c2, c2 ^ (b << 17), d2.rotate_left(45)];
        result
    }

    /// Evenly in `0.0..1.0`.
    #[allow(clippy::cast_precision_loss, reason = "53 bits fit a double exactly")]
    pub fn unit(&mut self) -> f64 {
        (self.next_u64() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// True with this probability; exactly never at 0 and exactly always at 1.
    pub fn chance(&mut self, probability: f64) -> bool {
        self.unit() < probability
    }

    /// Evenly in `0..bound`; 0 when the bound is 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        let wide = u128::from(self.next_u64()) * u128::from(bound);
        u64::try_from(wide >> 64).unwrap_or_default()
    }

    /// Fills the bytes.
    pub fn fill(&mut self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(8) {
            let drawn = self.next_u64().to_le_bytes();
            chunk.iter_mut().zip(drawn).for_each(|(byte, new)| *byte = new);
        }
    }
}

fn split_mix(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut mixed = *state;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_one_sequence_and_a_stream_another() {
        let draw = |seed, stream| {
            let mut random = Random::new(seed, stream);
            [random.next_u64(), random.next_u64(), random.next_u64()]
        };
        assert_eq!(draw(7, 1), draw(7, 1));
        assert_ne!(draw(7, 1), draw(7, 2));
        assert_ne!(draw(7, 1), draw(8, 1));
    }

    #[test]
    fn chances_are_kept() {
        let mut random = Random::new(1, 0);
        assert!((0..1000).all(|_| random.chance(1.0)));
        assert!((0..1000).all(|_| !random.chance(0.0)));
        let hits = (0..100_000).filter(|_| random.chance(0.263)).count();
        assert!((25_800..26_800).contains(&hits), "{hits}");
    }

    #[test]
    fn bounds_hold_and_are_reached() {
        let mut random = Random::new(2, 0);
        let drawn: std::collections::BTreeSet<u64> = (0..200).map(|_| random.below(5)).collect();
        assert_eq!(drawn, (0..5).collect());
        assert_eq!(random.below(0), 0);
    }

    #[test]
    fn bytes_of_every_length_are_filled() {
        for length in 0..40 {
            let mut bytes = vec![0; length];
            (0..8).for_each(|_| {
                let mut drawn = vec![0; length];
                Random::new(3, length as u64).fill(&mut drawn);
                bytes.copy_from_slice(&drawn);
            });
            assert!(length < 8 || bytes.iter().any(|byte| *byte != 0));
        }
    }
}
