//! All transports in all profiles, several runs each, a few at a time.

use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use commucat_censor::Profile;

use super::{BOOTSTRAP_MAX, Load, RunConfig, Subject, TRANSFER_MAX, label, run};
use crate::report::{MatrixReport, ProfileNote, RunReport, RunResult};

/// Most runs at one time: each has a lab of its own, with three places and a dozen threads.
const AT_ONCE_MAX: usize = 16;

/// What a matrix is made with.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct MatrixConfig {
    /// The rows.
    pub profiles: Vec<Profile>,
    /// The columns.
    pub subjects: Vec<Subject>,
    /// Runs a cell.
    pub runs: usize,
    /// Runs at one time.
    pub at_once: usize,
    /// The seed of each cell's first run; the following ones count up.
    pub seed: u64,
    /// Multiplies penalties and windows of the policies.
    pub time_scale: f64,
    /// What a run moves.
    pub load: Load,
    /// How long a start may take.
    pub bootstrap_max: Duration,
    /// How long a transfer may take.
    pub transfer_max: Duration,
    /// A cell ends after this many runs when all of them failed for one reason; 0 makes all runs.
    pub give_up_after: usize,
    /// When it is made, for the report: `YYYY-MM-DD hh:mm:ss`, UTC.
    pub made: String,
}

impl MatrixConfig {
    /// These transports in these profiles, ten runs a cell, two at a time.
    pub fn new(profiles: Vec<Profile>, subjects: Vec<Subject>) -> Self {
        Self {
            profiles,
            subjects,
            runs: 10,
            at_once: 2,
            seed: 1,
            time_scale: 1.0,
            load: Load::default(),
            bootstrap_max: BOOTSTRAP_MAX,
            transfer_max: TRANSFER_MAX,
            give_up_after: 0,
            made: String::new(),
        }
    }
}

/// What a matrix tells while it is made.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum MatrixEvent<'a> {
    /// A run begins.
    Begins {
        /// The profile.
        profile: &'a str,
        /// The transport.
        transport: &'a str,
        /// The run of the cell, from 1.
        run: usize,
    },
    /// A run is over.
    Ends {
        /// What came of it.
        report: &'a RunReport,
        /// Runs that are over.
        done: usize,
        /// Runs in all.
        total: usize,
    },
}

struct Job<'a> {
    profile: &'a Profile,
    subject: &'a Subject,
    index: usize,
}

/// Makes a matrix. `progress` is told of each run and says whether to go on; what was made until it said no is reported.
pub fn matrix(config: &MatrixConfig, progress: &(dyn Fn(MatrixEvent<'_>) -> bool + Sync)) -> MatrixReport {
    let jobs: Vec<_> = jobs(config).collect();
    let (next, done, stop) = (AtomicUsize::new(0), AtomicUsize::new(0), AtomicBool::new(false));
    let reports: Mutex<Vec<(usize, RunReport)>> = Mutex::default();
    let work = || {
        while !stop.load(Ordering::Relaxed) {
            let at = next.fetch_add(1, Ordering::Relaxed);
            let Some(job) = jobs.get(at) else { return };
            if is_settled(config, job, &reports) {
                done.fetch_add(1, Ordering::Relaxed);
                continue;
            }
            let (profile, transport) = (label(job.profile), job.subject.name());
            if !progress(MatrixEvent::Begins { profile: &profile, transport, run: job.index + 1 }) {
                stop.store(true, Ordering::Relaxed);
                return;
            }
            let report = run(&run_config(config, job), job.subject);
            let done = done.fetch_add(1, Ordering::Relaxed) + 1;
            if !progress(MatrixEvent::Ends { report: &report, done, total: jobs.len() }) {
                stop.store(true, Ordering::Relaxed);
            }
            reports.lock().unwrap_or_else(PoisonError::into_inner).push((at, report));
        }
    };
    thread::scope(|scope| {
        for _worker in 1..config.at_once.clamp(1, AT_ONCE_MAX) {
            scope.spawn(work);
        }
        work();
    });
    let mut reports = reports.into_inner().unwrap_or_else(PoisonError::into_inner);
    reports.sort_by_key(|(at, _)| *at);
    report(config, reports.into_iter().map(|(_, report)| report).collect())
}

fn jobs(config: &MatrixConfig) -> impl Iterator<Item = Job<'_>> {
    config.profiles.iter().flat_map(move |profile| {
        config
            .subjects
            .iter()
            .flat_map(move |subject| (0..config.runs).map(move |index| Job { profile, subject, index }))
    })
}

/// Whether the runs of this cell say enough already.
fn is_settled(config: &MatrixConfig, job: &Job<'_>, reports: &Mutex<Vec<(usize, RunReport)>>) -> bool {
    if config.give_up_after == 0 {
        return false;
    }
    let profile = label(job.profile);
    let reports = reports.lock().unwrap_or_else(PoisonError::into_inner);
    let of_cell = reports
        .iter()
        .map(|(_, report)| report)
        .filter(|report| report.profile == profile && report.transport == job.subject.name());
    let kinds: Vec<_> = of_cell
        .map(|report| match &report.result {
            RunResult::Failed { kind, .. } => Some(kind),
            _ => None,
        })
        .collect();
    let same = kinds.windows(2).all(|pair| matches!(pair, [Some(one), Some(other)] if one == other));
    kinds.len() >= config.give_up_after && kinds.iter().all(Option::is_some) && same
}

fn run_config(config: &MatrixConfig, job: &Job<'_>) -> RunConfig {
    let seed = config.seed.wrapping_add(u64::try_from(job.index).unwrap_or(0));
    let mut run = RunConfig::new(job.profile.clone(), seed);
    run.time_scale = config.time_scale;
    run.load = config.load;
    run.bootstrap_max = config.bootstrap_max;
    run.transfer_max = config.transfer_max;
    run
}

fn report(config: &MatrixConfig, runs: Vec<RunReport>) -> MatrixReport {
    let notes = config.profiles.iter().map(|profile| ProfileNote {
        name: label(profile),
        about: profile.about.clone(),
        chain: profile.chain(),
    });
    let names = config.subjects.iter().map(|subject| subject.name().to_owned());
    let mut report = MatrixReport::new(notes.collect(), names.collect(), runs);
    report.made.clone_from(&config.made);
    report.seed = config.seed;
    report.time_scale = config.time_scale;
    let load = config.load;
    report.pass = format!(
        "A run passes when the first byte comes through the bridge and back within {} s, {} KiB down and {} KiB up \
         arrive whole over {} connections, and the censor does nothing that touches a packet.",
        config.bootstrap_max.as_secs(),
        load.down / 1024,
        load.up / 1024,
        load.connections
    );
    report
}
