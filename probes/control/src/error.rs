//! Why a control server does not start.

use std::{io, net::SocketAddr, path::PathBuf};

use crate::{CONNECTIONS_MAX, SOCKETS_MAX, TOKEN_BYTES_MAX};

/// Why a control server does not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ControlError {
    /// No socket was asked for.
    #[error("no socket to listen at: give at least one of tcp, udp, quic")]
    NothingToListenAt,
    /// The ranges hold more sockets than one server binds.
    #[error("{asked} sockets were asked for, at most {SOCKETS_MAX} are bound: give smaller port ranges")]
    TooManySockets {
        /// How many.
        asked: usize,
    },
    /// The token would not survive in a path.
    #[error("the token must have 1 to {TOKEN_BYTES_MAX} bytes of letters, digits, - and _")]
    BadToken,
    /// A limit is zero or above its ceiling.
    #[error(
        "the limit `{name}` is zero or above its ceiling (connections: {CONNECTIONS_MAX}, times: one hour)"
    )]
    BadLimit {
        /// Which one.
        name: &'static str,
    },
    /// A socket could not be bound.
    #[error("cannot bind {what} {address}: choose another address or port, or stop what uses it")]
    Bind {
        /// What the socket is for.
        what: &'static str,
        /// Where.
        address: SocketAddr,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// A certificate file could not be read or written.
    #[error("cannot read or write {}", path.display())]
    CertificateFile {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The PEM text holds no certificate or no private key.
    #[error("the {what} is no valid PEM: give a chain and a private key as text")]
    BadPem {
        /// Which of the two.
        what: &'static str,
        /// What the reader said.
        #[source]
        source: rustls_pki_types::pem::Error,
    },
    /// Chain and key do not make a server.
    #[error("the certificate cannot be used: check that the key belongs to it")]
    BadCertificate(#[source] rustls::Error),
    /// The certificate holds no key that can be pinned.
    #[error("the certificate cannot be pinned")]
    BadPin(#[source] crate::PinError),
    /// A certificate could not be made.
    #[error("no certificate could be made: check the names")]
    MakeCertificate(#[source] rcgen::Error),
    /// TLS 1.3 for QUIC is not there.
    #[error("QUIC has no usable cipher suite")]
    QuicTls(#[source] quinn::crypto::rustls::NoInitialCipherSuite),
    /// The runtime ended while the certificate was read.
    #[error("the runtime ended while the server started")]
    Stopped(#[source] tokio::task::JoinError),
}
