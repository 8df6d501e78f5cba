//! What the suite found: an outcome a behaviour, and why a behaviour is not there.

use std::{error::Error as _, fmt, io, time::Duration};

use commucat_transport_api::{ConfigError, DialError, ListenError};

use super::Behaviour;

/// What came of one behaviour that is not broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is as it should be.
    Passed,
    /// It does not apply, for this reason.
    Skipped(&'static str),
}

/// Why a behaviour is not as it should be.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CheckError {
    /// The transport did something else than the contract says.
    #[error("{0}")]
    Broken(String),
    /// Something did not come to an end.
    #[error("{doing} did not end within {patience:?}")]
    TooLong {
        /// What it was.
        doing: &'static str,
        /// How long the suite waited.
        patience: Duration,
    },
    /// A stream or a port failed.
    #[error("{doing} failed")]
    Io {
        /// What was tried.
        doing: &'static str,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
    /// A dial failed that should work.
    #[error("the dial failed")]
    Dial(#[from] DialError),
    /// The server could not listen.
    #[error("the server could not listen")]
    Listen(#[from] ListenError),
    /// A spec was refused that should work.
    #[error("a configuration was refused")]
    Config(#[from] ConfigError),
}

impl CheckError {
    /// For `map_err`: an IO error while doing something.
    pub(super) fn io(doing: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { doing, source }
    }

    pub(super) fn broken(what: impl Into<String>) -> Self {
        Self::Broken(what.into())
    }
}

/// Fails a check unless something holds.
pub(super) fn ensure(holds: bool, what: impl FnOnce() -> String) -> Result<(), CheckError> {
    if holds { Ok(()) } else { Err(CheckError::Broken(what())) }
}

/// What all behaviours of a transport came to. `Display` and `Debug` print one line a behaviour.
pub struct Report {
    lines: Vec<(Behaviour, Result<Outcome, CheckError>)>,
}

impl Report {
    pub(super) const fn new() -> Self {
        Self { lines: Vec::new() }
    }

    pub(super) fn push(&mut self, behaviour: Behaviour, outcome: Result<Outcome, CheckError>) {
        self.lines.push((behaviour, outcome));
    }

    /// Whether nothing is broken.
    pub fn is_ok(&self) -> bool {
        self.lines.iter().all(|(_behaviour, outcome)| outcome.is_ok())
    }

    /// Itself when nothing is broken, so that a test can end in `report.into_result().unwrap()`.
    ///
    /// # Errors
    /// Itself when something is.
    pub fn into_result(self) -> Result<Self, Self> {
        if self.is_ok() { Ok(self) } else { Err(self) }
    }

    /// What came of one behaviour; `None` when it was not checked.
    pub fn outcome(&self, behaviour: Behaviour) -> Option<&Result<Outcome, CheckError>> {
        self.lines.iter().find(|(checked, _outcome)| *checked == behaviour).map(|(_, outcome)| outcome)
    }

    /// The behaviours that are broken.
    pub fn broken(&self) -> Vec<Behaviour> {
        self.lines.iter().filter(|(_, outcome)| outcome.is_err()).map(|(behaviour, _)| *behaviour).collect()
    }

    /// The behaviours that were skipped, and why.
    pub fn skipped(&self) -> Vec<(Behaviour, &'static str)> {
        let reason = |outcome: &Result<Outcome, CheckError>| match outcome {
            Ok(Outcome::Skipped(reason)) => Some(*reason),
            Ok(Outcome::Passed) | Err(_) => None,
        };
        self.lines.iter().filter_map(|(behaviour, outcome)| Some((*behaviour, reason(outcome)?))).collect()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (behaviour, outcome) in &self.lines {
            match outcome {
                Ok(Outcome::Passed) => writeln!(f, "passed   {behaviour}")?,
                Ok(Outcome::Skipped(reason)) => writeln!(f, "skipped  {behaviour}: {reason}")?,
                Err(error) => writeln!(f, "BROKEN   {behaviour}: {}", Chain(error))?,
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\n{self}")
    }
}

/// An error with all its sources, on one line.
struct Chain<'a>(&'a CheckError);

impl fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        let mut source = self.0.source();
        while let Some(error) = source {
            write!(f, ": {error}")?;
            source = error.source();
        }
        Ok(())
    }
}
