//! What can be concluded from observations.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::{
    Confidence,
    observations::{Spread, Subtest},
};

/// One mechanism that the observations show.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Finding {
    /// The stable id, one of [`crate::ids`].
    pub verdict_id: Cow<'static, str>,
    /// Whose observations it rests on.
    pub subtest: Subtest,
    /// How sure it is.
    pub confidence: Confidence,
    /// What was seen, in one line that a person can check.
    pub evidence_line: String,
    /// The measured limits.
    pub thresholds: Thresholds,
    /// How long the interference lasts after its cause, in seconds, where it was measured.
    pub residual_s: Option<u32>,
    /// Policies of the lab that do the same, in the lab's notation.
    pub policy_hint: Vec<String>,
    /// Ids that the observations do not tell apart; only beside `inconclusive`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub between: Vec<Cow<'static, str>>,
}

impl Finding {
    /// A finding without limits and hints.
    pub fn new(
        verdict_id: &'static str,
        subtest: Subtest,
        confidence: Confidence,
        evidence_line: String,
    ) -> Self {
        Self {
            verdict_id: Cow::Borrowed(verdict_id),
            subtest,
            confidence,
            evidence_line,
            thresholds: Thresholds::default(),
            residual_s: None,
            policy_hint: Vec::new(),
            between: Vec::new(),
        }
    }

    /// The same with a policy of the lab that does this.
    #[must_use]
    pub fn hint(mut self, policy: impl Into<String>) -> Self {
        self.policy_hint.push(policy.into());
        self
    }

    /// The same with limits.
    #[must_use]
    pub const fn with_thresholds(mut self, thresholds: Thresholds) -> Self {
        self.thresholds = thresholds;
        self
    }

    /// The same with the ids that cannot be told apart.
    #[must_use]
    pub fn between(mut self, ids: &[&'static str]) -> Self {
        self.between = ids.iter().map(|id| Cow::Borrowed(*id)).collect();
        self
    }
}

/// Measured limits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Thresholds {
    /// Packets of a flow that pass, both directions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub packets: Option<Spread>,
    /// Payload bytes of a flow that pass, both directions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<Spread>,
    /// Connections beside each other that pass.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub conns: Option<Spread>,
    /// Rate that is left, kbit/s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kbps: Option<Spread>,
}
