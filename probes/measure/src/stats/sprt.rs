//! Wald's sequential probability ratio test: repeat a trial until it is clear whether it fails more often than the
//! network explains. Needs no number of repeats chosen beforehand, and a blocker that always acts is found in two.

use commucat_verdict::observations::Decision;

/// Probability of calling a working condition blocked, for one series. A run makes some forty series, so one in a
/// hundred would be a false alarm in every third run; two failures out of two still suffice at this level.
pub const ALPHA: f64 = 0.001;
/// Probability of calling a blocked condition working, for one series.
pub const BETA: f64 = 0.01;
/// Failure rate that every network is taken to have: nothing is lost on a network that lost nothing in ten trials,
/// until the eleventh.
pub const BASELINE_MIN: f64 = 0.02;
/// Failure rate from which a network is too broken for a test against "always fails" to mean anything.
const BASELINE_MAX: f64 = 0.6;
/// Weight of [`BASELINE_MIN`] against what was measured, in trials.
const PRIOR_TRIALS: f64 = 20.0;

/// How often a blocker would make the trial fail.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Hypothesis {
    /// Nearly always (95 %): the rest is what a blocker lets slip.
    Deterministic,
    /// With about this probability (0 to 1).
    Sometimes(f64),
}

impl Hypothesis {
    /// The probability of failure if there is a blocker.
    pub const fn probability(self) -> f64 {
        match self {
            Self::Deterministic => 0.95,
            Self::Sometimes(probability) => probability,
        }
    }
}

/// The running test of one series.
#[derive(Clone, Copy, Debug)]
pub struct Sprt {
    failed: f64,
    passed: f64,
    upper: f64,
    lower: f64,
    sum: f64,
}

impl Sprt {
    /// A test of `hypothesis` against `baseline`, with [`ALPHA`] and [`BETA`]; a blocker that rolls dice is missed only
    /// with a tenth of that, because its trials are many and cheap.
    pub fn new(baseline: f64, hypothesis: Hypothesis) -> Self {
        let beta = if hypothesis == Hypothesis::Deterministic { BETA } else { BETA / 10.0 };
        Self::with_errors(baseline, hypothesis, ALPHA, beta)
    }

    /// The same with other error rates.
    pub fn with_errors(baseline: f64, hypothesis: Hypothesis, alpha: f64, beta: f64) -> Self {
        let baseline = baseline.clamp(BASELINE_MIN, BASELINE_MAX);
        let blocked = hypothesis.probability().clamp(baseline + 0.05, 0.99);
        Self {
            failed: (blocked / baseline).ln(),
            passed: ((1.0 - blocked) / (1.0 - baseline)).ln(),
            upper: ((1.0 - beta) / alpha).ln(),
            lower: (beta / (1.0 - alpha)).ln(),
            sum: 0.0,
        }
    }

    /// Takes up one trial and says what is decided so far.
    pub fn record(&mut self, failed: bool) -> Decision {
        self.sum += if failed { self.failed } else { self.passed };
        self.decision()
    }

    /// What is decided so far.
    pub fn decision(&self) -> Decision {
        if self.sum >= self.upper {
            Decision::Fails
        } else if self.sum <= self.lower {
            Decision::Passes
        } else {
            Decision::Open
        }
    }
}

/// The failure rate that a network has anyway, from harmless trials: what was measured, drawn towards
/// [`BASELINE_MIN`] while little was measured.
pub fn baseline(failed: usize, made: usize) -> f64 {
    let count = |n: usize| f64::from(u32::try_from(n).unwrap_or(u32::MAX));
    let rate = (count(failed) + BASELINE_MIN * PRIOR_TRIALS) / (count(made) + PRIOR_TRIALS);
    rate.clamp(BASELINE_MIN, BASELINE_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(rng: &mut fastrand::Rng, p: f64, mut test: Sprt) -> (Decision, u32) {
        for trial in 1..1000 {
            let decision = test.record(rng.f64() < p);
            if decision != Decision::Open {
                return (decision, trial);
            }
        }
        (Decision::Open, 1000)
    }

    fn share(p: f64, test: Sprt, wrong: Decision) -> f64 {
        let mut rng = fastrand::Rng::with_seed(7);
        let runs = 20_000;
        let hits = (0..runs).filter(|_| run(&mut rng, p, test).0 == wrong).count();
        hits as f64 / f64::from(runs)
    }

    #[test]
    fn the_published_stopping_points_hold() {
        // Fact: at 2 % baseline, alpha = beta = 0.01, a deterministic blocker takes 2 failures or 2 successes, one
        // of 26.3 % takes 2 failures or 17 successes.
        let stops = |mut test: Sprt, failed: bool| (1..100).find(|_| test.record(failed) != Decision::Open);
        let certain = Sprt::with_errors(0.02, Hypothesis::Deterministic, 0.01, 0.01);
        assert_eq!((stops(certain, true), stops(certain, false)), (Some(2), Some(2)));
        let rare = Sprt::with_errors(0.02, Hypothesis::Sometimes(0.263), 0.01, 0.01);
        assert_eq!((stops(rare, true), stops(rare, false)), (Some(2), Some(17)));
        let lossy = Sprt::with_errors(0.05, Hypothesis::Sometimes(0.263), 0.01, 0.01);
        assert_eq!((stops(lossy, true), stops(lossy, false)), (Some(3), Some(19)));
        // The level used here costs a deterministic blocker nothing.
        let ours = Sprt::new(0.02, Hypothesis::Deterministic);
        assert_eq!((stops(ours, true), stops(ours, false)), (Some(2), Some(2)));
    }

    #[test]
    fn errors_stay_within_what_is_stated() {
        for (hypothesis, p1) in [(Hypothesis::Deterministic, 0.95), (Hypothesis::Sometimes(0.263), 0.263)] {
            for baseline in [0.02, 0.05, 0.10] {
                let test = Sprt::new(baseline, hypothesis);
                let false_alarms = share(baseline, test, Decision::Fails);
                let missed = share(p1, test, Decision::Passes);
                // Overshoot only helps; the margin is the sampling error of 20,000 runs.
                assert!(false_alarms <= ALPHA * 1.5 + 0.001, "{hypothesis:?} {baseline}: {false_alarms}");
                assert!(missed <= BETA * 1.2, "{hypothesis:?} {baseline}: {missed}");
                let loose = Sprt::with_errors(baseline, hypothesis, 0.01, 0.01);
                assert!(share(baseline, loose, Decision::Fails) <= 0.012);
                assert!(share(p1, loose, Decision::Passes) <= 0.012);
            }
        }
    }

    #[test]
    fn a_test_ends_soon() {
        let mut rng = fastrand::Rng::with_seed(3);
        for p in [0.02, 0.263] {
            let test = Sprt::new(0.02, Hypothesis::Sometimes(0.263));
            let total: u32 = (0..2000).map(|_| run(&mut rng, p, test).1).sum();
            assert!(total / 2000 < 40, "{p}: {} trials on average", total / 2000);
        }
    }

    #[test]
    fn the_baseline_begins_low_and_follows_the_measurements() {
        assert!((baseline(0, 0) - 0.02).abs() < 1e-9);
        assert!((baseline(0, 1000) - BASELINE_MIN).abs() < 1e-9);
        assert!(baseline(1, 4) < 0.1);
        assert!((baseline(100, 1000) - 0.1).abs() < 0.01);
        assert!(baseline(1000, 1000) <= BASELINE_MAX);
    }
}
