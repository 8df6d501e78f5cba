//! What probing one endpoint showed, step by step.

use std::{borrow::Cow, time::Duration};

use serde::{Serialize, Serializer};

use crate::Failure;

/// The steps of a probe, in the order they were taken.
#[derive(Clone, Debug, Default, Serialize)]
#[non_exhaustive]
pub struct ProbeReport {
    /// What was tried and what came of it.
    pub steps: Vec<ProbeStep>,
}

impl ProbeReport {
    /// A report of these steps.
    pub const fn new(steps: Vec<ProbeStep>) -> Self {
        Self { steps }
    }

    /// The first step that failed and was no control.
    pub fn first_failure(&self) -> Option<&Failure> {
        self.steps.iter().filter(|step| !step.control).find_map(|step| step.outcome.as_ref().err())
    }
}

/// One step of a probe.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct ProbeStep {
    /// What was tried: `resolve`, `connect`, `tls`, `upgrade`, `round-trip`…
    pub name: Cow<'static, str>,
    /// Whether it is a control: something that works wherever only this protocol is blocked.
    pub control: bool,
    /// How long success took, or the evidence of failure.
    #[serde(serialize_with = "outcome")]
    pub outcome: Result<Duration, Failure>,
}

impl ProbeStep {
    /// A step of the protocol itself.
    pub fn new(name: impl Into<Cow<'static, str>>, outcome: Result<Duration, Failure>) -> Self {
        Self { name: name.into(), control: false, outcome }
    }

    /// A control step.
    pub fn control(name: impl Into<Cow<'static, str>>, outcome: Result<Duration, Failure>) -> Self {
        Self { name: name.into(), control: true, outcome }
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
