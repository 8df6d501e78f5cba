//! What a run tells while it runs: a terminal shows it, `watch` writes it down.

use commucat_verdict::{
    Finding,
    observations::{Condition, Lookup, Subtest, Transfer, Trial},
};

use crate::run::SubtestReport;

/// Watches a run. Called from the tasks that measure: be quick, do not block.
pub trait Progress: Send + Sync {
    /// Something happened.
    fn event(&self, event: &Event<'_>);
}

impl Progress for () {
    fn event(&self, _event: &Event<'_>) {}
}

/// What can happen.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Event<'a> {
    /// The run begins; these subtests are planned, in this order.
    Planned(&'a [Subtest]),
    /// A subtest begins.
    Started(Subtest),
    /// A trial ended.
    Trial {
        /// Its condition.
        condition: &'a Condition,
        /// What came of it.
        trial: &'a Trial,
    },
    /// A question to a resolver was asked and its window is over.
    Lookup(&'a Lookup),
    /// A transfer ended.
    Transfer(&'a Transfer),
    /// A subtest ended; the findings are those that its observations add, and may still change.
    Ended {
        /// What became of it.
        report: &'a SubtestReport,
        /// What it adds.
        findings: &'a [Finding],
    },
}
