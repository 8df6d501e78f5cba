//! What can go wrong, and the alert that a browser sends then.

use crate::{NoRandomness, TemplateError};

/// TLS alerts (RFC 8446 §6) that we send, by their number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
#[allow(missing_docs, reason = "the names are the RFC's")]
#[non_exhaustive]
pub enum Alert {
    CloseNotify = 0,
    UnexpectedMessage = 10,
    BadRecordMac = 20,
    RecordOverflow = 22,
    HandshakeFailure = 40,
    BadCertificate = 42,
    CertificateExpired = 45,
    UnknownCa = 48,
    IllegalParameter = 47,
    DecodeError = 50,
    DecryptError = 51,
    ProtocolVersion = 70,
    InternalError = 80,
    UnsupportedExtension = 110,
}

/// Why a connection ended.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The template cannot be used with these options.
    #[error("the template does not fit: {0}")]
    Template(#[from] TemplateError),
    /// No randomness.
    #[error(transparent)]
    Random(#[from] NoRandomness),
    /// A key could not be made or used.
    #[error("a cryptographic operation failed ({0})")]
    Crypto(&'static str),
    /// The server picked TLS 1.2 or older.
    #[error("the server chose TLS {0:04x}; only TLS 1.3 is spoken here")]
    ServerChoseOldVersion(u16),
    /// The server's bytes cannot be read.
    #[error("the server's {0} cannot be read")]
    Decode(&'static str),
    /// The server did what it must not.
    #[error("the server broke the protocol: {0}")]
    Illegal(&'static str),
    /// A message or record came where it must not.
    #[error("unexpected {0}")]
    Unexpected(&'static str),
    /// What the server sent is longer than allowed.
    #[error("the server's {what} is over {limit} bytes")]
    TooLong {
        /// What it was.
        what: &'static str,
        /// The limit, in bytes.
        limit: usize,
    },
    /// A record did not open.
    #[error("a record did not decrypt")]
    BadRecord,
    /// The server's Finished or CertificateVerify is wrong.
    #[error("the server's {0} does not verify")]
    BadSignature(&'static str),
    /// The certificate was refused.
    #[error("the certificate was refused: {0}")]
    Certificate(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The server sent a fatal alert.
    #[error("the server ended the handshake with alert {0}")]
    PeerAlert(u8),
    /// Called before the handshake is done, or after the end.
    #[error("the connection is not open")]
    NotOpen,
}

impl Error {
    /// The alert to send, when one is due.
    pub const fn alert(&self) -> Option<Alert> {
        match self {
            Self::PeerAlert(_) | Self::NotOpen => None,
            Self::Template(_) | Self::Random(_) | Self::Crypto(_) => Some(Alert::InternalError),
            Self::ServerChoseOldVersion(_) => Some(Alert::ProtocolVersion),
            Self::Decode(_) => Some(Alert::DecodeError),
            Self::Illegal(_) => Some(Alert::IllegalParameter),
            Self::Unexpected(_) => Some(Alert::UnexpectedMessage),
            Self::TooLong { .. } => Some(Alert::RecordOverflow),
            Self::BadRecord => Some(Alert::BadRecordMac),
            Self::BadSignature(_) => Some(Alert::DecryptError),
            Self::Certificate(_) => Some(Alert::BadCertificate),
        }
    }
}
