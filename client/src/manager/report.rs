//! What the manager tells people: the status, and the cause of a failure in one sentence, each new one once.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use commucat_transport_api::{Failure, Phase, ProbeReport, ProbeStep, Signal};
use commucat_verdict::{Cause, Controls, Diagnosis, Evidence, LocalNetwork, diagnose};

use super::{DialFailed, EndpointState, Entry, Manager};
use crate::{
    doctor::route,
    status::{ActiveEndpoint, CauseLine, EndpointStatus, Status},
};

/// The same cause of the same endpoint is told again after this long.
const REPEAT_AFTER: Duration = Duration::from_secs(60);

/// Causes that were told.
#[derive(Debug, Default)]
pub(super) struct Causes(Mutex<Told>);

#[derive(Debug, Default)]
struct Told {
    /// Per endpoint: what was last said of it, and when. Bounded by the number of endpoints.
    by_endpoint: BTreeMap<usize, (Cause, Instant)>,
    last: Option<CauseLine>,
    count: u64,
}

impl Manager {
    /// Diagnoses one failure of an endpoint from what is known without further measurements.
    pub(super) fn diagnose_failure(&self, at: usize, failure: &Failure) -> Diagnosis {
        let report = ProbeReport::new(vec![ProbeStep::new(step_of(failure.phase), Err(failure.clone()))]);
        self.diagnose_report(at, &report)
    }

    /// Diagnoses a report of an endpoint; its sisters on the same host that work are controls.
    pub(super) fn diagnose_report(&self, at: usize, report: &ProbeReport) -> Diagnosis {
        let now = self.0.net.now();
        let entries = self.entries();
        let host = |at: usize| entries.get(at).and_then(|entry| entry.endpoint.host.as_ref());
        let core = self.core();
        let works = |other: &usize| {
            *other != at
                && host(*other).is_some()
                && host(*other) == host(at)
                && core.table.state(now, *other) == EndpointState::Proven
        };
        let siblings: Vec<_> = (0..entries.len())
            .filter(works)
            .map(|_| ProbeReport::new(vec![ProbeStep::new("in use", Ok(Duration::ZERO))]))
            .collect();
        let local = local_network(report);
        let controls = Controls { clock_ahead_s: core.clock_ahead_s, local, ..Controls::none() };
        let worked = core.table.has_worked(at);
        drop(core);
        diagnose(&Evidence::new(report, &controls).with_siblings(&siblings).worked_before(worked))
    }

    /// Tells the cause of a failure, unless the same was told just now.
    pub(super) fn surface(&self, at: usize, failure: &Failure) {
        let diagnosis = self.diagnose_failure(at, failure);
        self.surface_diagnosis(at, diagnosis);
    }

    pub(super) fn surface_diagnosis(&self, at: usize, diagnosis: Diagnosis) {
        let (now, at_s) = (self.0.net.now(), self.unix_s());
        let Some(entry) = self.entry(at) else { return };
        let mut told = self.0.causes.0.lock().unwrap_or_else(PoisonError::into_inner);
        let repeated = told.by_endpoint.get(&at).is_some_and(|(cause, when)| {
            *cause == diagnosis.cause && now.saturating_duration_since(*when) < REPEAT_AFTER
        });
        if repeated {
            return;
        }
        told.by_endpoint.insert(at, (diagnosis.cause.clone(), now));
        told.count += 1;
        let number = told.count;
        let label = &*entry.endpoint.label;
        tracing::warn!(
            endpoint = label,
            verdict = diagnosis.verdict_id,
            evidence = %diagnosis.evidence_line,
            what_to_do = %diagnosis.what_to_do,
            "{}", diagnosis.sentence
        );
        told.last = Some(CauseLine { endpoint: entry.endpoint.label.clone(), number, at_s, diagnosis });
    }

    /// The error of a connection that found no endpoint; tells its cause.
    pub(super) fn failed(&self, last: Option<(usize, Failure)>) -> DialFailed {
        let (at, failure) = last.map_or_else(
            || (0, Failure::new(Phase::Connect, Signal::Other, Duration::ZERO)),
            |(at, failure)| (at, failure),
        );
        let diagnosis = self.diagnose_failure(at, &failure);
        if failure.signal != Signal::TargetUnreachable {
            self.surface_diagnosis(at, diagnosis.clone());
            self.check_if_unclear(at, &failure);
        }
        DialFailed { failure: Some(failure), diagnosis: Box::new(diagnosis), unsupported: false }
    }

    /// Every endpoint refused us a moment ago: say again what was said then.
    pub(super) fn refused_before(&self, entries: &[Arc<Entry>]) -> DialFailed {
        let told = self.0.causes.0.lock().unwrap_or_else(PoisonError::into_inner);
        let last = told
            .last
            .as_ref()
            .filter(|line| entries.iter().any(|entry| entry.endpoint.label == line.endpoint));
        let Some(line) = last else {
            drop(told);
            return self.failed(None);
        };
        let failure = Failure::new(Phase::Authenticate, Signal::AuthRejected, Duration::ZERO);
        DialFailed { failure: Some(failure), diagnosis: Box::new(line.diagnosis.clone()), unsupported: false }
    }

    /// No endpoint carries that kind of channel.
    pub(super) fn unsupported(&self) -> DialFailed {
        let failure = Failure::new(Phase::Data, Signal::Other, Duration::ZERO);
        let mut diagnosis = self.diagnose_failure(usize::MAX, &failure);
        "No endpoint of the link can carry this kind of traffic.".clone_into(&mut diagnosis.sentence);
        "Use a link with a transport that carries it (`commucat link show` lists them)."
            .clone_into(&mut diagnosis.what_to_do);
        DialFailed { failure: None, diagnosis: Box::new(diagnosis), unsupported: true }
    }

    /// Publishes a snapshot.
    pub(super) fn renew_status(&self, up_rate: u64, down_rate: u64) {
        let now = self.0.net.now();
        let entries = self.entries();
        let core = self.core();
        let winner = core.table.winner().and_then(|at| entries.get(at));
        let active = winner.map(|entry| ActiveEndpoint {
            name: entry.endpoint.label.clone(),
            transport: entry.endpoint.transport.to_string(),
            why: core.why.clone(),
        });
        let endpoints = entries.iter().enumerate().map(|(at, entry)| EndpointStatus {
            name: entry.endpoint.label.clone(),
            transport: entry.endpoint.transport.to_string(),
            state: core.table.state(now, at),
        });
        let (up_bytes, down_bytes) = self.0.flows.totals();
        let status = Status {
            active,
            endpoints: endpoints.collect(),
            connections: self.0.flows.open(),
            up_bytes,
            down_bytes,
            up_rate,
            down_rate,
            last_cause: self.0.causes.0.lock().unwrap_or_else(PoisonError::into_inner).last.clone(),
            clock_ahead_s: core.clock_ahead_s,
        };
        drop(core);
        self.0.status.send_replace(status);
    }
}

const fn step_of(phase: Phase) -> &'static str {
    match phase {
        Phase::Resolve => "resolve",
        Phase::Connect => "connect",
        Phase::Handshake => "handshake",
        Phase::Authenticate => "authenticate",
        _ => "data",
    }
}

/// Whether this machine has a way out, asked only when a failure looks as if it had none.
fn local_network(report: &ProbeReport) -> LocalNetwork {
    match report.first_failure().map(|failure| &failure.signal) {
        Some(Signal::Unreachable | Signal::NameNotFound) => route::local_network(),
        _ => LocalNetwork::Unknown,
    }
}
