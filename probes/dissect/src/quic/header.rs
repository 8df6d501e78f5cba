//! The parts of QUIC headers that hold for every version (RFC 8999), and the packet kinds of versions 1 and 2.

use super::{VERSION_1, VERSION_2};
use crate::bytes::Reader;

/// The longest connection ID of versions 1 and 2 (RFC 9000 §17.2). Other versions may have up to 255.
pub const MAX_CONNECTION_ID_BYTES: usize = 20;

const LONG_HEADER: u8 = 0x80;
const FIXED_BIT: u8 = 0x40;

/// The header of the first packet of a datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Header<'a> {
    /// A long header.
    Long {
        /// What follows, where the version is known.
        kind: PacketKind,
        /// The version; zero in version negotiation.
        version: u32,
        /// Destination connection ID.
        destination_id: &'a [u8],
        /// Source connection ID.
        source_id: &'a [u8],
        /// What follows the connection IDs.
        rest: &'a [u8],
    },
    /// A short header: packets after the handshake. Who did not see the handshake cannot tell how long the connection
    /// ID is, nor whether it is QUIC at all.
    Short,
}

/// What a packet with a long header is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PacketKind {
    /// A server's list of versions.
    VersionNegotiation,
    /// Initial.
    Initial,
    /// 0-RTT.
    ZeroRtt,
    /// Handshake.
    Handshake,
    /// Retry.
    Retry,
    /// Of a version unknown here.
    Unknown,
}

/// Reads the header of the first packet. `None` for a long header that is cut off or that versions 1 and 2 forbid, for
/// a short one without the fixed bit, and for no bytes.
pub fn header(datagram: &[u8]) -> Option<Header<'_>> {
    let mut reader = Reader::new(datagram);
    let first = reader.u8()?;
    if first & LONG_HEADER == 0 {
        return (first & FIXED_BIT != 0).then_some(Header::Short);
    }
    let version = reader.u32()?;
    let destination_id = reader.vector8()?;
    let source_id = reader.vector8()?;
    let known = matches!(version, VERSION_1 | VERSION_2);
    let too_long = destination_id.len().max(source_id.len()) > MAX_CONNECTION_ID_BYTES;
    if known && (first & FIXED_BIT == 0 || too_long) {
        return None;
    }
    let kind = packet_kind(version, first);
    Some(Header::Long { kind, version, destination_id, source_id, rest: reader.rest() })
}

/// A server's answer to a version it does not speak (RFC 9000 §17.2.1): the connection IDs of the client's packet
/// change places. `first` gives the seven bits that have no meaning.
pub fn version_negotiation(datagram: &[u8], versions: &[u32], first: u8) -> Option<Vec<u8>> {
    let Header::Long { destination_id, source_id, .. } = header(datagram)? else { return None };
    let mut packet = vec![LONG_HEADER | FIXED_BIT | first, 0, 0, 0, 0];
    for id in [source_id, destination_id] {
        packet.push(u8::try_from(id.len()).ok()?);
        packet.extend_from_slice(id);
    }
    packet.extend(versions.iter().flat_map(|version| version.to_be_bytes()));
    Some(packet)
}

const fn packet_kind(version: u32, first: u8) -> PacketKind {
    let bits = first >> 4 & 0x03;
    // Version 2 turns the numbers by one.
    let number = match version {
        0 => return PacketKind::VersionNegotiation,
        VERSION_1 => bits,
        VERSION_2 => (bits + 3) % 4,
        _ => return PacketKind::Unknown,
    };
    match number {
        0 => PacketKind::Initial,
        1 => PacketKind::ZeroRtt,
        2 => PacketKind::Handshake,
        _ => PacketKind::Retry,
    }
}
