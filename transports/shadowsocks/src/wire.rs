//! The plaintext of every header, without IO, keys or clocks: bytes to values and back. Everything here may be fed
//! with anything; a wrong byte is a [`WireError`].

mod packet;
mod stream;

use commucat_transport_api::TargetError;
pub use packet::{
    ClientPacketHead, PACKET_FIXED_BYTES, ServerPacketHead, decode_client_packet, decode_server_packet,
    encode_client_packet, encode_server_packet, legacy_packet,
};
pub use stream::{
    MAX_PADDING_BYTES, REQUEST_FIXED_BYTES, RequestFixed, RequestHead, ResponseFixed, decode_legacy_request,
    decode_request_head, encode_request_head, response_fixed_bytes,
};

/// Seconds by which two clocks may differ (SIP022 §3.1.3).
pub const MAX_CLOCK_SKEW_SECONDS: u64 = 30;

/// Why bytes are no header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WireError {
    /// The header is cut short.
    #[error("the header is cut short")]
    Truncated,
    /// The type byte is of the other side, or none.
    #[error("unexpected header type {0}")]
    Type(u8),
    /// The address cannot be read.
    #[error("the address cannot be read")]
    Address(#[source] TargetError),
    /// A request with neither padding nor payload.
    #[error("the request has neither padding nor payload")]
    Bare,
    /// A chunk length above the method's limit.
    #[error("a chunk of {0} bytes is over the limit")]
    ChunkLength(u16),
}

/// Whether a peer's time is near enough to ours; both in seconds since 1970.
pub const fn is_fresh(theirs: u64, ours: u64) -> bool {
    theirs.abs_diff(ours) <= MAX_CLOCK_SKEW_SECONDS
}
