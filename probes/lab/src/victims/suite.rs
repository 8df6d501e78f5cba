//! Running many cases, several labs at a time, as often as asked.

use std::{
    num::NonZeroUsize,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use serde::Serialize;

use super::{Case, Run, RunReport, check};

/// Labs at once, when nothing else is said. Most of a run is waiting, so there are more than processors.
pub const JOBS_DEFAULT: NonZeroUsize = NonZeroUsize::new(12).unwrap();
/// Most labs at once: each has three namespaces and about a dozen threads.
pub const JOBS_MAX: NonZeroUsize = NonZeroUsize::new(64).unwrap();

/// How to run them.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct SuiteConfig {
    /// How often each case runs, each time with another seed.
    pub repeat: usize,
    /// The first seed.
    pub seed: u64,
    /// Labs at once, at most [`JOBS_MAX`].
    pub jobs: NonZeroUsize,
}

impl Default for SuiteConfig {
    fn default() -> Self {
        Self { repeat: 1, seed: 1, jobs: JOBS_DEFAULT }
    }
}

/// How it went.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct SuiteReport {
    /// Cases that were run.
    pub cases: usize,
    /// How often each was run.
    pub repeat: usize,
    /// Runs in labs, three a case and repetition.
    pub runs: usize,
    /// Those that went wrong.
    pub wrong: Vec<RunReport>,
    /// How long it all took.
    pub elapsed: Duration,
}

/// A lab has some hundred descriptors, and the usual limit is 1024 for the process.
fn raise_descriptor_limit() {
    if let Err(error) = rlimit::increase_nofile_limit(u64::MAX) {
        tracing::debug!(%error, "the limit of open files stays as it is");
    }
}

/// Runs the cases and tells of each run as it ends. Blocks; call it from a thread that runs no tasks.
pub fn run_suite(cases: &[Case], config: SuiteConfig, on_report: impl Fn(&RunReport) + Sync) -> SuiteReport {
    let began = Instant::now();
    raise_descriptor_limit();
    let work: Vec<(u64, &Case, Run)> = (config.seed..)
        .take(config.repeat)
        .flat_map(|seed| cases.iter().flat_map(move |case| Run::ALL.map(|run| (seed, case, run))))
        .collect();
    let next = AtomicUsize::new(0);
    let wrong = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..config.jobs.min(JOBS_MAX).get() {
            scope.spawn(|| {
                while let Some(&(seed, case, run)) = work.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let report = check(case, run, seed);
                    on_report(&report);
                    if report.problem.is_some() {
                        wrong.lock().unwrap_or_else(PoisonError::into_inner).push(report);
                    }
                }
            });
        }
    });
    SuiteReport {
        cases: cases.len(),
        repeat: config.repeat,
        runs: work.len(),
        wrong: wrong.into_inner().unwrap_or_else(PoisonError::into_inner),
        elapsed: began.elapsed(),
    }
}
