//! One run of a case: a lab, a client in it, and what both the client and the judge say of it.

use std::{
    fmt,
    time::{Duration, Instant},
};

use commucat_censor::{Done, Event, Profile, SpecError};
use serde::Serialize;

use super::{Case, Outcome, Run, Scene};
use crate::{
    Lab, LabConfig, LabError,
    prober::{ProberConfig, attended},
    services::{ServiceError, World, WorldPlan},
};

/// Longest time of a client.
const CLIENT_TIME_MAX: Duration = Duration::from_secs(60);
/// Longest time from what a client saw to the judge's line about it.
const EVENT_WAIT: Duration = Duration::from_secs(2);
/// The policy that needs a prober at work.
const PROBER: &str = "active-prober";
/// Events that a report shows.
const EVENTS_SHOWN: usize = 8;

/// One run of a case.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct RunReport {
    /// The policy.
    pub policy: &'static str,
    /// The chain.
    pub spec: &'static str,
    /// Who is hurt and who is spared.
    pub what: &'static str,
    /// Which of the three runs.
    pub run: Run,
    /// The lab's seed.
    pub seed: u64,
    /// What the client saw.
    pub outcome: Outcome,
    /// The first events of the judge.
    pub events: Vec<Event>,
    /// What is wrong with it; nothing when it went as it must.
    pub problem: Option<String>,
    /// How long it took, the lab's start and end included.
    pub elapsed: Duration,
}

impl fmt::Display for RunReport {
    /// One line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { spec, run, seed, outcome, what, .. } = self;
        match &self.problem {
            None => write!(f, "ok    {spec}, {run}, seed {seed}: {outcome}"),
            Some(problem) => write!(f, "WRONG {spec}, {run}, seed {seed}: {problem} ({what})"),
        }
    }
}

/// Why a run could not take place.
#[derive(Debug, thiserror::Error)]
enum CheckError {
    #[error("{}", chain(.0))]
    Lab(#[from] LabError),
    #[error("{}", chain(.0))]
    Services(#[from] ServiceError),
    #[error("the chain is wrong: {0}")]
    Spec(#[from] SpecError),
}

/// Runs one part of a case in a lab of its own. Blocks; call it from a thread that runs no tasks.
pub fn check(case: &Case, run: Run, seed: u64) -> RunReport {
    let began = Instant::now();
    let (outcome, events) = match drive(case, run, seed) {
        Ok(seen) => seen,
        Err(error) => (Outcome::failed(error), Vec::new()),
    };
    let problem = judge(case, run, &outcome, &events);
    RunReport {
        policy: case.policy,
        spec: case.spec,
        what: case.what,
        run,
        seed,
        outcome,
        events: events.into_iter().take(EVENTS_SHOWN).collect(),
        problem,
        elapsed: began.elapsed(),
    }
}

fn drive(case: &Case, run: Run, seed: u64) -> Result<(Outcome, Vec<Event>), CheckError> {
    let (chain, client) = match run {
        Run::Victim => (case.spec, case.victim),
        Run::Innocent => (case.spec, case.innocent),
        Run::Clean => ("clean", case.victim),
    };
    let mut config = LabConfig::new(Profile::parse(chain)?);
    config.seed = seed;
    let lab = Lab::start(config)?;
    let world = World::start(lab.world(), &WorldPlan::default().lean())?;
    let scene = Scene::new(&world, run, seed)?;
    let inside = lab.client().runtime()?;
    let work = || {
        inside.block_on(async move {
            match tokio::time::timeout(CLIENT_TIME_MAX, client(scene)).await {
                Ok(outcome) => outcome,
                Err(_elapsed) => Outcome::failed("the client did not end"),
            }
        })
    };
    let outcome = if chain.contains(PROBER) { with_prober(&lab, &world, seed, work)?? } else { work()? };
    drop(inside);
    // An injected packet may reach the client before the line about it is written.
    let acted = |event: &Event| event.policy == case.policy && is_harmful(event);
    if run == Run::Victim {
        lab.wait_for_event(0, EVENT_WAIT, acted);
    }
    let events = lab.events();
    drop(world);
    lab.stop()?;
    Ok((outcome, events))
}

fn with_prober<T>(lab: &Lab, world: &World, seed: u64, work: impl FnOnce() -> T) -> Result<T, LabError> {
    let sites = world.services().plan().sites.iter().map(|site| (site.name.clone(), site.https));
    let config = ProberConfig { sites: sites.collect(), seed, ..ProberConfig::default() };
    attended(lab, &config, |_examinations| work())
}

/// What is wrong with a run, if anything.
fn judge(case: &Case, run: Run, outcome: &Outcome, events: &[Event]) -> Option<String> {
    let harmful = |event: &&Event| is_harmful(event);
    match run {
        Run::Victim if !case.harm.iter().any(|&harm| outcome.shows(harm)) => {
            Some(format!("expected {:?}, but {outcome}", case.harm))
        }
        Run::Victim if !events.iter().filter(harmful).any(|event| event.policy == case.policy) => {
            Some(format!("{outcome}, but the judge says nothing of it"))
        }
        Run::Innocent | Run::Clean if !outcome.is_intact() => Some(format!("expected all, but {outcome}")),
        Run::Innocent | Run::Clean => {
            let mut acts = events.iter().filter(harmful).filter(|event| !case.borne.contains(&event.action));
            acts.next().map(|event| format!("{outcome}, but the judge acted: {event}"))
        }
        Run::Victim => None,
    }
}

/// Whether it touched a packet. Marks do not, nor do calls of the prober, nor remarks.
const fn is_harmful(event: &Event) -> bool {
    !matches!(event.action, Done::Tag | Done::Probe | Done::Note)
}

/// An error with its sources, in one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut line = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        line.push_str(": ");
        line.push_str(&inner.to_string());
        source = inner.source();
    }
    line
}
