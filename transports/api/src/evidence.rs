//! What a failed attempt proves. Evidence only: whether it means *blocked* is for the probe's verdict to say,
//! which also saw control measurements.

use std::{fmt, time::Duration};

use serde::{Deserialize, Serialize};

/// How far an attempt came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Phase {
    /// Looking up the name.
    Resolve,
    /// Opening the carrier connection.
    Connect,
    /// The transport's own handshake (TLS, upgrade, salt…).
    Handshake,
    /// Proving who we are.
    Authenticate,
    /// Moving the user's bytes.
    Data,
}

/// What happened there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Signal {
    /// Nothing came before the deadline.
    Timeout,
    /// Connection refused.
    Refused,
    /// Connection reset.
    Reset,
    /// The network says that there is no way there.
    Unreachable,
    /// This machine has no network.
    LocalNetworkDown,
    /// The name does not exist, or the resolver would not answer.
    NameNotFound,
    /// The answer of the resolver is a known lie.
    DnsPoisoned,
    /// TLS alert, by its number (RFC 8446 §6).
    TlsAlert(u8),
    /// The certificate is not the bridge's.
    WrongCertificate,
    /// An HTTP status that is no success; the cover site answered.
    HttpStatus(u16),
    /// The peer ended the stream too early.
    UnexpectedEof,
    /// The peer speaks something else.
    UnexpectedBytes,
    /// The bridge did not accept our key (or cannot be told from one that does not).
    AuthRejected,
    /// The bridge knows our bridge key, but not this user.
    UnknownUser,
    /// The clocks differ: seconds that ours is ahead of the bridge's, negative when behind.
    ClockSkew(i64),
    /// The bridge no longer speaks this version.
    VersionTooOld,
    /// The bridge is at its connection limit.
    BridgeFull,
    /// The bridge refuses or cannot reach that target; the transport itself is fine.
    TargetUnreachable,
    /// Bytes come far slower than the path can carry.
    Throttled,
    /// None of these; the source error tells.
    Other,
}

/// What a caller should do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Retry {
    /// The same attempt will fail again.
    Never,
    /// Try at once.
    Now,
    /// Try later, with growing pauses.
    Backoff,
    /// Try after this time.
    After(Duration),
}

/// How much a failure smells of interference: a prior for choosing what to try next, not a verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Suspicion {
    /// Ordinary trouble explains it.
    None,
    /// Ordinary trouble is likelier.
    Low,
    /// Either.
    Medium,
    /// Interference is likelier.
    High,
}

/// The evidence of one failed attempt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Failure {
    /// How far it came.
    pub phase: Phase,
    /// What happened there.
    pub signal: Signal,
    /// Time since the attempt began.
    pub elapsed: Duration,
    /// Bytes we had sent on the carrier.
    pub sent: u64,
    /// Bytes we had received on the carrier.
    pub received: u64,
}

impl Failure {
    /// Evidence without byte counts.
    pub const fn new(phase: Phase, signal: Signal, elapsed: Duration) -> Self {
        Self { phase, signal, elapsed, sent: 0, received: 0 }
    }

    /// The same with the bytes that moved.
    #[must_use]
    pub const fn with_bytes(mut self, sent: u64, received: u64) -> Self {
        self.sent = sent;
        self.received = received;
        self
    }

    /// How much this smells of interference.
    pub const fn suspicion(&self) -> Suspicion {
        use Signal as S;
        match (self.phase, &self.signal) {
            (
                _,
                S::LocalNetworkDown
                | S::ClockSkew(_)
                | S::AuthRejected
                | S::UnknownUser
                | S::VersionTooOld
                | S::BridgeFull
                | S::TargetUnreachable,
            ) => Suspicion::None,
            (_, S::DnsPoisoned) | (Phase::Handshake | Phase::Data, S::Reset) => Suspicion::High,
            (Phase::Handshake | Phase::Data, S::Timeout | S::Throttled)
            | (Phase::Handshake, S::WrongCertificate | S::UnexpectedBytes | S::UnexpectedEof) => {
                Suspicion::Medium
            }
            _ => Suspicion::Low,
        }
    }

    /// What to do next.
    pub const fn retry(&self) -> Retry {
        use Signal as S;
        match self.signal {
            S::AuthRejected | S::UnknownUser | S::VersionTooOld | S::ClockSkew(_) | S::WrongCertificate => {
                Retry::Never
            }
            S::TargetUnreachable => Retry::Never,
            _ => Retry::Backoff,
        }
    }
}

impl std::error::Error for Failure {}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let phase = match self.phase {
            Phase::Resolve => "looking up the name",
            Phase::Connect => "connecting",
            Phase::Handshake => "the handshake",
            Phase::Authenticate => "authentication",
            Phase::Data => "the transfer",
        };
        write!(f, "{phase} failed after {} ms: {}", self.elapsed.as_millis(), self.signal)
    }
}

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self {
            Self::Timeout => "no answer in time",
            Self::Refused => "connection refused",
            Self::Reset => "connection reset",
            Self::Unreachable => "no route to the host",
            Self::LocalNetworkDown => "this machine has no network",
            Self::NameNotFound => "the name was not found",
            Self::DnsPoisoned => "the resolver lied",
            Self::TlsAlert(alert) => return write!(f, "TLS alert {alert}"),
            Self::WrongCertificate => "the certificate is not the bridge's",
            Self::HttpStatus(status) => return write!(f, "HTTP status {status}"),
            Self::UnexpectedEof => "the connection was closed too early",
            Self::UnexpectedBytes => "the answer is not of this protocol",
            Self::AuthRejected => "the bridge did not accept the key",
            Self::UnknownUser => "the bridge does not know this user",
            Self::ClockSkew(seconds) => {
                let side = if *seconds >= 0 { "ahead" } else { "behind" };
                return write!(f, "the clock of this machine is {} s {side}", seconds.unsigned_abs());
            }
            Self::VersionTooOld => "the bridge asks for a newer version",
            Self::BridgeFull => "the bridge is full",
            Self::TargetUnreachable => "the bridge cannot reach that target",
            Self::Throttled => "far slower than the path",
            Self::Other => "an unexpected error",
        };
        f.write_str(text)
    }
}
