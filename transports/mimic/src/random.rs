//! Randomness, handed in: keys and shapes are drawn from what the caller gives.

/// The caller could give no randomness.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the system has no randomness")]
pub struct NoRandomness;

/// A source of randomness fit for keys.
pub trait Random {
    /// Fills `bytes`.
    ///
    /// # Errors
    /// There is none.
    fn fill(&mut self, bytes: &mut [u8]) -> Result<(), NoRandomness>;
}

impl<F: FnMut(&mut [u8]) -> Result<(), NoRandomness>> Random for F {
    fn fill(&mut self, bytes: &mut [u8]) -> Result<(), NoRandomness> {
        self(bytes)
    }
}

/// That many random bytes.
pub(crate) fn array<const N: usize>(random: &mut dyn Random) -> Result<[u8; N], NoRandomness> {
    let mut bytes = [0; N];
    random.fill(&mut bytes)?;
    Ok(bytes)
}

/// A uniform number below `bound`, which is not zero. Draws again where a plain remainder would favour small numbers.
pub(crate) fn below(random: &mut dyn Random, bound: usize) -> Result<usize, NoRandomness> {
    let bound = u32::try_from(bound).unwrap_or(u32::MAX).max(1);
    let fair = u32::MAX - u32::MAX % bound;
    loop {
        let drawn = u32::from_le_bytes(array(random)?);
        if drawn < fair {
            return Ok((drawn % bound) as usize);
        }
    }
}

/// One of these; the list is not empty.
pub(crate) fn pick<T: Copy>(random: &mut dyn Random, from: &[T]) -> Result<Option<T>, NoRandomness> {
    Ok(from.get(below(random, from.len())?).copied())
}

/// A uniform permutation (Fisher–Yates).
pub(crate) fn shuffle<T>(random: &mut dyn Random, items: &mut [T]) -> Result<(), NoRandomness> {
    for last in (1..items.len()).rev() {
        let chosen = below(random, last + 1)?;
        items.swap(chosen, last);
    }
    Ok(())
}
