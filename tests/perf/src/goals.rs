//! What the project promises about its speed, and whether a run kept it.
//!
//! The promises are ratios to the best peer of the same run. They are printed, never asserted: a shared machine must not decide a build.

use crate::{
    cells::{Cell, Direction, Row},
    sample::{AGAIN, LIMIT},
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

/// Where imitating rows are concerned: the median first byte over the best peer's.
const FIRST_BYTE_RATIO: f64 = 0.6;
/// The server's CPU for a handshake over the best peer's.
const HANDSHAKE_RATIO: f64 = 0.6;
/// Memory of idle connections over the best peer's.
const MEMORY_RATIO: f64 = 0.5;
/// CPU of our worst visit over our own median, where a peer is known to have two speeds.
const WORST_RATIO: f64 = 1.2;

/// CPU seconds per gigabyte over the best peer's.
const fn cpu_ratio(row: Row) -> f64 {
    match row {
        Row::Shadowsocks => 0.85,
        Row::WebSocket => 0.80,
        Row::Reality | Row::Vision => 0.70,
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
            match summary.row {
                Row::Shadowsocks | Row::WebSocket => {
                    goals.push(ratio_goal(summary, cell, Kind::Throughput, THROUGHPUT_RATIO));
                }
                Row::Reality => {}
                Row::Vision => goals.push(worst_goal(summary, cell)),
            }
        }
    }
    match summary.row {
        Row::Shadowsocks | Row::WebSocket => {
            goals.extend([Direction::Up, Direction::Down].map(|direction| collapse_goal(summary, direction)));
        }
        Row::Reality | Row::Vision => goals.extend(connection_goals(summary)),
    }
    goals
}

/// What a connection costs before it carries much.
fn connection_goals(summary: &RowSummary) -> Vec<Goal> {
    let promised = [
        (Kind::FirstByteMedian, FIRST_BYTE_RATIO),
        (Kind::ServerCpuPerHandshake, HANDSHAKE_RATIO),
        (Kind::MemoryPerConnection, MEMORY_RATIO),
    ];
    let goal = |(kind, bound)| {
        // How many connections a visit had depends on the options.
        let measured = summary.metrics.iter().map(|metric| metric.metric).find(|metric| metric.kind == kind);
        match measured {
            Some(metric) => ratio_goal(summary, metric.cell, kind, bound),
            None => Goal {
                promise: format!("{}: {} ≤ {bound}× the best peer", summary.row.id(), noun(kind)),
                verdict: Verdict::NotMeasured,
                evidence: "no figure".to_owned(),
            },
        }
    };
    promised.into_iter().map(goal).collect()
}

/// What a ratio is about, in the words of a promise.
const fn noun(kind: Kind) -> &'static str {
    match kind {
        Kind::CpuPerGb => "CPU",
        Kind::Throughput => "throughput",
        Kind::FirstByteMedian => "p50",
        Kind::ServerCpuPerHandshake => "server CPU",
        Kind::MemoryPerConnection => "memory",
        _ => "figure",
    }
}

fn ratio_goal(summary: &RowSummary, cell: Cell, kind: Kind, bound: f64) -> Goal {
    let lower = kind.better() == Better::Lower;
    let sign = if lower { "≤" } else { "≥" };
    let promise = format!("{} {cell}: {} {sign} {bound}× the best peer", summary.row.id(), noun(kind));
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

/// No visit of ours, the control's included, is far from our median. What the peers' visits did is the evidence beside it.
fn worst_goal(summary: &RowSummary, cell: Cell) -> Goal {
    let promise = format!("{} {cell}: CPU of the worst visit ≤ {WORST_RATIO}× the median", summary.row.id());
    let metric = summary.metric(cell, Kind::CpuPerGb);
    let ours = |id: &str| id == summary.subject || id.strip_suffix(AGAIN) == Some(&summary.subject);
    let worst_of = |own: bool| {
        let figures = metric.into_iter().flat_map(|metric| &metric.figures);
        let figures = figures.filter(move |(id, _)| ours(id) == own && *id != LIMIT);
        figures.map(|(id, figure)| (id.as_str(), figure.visits.max / figure.visits.median))
    };
    let Some(worst) = worst_of(true).map(|(_, worst)| worst).max_by(f64::total_cmp) else {
        return Goal { promise, verdict: Verdict::NotMeasured, evidence: "no figure".to_owned() };
    };
    let others: String = worst_of(false).map(|(id, worst)| format!(", {id} {worst:.2}×")).collect();
    let verdict = if worst <= WORST_RATIO { Verdict::Held } else { Verdict::Missed };
    Goal { promise, verdict, evidence: format!("{worst:.2}×{others}") }
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

    /// The same figures as those of another row.
    fn as_row(row: Row) -> Vec<crate::sample::Sample> {
        two_rounds().into_iter().map(|sample| crate::sample::Sample { row, ..sample }).collect()
    }

    #[test]
    fn a_second_speed_is_seen() {
        let mut samples = as_row(Row::Vision);
        let find = |samples: Vec<_>| {
            let summary = RowSummary::of(&record(samples), Row::Vision).unwrap();
            judge(&summary).into_iter().find(|goal| goal.promise.contains("up/1: CPU of the worst")).unwrap()
        };
        let steady = find(samples.clone());
        // 0.6 over the median of 0.5, 0.5, 0.6, 0.6.
        assert_eq!(
            (steady.verdict, steady.evidence.as_str()),
            (Verdict::Held, "1.09×, sing-box 1.00×, xray 1.00×")
        );
        let slow = samples.iter_mut().rfind(|sample| sample.product == "commucat-again").unwrap();
        if let crate::sample::Reading::Bulk { bytes, .. } = &mut slow.reading {
            *bytes /= 5;
        }
        let bimodal = find(samples);
        assert_eq!(bimodal.verdict, Verdict::Missed);
        assert!(bimodal.evidence.starts_with("5.45×"), "{}", bimodal.evidence);
    }

    #[test]
    fn connections_are_judged_by_the_cells_that_were_measured() {
        let mut samples = as_row(Row::Reality);
        for (product, server_cpu_s) in [("commucat", 0.1), ("commucat-again", 0.1), ("xray", 0.2)] {
            samples.push(crate::sample::Sample {
                product: product.to_owned(),
                cell: "handshake/100".parse().unwrap(),
                reading: crate::sample::Reading::Handshake {
                    connections: 100,
                    client_cpu_s: 1.0,
                    server_cpu_s,
                },
                ..samples[0].clone()
            });
        }
        let goals = judge(&RowSummary::of(&record(samples), Row::Reality).unwrap());
        let find = |text: &str| goals.iter().find(|goal| goal.promise.contains(text)).unwrap();
        let handshake = find("reality handshake/100: server CPU ≤ 0.6");
        assert_eq!(handshake.verdict, Verdict::Held);
        assert!(handshake.evidence.starts_with("0.50× xray"), "{}", handshake.evidence);
        assert_eq!(find("reality: p50 ≤ 0.6").verdict, Verdict::NotMeasured);
        assert_eq!(find("reality: memory ≤ 0.5").verdict, Verdict::NotMeasured);
        assert!(!goals.iter().any(|goal| goal.promise.contains("throughput")));
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
