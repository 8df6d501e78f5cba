//! One run while it goes on: stages in, reports and findings out.

use std::{
    collections::BTreeSet,
    future::Future,
    sync::{Arc, Mutex},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use commucat_verdict::{
    Finding, conclude,
    observations::{Observations, Subtest},
};
use tokio::time::Instant;

use super::ProbeConfig;
use crate::{
    methods::{MethodError, Outcome},
    progress::{Event, Progress},
    run::{RUN_FORMAT, Run, Status, SubtestReport, Vantage},
    trial::{Bench, locked},
};

/// A stage that would begin with less time than this is not begun.
const STAGE_TIME_MIN: Duration = Duration::from_millis(500);

pub(super) struct Runner {
    bench: Arc<Bench>,
    command: String,
    seed: u64,
    began: Instant,
    until: Instant,
    started: SystemTime,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    planned: Vec<Subtest>,
    observations: Observations,
    reports: Vec<SubtestReport>,
    told: BTreeSet<String>,
}

impl Runner {
    pub(super) fn new(config: ProbeConfig, command: &str, progress: Arc<dyn Progress>) -> Self {
        let began = Instant::now();
        Self {
            bench: Bench::new(config.targets, config.seed, progress),
            command: command.to_owned(),
            seed: config.seed,
            began,
            until: began + config.budget,
            started: SystemTime::now(),
            state: Mutex::default(),
        }
    }

    pub(super) fn plan(&self, subtests: &[Subtest]) {
        locked(&self.state).planned = subtests.to_vec();
        self.bench.progress.event(&Event::Planned(subtests));
    }

    pub(super) fn observed(&self) -> Observations {
        locked(&self.state).observations.clone()
    }

    /// Runs a subtest, or a part of one, and takes up what it brings.
    pub(super) async fn stage<F>(&self, subtest: Subtest, method: impl FnOnce(Arc<Bench>, Instant) -> F)
    where
        F: Future<Output = Result<Outcome, MethodError>>,
    {
        let (at_us, began) = (self.bench.at_us(), Instant::now());
        if self.until.saturating_duration_since(began) < STAGE_TIME_MIN {
            let reason = "the time for the run is over: give it more with --budget".to_owned();
            self.end(subtest, at_us, began, Status::Skipped { reason }, &[]);
            return;
        }
        self.bench.progress.event(&Event::Started(subtest));
        match method(Arc::clone(&self.bench), self.until).await {
            Ok(outcome) => {
                locked(&self.state).observations.absorb(outcome.observations);
                let status = if outcome.cut { Status::Cut } else { Status::Done };
                self.end(subtest, at_us, began, status, &outcome.left_out);
            }
            Err(error) => self.end(subtest, at_us, began, status_of(&error), &[]),
        }
    }

    /// Reports what was planned and never begun.
    pub(super) fn skip_missing(&self, status: &Status) {
        let missing: Vec<Subtest> = {
            let state = locked(&self.state);
            let known = |subtest: &Subtest| state.reports.iter().any(|report| report.subtest == *subtest);
            state.planned.iter().copied().filter(|subtest| !known(subtest)).collect()
        };
        for subtest in missing {
            self.end(subtest, self.bench.at_us(), Instant::now(), status.clone(), &[]);
        }
    }

    pub(super) fn finish(self) -> Run {
        self.skip_missing(&Status::Skipped { reason: "nothing was left to find out".to_owned() });
        let state = self.state.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
        let millis = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        let network_type = state.observations.environment.as_ref().map(|seen| seen.network_type.clone());
        Run {
            format: RUN_FORMAT,
            software_version: env!("CARGO_PKG_VERSION").to_owned(),
            command: self.command,
            started_unix_ms: self.started.duration_since(UNIX_EPOCH).map_or(0, millis),
            took_ms: millis(self.began.elapsed()),
            seed: self.seed,
            vantage: Vantage {
                network_type: network_type.unwrap_or_else(|| "unknown".to_owned()),
                lab: self.bench.targets.lab,
                ..Vantage::default()
            },
            findings: conclude(&state.observations),
            subtests: state.reports,
            observations: state.observations,
        }
    }

    fn end(&self, subtest: Subtest, at_us: u64, began: Instant, status: Status, left_out: &[String]) {
        let details = (!left_out.is_empty()).then(|| serde_json::json!({ "left_out": left_out }));
        let took_us = u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX);
        let new = SubtestReport { subtest, at_us, took_us, status, details };
        let (report, findings) = {
            let mut state = locked(&self.state);
            let report = merge(&mut state.reports, new);
            let all = conclude(&state.observations);
            let fresh: Vec<Finding> =
                all.into_iter().filter(|finding| state.told.insert(finding.verdict_id.to_string())).collect();
            (report, fresh)
        };
        self.bench.progress.event(&Event::Ended { report: &report, findings: &findings });
    }
}

fn status_of(error: &MethodError) -> Status {
    let reason = error.to_string();
    match error {
        MethodError::Consent(_) | MethodError::Tunnel { .. } | MethodError::Rewriter { .. } => {
            Status::Refused { reason }
        }
        MethodError::NoTarget { .. } | MethodError::Lacks { .. } | MethodError::Meaningless { .. } => {
            Status::Skipped { reason }
        }
    }
}

/// A subtest in two parts has one report: what was measured stands, and why a part was not is told beside it.
fn merge(reports: &mut Vec<SubtestReport>, new: SubtestReport) -> SubtestReport {
    let Some(old) = reports.iter_mut().find(|report| report.subtest == new.subtest) else {
        reports.push(new.clone());
        return new;
    };
    old.took_us = old.took_us.saturating_add(new.took_us);
    let mut left_out: Vec<serde_json::Value> = Vec::new();
    for details in [old.details.take(), new.details].into_iter().flatten() {
        if let Some(serde_json::Value::Array(reasons)) = details.get("left_out") {
            left_out.extend(reasons.iter().cloned());
        }
    }
    let measured = |status: &Status| matches!(status, Status::Done | Status::Cut);
    match (measured(&old.status), &new.status) {
        (true, Status::Skipped { reason } | Status::Refused { reason } | Status::Failed { reason }) => {
            left_out.push(reason.clone().into());
        }
        (true, Status::Done) => {}
        _ => old.status = new.status,
    }
    old.details = (!left_out.is_empty()).then(|| serde_json::json!({ "left_out": left_out }));
    old.clone()
}
