//! The errors of the contract: configuration, dialling, listening, accepting.

use std::io;

use crate::{BoxError, Failure, Phase, Retry, Signal};

/// A configuration that cannot work, found before a packet left.
#[derive(Debug, thiserror::Error)]
#[error("{problem}{}", DisplayField(*field))]
pub struct ConfigError {
    field: Option<&'static str>,
    problem: ConfigProblem,
    #[source]
    source: Option<BoxError>,
}

struct DisplayField(Option<&'static str>);

impl std::fmt::Display for DisplayField {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.map_or(Ok(()), |field| write!(f, ": `{field}`"))
    }
}

impl ConfigError {
    /// A problem, with the field it is in when there is one.
    pub const fn new(field: Option<&'static str>, problem: ConfigProblem) -> Self {
        Self { field, problem, source: None }
    }

    /// The same with what a parser said.
    pub fn with_source(
        field: Option<&'static str>,
        problem: ConfigProblem,
        source: impl Into<BoxError>,
    ) -> Self {
        Self { field, problem, source: Some(source.into()) }
    }

    /// The kind of problem.
    pub const fn problem(&self) -> ConfigProblem {
        self.problem
    }

    /// The field it is in.
    pub const fn field(&self) -> Option<&'static str> {
        self.field
    }
}

/// The kinds of bad configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigProblem {
    /// A required field is not there.
    #[error("a required field is missing")]
    Missing,
    /// A field's value cannot be used.
    #[error("a field has a bad value")]
    BadValue,
    /// A field that this version does not know.
    #[error("unknown field")]
    UnknownField,
    /// No transport reads such links.
    #[error("no transport reads links of this kind")]
    UnknownScheme,
    /// The transport lacks this end.
    #[error("this transport has no such role")]
    RoleUnsupported,
    /// The transport exists, but not in this build.
    #[error("this build does not contain the transport")]
    NotBuilt,
    /// Two transports with one id.
    #[error("a transport with this id is already registered")]
    Duplicate,
}

/// Why a dial gave no channel.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DialError {
    /// The network, or who sits on it, said no.
    #[error("{failure}")]
    Network {
        /// The evidence.
        failure: Failure,
        /// What the library below said.
        #[source]
        source: Option<BoxError>,
    },
    /// The configuration cannot work.
    #[error("unusable configuration")]
    Config(#[from] ConfigError),
    /// The transport cannot carry that kind of target.
    #[error("this transport cannot reach that kind of target")]
    UnsupportedTarget,
}

impl DialError {
    /// A network failure without a library error below it.
    pub const fn network(failure: Failure) -> Self {
        Self::Network { failure, source: None }
    }

    /// The evidence, when the network was reached.
    pub const fn failure(&self) -> Option<&Failure> {
        match self {
            Self::Network { failure, .. } => Some(failure),
            Self::Config(_) | Self::UnsupportedTarget => None,
        }
    }

    /// What to do next.
    pub const fn retry(&self) -> Retry {
        match self {
            Self::Network { failure, .. } => failure.retry(),
            Self::Config(_) | Self::UnsupportedTarget => Retry::Never,
        }
    }

    /// Evidence from an IO error at a phase.
    pub fn io(phase: Phase, elapsed: std::time::Duration, source: io::Error) -> Self {
        let failure = Failure::new(phase, Signal::from_io(&source), elapsed);
        Self::Network { failure, source: Some(source.into()) }
    }
}

impl Signal {
    /// The signal that an IO error stands for. An error that wraps a [`Failure`] or a [`DialError`] (a transport over
    /// another one, or evidence that came with the data) keeps its signal.
    pub fn from_io(error: &io::Error) -> Self {
        use io::ErrorKind as K;
        if let Some(failure) = Failure::in_io(error) {
            return failure.signal.clone();
        }
        match error.kind() {
            K::TimedOut => Self::Timeout,
            K::ConnectionRefused => Self::Refused,
            K::ConnectionReset | K::ConnectionAborted | K::BrokenPipe => Self::Reset,
            K::HostUnreachable | K::NetworkUnreachable | K::AddrNotAvailable => Self::Unreachable,
            K::NetworkDown => Self::LocalNetworkDown,
            K::NotFound => Self::NameNotFound,
            K::UnexpectedEof => Self::UnexpectedEof,
            K::InvalidData => Self::UnexpectedBytes,
            _ => Self::Other,
        }
    }
}

/// Why a server could not listen, or stopped.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ListenError {
    /// The system refused the socket.
    #[error("cannot listen on {address}")]
    Bind {
        /// Where.
        address: crate::HostPort,
        /// The system's reason.
        #[source]
        source: io::Error,
    },
    /// The configuration cannot work.
    #[error("unusable configuration")]
    Config(#[from] ConfigError),
    /// Accepting failed in a way that will pass (descriptors used up, a connection that died in the queue).
    #[error("could not accept a connection")]
    Accept(#[source] io::Error),
    /// The listener is closed for good.
    #[error("the listener is closed")]
    Closed,
}

/// Why an incoming connection became no channel.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AcceptError {
    /// A stranger, or a user with a wrong credential; answered as the cover service answers.
    #[error("the peer did not authenticate and was answered as the cover service would")]
    Unauthenticated,
    /// The same first flight came before; answered as the cover service answers.
    #[error("a replayed first flight was answered as the cover service would")]
    Replayed,
    /// The peer was too slow, or sent more than a handshake holds.
    #[error("the handshake went over a limit: {0}")]
    Limit(&'static str),
    /// The connection failed.
    #[error("the connection failed during the handshake")]
    Io(#[source] io::Error),
}

impl Failure {
    /// The evidence that an IO error carries.
    pub fn in_io(error: &io::Error) -> Option<&Self> {
        let inner = error.get_ref()?;
        inner.downcast_ref::<Self>().or_else(|| inner.downcast_ref::<DialError>()?.failure())
    }
}

impl From<Failure> for io::Error {
    fn from(failure: Failure) -> Self {
        Self::new(failure.signal.io_kind(), failure)
    }
}

impl From<DialError> for io::Error {
    fn from(error: DialError) -> Self {
        let kind = error.failure().map_or(io::ErrorKind::Unsupported, |failure| failure.signal.io_kind());
        Self::new(kind, error)
    }
}

impl Signal {
    /// The nearest IO error kind.
    pub const fn io_kind(&self) -> io::ErrorKind {
        use io::ErrorKind as K;
        match self {
            Self::Timeout | Self::Throttled => K::TimedOut,
            Self::Refused | Self::TargetUnreachable => K::ConnectionRefused,
            Self::Reset => K::ConnectionReset,
            Self::Unreachable => K::HostUnreachable,
            Self::LocalNetworkDown => K::NetworkDown,
            Self::NameNotFound | Self::DnsPoisoned => K::NotFound,
            Self::UnexpectedEof => K::UnexpectedEof,
            Self::AuthRejected
            | Self::UnknownUser
            | Self::ClockSkew(_)
            | Self::VersionTooOld
            | Self::BridgeFull => K::PermissionDenied,
            Self::UnexpectedBytes | Self::WrongCertificate | Self::TlsAlert(_) | Self::HttpStatus(_) => {
                K::InvalidData
            }
            Self::Other => K::Other,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn evidence_survives_an_io_error() {
        let failure = Failure::new(Phase::Authenticate, Signal::ClockSkew(-301), Duration::ZERO);
        let error = io::Error::from(DialError::network(failure.clone()));
        assert_eq!(Signal::from_io(&error), Signal::ClockSkew(-301));
        assert_eq!(Signal::from_io(&failure.into()), Signal::ClockSkew(-301));
    }
}
