//! One run of the probe, as data: what was planned, what happened, what was observed, what follows.

use std::time::Duration;

use commucat_verdict::{
    Confidence, Finding, ids,
    observations::{Observations, Subtest},
};
use serde::{Deserialize, Serialize};

/// Version of [`Run`] as JSON. Readers refuse a larger one.
pub const RUN_FORMAT: u32 = 1;

/// One run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Run {
    /// [`RUN_FORMAT`] of the writer.
    pub format: u32,
    /// Version of this program.
    pub software_version: String,
    /// The command: `quick`, or the name of a subtest.
    pub command: String,
    /// When it began: milliseconds since 1970-01-01 UTC by this machine's clock.
    pub started_unix_ms: u64,
    /// How long it took, in milliseconds.
    pub took_ms: u64,
    /// The seed of every random choice in it.
    pub seed: u64,
    /// Where it was made.
    pub vantage: Vantage,
    /// What became of each subtest, in the order in which they were begun.
    pub subtests: Vec<SubtestReport>,
    /// Everything observed.
    pub observations: Observations,
    /// What follows from the observations.
    pub findings: Vec<Finding>,
}

/// Where a run was made. Never an address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Vantage {
    /// Autonomous system (`AS64500`); `AS0` when unknown.
    pub asn: String,
    /// Country (ISO 3166-1 alpha-2); `ZZ` when unknown.
    pub country: String,
    /// `wired`, `wifi`, `mobile`, `tunnel` or `unknown`.
    pub network_type: String,
    /// Operating system, as Rust names it.
    pub platform: String,
    /// Processor, as Rust names it.
    pub architecture: String,
    /// The run was made in the lab: its findings say nothing of a real network.
    pub lab: bool,
}

impl Default for Vantage {
    fn default() -> Self {
        Self {
            asn: "AS0".to_owned(),
            country: "ZZ".to_owned(),
            network_type: "unknown".to_owned(),
            platform: std::env::consts::OS.to_owned(),
            architecture: std::env::consts::ARCH.to_owned(),
            lab: false,
        }
    }
}

/// What became of one subtest.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SubtestReport {
    /// Which.
    pub subtest: Subtest,
    /// When it began, in microseconds since the run began.
    pub at_us: u64,
    /// How long it took, in microseconds.
    pub took_us: u64,
    /// How it ended.
    pub status: Status,
    /// What it measured beyond the observations (end-to-end figures of a transport, answers of a bridge…).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub details: Option<serde_json::Value>,
}

/// How a subtest ended. That it ended well says nothing of what it found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "status", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Status {
    /// It ran to its end.
    Done,
    /// Its time ran out; what was observed until then stands.
    Cut,
    /// It was not begun, and why: the targets lack something, or an earlier subtest made it meaningless.
    Skipped {
        /// Why, and what to do about it.
        reason: String,
    },
    /// It may not run: consent is missing, or the result would describe our own stack.
    Refused {
        /// Why, and how to allow it.
        reason: String,
    },
    /// It broke.
    Failed {
        /// What went wrong, and what to do next.
        reason: String,
    },
}

impl Run {
    /// The exit code of the command line: 0 nothing found, 1 interference, 2 inconclusive, 3 no network.
    pub fn exit_code(&self) -> u8 {
        let no_network = |finding: &Finding| matches!(&*finding.verdict_id, ids::NET_DOWN | ids::NET_CAPTIVE);
        if self.findings.iter().any(no_network) {
            return 3;
        }
        let found = |finding: &Finding| {
            finding.verdict_id != ids::OK
                && finding.verdict_id != ids::INCONCLUSIVE
                && finding.confidence > Confidence::Open
        };
        if self.findings.iter().any(found) {
            return 1;
        }
        let measured = self.subtests.iter().any(|report| matches!(report.status, Status::Done | Status::Cut));
        let open = self.findings.iter().any(|finding| finding.verdict_id != ids::OK);
        if open || !measured { 2 } else { 0 }
    }

    /// How long the run took.
    pub const fn took(&self) -> Duration {
        Duration::from_millis(self.took_ms)
    }
}
