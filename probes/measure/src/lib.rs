//! The probe: controlled measurements of what a network does, and their reports.
//!
//! A [`Run`] is plain data: the observations of its subtests, and what [`commucat_verdict::conclude()`] makes of them.
//! Methods observe; they never name a cause. A [`Progress`] hears what happens while it happens.
//!
//! [`quick`] runs the quick set, [`single`] one subtest. Both need [`Targets`]: control servers and names are
//! configuration.
#![forbid(unsafe_code)]

pub mod diff;
pub mod explain;
mod methods;
pub mod output;
mod progress;
mod quick;
pub mod redact;
pub mod report;
mod run;
mod safety;
pub mod stats;
mod targets;
mod trial;
pub mod watch;

pub use methods::{
    MethodError,
    bridge::{BridgeConfig, BridgeError, BridgeReport, ClassCount, Impression, Surroundings, bridge},
    dest::{DestConfig, DestError, DestFacts, DestReason, DestReport, HOSTS_MAX, Suitability, dest},
    transport::{DatagramLoss, Moved, Times, TransportConfig, TransportReport, transport},
};
pub use progress::{Event, Progress};
pub use quick::{BUDGET_MAX, ProbeConfig, QUICK_BUDGET, SINGLE_BUDGET, quick, single};
pub use run::{RUN_FORMAT, Run, Status, SubtestReport, Vantage};
pub use safety::{Consent, ConsentMissing, Risk, risk_of};
pub use targets::{
    Cdn, DnsTargets, Names, PORTS_MAX, PortError, Ports, Server, TARGETS_MAX, TargetError, Targets, Timing,
};
