//! SOCKS5 (RFC 1928, RFC 1929) and SOCKS4/4a on the wire: pure parsers and builders, no IO.

pub(crate) mod udp;
pub(crate) mod v4;
pub(crate) mod v5;

use commucat_transport_api::{Failure, Phase, Signal};

/// What a SOCKS5 server answers to a request (RFC 1928 §6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Reply {
    Succeeded = 0x00,
    GeneralFailure = 0x01,
    NotAllowed = 0x02,
    NetworkUnreachable = 0x03,
    HostUnreachable = 0x04,
    ConnectionRefused = 0x05,
    TtlExpired = 0x06,
    CommandNotSupported = 0x07,
    AddressTypeNotSupported = 0x08,
}

impl Reply {
    /// The code that says most of the evidence. What happened to the *bridge* is told as what happened to the
    /// target: the program that asked knows no other host.
    pub(crate) const fn from_evidence(failure: Option<&Failure>) -> Self {
        let Some(failure) = failure else { return Self::GeneralFailure };
        match (&failure.signal, failure.phase) {
            (Signal::TargetUnreachable, _) => Self::HostUnreachable,
            (
                Signal::LocalNetworkDown | Signal::Unreachable | Signal::NameNotFound | Signal::DnsPoisoned,
                _,
            ) => Self::NetworkUnreachable,
            (Signal::Refused, Phase::Connect) => Self::ConnectionRefused,
            (Signal::Timeout, _) => Self::TtlExpired,
            (
                Signal::AuthRejected | Signal::UnknownUser | Signal::ClockSkew(_) | Signal::VersionTooOld,
                _,
            ) => Self::NotAllowed,
            _ => Self::GeneralFailure,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn evidence_has_its_code() {
        let of = |phase, signal| Reply::from_evidence(Some(&Failure::new(phase, signal, Duration::ZERO)));
        assert_eq!(of(Phase::Authenticate, Signal::TargetUnreachable), Reply::HostUnreachable);
        assert_eq!(of(Phase::Connect, Signal::Refused), Reply::ConnectionRefused);
        assert_eq!(of(Phase::Handshake, Signal::Timeout), Reply::TtlExpired);
        assert_eq!(of(Phase::Connect, Signal::LocalNetworkDown), Reply::NetworkUnreachable);
        assert_eq!(of(Phase::Authenticate, Signal::UnknownUser), Reply::NotAllowed);
        assert_eq!(of(Phase::Handshake, Signal::Reset), Reply::GeneralFailure);
        assert_eq!(Reply::from_evidence(None), Reply::GeneralFailure);
    }
}
