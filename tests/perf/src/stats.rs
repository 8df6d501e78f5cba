//! Medians, percentiles, ratios: the few statistics the report stands on.

use serde::{Deserialize, Serialize};

/// Which way is better.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Better {
    /// A cost.
    Lower,
    /// A gain.
    Higher,
}

impl Better {
    /// The worst of some figures.
    #[must_use]
    pub fn worst(self, spread: &Spread) -> f64 {
        match self {
            Self::Lower => spread.max,
            Self::Higher => spread.min,
        }
    }

    /// Whether `a` is better than `b`.
    #[must_use]
    pub fn prefers(self, a: f64, b: f64) -> bool {
        match self {
            Self::Lower => a < b,
            Self::Higher => a > b,
        }
    }
}

/// A median with the range around it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Spread {
    /// The middle one; the mean of the two middle ones for an even count.
    pub median: f64,
    /// The smallest.
    pub min: f64,
    /// The largest.
    pub max: f64,
}

impl Spread {
    /// The spread of the finite values; `None` when there is none.
    #[must_use]
    pub fn of(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut sorted: Vec<f64> = values.into_iter().filter(|value| value.is_finite()).collect();
        sorted.sort_by(f64::total_cmp);
        let (min, max) = (*sorted.first()?, *sorted.last()?);
        let upper = *sorted.get(sorted.len() / 2)?;
        let lower = *sorted.get((sorted.len() - 1) / 2)?;
        Some(Self { median: f64::midpoint(lower, upper), min, max })
    }
}

/// The value below which the share `q` (0 to 1) of the values lies, by the nearest rank.
#[must_use]
pub fn percentile(values: &[u32], q: f64) -> Option<u32> {
    let mut sorted = values.to_vec();
    sorted.sort_unstable();
    // Counts stay far below 2^52 and q is a share, so neither cast loses anything.
    #[allow(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a rank inside a small vector"
    )]
    let rank = (q.clamp(0.0, 1.0) * sorted.len() as f64).ceil() as usize;
    sorted.get(rank.saturating_sub(1)).copied()
}

/// How far two runs of the same thing lie apart: the largest distance of their ratios from 1.
///
/// This is the noise floor. It takes the worst round on purpose: a claim must stand out of everything that was seen.
#[must_use]
pub fn noise_floor(ratios: &[f64]) -> Option<f64> {
    ratios.iter().filter(|ratio| ratio.is_finite()).map(|ratio| (ratio - 1.0).abs()).max_by(f64::total_cmp)
}

/// Whether a ratio differs from 1 by more than twice the noise floor.
#[must_use]
pub fn stands_out(ratio: f64, noise: f64) -> bool {
    (ratio - 1.0).abs() > 2.0 * noise
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians() {
        assert_eq!(Spread::of([]), None);
        assert_eq!(Spread::of([f64::NAN]), None);
        assert_eq!(Spread::of([3.0, 1.0, 2.0]).unwrap(), Spread { median: 2.0, min: 1.0, max: 3.0 });
        assert_eq!(Spread::of([4.0, 1.0, 2.0, 3.0]).unwrap().median, 2.5);
        assert_eq!(Spread::of([5.0, f64::INFINITY]).unwrap().max, 5.0);
    }

    #[test]
    fn percentiles_by_nearest_rank() {
        let values: Vec<u32> = (1..=100).rev().collect();
        assert_eq!(percentile(&values, 0.5), Some(50));
        assert_eq!(percentile(&values, 0.99), Some(99));
        assert_eq!(percentile(&values, 1.0), Some(100));
        assert_eq!(percentile(&values, 0.0), Some(1));
        assert_eq!(percentile(&[7], 0.5), Some(7));
        assert_eq!(percentile(&[], 0.5), None);
    }

    #[test]
    fn the_worst_depends_on_what_is_good() {
        let spread = Spread::of([0.7, 0.8, 1.2]).unwrap();
        assert_eq!(Better::Lower.worst(&spread), 1.2);
        assert_eq!(Better::Higher.worst(&spread), 0.7);
        assert!(Better::Lower.prefers(1.0, 2.0));
        assert!(Better::Higher.prefers(2.0, 1.0));
    }

    #[test]
    fn a_claim_must_stand_out_of_the_noise() {
        let noise = noise_floor(&[0.98, 1.03, 1.0]).unwrap();
        assert!((noise - 0.03).abs() < 1e-9);
        assert!(!stands_out(0.95, noise));
        assert!(stands_out(0.93, noise));
        assert_eq!(noise_floor(&[]), None);
    }
}
