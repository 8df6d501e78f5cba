//! Rows in the OONI data format 0.2.0, one a subtest. What the format has no place for stands below
//! `test_keys.x_commucat`, whole: [`super::read`] makes a [`Run`] of it again.
//!
//! Nothing here knows an address of the person who measured: `probe_ip` is a constant.

mod events;
mod failure;

use std::{
    collections::BTreeMap,
    io::{self, Write},
};

use commucat_verdict::{
    Confidence, ControlKind, Finding, Thresholds, ids,
    observations::{Decision, Observations, Series, Subtest},
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use self::events::Events;
use super::calendar::Utc;
use crate::{Run, Status, SubtestReport, Vantage};

/// Version of the data format.
pub const DATA_FORMAT_VERSION: &str = "0.2.0";
/// `software_name` of our rows.
pub const SOFTWARE_NAME: &str = "commucat";
/// What every `test_name` of ours begins with.
pub const TEST_NAME_PREFIX: &str = "commucat_";
/// Version of the tests: moves when a test means something else.
pub const TEST_VERSION: &str = "0.1.0";
/// `test_name` of the row that holds what belongs to no subtest.
pub(super) const RUN_TEST: &str = "commucat_run";
/// The data format's own way to say that nobody asked for the address of the probe.
const PROBE_IP: &str = "127.0.0.1";

/// One row.
#[derive(Debug, Serialize)]
pub struct Row {
    annotations: Annotations,
    data_format_version: &'static str,
    extensions: BTreeMap<&'static str, u8>,
    input: Option<String>,
    measurement_start_time: String,
    probe_asn: String,
    probe_cc: String,
    probe_ip: &'static str,
    software_name: &'static str,
    software_version: String,
    test_keys: TestKeys,
    test_name: String,
    test_runtime: f64,
    test_start_time: String,
    test_version: &'static str,
}

#[derive(Debug, Serialize)]
struct Annotations {
    architecture: String,
    network_type: String,
    platform: String,
}

#[derive(Debug, Serialize)]
struct TestKeys {
    #[serde(flatten)]
    events: Events,
    #[serde(flatten)]
    tunnel: Option<Tunnel>,
    x_commucat: Ours,
}

/// The extension `tunnel` (df-009).
#[derive(Debug, Serialize)]
struct Tunnel {
    bootstrap_time: f64,
    failure: Option<String>,
    tunnel: String,
}

/// Our part of a row.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Ours {
    verdict: String,
    confidence: Confidence,
    #[serde(default)]
    policy_hint: Vec<String>,
    #[serde(default)]
    control: BTreeMap<String, Count>,
    #[serde(default)]
    trials: Vec<Trials>,
    #[serde(default)]
    thresholds: Thresholds,
    residual_s: Option<u32>,
    /// The run this row belongs to.
    pub(super) run: RunKey,
    /// What became of the subtest; absent in the row of the run itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) report: Option<SubtestReport>,
    #[serde(default)]
    pub(super) findings: Vec<Finding>,
    /// The places of these findings among all of the run.
    #[serde(default)]
    pub(super) finding_places: Vec<usize>,
    #[serde(default)]
    pub(super) observations: Observations,
}

/// Which run, and what all its rows have in common.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct RunKey {
    pub(super) id: String,
    pub(super) format: u32,
    pub(super) command: String,
    pub(super) seed: u64,
    pub(super) started_unix_ms: u64,
    pub(super) took_ms: u64,
    pub(super) lab: bool,
    pub(super) rows: usize,
}

/// Passed and made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Count {
    passed: usize,
    made: usize,
}

/// The trials of one condition, in short.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Trials {
    condition: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    control: Option<String>,
    passed: usize,
    made: usize,
    decision: Decision,
}

/// The rows of a run: one a subtest, and one for what belongs to none (only when there is such).
pub fn rows(run: &Run) -> Vec<Row> {
    let mut left = Parts::of(run);
    let taken: Vec<_> = run.subtests.iter().map(|report| (Some(report), left.take(report.subtest))).collect();
    let rest = left.rest();
    let rest = (taken.is_empty() || !rest.is_empty()).then_some((None, rest));
    let parts: Vec<_> = taken.into_iter().chain(rest).collect();
    let key = run_key(run, parts.len());
    parts.into_iter().map(|(report, part)| row(run, report, part, &key)).collect()
}

/// Writes the rows of a run as JSON Lines.
///
/// # Errors
/// `out` does not take them.
pub fn write_jsonl(run: &Run, out: &mut impl Write) -> io::Result<()> {
    for row in rows(run) {
        serde_json::to_writer(&mut *out, &row)?;
        out.write_all(b"\n")?;
    }
    out.flush()
}

/// What is shown as the one verdict of a subtest: the surest finding, a found mechanism before an open question.
pub(crate) fn primary(findings: &[Finding]) -> Option<&Finding> {
    let rank = |finding: &&Finding| {
        let found = finding.verdict_id != ids::OK && finding.verdict_id != ids::INCONCLUSIVE;
        (found, finding.verdict_id != ids::OK, finding.confidence)
    };
    // Of equals the first: `max_by_key` would take the last.
    findings.iter().rev().max_by_key(rank)
}

pub(super) const fn control_name(kind: ControlKind) -> &'static str {
    match kind {
        ControlKind::SameServer => "same_server",
        ControlKind::Unrelated => "unrelated",
        ControlKind::Domestic => "domestic",
        _ => "other",
    }
}

fn row(run: &Run, report: Option<&SubtestReport>, part: Part, key: &RunKey) -> Row {
    let (begun_us, took_us) =
        report.map_or((0, run.took_ms * 1_000), |report| (report.at_us, report.took_us));
    let test_name =
        report.map_or_else(|| RUN_TEST.to_owned(), |report| format!("{TEST_NAME_PREFIX}{}", report.subtest));
    let start = run.started_unix_ms;
    let mut extensions =
        BTreeMap::from([("dnst", 0), ("tcpconnect", 0), ("tlshandshake", 0), ("netevents", 0)]);
    let tunnel = report.and_then(tunnel);
    if tunnel.is_some() {
        extensions.insert("tunnel", 0);
    }
    Row {
        annotations: annotations(&run.vantage),
        data_format_version: DATA_FORMAT_VERSION,
        extensions,
        input: None,
        measurement_start_time: Utc::from_unix_ms(start + begun_us / 1_000).to_string(),
        probe_asn: run.vantage.asn.clone(),
        probe_cc: run.vantage.country.clone(),
        probe_ip: PROBE_IP,
        software_name: SOFTWARE_NAME,
        software_version: run.software_version.clone(),
        test_keys: TestKeys {
            events: Events::of(&part.observations, begun_us),
            tunnel,
            x_commucat: ours(report, part, key.clone()),
        },
        test_name,
        test_runtime: std::time::Duration::from_micros(took_us).as_secs_f64(),
        test_start_time: Utc::from_unix_ms(start).to_string(),
        test_version: TEST_VERSION,
    }
}

fn ours(report: Option<&SubtestReport>, part: Part, run: RunKey) -> Ours {
    let ended = report.is_some_and(|report| matches!(report.status, Status::Done));
    let shown = primary(&part.findings);
    let nothing = if ended { ids::OK } else { ids::INCONCLUSIVE };
    Ours {
        verdict: shown.map_or(nothing, |finding| &finding.verdict_id).to_owned(),
        confidence: shown.map_or(if ended { Confidence::Likely } else { Confidence::Open }, |f| f.confidence),
        policy_hint: shown.map(|finding| finding.policy_hint.clone()).unwrap_or_default(),
        control: controls(&part.observations.series),
        trials: part.observations.series.iter().map(trials).collect(),
        thresholds: shown.map(|finding| finding.thresholds).unwrap_or_default(),
        residual_s: shown.and_then(|finding| finding.residual_s),
        run,
        report: report.cloned(),
        findings: part.findings,
        finding_places: part.places,
        observations: part.observations,
    }
}

fn controls(series: &[Series]) -> BTreeMap<String, Count> {
    let mut controls = BTreeMap::<_, Count>::new();
    for (kind, series) in series.iter().filter_map(|series| Some((series.control?, series))) {
        let count = controls.entry(control_name(kind).to_owned()).or_default();
        count.made += series.made();
        count.passed += series.made().saturating_sub(series.failed());
    }
    controls
}

fn trials(series: &Series) -> Trials {
    Trials {
        condition: series.condition.to_string(),
        control: series.control.map(|kind| control_name(kind).to_owned()),
        passed: series.made().saturating_sub(series.failed()),
        made: series.made(),
        decision: series.decision,
    }
}

/// End-to-end figures of a transport, where the subtest gave them.
fn tunnel(report: &SubtestReport) -> Option<Tunnel> {
    let details = report.details.as_ref().filter(|_| report.subtest == Subtest::Transport)?;
    Some(Tunnel {
        bootstrap_time: details.get("bootstrap_s").and_then(Value::as_f64).unwrap_or(0.0),
        failure: details
            .get("failure")
            .and_then(Value::as_str)
            .map(|text| format!("unknown_failure: {text}")),
        tunnel: details.get("transport").and_then(Value::as_str).unwrap_or("unknown").to_owned(),
    })
}

fn annotations(vantage: &Vantage) -> Annotations {
    // The names that the data format lists; others stand as Rust calls them.
    let architecture = match vantage.architecture.as_str() {
        "x86_64" => "amd64",
        "x86" => "386",
        "aarch64" => "arm64",
        other => other,
    };
    Annotations {
        architecture: architecture.to_owned(),
        network_type: vantage.network_type.clone(),
        platform: vantage.platform.clone(),
    }
}

fn run_key(run: &Run, rows: usize) -> RunKey {
    RunKey {
        id: format!("{:x}-{:x}", run.started_unix_ms, run.seed),
        format: run.format,
        command: run.command.clone(),
        seed: run.seed,
        started_unix_ms: run.started_unix_ms,
        took_ms: run.took_ms,
        lab: run.vantage.lab,
        rows,
    }
}

/// What belongs to one subtest.
#[derive(Debug, Default)]
struct Part {
    observations: Observations,
    findings: Vec<Finding>,
    /// The places of the findings in the run.
    places: Vec<usize>,
}

impl Part {
    fn is_empty(&self) -> bool {
        self.findings.is_empty() && self.observations == Observations::default()
    }
}

/// What of a run is not in a row yet.
struct Parts {
    left: Part,
}

impl Parts {
    fn of(run: &Run) -> Self {
        let findings = run.findings.clone();
        let places = (0..findings.len()).collect();
        Self { left: Part { observations: run.observations.clone(), findings, places } }
    }

    fn take(&mut self, subtest: Subtest) -> Part {
        let from = &mut self.left.observations;
        let observations = Observations {
            environment: if subtest == Subtest::Env { from.environment.take() } else { None },
            series: from.series.extract_if(.., |series| series.condition.subtest == subtest).collect(),
            lookups: if subtest == Subtest::Dns { std::mem::take(&mut from.lookups) } else { Vec::new() },
            transfers: from.transfers.extract_if(.., |one| one.condition.subtest == subtest).collect(),
            limits: from.limits.extract_if(.., |limit| limit.subtest == subtest).collect(),
            rates: from.rates.extract_if(.., |rate| rate.suspect.subtest == subtest).collect(),
        };
        let own: Vec<_> = self.left.findings.iter().map(|finding| finding.subtest == subtest).collect();
        let (mut for_findings, mut for_places) = (own.iter(), own.iter());
        let findings = self.left.findings.extract_if(.., |_| for_findings.next() == Some(&true)).collect();
        let places = self.left.places.extract_if(.., |_| for_places.next() == Some(&true)).collect();
        Part { observations, findings, places }
    }

    fn rest(&mut self) -> Part {
        std::mem::take(&mut self.left)
    }
}
