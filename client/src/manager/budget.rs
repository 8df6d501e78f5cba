//! The budget for everything beyond the first attempt of a connection: retries and attempts beside a slow one. One
//! bucket for the whole manager, so that a dead bridge does not turn a hundred waiting connections into a storm.

use std::time::{Duration, Instant};

/// Tokens of a full bucket.
const CAPACITY: f64 = 32.0;
/// Tokens that come back in a second.
const PER_SECOND: f64 = 8.0;

/// A token bucket.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Budget {
    tokens: f64,
    at: Instant,
}

impl Budget {
    pub(crate) const fn full(now: Instant) -> Self {
        Self { tokens: CAPACITY, at: now }
    }

    /// Takes one token, if there is one.
    pub(crate) fn take(&mut self, now: Instant) -> bool {
        let passed: Duration = now.saturating_duration_since(self.at);
        self.at = now;
        self.tokens = passed.as_secs_f64().mul_add(PER_SECOND, self.tokens).min(CAPACITY);
        let there = self.tokens >= 1.0;
        if there {
            self.tokens -= 1.0;
        }
        there
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_empties_and_fills_again() {
        let now = Instant::now();
        let mut budget = Budget::full(now);
        let taken = (0..1000).filter(|_| budget.take(now)).count();
        assert_eq!(taken, 32);
        let later = now + Duration::from_secs(1);
        assert_eq!((0..1000).filter(|_| budget.take(later)).count(), 8);
        let much_later = now + Duration::from_secs(3600);
        assert_eq!((0..1000).filter(|_| budget.take(much_later)).count(), 32);
    }
}
