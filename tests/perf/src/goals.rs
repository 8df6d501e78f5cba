//! What the project promises about its speed, and whether a run kept it.
//!
//! The promises are ratios to the best peer of the same run. They are printed, never asserted: a shared machine must not decide a build.

use crate::{
    cells::{Cell, Direction, Row},
    stats::Better,
    summary::{Kind, RowSummary},
};

/// The streams at which the ratios are promised.
const PROMISED_STREAMS: [usize; 2] = [1, 16];
/// Throughput over the best peer's.
const THROUGHPUT_RATIO: f64 = 1.1;
/// Many streams must keep this share of the throughput of a few.
const COLLAPSE_SHARE: f64 = 0.7;
/// A few, and many.
const COLLAPSE_STREAMS: [usize; 2] = [16, 128];

/// How a promise stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Verdict {
    /// The median keeps it.
    Held,
    /// The median breaks it.
    Missed,
    /// There is nothing to judge by.
    NotMeasured,
}

/// A promise and what came of it.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Goal {
    /// The promise in words.
    pub promise: String,
    /// How it stands.
    pub verdict: Verdict,
    /// The figures behind the verdict.
    pub evidence: String,
}

/// CPU seconds per gigabyte over the best peer's.
const fn cpu_ratio(row: Row) -> f64 {
    match row {
        Row::Shadowsocks => 0.85,
        Row::WebSocket => 0.80,
    }
}

/// Judges one row.
#[must_use]
pub fn judge(summary: &RowSummary) -> Vec<Goal> {
    let mut goals = Vec::new();
    for streams in PROMISED_STREAMS {
        for direction in [Direction::Up, Direction::Down] {
            let cell = Cell::Bulk { direction, streams };
            goals.push(ratio_goal(summary, cell, Kind::CpuPerGb, cpu_ratio(summary.row)));
            goals.push(ratio_goal(summary, cell, Kind::Throughput, THROUGHPUT_RATIO));
        }
    }
    goals.extend([Direction::Up, Direction::Down].map(|direction| collapse_goal(summary, direction)));
    goals
}

fn ratio_goal(summary: &RowSummary, cell: Cell, kind: Kind, bound: f64) -> Goal {
    let lower = kind.better() == Better::Lower;
    let sign = if lower { "≤" } else { "≥" };
    let what = if lower { "CPU" } else { "throughput" };
    let promise = format!("{} {cell}: {what} {sign} {bound}× the best peer", summary.row.id());
    let metric = summary.metric(cell, kind);
    let Some((metric, ratio)) = metric.and_then(|metric| Some((metric, metric.ratio?))) else {
        return Goal { promise, verdict: Verdict::NotMeasured, evidence: "no peer or no figure".to_owned() };
    };
    let held = if lower { ratio.median <= bound } else { ratio.median >= bound };
    let peer = metric.best_peer.as_deref().unwrap_or("nobody");
    let noise = match metric.clear() {
        Some(true) => String::new(),
        Some(false) => ", within the noise".to_owned(),
        None => ", without a control".to_owned(),
    };
    let worst = metric.worst().unwrap_or(ratio.median);
    let evidence = format!("{:.2}× {peer}, worst round {worst:.2}×{noise}", ratio.median);
    Goal { promise, verdict: if held { Verdict::Held } else { Verdict::Missed }, evidence }
}

fn collapse_goal(summary: &RowSummary, direction: Direction) -> Goal {
    let [few, many] = COLLAPSE_STREAMS.map(|streams| Cell::Bulk { direction, streams });
    let promise = format!(
        "{} {many}: no collapse (≥ {COLLAPSE_SHARE}× of {few}, no stream stands still)",
        summary.row.id()
    );
    let throughput = |cell| {
        let figures = &summary.metric(cell, Kind::Throughput)?.figures;
        Some(figures.get(&summary.subject)?.spread.median)
    };
    let stalled = summary.stalled.get(&many).copied().unwrap_or(0);
    let (Some(few), Some(many)) = (throughput(few), throughput(many)) else {
        return Goal { promise, verdict: Verdict::NotMeasured, evidence: "no figure".to_owned() };
    };
    let share = many / few;
    let held = share >= COLLAPSE_SHARE && stalled == 0;
    let evidence = format!("{share:.2}×, {stalled} visits with a stream that stood still");
    Goal { promise, verdict: if held { Verdict::Held } else { Verdict::Missed }, evidence }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::summary::tests::{record, two_rounds};

    #[test]
    fn promises_are_judged_by_the_median() {
        let summary = RowSummary::of(&record(two_rounds()), Row::Shadowsocks).unwrap();
        let goals = judge(&summary);
        let find = |text: &str| goals.iter().find(|goal| goal.promise.contains(text)).unwrap();
        let cpu = find("up/1: CPU ≤ 0.85");
        assert_eq!(
            (cpu.verdict, cpu.evidence.as_str()),
            (Verdict::Held, "0.55× sing-box, worst round 0.60×")
        );
        assert_eq!(find("up/1: throughput ≥ 1.1").verdict, Verdict::Held);
        assert_eq!(find("down/16: CPU").verdict, Verdict::NotMeasured);
        assert_eq!(find("up/128: no collapse").verdict, Verdict::NotMeasured);
    }

    #[test]
    fn a_collapse_is_seen() {
        let mut samples = Vec::new();
        for (streams, kept) in [(16, 1), (128, 2)] {
            for mut sample in two_rounds() {
                if let crate::sample::Reading::Bulk { bytes, .. } = &mut sample.reading {
                    sample.cell = Cell::Bulk { direction: Direction::Up, streams };
                    *bytes /= kept;
                    samples.push(sample);
                }
            }
        }
        let summary = RowSummary::of(&record(samples), Row::Shadowsocks).unwrap();
        let goals = judge(&summary);
        let goal = goals.iter().find(|goal| goal.promise.contains("up/128")).unwrap();
        assert_eq!(goal.verdict, Verdict::Missed);
        assert!(goal.evidence.starts_with("0.50×"), "{}", goal.evidence);
    }
}
