//! Search for the largest amount that passes.

/// The search. It doubles until something fails, then halves the gap. Assumes that more never passes where less fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bisection {
    passes: u64,
    fails: Option<u64>,
    most: u64,
    first: u64,
}

impl Bisection {
    /// A search between 0 and `most`, which begins with `first`.
    pub const fn new(first: u64, most: u64) -> Self {
        Self { passes: 0, fails: None, most, first }
    }

    /// The next amount to try; `None` when the limit is known, or nothing up to the most fails.
    pub fn next(&self) -> Option<u64> {
        match self.fails {
            Some(fails) if fails <= self.passes.saturating_add(1) => None,
            Some(fails) => Some(self.passes + (fails - self.passes) / 2),
            None if self.passes >= self.most => None,
            None if self.passes == 0 => Some(self.first.clamp(1, self.most)),
            None => Some(self.passes.saturating_mul(2).min(self.most)),
        }
    }

    /// Takes up what came of trying `amount`.
    pub fn record(&mut self, amount: u64, passed: bool) {
        if passed {
            self.passes = self.passes.max(amount);
        } else {
            self.fails = Some(self.fails.map_or(amount, |known| known.min(amount)));
        }
        // A contradiction (less fails than has passed) is settled for the later observation.
        if let Some(fails) = self.fails
            && fails <= self.passes
        {
            if passed {
                self.fails = None;
            } else {
                // What passed below is not known any more either.
                self.passes = 0;
            }
        }
    }

    /// The largest amount that passes, once something larger is known to fail.
    pub fn limit(&self) -> Option<u64> {
        self.fails.filter(|fails| *fails <= self.passes.saturating_add(1)).map(|_| self.passes)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn search(first: u64, most: u64, limit: u64) -> (Option<u64>, u32) {
        let mut search = Bisection::new(first, most);
        let mut steps = 0;
        while let Some(amount) = search.next() {
            search.record(amount, amount <= limit);
            steps += 1;
        }
        (search.limit(), steps)
    }

    #[test]
    fn it_ends_when_nothing_fails() {
        assert_eq!(search(4, 32, 1000), (None, 4));
    }

    #[test]
    fn a_contradiction_does_not_hang_it() {
        let mut search = Bisection::new(8, 16);
        for (amount, passed) in [(8, true), (16, false), (12, true), (6, false)] {
            search.record(amount, passed);
        }
        let mut steps = 0;
        while let Some(amount) = search.next() {
            search.record(amount, amount <= 3);
            steps += 1;
            assert!(steps < 10);
        }
        assert_eq!(search.limit(), Some(3));
    }

    proptest! {
        #[test]
        fn the_limit_is_exact(first in 1_u64..40, most in 1_u64..5000, limit in 0_u64..6000) {
            let (found, steps) = search(first, most, limit);
            if limit < most {
                prop_assert_eq!(found, Some(limit));
            } else {
                prop_assert_eq!(found, None);
            }
            prop_assert!(steps <= 2 * 14);
        }
    }
}
