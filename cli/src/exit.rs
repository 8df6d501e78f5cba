//! What the program tells its caller when it ends: exit codes, and errors that carry one.

use std::{fmt, process::ExitCode};

/// The exit codes; stable, documented in `commucat --help`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Done.
    Ok,
    /// It failed in a way that has no code of its own.
    Failed,
    /// Bad arguments, a bad link or a bad configuration.
    Usage,
    /// The network or the bridge cannot be reached.
    Unreachable,
    /// The bridge does not accept us: key, user, clock, version.
    Rejected,
    /// Something on the way interferes.
    Blocked,
    /// A code of its own: those of `commucat probe` stand in its help, a shell of the lab hands on its program's.
    Code(u8),
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Ok => 0,
            Exit::Failed => 1,
            Exit::Usage => 2,
            Exit::Unreachable => 3,
            Exit::Rejected => 4,
            Exit::Blocked => 5,
            Exit::Code(code) => code,
        })
    }
}

/// An error, the exit code it ends in, and the next step for the person who reads it.
#[derive(Debug)]
pub(crate) struct CodedError {
    error: anyhow::Error,
    exit: Exit,
    hint: Option<String>,
}

impl CodedError {
    /// An error with another code than it had.
    pub(crate) const fn new(error: anyhow::Error, exit: Exit, hint: Option<String>) -> Self {
        Self { error, exit, hint }
    }

    pub(crate) const fn exit(&self) -> Exit {
        self.exit
    }

    pub(crate) fn hint(&self) -> Option<&str> {
        self.hint.as_deref()
    }
}

impl fmt::Display for CodedError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl std::error::Error for CodedError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.error.source()
    }
}

/// Gives a result's error an exit code and a next step.
pub(crate) trait OrExit<T> {
    /// On failure, end in `exit`.
    fn or_exit(self, exit: Exit) -> anyhow::Result<T>;
    /// On failure, end in [`Exit::Usage`] with this next step.
    fn or_usage(self, hint: impl Into<String>) -> anyhow::Result<T>;
}

impl<T, E: Into<anyhow::Error>> OrExit<T> for Result<T, E> {
    fn or_exit(self, exit: Exit) -> anyhow::Result<T> {
        self.map_err(|error| CodedError { error: error.into(), exit, hint: None }.into())
    }

    fn or_usage(self, hint: impl Into<String>) -> anyhow::Result<T> {
        self.map_err(|error| {
            CodedError { error: error.into(), exit: Exit::Usage, hint: Some(hint.into()) }.into()
        })
    }
}

/// A usage error of our own.
pub(crate) fn usage(message: impl fmt::Display, hint: impl Into<String>) -> anyhow::Error {
    let error = anyhow::Error::msg(message.to_string());
    CodedError { error, exit: Exit::Usage, hint: Some(hint.into()) }.into()
}

/// An error of our own that ends in `exit`.
pub(crate) fn failed(exit: Exit, message: impl fmt::Display) -> anyhow::Error {
    CodedError { error: anyhow::Error::msg(message.to_string()), exit, hint: None }.into()
}
