//! What a diagnosis works with: the attempt and its controls.

use std::time::Duration;

use commucat_transport_api::{Failure, Phase, ProbeReport, Signal};
use serde::{Deserialize, Serialize, Serializer};

/// Everything known of one endpoint and its surroundings.
#[derive(Clone, Debug)]
pub struct Evidence<'a> {
    /// What probing (or a dial) of the endpoint showed.
    pub probe: &'a ProbeReport,
    /// What the surroundings showed.
    pub controls: &'a Controls,
    /// What probing the other endpoints of the same bridge showed.
    pub siblings: &'a [ProbeReport],
    /// Whether this endpoint worked a while ago: then its key is right.
    pub worked_before: bool,
}

impl<'a> Evidence<'a> {
    /// Evidence of an endpoint without siblings.
    pub const fn new(probe: &'a ProbeReport, controls: &'a Controls) -> Self {
        Self { probe, controls, siblings: &[], worked_before: false }
    }

    /// The same with what the other endpoints of the bridge showed.
    #[must_use]
    pub const fn with_siblings(mut self, siblings: &'a [ProbeReport]) -> Self {
        self.siblings = siblings;
        self
    }

    /// The same with whether the endpoint worked a while ago.
    #[must_use]
    pub const fn worked_before(mut self, worked: bool) -> Self {
        self.worked_before = worked;
        self
    }
}

/// What was measured beside the endpoint. Empty when nothing was.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Controls {
    /// Whether this machine is connected to anything.
    pub local: LocalNetwork,
    /// Measurements of other hosts and of the bridge's own host.
    pub measured: Vec<Control>,
    /// Seconds that this machine's clock is ahead of other hosts' clocks; negative when behind.
    pub clock_ahead_s: Option<i64>,
}

/// What the machine itself says of its network.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum LocalNetwork {
    /// It was not asked, or the system does not say.
    #[default]
    Unknown,
    /// There is no route out of this machine.
    NoRoute,
    /// There is one.
    Routed,
}

/// One control measurement.
#[derive(Clone, Debug, Serialize)]
pub struct Control {
    /// Which kind of control.
    pub kind: ControlKind,
    /// How long success took, or the evidence of failure.
    #[serde(serialize_with = "outcome")]
    pub outcome: Result<Duration, Failure>,
    /// Somebody else answered in the host's place: a captive portal.
    pub captive: bool,
}

/// What a control controls for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ControlKind {
    /// The bridge's own host, asked in an innocuous way: shows that it lives and that its address is not blocked.
    SameServer,
    /// A well-known host abroad: shows that the network reaches the outside.
    Unrelated,
    /// A host inside the country: shows that there is a network even where only chosen hosts are let through.
    Domestic,
}

impl Control {
    /// A control measurement without a captive portal.
    pub const fn new(kind: ControlKind, outcome: Result<Duration, Failure>) -> Self {
        Self { kind, outcome, captive: false }
    }

    /// Whether the measurement passed.
    pub const fn passed(&self) -> bool {
        self.outcome.is_ok() && !self.captive
    }

    /// Whether anybody beyond this machine answered, be it with a refusal.
    fn answered(&self) -> bool {
        match &self.outcome {
            Ok(_) => true,
            Err(failure) => {
                failure.received > 0
                    || failure.phase > Phase::Connect
                    || matches!(failure.signal, Signal::Refused | Signal::Reset)
            }
        }
    }
}

impl Controls {
    /// Controls of which nothing was measured.
    pub fn none() -> Self {
        Self::default()
    }

    /// Whether a control of this kind passed.
    pub fn passed(&self, kind: ControlKind) -> bool {
        self.measured.iter().any(|control| control.kind == kind && control.passed())
    }

    /// Whether controls of this kind were made, and none passed.
    pub fn all_failed(&self, kind: ControlKind) -> bool {
        let mut of_kind = self.measured.iter().filter(|control| control.kind == kind).peekable();
        of_kind.peek().is_some() && of_kind.all(|control| !control.passed())
    }

    /// Whether a captive portal answered a control.
    pub fn captive(&self) -> bool {
        self.measured.iter().any(|control| control.captive)
    }

    /// Whether hosts other than the bridge were asked, and nobody answered.
    pub(crate) fn nobody_answers(&self) -> bool {
        let mut others =
            self.measured.iter().filter(|control| control.kind != ControlKind::SameServer).peekable();
        others.peek().is_some() && others.all(|control| !control.answered())
    }

    /// Whether hosts other than the bridge were asked at all.
    pub(crate) fn others_asked(&self) -> bool {
        self.measured.iter().any(|control| control.kind != ControlKind::SameServer)
    }
}

#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum OutcomeForm<'a> {
    OkMs(u128),
    Failed(&'a Failure),
}

fn outcome<S: Serializer>(outcome: &Result<Duration, Failure>, serializer: S) -> Result<S::Ok, S::Error> {
    match outcome {
        Ok(took) => OutcomeForm::OkMs(took.as_millis()).serialize(serializer),
        Err(failure) => OutcomeForm::Failed(failure).serialize(serializer),
    }
}
