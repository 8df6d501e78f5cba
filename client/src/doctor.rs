//! `doctor`: probes every endpoint of a link beside controls and names the cause in one sentence.

mod controls;
pub(crate) mod route;

use std::{sync::Arc, time::Duration};

use commucat_transport_api::{Cx, Failure, Host, Net, Phase, ProbeReport, ProbeStep, Signal};
use commucat_verdict::{
    CauseKind, Control, ControlKind, Controls, Diagnosis, Evidence, MAX_CLOCK_SKEW_SECONDS, diagnose, overall,
};
use futures_util::{StreamExt as _, stream};
use serde::Serialize;

pub use self::controls::{ControlTarget, ControlTargetError, default_controls};
use crate::endpoint::Endpoint;

/// Time one endpoint's probe may take.
pub const PROBE_BUDGET: Duration = Duration::from_secs(15);
/// Endpoints that are probed at once.
pub const MAX_PROBES: usize = 4;

/// What the doctor measures beside the endpoints.
#[derive(Clone, Debug)]
pub struct DoctorOptions {
    /// Hosts to compare with. Empty: none, and then nothing is called blocked by comparison with other hosts.
    pub controls: Vec<ControlTarget>,
    /// Time one endpoint's probe may take.
    pub budget: Duration,
    /// Whether to ask the system for its routes. Off in tests, whose networks are not the system's.
    pub ask_system: bool,
}

impl Default for DoctorOptions {
    fn default() -> Self {
        Self { controls: default_controls(), budget: PROBE_BUDGET, ask_system: true }
    }
}

/// What the doctor found.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Report {
    /// One sentence for all.
    pub sentence: String,
    /// What to do next.
    pub what_to_do: String,
    /// The cause that speaks for all.
    pub overall: Diagnosis,
    /// Every endpoint.
    pub endpoints: Vec<EndpointReport>,
    /// What was measured beside them.
    pub controls: Controls,
    /// A warning when the clock is off although something works.
    pub clock_warning: Option<String>,
}

/// What was found of one endpoint.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct EndpointReport {
    /// Its label.
    pub name: String,
    /// Its transport.
    pub transport: String,
    /// What it comes to.
    pub diagnosis: Diagnosis,
    /// The steps of the probe.
    pub probe: ProbeReport,
}

impl Report {
    /// The exit code of the program: 0 works, 1 something else, 3 network, 4 authentication, 5 blocked.
    pub const fn exit_code(&self) -> u8 {
        match self.overall.cause.kind() {
            CauseKind::Ok | CauseKind::TargetUnreachable => 0,
            CauseKind::NoNetwork | CauseKind::Unreachable | CauseKind::BridgeFull | CauseKind::CannotTell => {
                3
            }
            CauseKind::WrongKey | CauseKind::WrongUser | CauseKind::ClockSkew | CauseKind::VersionTooOld => 4,
            CauseKind::Blocked => 5,
            _ => 1,
        }
    }
}

/// Measures. `None` when there is no endpoint.
pub async fn run(net: &Arc<dyn Net>, endpoints: &[Endpoint], options: &DoctorOptions) -> Option<Report> {
    let measuring = controls::measure(net, &options.controls);
    let probing = probe_all(net, endpoints, options.budget);
    let (mut controls, probes) = tokio::join!(measuring, probing);
    // Routes say nothing about a bridge on this machine.
    let beyond =
        |endpoint: &Endpoint| !endpoint.host.as_ref().and_then(Host::ip).is_some_and(|ip| ip.is_loopback());
    if options.ask_system && endpoints.iter().any(beyond) {
        controls.local = route::local_network();
    }
    let named: Vec<_> = endpoints
        .iter()
        .zip(&probes)
        .enumerate()
        .map(|(at, (endpoint, probe))| {
            let controls = beside(at, endpoints, &probes, &controls);
            let siblings = siblings(at, endpoints, &probes);
            let diagnosis = diagnose(&Evidence::new(probe, &controls).with_siblings(&siblings));
            EndpointReport {
                name: endpoint.label.clone(),
                transport: endpoint.transport.to_string(),
                diagnosis,
                probe: probe.clone(),
            }
        })
        .collect();
    let diagnoses: Vec<_> = named.iter().map(|report| report.diagnosis.clone()).collect();
    let overall = overall(&diagnoses)?.clone();
    let sentence = sentence(&overall, &named);
    let clock_warning = clock_warning(&overall, &controls);
    Some(Report {
        sentence,
        what_to_do: overall.what_to_do.clone(),
        overall,
        endpoints: named,
        controls,
        clock_warning,
    })
}

async fn probe_all(net: &Arc<dyn Net>, endpoints: &[Endpoint], budget: Duration) -> Vec<ProbeReport> {
    let probe = |endpoint: Endpoint| async move {
        let cx = Cx::new(Arc::clone(net), budget);
        let report = cx.until_deadline(endpoint.client.probe(&cx)).await;
        report.unwrap_or_else(|| {
            let failure = Failure::new(Phase::Connect, Signal::Timeout, budget);
            ProbeReport::new(vec![ProbeStep::new("probe", Err(failure))])
        })
    };
    stream::iter(endpoints.to_vec()).map(probe).buffered(MAX_PROBES).collect().await
}

/// The controls as one endpoint sees them: a sister on the same host that was at least connected to shows that the
/// host lives.
fn beside(at: usize, endpoints: &[Endpoint], probes: &[ProbeReport], controls: &Controls) -> Controls {
    let mut seen = controls.clone();
    let connected = sisters(at, endpoints, probes)
        .filter(|probe| probe.first_failure().is_none_or(|failure| failure.phase > Phase::Connect))
        .filter_map(|probe| probe.steps.iter().find_map(|step| step.outcome.as_ref().ok()));
    seen.measured.extend(connected.map(|took| Control::new(ControlKind::SameServer, Ok(*took))));
    seen
}

fn siblings(at: usize, endpoints: &[Endpoint], probes: &[ProbeReport]) -> Vec<ProbeReport> {
    sisters(at, endpoints, probes).cloned().collect()
}

/// The probes of the other endpoints on the same host.
fn sisters<'a>(
    at: usize,
    endpoints: &'a [Endpoint],
    probes: &'a [ProbeReport],
) -> impl Iterator<Item = &'a ProbeReport> {
    let host: Option<&Host> = endpoints.get(at).and_then(|endpoint| endpoint.host.as_ref());
    endpoints
        .iter()
        .zip(probes)
        .enumerate()
        .filter(move |(other, (endpoint, _))| {
            *other != at && host.is_some() && endpoint.host.as_ref() == host
        })
        .map(|(_, (_, probe))| probe)
}

fn sentence(overall: &Diagnosis, endpoints: &[EndpointReport]) -> String {
    let works = endpoints.iter().filter(|report| report.diagnosis.cause.kind() == CauseKind::Ok);
    let working: Vec<_> = works.map(|report| &*report.name).collect();
    if working.is_empty() || working.len() == endpoints.len() {
        return overall.sentence.clone();
    }
    let others = endpoints
        .iter()
        .filter(|report| report.diagnosis.cause.kind() != CauseKind::Ok)
        .map(|report| format!("{}: {}", report.name, report.diagnosis.cause));
    format!("The bridge works through {}; {}.", working.join(", "), others.collect::<Vec<_>>().join("; "))
}

fn clock_warning(overall: &Diagnosis, controls: &Controls) -> Option<String> {
    let ahead = controls.clock_ahead_s.filter(|ahead| ahead.abs() > MAX_CLOCK_SKEW_SECONDS)?;
    let side = if ahead > 0 { "ahead of" } else { "behind" };
    (overall.cause.kind() != CauseKind::ClockSkew).then(|| {
        format!(
            "The clock of this machine is {} s {side} other hosts': set it (timedatectl set-ntp true).",
            ahead.unsigned_abs()
        )
    })
}
