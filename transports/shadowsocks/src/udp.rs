//! UDP: packets of both editions, the replay window, and the two ends of a datagram channel.

pub(crate) mod client;
pub(crate) mod demux;
pub(crate) mod opener;
pub(crate) mod port;
pub(crate) mod sealer;
pub(crate) mod session;
pub(crate) mod window;

use std::{io, num::NonZeroUsize};

use commucat_transport_api::{HostPort, MAX_ADDRESS_BYTES, Net};

use crate::{
    method::TAG_BYTES,
    wire::{MAX_PADDING_BYTES, PACKET_FIXED_BYTES},
};

/// Largest UDP payload over IPv4, in bytes.
pub(crate) const MAX_UDP_PAYLOAD_BYTES: usize = 65_507;
/// Bytes of the separate header: session and packet number.
pub(crate) const SEPARATE_HEADER_BYTES: usize = 16;
/// Bytes of an `XChaCha20` nonce.
pub(crate) const LONG_NONCE_BYTES: usize = 24;
/// The most that we put around a payload: nonce, session header, four identity headers, fields, longest address, tag.
const MAX_OVERHEAD_BYTES: usize =
    LONG_NONCE_BYTES + SEPARATE_HEADER_BYTES + 5 * 16 + PACKET_FIXED_BYTES + MAX_ADDRESS_BYTES + TAG_BYTES;
/// Longest datagram of a channel, in bytes.
pub(crate) const MAX_DATAGRAM_BYTES: NonZeroUsize =
    match NonZeroUsize::new(MAX_UDP_PAYLOAD_BYTES - MAX_OVERHEAD_BYTES) {
        Some(bytes) => bytes,
        None => NonZeroUsize::MIN,
    };
/// DNS packets have telling lengths and are padded.
const DNS_PORT: u16 = 53;

/// Padding of a packet that goes to or comes from `address`.
fn padding(address: &HostPort, payload: usize, net: &dyn Net) -> io::Result<u16> {
    let Ok(most) = u16::try_from(MAX_PADDING_BYTES.saturating_sub(payload)) else { return Ok(0) };
    if address.port != DNS_PORT || most == 0 {
        return Ok(0);
    }
    let mut bytes = [0; 4];
    net.fill_random(&mut bytes)?;
    Ok(u16::try_from(u32::from_le_bytes(bytes) % u32::from(most)).unwrap_or_default() + 1)
}
