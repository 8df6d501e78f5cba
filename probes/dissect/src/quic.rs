//! QUIC as far as a box on the path reads it: headers of any version, and the Initial packets of versions 1 and 2,
//! whose keys anybody can derive (RFC 9001 §5.2, RFC 9369 §3.3). And a writer of Initials, so that a probe and tests
//! send what a censor can open.

mod header;
mod initial;
mod keys;
mod seal;

pub use header::{Header, MAX_CONNECTION_ID_BYTES, PacketKind, header, version_negotiation};
pub use initial::{Crypto, Initial, MAX_CRYPTO_BYTES, initial, join_crypto, open_initials};
pub use keys::{InitialKeys, Sender};
pub use seal::{InitialSpec, crypto_frame, seal_initial};

/// Version 1 (RFC 9000).
pub const VERSION_1: u32 = 1;
/// Version 2 (RFC 9369).
pub const VERSION_2: u32 = 0x6b33_43cf;
/// A version that a server must answer with version negotiation (RFC 9000 §15).
pub const VERSION_RESERVED: u32 = 0x1a2a_3a4a;
/// The least UDP payload of a datagram with an Initial that a client sends (RFC 9000 §14.1).
pub const MIN_INITIAL_BYTES: usize = 1200;
