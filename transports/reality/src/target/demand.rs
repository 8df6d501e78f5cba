//! How many visitors come, and how many dials may follow. Pure: time comes in.

use std::time::{Duration, Instant};

/// Over how long visitors are counted.
const MEMORY: Duration = Duration::from_secs(5);
/// Ready connections cover the visitors of this time: longer than a dial takes.
const AHEAD: Duration = Duration::from_millis(500);
/// Visitors that must be expected while a ready connection is young, or none is kept: fewer, and most would be dialled
/// for nobody.
const LEAST_VISITORS: f64 = 2.0;

/// How often visitors come: a mean that forgets.
#[derive(Debug)]
pub(super) struct Demand {
    most: u8,
    /// How long a ready connection is young.
    age: Duration,
    /// Visitors a second, as of `at`.
    rate: f64,
    at: Instant,
}

impl Demand {
    pub(super) const fn new(most: u8, age: Duration, now: Instant) -> Self {
        Self { most, age, rate: 0.0, at: now }
    }

    /// A visitor came.
    pub(super) fn came(&mut self, now: Instant) {
        self.rate = self.rate(now) + 1.0 / MEMORY.as_secs_f64();
        self.at = now;
    }

    /// How many connections should be ready.
    pub(super) fn wanted(&self, now: Instant) -> usize {
        let rate = self.rate(now);
        if rate * self.age.as_secs_f64() < LEAST_VISITORS {
            return 0;
        }
        let ahead = rate * AHEAD.as_secs_f64();
        (1..self.most).find(|&count| f64::from(count) >= ahead).unwrap_or(self.most).into()
    }

    fn rate(&self, now: Instant) -> f64 {
        let passed = now.saturating_duration_since(self.at).as_secs_f64();
        self.rate * (-passed / MEMORY.as_secs_f64()).exp()
    }
}

/// When a dial may begin: so many a second, of which a second's worth may come at once.
#[derive(Debug)]
pub(super) struct Pace {
    between: Duration,
    /// When the last dial would have begun, had all been spread evenly.
    even: Instant,
}

impl Pace {
    /// All of a second's worth is there at the start.
    pub(super) fn new(per_second: u32, now: Instant) -> Self {
        Self { between: Duration::from_secs(1) / per_second.max(1), even: now }
    }

    /// When the next dial may begin; `None` when that is more than `most` away, and then nothing is reserved.
    pub(super) fn reserve(&mut self, now: Instant, most: Duration) -> Option<Instant> {
        let even = self.even.max(now) + self.between;
        let burst = Duration::from_secs(1);
        let at = even.checked_sub(burst).map_or(now, |at| at.max(now));
        if at.saturating_duration_since(now) > most {
            return None;
        }
        self.even = even;
        Some(at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_kept_for_nobody() {
        let start = Instant::now();
        let mut demand = Demand::new(8, Duration::from_secs(2), start);
        assert_eq!(demand.wanted(start), 0);
        // One every five seconds: most would be dialled in vain.
        let seldom = (0..20).map(|n| start + Duration::from_secs(5) * n);
        for now in seldom {
            demand.came(now);
            assert_eq!(demand.wanted(now), 0);
        }
        let often = start + Duration::from_secs(200);
        for n in 0..100 {
            demand.came(often + Duration::from_millis(100) * n);
        }
        let now = often + Duration::from_secs(10);
        let wanted = demand.wanted(now);
        assert!((4..=6).contains(&wanted), "half a second of ten a second: {wanted}");
        assert_eq!(demand.wanted(now + Duration::from_secs(30)), 0, "idle");
        for _ in 0..100_000 {
            demand.came(now);
        }
        assert_eq!(demand.wanted(now), 8, "never more");
        assert_eq!(Demand { most: 0, ..demand }.wanted(now), 0);
    }

    #[test]
    fn dials_are_paced_after_a_burst() {
        let start = Instant::now();
        let mut pace = Pace::new(10, start);
        let most = Duration::from_secs(3);
        let waits: Vec<_> = (0..40)
            .filter_map(|_dial| pace.reserve(start, most))
            .map(|at| at.duration_since(start).as_millis())
            .collect();
        assert_eq!(waits.iter().filter(|wait| **wait == 0).count(), 10);
        assert_eq!(waits[10..13], [100, 200, 300]);
        assert_eq!(waits.len(), 40, "the burst and three seconds' worth");
        assert_eq!(pace.reserve(start, most), None);
        let later = start + Duration::from_secs(60);
        assert_eq!(pace.reserve(later, most), Some(later));
    }
}
