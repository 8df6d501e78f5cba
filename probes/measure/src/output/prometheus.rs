//! A run in the Prometheus text format (version 0.0.4), for a node exporter's textfile collector.

use std::{collections::BTreeMap, fmt::Write as _};

use commucat_verdict::observations::Spread;

use crate::{
    Run, Status,
    output::summary::{Overall, Summary},
};

/// The run as Prometheus metrics. Holds no address and no name.
pub fn prometheus(run: &Run) -> String {
    let mut page = Page::default();
    let summary = Summary::of(run);
    let started = std::time::Duration::from_millis(run.started_unix_ms).as_secs_f64();
    page.metric("run_timestamp_seconds", "When the last run began.", "gauge", [(vec![], started)]);
    let took = run.took().as_secs_f64();
    page.metric("run_duration_seconds", "How long it took.", "gauge", [(vec![], took)]);
    let states = [Overall::Clear, Overall::Interference, Overall::Unclear, Overall::NoNetwork];
    let overall =
        states.map(|state| (vec![("state", word(state).to_owned())], one(state == summary.overall)));
    page.metric("overall", "What the run says as a whole.", "gauge", overall);
    let subtests = run.subtests.iter().map(|report| {
        let labels =
            vec![("subtest", report.subtest.to_string()), ("status", status(&report.status).to_owned())];
        (labels, 1.0)
    });
    page.metric("subtest_status", "What became of each subtest.", "gauge", subtests);
    let verdicts = run.findings.iter().map(|finding| {
        let confidence = format!("{:?}", finding.confidence).to_lowercase();
        let labels = vec![
            ("subtest", finding.subtest.to_string()),
            ("verdict", finding.verdict_id.to_string()),
            ("confidence", confidence),
        ];
        (labels, 1.0)
    });
    page.metric("verdict", "What was found.", "gauge", verdicts);
    page.metric("threshold", "Measured limits, the middle one.", "gauge", thresholds(run));
    page.metric("trials", "Trials of the last run.", "gauge", trials(run));
    page.text
}

fn thresholds(run: &Run) -> Vec<(Vec<(&'static str, String)>, f64)> {
    let mut all = Vec::new();
    for finding in &run.findings {
        let limits = finding.thresholds;
        let units: [(&str, Option<Spread>); 4] = [
            ("packets", limits.packets),
            ("bytes", limits.bytes),
            ("connections", limits.conns),
            ("kbit_per_second", limits.kbps),
        ];
        for (unit, spread) in units.into_iter().filter_map(|(unit, spread)| Some((unit, spread?))) {
            let labels = vec![("verdict", finding.verdict_id.to_string()), ("unit", unit.to_owned())];
            all.push((labels, spread.median));
        }
    }
    all
}

#[allow(clippy::cast_precision_loss, reason = "trials are far fewer than 2^53")]
fn trials(run: &Run) -> Vec<(Vec<(&'static str, String)>, f64)> {
    let mut counts = BTreeMap::<(String, &str, &str), usize>::new();
    for series in &run.observations.series {
        let role = series.control.map_or("suspect", super::ooni::control_name);
        for trial in &series.trials {
            let outcome = if trial.failure.is_none() { "passed" } else { "failed" };
            *counts.entry((series.condition.subtest.to_string(), role, outcome)).or_default() += 1;
        }
    }
    let labelled = |((subtest, role, outcome), count): ((String, &str, &str), usize)| {
        (vec![("subtest", subtest), ("role", role.to_owned()), ("outcome", outcome.to_owned())], count as f64)
    };
    counts.into_iter().map(labelled).collect()
}

const fn word(overall: Overall) -> &'static str {
    match overall {
        Overall::Clear => "clear",
        Overall::Interference => "interference",
        Overall::Unclear => "unclear",
        Overall::NoNetwork => "no_network",
    }
}

const fn status(status: &Status) -> &'static str {
    match status {
        Status::Done => "done",
        Status::Cut => "cut",
        Status::Skipped { .. } => "skipped",
        Status::Refused { .. } => "refused",
        Status::Failed { .. } => "failed",
    }
}

const fn one(is: bool) -> f64 {
    if is { 1.0 } else { 0.0 }
}

#[derive(Default)]
struct Page {
    text: String,
}

impl Page {
    fn metric(
        &mut self,
        name: &str,
        help: &str,
        kind: &str,
        samples: impl IntoIterator<Item = (Vec<(&'static str, String)>, f64)>,
    ) {
        // Equal labels twice make the whole page unreadable to Prometheus.
        let mut once = BTreeMap::new();
        for (labels, value) in samples {
            let labels: Vec<_> =
                labels.iter().map(|(name, value)| format!("{name}=\"{}\"", escape(value))).collect();
            once.insert(labels.join(","), value);
        }
        if once.is_empty() {
            return;
        }
        let mut lines = format!("# HELP commucat_probe_{name} {help}\n# TYPE commucat_probe_{name} {kind}\n");
        for (labels, value) in once {
            let labels = if labels.is_empty() { labels } else { format!("{{{labels}}}") };
            // Writing to a String does not fail.
            let _infallible = writeln!(lines, "commucat_probe_{name}{labels} {value}");
        }
        self.text.push_str(&lines);
    }
}

fn escape(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}
