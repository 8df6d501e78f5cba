//! Medians and their uncertainty.

use commucat_verdict::observations::Spread;

/// Resamples of one interval. More changes the third digit of the ends only.
const RESAMPLES: usize = 2_000;

/// The median; `None` of nothing.
pub fn median(values: &[f64]) -> Option<f64> {
    let mut sorted: Vec<f64> = values.iter().copied().filter(|value| value.is_finite()).collect();
    sorted.sort_by(f64::total_cmp);
    let upper = *sorted.get(sorted.len() / 2)?;
    if sorted.len() % 2 == 1 {
        return Some(upper);
    }
    let lower = *sorted.get(sorted.len() / 2 - 1)?;
    Some(f64::midpoint(lower, upper))
}

/// Median, smallest and largest; `None` of nothing.
pub fn spread(values: &[f64]) -> Option<Spread> {
    let median = median(values)?;
    let low = values.iter().copied().fold(f64::INFINITY, f64::min);
    let high = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    Some(Spread { median, low, high, repeats: u32::try_from(values.len()).unwrap_or(u32::MAX) })
}

/// The ratio of the medians of two samples with its 95 % percentile bootstrap interval. `None` when a sample is empty
/// or the divisor is zero.
pub fn ratio_of_medians(suspect: &[f64], control: &[f64], rng: &mut fastrand::Rng) -> Option<Spread> {
    let ratio = |suspect: &[f64], control: &[f64]| {
        let below = median(control).filter(|value| *value > 0.0)?;
        Some(median(suspect)? / below)
    };
    let centre = ratio(suspect, control)?;
    let mut ratios = Vec::with_capacity(RESAMPLES);
    for _resample in 0..RESAMPLES {
        let mut drawn = |of: &[f64]| -> Vec<f64> {
            (0..of.len()).filter_map(|_| of.get(rng.usize(..of.len())).copied()).collect()
        };
        let (suspect, control) = (drawn(suspect), drawn(control));
        ratios.extend(ratio(&suspect, &control));
    }
    ratios.sort_by(f64::total_cmp);
    let at =
        |permille: usize| ratios.get((ratios.len() * permille / 1000).min(ratios.len().saturating_sub(1)));
    Some(Spread {
        median: centre,
        low: *at(25)?,
        high: *at(975)?,
        repeats: u32::try_from(suspect.len().min(control.len())).unwrap_or(u32::MAX),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_of_few() {
        assert_eq!(median(&[]), None);
        assert_eq!(median(&[3.0]), Some(3.0));
        assert_eq!(median(&[4.0, 1.0]), Some(2.5));
        assert_eq!(median(&[9.0, 1.0, 2.0]), Some(2.0));
        let spread = spread(&[25.0, 24.0, 26.0]).unwrap();
        assert_eq!((spread.median, spread.low, spread.high, spread.repeats), (25.0, 24.0, 26.0, 3));
    }

    #[test]
    fn the_interval_covers_the_truth() {
        // Two samples of equal distribution: the interval must hold 1 in about 95 % of the cases (the percentile
        // bootstrap of a median of few is known to be a little narrow or wide, never half).
        let mut rng = fastrand::Rng::with_seed(11);
        let runs = 300;
        let covered = (0..runs)
            .filter(|_| {
                let mut sample = || -> Vec<f64> { (0..7).map(|_| 900.0 + 200.0 * rng.f64()).collect() };
                let (a, b) = (sample(), sample());
                let interval = ratio_of_medians(&a, &b, &mut rng).unwrap();
                interval.low <= 1.0 && 1.0 <= interval.high
            })
            .count();
        assert!(covered * 100 >= runs * 90, "{covered} of {runs}");
    }

    #[test]
    fn a_throttled_sample_excludes_one() {
        let mut rng = fastrand::Rng::with_seed(5);
        let interval = ratio_of_medians(
            &[130.0, 141.0, 138.0, 150.0, 139.0],
            &[9000.0, 8700.0, 9100.0, 8800.0, 9050.0],
            &mut rng,
        )
        .unwrap();
        assert!(interval.high < 0.1 && interval.low > 0.0, "{interval:?}");
        assert_eq!(ratio_of_medians(&[1.0], &[], &mut rng), None);
        assert_eq!(ratio_of_medians(&[1.0], &[0.0], &mut rng), None);
    }
}
