//! What a diagnosis says.

use serde::{Deserialize, Serialize};

use crate::{Cause, CauseKind};

/// One cause, in words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Diagnosis {
    /// The cause.
    pub cause: Cause,
    /// The stable id of what was seen, one of [`crate::ids`].
    pub verdict_id: &'static str,
    /// How sure it is.
    pub confidence: Confidence,
    /// Causes that the evidence does not exclude.
    pub also_possible: Vec<CauseKind>,
    /// One sentence that names the cause.
    pub sentence: String,
    /// What to do next, in one sentence.
    pub what_to_do: String,
    /// What was measured, in one line.
    pub evidence_line: String,
}

/// How sure a diagnosis is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Confidence {
    /// The evidence does not decide.
    Open,
    /// Another cause is possible, but less likely.
    Likely,
    /// Nothing else gives this evidence.
    Certain,
}
