//! The probe: controlled measurements of what a network does, and their reports.
//!
//! A [`Run`] is plain data: the observations of its subtests, and what `commucat_verdict` makes of them.
//! Methods observe; they never name a cause. A [`Progress`] hears what happens while it happens.
#![forbid(unsafe_code)]

pub mod diff;
pub mod explain;
pub mod output;
mod progress;
pub mod redact;
pub mod report;
mod run;
pub mod watch;

pub use progress::{Event, Progress};
pub use run::{RUN_FORMAT, Run, Status, SubtestReport, Vantage};
