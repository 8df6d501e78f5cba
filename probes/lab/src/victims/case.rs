//! A case: one policy, a client that it must hurt, and a client that it must spare.

use std::fmt;

use commucat_censor::Done;
use futures_util::future::BoxFuture;

use super::{Harm, Outcome, Scene};

/// Something a client does in the lab.
pub type Client = fn(Scene) -> BoxFuture<'static, Outcome>;

/// One policy on its victim and its innocent.
#[derive(Clone, Copy)]
#[non_exhaustive]
pub struct Case {
    /// The policy's name; its events bear it.
    pub policy: &'static str,
    /// The chain: that policy with parameters that make it certain and quick, and whatever it needs beside it.
    pub spec: &'static str,
    /// Who is hurt and who is spared.
    pub what: &'static str,
    /// What the victim must see. One of these.
    pub harm: &'static [Harm],
    /// What the judge may do to the innocent, beside marking and probing, without hurting it.
    pub borne: &'static [Done],
    /// Who must be blocked.
    pub victim: Client,
    /// Who must pass.
    pub innocent: Client,
}

impl Case {
    /// A name for it that no other case has.
    pub fn name(&self) -> String {
        format!("{} ({})", self.spec, self.what)
    }
}

impl fmt::Debug for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Case").field("spec", &self.spec).field("what", &self.what).finish_non_exhaustive()
    }
}

/// One of the three runs that a case consists of, each in a lab of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "snake_case")]
#[allow(clippy::exhaustive_enums, reason = "more runs would be another kind of case")]
pub enum Run {
    /// The victim under the policy: must be blocked, and the judge must say so.
    Victim,
    /// The innocent under the policy: must pass, and the judge must have done nothing to it.
    Innocent,
    /// The victim under no policy: must pass. Without this, a client that never works would count as blocked.
    Clean,
}

impl Run {
    /// All three.
    pub const ALL: [Self; 3] = [Self::Victim, Self::Innocent, Self::Clean];
}

impl fmt::Display for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Victim => "victim",
            Self::Innocent => "innocent",
            Self::Clean => "victim without the policy",
        })
    }
}
