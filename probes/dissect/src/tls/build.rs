//! Writes ClientHellos from data: to send what a given client would send, or something a censor knows, without that
//! client. The keys in them are well formed, so a server answers, but nobody has their private halves: such a hello
//! finds out what passes, and never becomes a connection.

mod draw;
mod shares;
mod specs;
mod write;

use super::{extension, split_records};

/// Stands in a list for a GREASE value, which is drawn anew for each hello.
pub const GREASE: u16 = 0x0a0a;
/// X25519MLKEM768, draft-ietf-tls-ecdhe-mlkem.
pub const X25519_MLKEM768: u16 = 0x11ec;
/// X25519.
pub const X25519: u16 = 0x001d;
/// P-256.
pub const SECP256R1: u16 = 0x0017;
/// P-384.
pub const SECP384R1: u16 = 0x0018;

/// Why a hello cannot be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// A list or a body is longer than its length field can say.
    #[error("{0} is longer than its length field can say: shorten it")]
    TooLong(&'static str),
    /// No key of that group can be drawn.
    #[error("no key share of group {0:#06x} can be drawn: use X25519MLKEM768, X25519, P-256 or P-384")]
    Group(u16),
}

/// What a ClientHello is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HelloSpec {
    /// The server name; without one [`Extension::ServerName`] is left out.
    pub server_name: Option<String>,
    /// Cipher suites in order; [`GREASE`] is drawn.
    pub cipher_suites: Vec<u16>,
    /// Extensions in order.
    pub extensions: Vec<Extension>,
    /// Whether the extensions are permuted anew for each hello, as Chrome does since 110. Those that must stand where
    /// they stand do: GREASE, padding, pre_shared_key.
    pub shuffle: bool,
    /// Whether a random session id of 32 bytes is sent. QUIC forbids one.
    pub session_id: bool,
}

/// An extension to write.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Extension {
    /// server_name with [`HelloSpec::server_name`].
    ServerName,
    /// supported_groups; [`GREASE`] is drawn, the same as in the key shares.
    Groups(Vec<u16>),
    /// signature_algorithms; [`GREASE`] is drawn.
    SignatureAlgorithms(Vec<u16>),
    /// ALPN with these protocols.
    Alpn(Vec<Vec<u8>>),
    /// supported_versions; [`GREASE`] is drawn.
    Versions(Vec<u16>),
    /// key_share with a drawn key for each group.
    KeyShares {
        /// The groups, in order.
        groups: Vec<u16>,
        /// Whether the X25519 part of the hybrid is the same key as the X25519 share, as in Firefox.
        one_x25519: bool,
    },
    /// encrypted_client_hello as a client without a configuration sends it: random, of the right form.
    EchGrease {
        /// AEAD numbers to draw from.
        aeads: Vec<u16>,
        /// Lengths of the payload to draw from, in bytes.
        payloads: Vec<u16>,
    },
    /// padding up to that length of the handshake message, where it is shorter.
    Padding(usize),
    /// An extension of a GREASE number with that body.
    Grease(Vec<u8>),
    /// pre_shared_key with a random identity and binder of those lengths, in bytes.
    PreSharedKey {
        /// Length of the identity, a session ticket.
        identity: u16,
        /// Length of the binder.
        binder: u8,
    },
    /// Any other: number and body.
    Raw(u16, Vec<u8>),
}

impl HelloSpec {
    /// The same with that server name.
    #[must_use]
    pub fn with_server_name(mut self, name: &str) -> Self {
        self.server_name = Some(name.to_owned());
        self
    }

    /// The same with those protocols. A spec without ALPN gets one at the end.
    #[must_use]
    pub fn with_alpn(mut self, protocols: &[&[u8]]) -> Self {
        let protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
        let place = self.extensions.iter_mut().find(|extension| matches!(extension, Extension::Alpn(_)));
        match place {
            Some(place) => *place = Extension::Alpn(protocols),
            None => self.extensions.push(Extension::Alpn(protocols)),
        }
        self
    }

    /// The same with one more extension: before a pre_shared_key, which must be the last.
    #[must_use]
    pub fn with_extension(mut self, extension: Extension) -> Self {
        let psk = |known: &Extension| matches!(known, Extension::PreSharedKey { .. });
        let at = self.extensions.iter().position(psk).unwrap_or(self.extensions.len());
        self.extensions.insert(at, extension);
        self
    }

    /// The same as if it resumed a session: a pre_shared_key with an identity of the length of OpenSSL's tickets.
    #[must_use]
    pub fn resuming(mut self) -> Self {
        self.extensions.push(Extension::PreSharedKey { identity: 224, binder: 48 });
        self
    }

    /// The handshake message with its header. The same seed gives the same bytes.
    pub fn message(&self, seed: u64) -> Result<Vec<u8>, BuildError> {
        write::message(self, seed)
    }

    /// The message in one TLS record: what a client sends first.
    pub fn record(&self, seed: u64) -> Result<Vec<u8>, BuildError> {
        Ok(split_records(&self.message(seed)?, &[]))
    }
}

impl Extension {
    /// Whether it keeps its place when the others are permuted.
    const fn stays(&self) -> bool {
        matches!(self, Self::Grease(_) | Self::Padding(_) | Self::PreSharedKey { .. })
    }

    /// Its number, where that is fixed.
    const fn number(&self) -> Option<u16> {
        match self {
            Self::ServerName => Some(extension::SERVER_NAME),
            Self::Groups(_) => Some(extension::SUPPORTED_GROUPS),
            Self::SignatureAlgorithms(_) => Some(extension::SIGNATURE_ALGORITHMS),
            Self::Alpn(_) => Some(extension::ALPN),
            Self::Versions(_) => Some(extension::SUPPORTED_VERSIONS),
            Self::KeyShares { .. } => Some(extension::KEY_SHARE),
            Self::EchGrease { .. } => Some(extension::ENCRYPTED_CLIENT_HELLO),
            Self::Padding(_) => Some(extension::PADDING),
            Self::PreSharedKey { .. } => Some(extension::PRE_SHARED_KEY),
            Self::Raw(number, _) => Some(*number),
            Self::Grease(_) => None,
        }
    }
}
