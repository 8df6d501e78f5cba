//! What can go wrong, and how a stream's error carries evidence through `std::io::Error`.

use std::{io, time::Duration};

use commucat_transport_api::{DialError, Failure, Phase, Signal};

use crate::wire::WireError;

/// A cipher refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CryptoError {
    /// The key text is no base64.
    #[error("the key is not base64")]
    KeyEncoding,
    /// The key has the wrong length for its method.
    #[error("the key has the wrong length for this method")]
    KeyLength,
    /// A tag did not verify, or the library refused its input.
    #[error("the data does not verify")]
    Unverified,
    /// A stream has used all its nonces.
    #[error("the stream has used all its nonces")]
    Exhausted,
}

impl From<aws_lc_rs::error::Unspecified> for CryptoError {
    fn from(_says_nothing: aws_lc_rs::error::Unspecified) -> Self {
        Self::Unverified
    }
}

/// Why a Shadowsocks stream broke.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StreamError {
    /// The stream was reset before a byte of the answer. No server that hides itself does that.
    #[error("the connection was reset without an answer")]
    Reset(#[source] io::Error),
    /// The stream ended before a byte of the answer. A Shadowsocks server never says why.
    #[error("the server ended the connection without an answer")]
    Unanswered,
    /// The same after so long a silence as a server keeps towards strangers.
    #[error("the server was silent and then ended the connection")]
    Ignored,
    /// The answer is not sealed with our key.
    #[error("the answer is not sealed with our key")]
    ForeignAnswer,
    /// The answer belongs to another request.
    #[error("the answer belongs to another request")]
    WrongRequest,
    /// The answer verifies, but its time is far from ours; seconds that ours is ahead.
    #[error("the clock of the server differs by {0} s")]
    ClockSkew(i64),
    /// A record in the middle of the stream did not verify.
    #[error("a record does not verify")]
    Corrupt,
    /// The stream ended inside a record.
    #[error("the stream ended inside a record")]
    Truncated,
    /// A header cannot be read.
    #[error("a header cannot be read")]
    Header(#[source] WireError),
    /// The cipher refused.
    #[error("the cipher refused")]
    Crypto(#[source] CryptoError),
}

impl StreamError {
    /// What it proves.
    pub const fn signal(&self) -> Signal {
        match self {
            Self::Reset(_) => Signal::Reset,
            Self::Unanswered | Self::Truncated => Signal::UnexpectedEof,
            Self::Ignored => Signal::AuthRejected,
            Self::ClockSkew(seconds) => Signal::ClockSkew(*seconds),
            Self::ForeignAnswer | Self::WrongRequest | Self::Corrupt | Self::Header(_) => {
                Signal::UnexpectedBytes
            }
            Self::Crypto(_) => Signal::Other,
        }
    }

    const fn phase(&self) -> Phase {
        match self {
            Self::Unanswered | Self::Ignored | Self::ClockSkew(_) => Phase::Authenticate,
            Self::Reset(_) | Self::ForeignAnswer | Self::WrongRequest | Self::Header(_) => Phase::Handshake,
            Self::Corrupt | Self::Truncated | Self::Crypto(_) => Phase::Data,
        }
    }

    /// The error as a stream gives it: its inner error is a [`DialError::Network`] with the evidence.
    pub(crate) fn into_io(self, elapsed: Duration, sent: u64, received: u64) -> io::Error {
        let failure = Failure::new(self.phase(), self.signal(), elapsed).with_bytes(sent, received);
        DialError::Network { failure, source: Some(Box::new(self)) }.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn evidence_survives_the_io_error() {
        let error = StreamError::Unanswered.into_io(Duration::from_secs(2), 300, 0);
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
        let failure = Failure::in_io(&error).unwrap();
        assert_eq!((failure.phase, &failure.signal), (Phase::Authenticate, &Signal::UnexpectedEof));
        assert_eq!((failure.sent, failure.received), (300, 0));
    }
}
