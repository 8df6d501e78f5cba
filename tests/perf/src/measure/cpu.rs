//! Processor time of a process, in nanoseconds.
//!
//! `/proc/PID/stat` counts in ticks of 10 ms, but knows of threads that have ended. `/proc/PID/task/*/schedstat` counts nanoseconds, but only of
//! threads that live. Both are read; the finer one is used unless the coarser one proves that threads ended in between.

use std::{fs, time::Duration};

use anyhow::Context;

/// Ticks a second in `/proc/PID/stat`: fixed by the kernel's interface on every architecture that the harness runs on.
const TICKS_PER_SECOND: u64 = 100;
/// How far the two clocks may lie apart by rounding alone: two fields of one tick each, at both ends.
const ROUNDING: Duration = Duration::from_millis(40);

/// The clock of one process.
#[derive(Clone, Copy, Debug)]
pub struct ProcessCpu {
    pid: u32,
}

/// What the clock showed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CpuTime {
    /// Sum over the living threads.
    pub living: Duration,
    /// All threads that ever were, rounded down to ticks.
    pub all: Duration,
}

impl CpuTime {
    /// The time that passed since an earlier reading.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Duration {
        let living = self.living.saturating_sub(earlier.living);
        let all = self.all.saturating_sub(earlier.all);
        if all > living.saturating_add(ROUNDING) { all } else { living }
    }
}

impl ProcessCpu {
    /// The clock of a process.
    #[must_use]
    pub const fn of(pid: u32) -> Self {
        Self { pid }
    }

    /// Reads it.
    ///
    /// # Errors
    /// When the process is gone.
    pub fn read(&self) -> anyhow::Result<CpuTime> {
        let mut living = Duration::ZERO;
        let tasks = format!("/proc/{}/task", self.pid);
        for task in
            fs::read_dir(&tasks).with_context(|| format!("reading {tasks}: has the process ended?"))?
        {
            // A thread may end between the listing and the reading.
            if let Ok(text) = fs::read_to_string(task?.path().join("schedstat")) {
                living += parse_schedstat(&text).with_context(|| format!("schedstat {text:?}"))?;
            }
        }
        let text = fs::read_to_string(format!("/proc/{}/stat", self.pid))?;
        let all = parse_stat(&text).with_context(|| format!("stat {text:?}"))?;
        Ok(CpuTime { living, all })
    }
}

/// The first of three numbers: nanoseconds on a processor.
fn parse_schedstat(text: &str) -> Option<Duration> {
    text.split_ascii_whitespace().next()?.parse().ok().map(Duration::from_nanos)
}

/// `utime + stime`, fields 14 and 15. Field 2 is the name in parentheses and may hold anything, so counting starts at the last parenthesis.
fn parse_stat(text: &str) -> Option<Duration> {
    let (_, fields) = text.rsplit_once(')')?;
    let mut fields = fields.split_ascii_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some(Duration::from_millis((user + system) * 1000 / TICKS_PER_SECOND))
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    #[test]
    fn schedstat_is_nanoseconds_first() {
        assert_eq!(parse_schedstat("1500000000 42 7\n"), Some(Duration::from_millis(1500)));
        assert_eq!(parse_schedstat(""), None);
        assert_eq!(parse_schedstat("x 1 2"), None);
    }

    #[test]
    fn stat_survives_a_hostile_name() {
        let line = "7 (a) b) R 1 7 7 0 -1 4194304 100 0 0 0 250 50 0 0 20 0 1 0 5 6 7";
        assert_eq!(parse_stat(line), Some(Duration::from_secs(3)));
        assert_eq!(parse_stat("7 (a) R 1"), None);
    }

    #[test]
    fn ended_threads_are_not_lost() {
        let time =
            |living, all| CpuTime { living: Duration::from_millis(living), all: Duration::from_millis(all) };
        assert_eq!(time(1103, 1100).since(&time(100, 100)), Duration::from_millis(1003), "the finer clock");
        assert_eq!(time(150, 1100).since(&time(100, 100)), Duration::from_secs(1), "a thread ended");
    }

    #[test]
    fn work_shows_on_the_clock() {
        let clock = ProcessCpu::of(std::process::id());
        let before = clock.read().unwrap();
        let start = Instant::now();
        // The kernel brings the figure of a running thread up to date at its ticks.
        while clock.read().unwrap().since(&before) < Duration::from_millis(5) {
            assert!(start.elapsed() < Duration::from_secs(20));
            std::hint::black_box((0..100_000_u64).fold(0, |a, b| a ^ b));
        }
    }
}
