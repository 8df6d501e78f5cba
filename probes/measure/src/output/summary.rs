//! A run in few words: a row a subtest, and the whole in one word. Every output for people is made from this.

use commucat_verdict::{
    Confidence, Finding, Thresholds, ids,
    observations::{Spread, Subtest},
};
use serde::Serialize;

use super::{
    ooni::primary,
    works::{Works, works},
};
use crate::{Run, Status, SubtestReport};

/// A run in few words.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Summary {
    /// The whole in one word.
    pub overall: Overall,
    /// A row a subtest, in the order in which they were begun.
    pub rows: Vec<Row>,
    /// What works from here, best first.
    pub works: Vec<Works>,
}

/// The whole in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Overall {
    /// Nothing was found.
    Clear,
    /// Something interferes.
    Interference,
    /// The measurements do not decide.
    Unclear,
    /// There is no network.
    NoNetwork,
}

/// One subtest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Row {
    /// Which.
    pub subtest: Subtest,
    /// What became of it.
    pub state: State,
    /// What it showed, the most important first. Without findings one line without an id.
    pub lines: Vec<Line>,
    /// How long it took, in milliseconds.
    pub took_ms: u64,
}

/// One thing that a subtest showed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Line {
    /// The verdict id.
    pub verdict: Option<String>,
    /// How sure it is.
    pub confidence: Option<Confidence>,
    /// What was seen, in one line.
    pub text: String,
}

/// What became of a subtest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// It was not begun yet.
    Waiting,
    /// It runs.
    Running,
    /// It ended and found nothing.
    Ok,
    /// It found something.
    Found,
    /// It does not decide.
    Unclear,
    /// It was left out, and says why.
    Skipped,
    /// It broke.
    Failed,
}

impl Summary {
    /// The summary of a run that ended.
    pub fn of(run: &Run) -> Self {
        let mut rows: Vec<_> = run.subtests.iter().map(|report| row(report, &run.findings)).collect();
        rows.extend(unowned(run));
        Self { overall: overall(run), rows, works: works(run) }
    }
}

impl Overall {
    /// A heading for people.
    pub const fn title(self) -> &'static str {
        match self {
            Self::Clear => "Nothing was found",
            Self::Interference => "Something interferes",
            Self::Unclear => "The measurements do not decide",
            Self::NoNetwork => "There is no network",
        }
    }
}

impl State {
    /// One word for people.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Running => "running",
            Self::Ok => "ok",
            Self::Found => "found",
            Self::Unclear => "unclear",
            Self::Skipped => "left out",
            Self::Failed => "failed",
        }
    }
}

/// The row of a subtest that ended.
pub(crate) fn row(report: &SubtestReport, findings: &[Finding]) -> Row {
    let mut own: Vec<_> = findings.iter().filter(|finding| finding.subtest == report.subtest).collect();
    let first = primary(findings_of(findings, report.subtest).as_slice()).map(|f| f.verdict_id.clone());
    own.sort_by_key(|finding| Some(&finding.verdict_id) != first.as_ref());
    let (state, fallback) = match &report.status {
        Status::Done => (state(&own), "nothing was found".to_owned()),
        Status::Cut => (state(&own).or_unclear(), "its time ran out".to_owned()),
        Status::Skipped { reason } | Status::Refused { reason } => (State::Skipped, reason.clone()),
        Status::Failed { reason } => (State::Failed, reason.clone()),
    };
    let mut lines: Vec<_> = own.iter().map(|finding| line(finding)).collect();
    if lines.is_empty() || matches!(state, State::Skipped | State::Failed) {
        lines.insert(0, Line { verdict: None, confidence: None, text: fallback });
    }
    Row { subtest: report.subtest, state, lines, took_ms: report.took_us / 1_000 }
}

/// The amounts of a finding, in words: `25 packets (24–26)`.
pub(crate) fn amounts(thresholds: &Thresholds) -> Vec<String> {
    let one = |spread: Option<Spread>, unit: &str| {
        spread.map(|spread| {
            let middle = number(spread.median);
            if spread.low < spread.high {
                format!("{middle} {unit} ({}–{})", number(spread.low), number(spread.high))
            } else {
                format!("{middle} {unit}")
            }
        })
    };
    [
        one(thresholds.packets, "packets"),
        one(thresholds.bytes, "bytes"),
        one(thresholds.conns, "connections at once"),
        one(thresholds.kbps, "kbit/s"),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// A figure without needless digits, thousands apart.
pub(crate) fn number(value: f64) -> String {
    let digits = if value.abs() >= 100.0 || value.fract() == 0.0 { 0 } else { 1 };
    let text = format!("{value:.digits$}");
    let (whole, fraction) = text.split_once('.').map_or((text.as_str(), ""), |(whole, part)| (whole, part));
    let (sign, whole) = whole.strip_prefix('-').map_or(("", whole), |whole| ("-", whole));
    let mut grouped = String::new();
    for (at, digit) in whole.chars().enumerate() {
        // A thin space that does not break the line.
        if at > 0 && (whole.len() - at) % 3 == 0 {
            grouped.push('\u{202f}');
        }
        grouped.push(digit);
    }
    let dot = if fraction.is_empty() { "" } else { "." };
    format!("{sign}{grouped}{dot}{fraction}")
}

fn findings_of(findings: &[Finding], subtest: Subtest) -> Vec<Finding> {
    findings.iter().filter(|finding| finding.subtest == subtest).cloned().collect()
}

/// Findings whose subtest has no report: shown all the same.
fn unowned(run: &Run) -> Vec<Row> {
    let mut rows: Vec<Row> = Vec::new();
    for finding in &run.findings {
        if run.subtests.iter().any(|report| report.subtest == finding.subtest) {
            continue;
        }
        match rows.iter_mut().find(|row| row.subtest == finding.subtest) {
            Some(row) => row.lines.push(line(finding)),
            None => rows.push(Row {
                subtest: finding.subtest,
                state: state(&[finding]),
                lines: vec![line(finding)],
                took_ms: 0,
            }),
        }
    }
    rows
}

fn line(finding: &Finding) -> Line {
    Line {
        verdict: Some(finding.verdict_id.clone().into_owned()),
        confidence: Some(finding.confidence),
        text: finding.evidence_line.clone(),
    }
}

fn state(findings: &[&Finding]) -> State {
    let open = |finding: &&&Finding| finding.verdict_id == ids::INCONCLUSIVE;
    if findings.iter().any(|finding| finding.verdict_id != ids::OK && !open(&finding)) {
        State::Found
    } else if findings.iter().any(|finding| open(&finding)) {
        State::Unclear
    } else {
        State::Ok
    }
}

impl State {
    const fn or_unclear(self) -> Self {
        match self {
            Self::Ok => Self::Unclear,
            other => other,
        }
    }
}

fn overall(run: &Run) -> Overall {
    match run.exit_code() {
        0 => Overall::Clear,
        1 => Overall::Interference,
        3 => Overall::NoNetwork,
        _ => Overall::Unclear,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_readable() {
        for (value, text) in [
            (25.0, "25"),
            (1234.0, "1\u{202f}234"),
            (17_376.4, "17\u{202f}376"),
            (0.5, "0.5"),
            (141.37, "141"),
            (12.25, "12.2"),
            (-1000.0, "-1\u{202f}000"),
            (999.9, "1\u{202f}000"),
        ] {
            assert_eq!(number(value), text, "{value}");
        }
    }

    #[test]
    fn amounts_show_their_spread() {
        let spread = |median, low, high| Some(Spread { median, low, high, repeats: 3 });
        let thresholds = Thresholds {
            packets: spread(25.0, 24.0, 26.0),
            kbps: spread(140.0, 140.0, 140.0),
            ..Thresholds::default()
        };
        assert_eq!(amounts(&thresholds), ["25 packets (24–26)", "140 kbit/s"]);
    }
}
