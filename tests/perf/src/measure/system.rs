//! The machine: who else uses it, and what it is.
//!
//! A load average says little here, because the load itself keeps four threads runnable. So the harness looks at the processor time that neither
//! it nor the product under test used, and calls a visit disturbed when that is too much.

use std::{
    fs,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use anyhow::Context;

use crate::sample::Circumstances;

/// Ticks a second in `/proc/stat`.
const TICKS_PER_SECOND: f64 = 100.0;
/// Cores that others may use before a visit counts as disturbed. Tick-sampled clocks of a window of seconds agree to about a tenth of a core.
pub const FOREIGN_CORES_MAX: f64 = 0.3;
/// The load average over a minute above which a run does not start.
pub const LOAD_MAX: f64 = 3.0;

/// Processor time of the whole machine since it started.
#[derive(Clone, Copy, Debug)]
pub struct SystemClock {
    busy_ticks: u64,
}

impl SystemClock {
    /// Reads it.
    ///
    /// # Errors
    /// When `/proc/stat` cannot be read.
    pub fn read() -> anyhow::Result<Self> {
        let text = fs::read_to_string("/proc/stat").context("reading /proc/stat")?;
        parse_busy(&text).map(|busy_ticks| Self { busy_ticks }).context("no cpu line in /proc/stat")
    }

    /// Busy seconds, summed over the processors, since an earlier reading.
    #[must_use]
    pub fn busy_since(&self, earlier: &Self) -> f64 {
        let ticks = self.busy_ticks.saturating_sub(earlier.busy_ticks);
        u32::try_from(ticks).map_or(f64::INFINITY, f64::from) / TICKS_PER_SECOND
    }
}

/// Cores that neither the product nor the harness used.
#[must_use]
pub fn foreign_cores(busy_s: f64, ours_s: f64, seconds: f64) -> f64 {
    ((busy_s - ours_s) / seconds).max(0.0)
}

/// The load average over the last minute.
///
/// # Errors
/// When `/proc/loadavg` cannot be read.
pub fn load_average() -> anyhow::Result<f64> {
    let text = fs::read_to_string("/proc/loadavg").context("reading /proc/loadavg")?;
    let first = text.split_ascii_whitespace().next().context("an empty /proc/loadavg")?;
    first.parse().with_context(|| format!("load average {first:?}"))
}

/// What can be said about the machine before a run.
///
/// # Errors
/// When the load average cannot be read.
pub fn circumstances() -> anyhow::Result<Circumstances> {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default().trim().to_owned();
    let processors = read("/proc/cpuinfo");
    let processor = processors
        .lines()
        .find_map(|line| line.strip_prefix("model name").and_then(|rest| rest.split_once(':')))
        .map_or("unknown", |(_, name)| name.trim());
    Ok(Circumstances {
        started: utc_now(),
        kernel: read("/proc/sys/kernel/osrelease"),
        processor: processor.to_owned(),
        processors: std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
        congestion_control: read("/proc/sys/net/ipv4/tcp_congestion_control"),
        load_before: load_average()?,
        ..Circumstances::default()
    })
}

/// `user nice system idle iowait irq softirq steal …`: everything but idle, iowait and what guests already counted.
fn parse_busy(text: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix("cpu "))?;
    let fields: Vec<u64> = line.split_ascii_whitespace().map_while(|field| field.parse().ok()).collect();
    let [user, nice, system, _idle, _iowait, irq, softirq, steal, ..] = fields.as_slice() else {
        return None;
    };
    Some(user + nice + system + irq + softirq + steal)
}

fn utc_now() -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    rfc3339(now.as_secs())
}

/// Seconds since 1970 as a date and time; the days by the civil calendar of 400-year eras.
fn rfc3339(seconds: u64) -> String {
    let (days, time) = (seconds / 86_400, seconds % 86_400);
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    // Years start in March here, so that the leap day comes last.
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    let (hour, minute, second) = (time / 3600, time / 60 % 60, time % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn busy_is_what_is_not_idle() {
        let text = "cpu  10 20 30 1000 500 1 2 3 99 99\ncpu0 1 1 1 1 1 1 1 1 1 1\n";
        assert_eq!(parse_busy(text), Some(66));
        assert_eq!(parse_busy("cpu0 1 2 3\n"), None);
    }

    #[test]
    fn foreign_time_is_never_negative() {
        assert!((foreign_cores(6.0, 4.5, 3.0) - 0.5).abs() < 1e-9);
        assert_eq!(foreign_cores(4.0, 4.1, 3.0), 0.0);
    }

    #[test]
    fn dates() {
        assert_eq!(rfc3339(0), "1970-01-01T00:00:00Z");
        assert_eq!(rfc3339(951_827_696), "2000-02-29T12:34:56Z");
        assert_eq!(rfc3339(1_795_269_600), "2026-11-21T14:00:00Z");
    }

    #[test]
    fn the_machine_is_known() {
        let machine = circumstances().unwrap();
        assert!(machine.processors > 0);
        assert!(!machine.kernel.is_empty());
    }
}
