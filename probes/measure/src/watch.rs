//! Measures again and again, writes each run down, and says what changed.

mod journal;

use std::{io, slice, time::Duration};

use tokio::time::{Instant, sleep_until};

pub use self::journal::{FILES_KEPT_MAX, JOURNAL_BYTES_MIN, Journal, JournalError};
use crate::{
    Run,
    diff::{Diff, diff},
    output::Summary,
};

/// Shortest time from the beginning of one run to the next. More often would be noticed, and load the servers.
pub const EVERY_MIN: Duration = Duration::from_secs(60);

/// What is said after each run.
#[derive(Debug)]
#[non_exhaustive]
pub struct Feed<'a> {
    /// The number of the run, from 1.
    pub number: u64,
    /// The run.
    pub run: &'a Run,
    /// The run in few words.
    pub summary: Summary,
    /// What changed since the run before; `None` for the first.
    pub changed: Option<Diff>,
}

/// Why watching ended early.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WatchError {
    /// A run could not be written down. It was said all the same; earlier ones stand.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The pause is too short.
    #[error("runs must be at least {} s apart", EVERY_MIN.as_secs())]
    TooOften,
    /// What the runs are told to does not take them.
    #[error("a run could not be told")]
    Feed(#[source] io::Error),
}

/// Measures every `every`, until `stop` resolves; gives the number of whole runs. A run that is under way when the stop
/// comes is dropped, and nothing of it is written. A run that takes longer than `every` delays the next one, and none
/// is made up for.
///
/// # Errors
/// A run could not be written down or told; or `every` is below [`EVERY_MIN`].
pub async fn watch<Measure, Measuring>(
    every: Duration,
    journal: Option<Journal>,
    stop: impl Future<Output = ()>,
    measure: Measure,
    feed: impl FnMut(Feed<'_>) -> io::Result<()>,
) -> Result<u64, WatchError>
where
    Measure: FnMut() -> Measuring,
    Measuring: Future<Output = Run>,
{
    if every < EVERY_MIN {
        return Err(WatchError::TooOften);
    }
    let mut next = Instant::now();
    let pause = || {
        next = Instant::now().max(next + every);
        sleep_until(next)
    };
    watch_paced(pause, journal, stop, measure, feed).await
}

/// The same with pauses of the caller's own.
///
/// # Errors
/// A run could not be written down or told.
pub async fn watch_paced<Pausing, Measuring>(
    mut pause: impl FnMut() -> Pausing,
    mut journal: Option<Journal>,
    stop: impl Future<Output = ()>,
    mut measure: impl FnMut() -> Measuring,
    mut feed: impl FnMut(Feed<'_>) -> io::Result<()>,
) -> Result<u64, WatchError>
where
    Pausing: Future<Output = ()>,
    Measuring: Future<Output = Run>,
{
    let mut stop = std::pin::pin!(stop);
    let mut before: Option<Run> = None;
    for number in 1.. {
        let run = tokio::select! {
            biased;
            () = &mut stop => return Ok(number - 1),
            run = measure() => run,
        };
        let changed = before.as_ref().map(|before| diff(slice::from_ref(before), slice::from_ref(&run)));
        let summary = Summary::of(&run);
        let written = journal.as_mut().map(|journal| journal.append(&run));
        feed(Feed { number, run: &run, summary, changed }).map_err(WatchError::Feed)?;
        written.transpose()?;
        before = Some(run);
        tokio::select! {
            biased;
            () = &mut stop => return Ok(number),
            () = pause() => {}
        }
    }
    Ok(u64::MAX)
}
