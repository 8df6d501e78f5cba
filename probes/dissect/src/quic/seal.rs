//! Writes Initial packets.

use super::{
    MIN_INITIAL_BYTES,
    header::MAX_CONNECTION_ID_BYTES,
    keys::{InitialKeys, SAMPLE_BYTES, Sender, TAG_BYTES},
};
use crate::quic::{VERSION_1, VERSION_2};

/// The longest packet written: what one UDP datagram over Ethernet may hold, with room for jumbo frames.
const MAX_PACKET_BYTES: usize = 1 << 14;

/// An Initial packet to write.
#[derive(Clone, Copy, Debug)]
pub struct InitialSpec<'a> {
    /// 1 or 2.
    pub version: u32,
    /// Who sends it.
    pub sender: Sender,
    /// Destination connection ID of the client's first packet; the keys come from it.
    pub original_destination_id: &'a [u8],
    /// Destination connection ID.
    pub destination_id: &'a [u8],
    /// Source connection ID.
    pub source_id: &'a [u8],
    /// Token.
    pub token: &'a [u8],
    /// Packet number.
    pub packet_number: u32,
    /// Bytes that the packet number takes, one to four.
    pub packet_number_len: usize,
    /// The frames, such as [`crypto_frame`] writes.
    pub frames: &'a [u8],
    /// PADDING frames are added until the packet is that long.
    pub pad_to: usize,
}

impl<'a> InitialSpec<'a> {
    /// A client's first packet of version 1, padded as RFC 9000 asks.
    pub const fn first(destination_id: &'a [u8], source_id: &'a [u8], frames: &'a [u8]) -> Self {
        Self {
            version: VERSION_1,
            sender: Sender::Client,
            original_destination_id: destination_id,
            destination_id,
            source_id,
            token: &[],
            packet_number: 0,
            packet_number_len: 4,
            frames,
            pad_to: MIN_INITIAL_BYTES,
        }
    }
}

/// The protected packet. `None` for a version other than 1 and 2, a connection ID above 20 bytes, a packet number
/// length other than one to four, and a packet above 16 KiB.
pub fn seal_initial(spec: &InitialSpec<'_>) -> Option<Vec<u8>> {
    let keys = InitialKeys::derive(spec.version, spec.original_destination_id, spec.sender)?;
    let ids = spec.destination_id.len().max(spec.source_id.len());
    if ids > MAX_CONNECTION_ID_BYTES || !(1..=4).contains(&spec.packet_number_len) {
        return None;
    }
    let mut packet = vec![first_byte(spec)?];
    packet.extend_from_slice(&spec.version.to_be_bytes());
    for id in [spec.destination_id, spec.source_id] {
        packet.push(u8::try_from(id.len()).ok()?);
        packet.extend_from_slice(id);
    }
    put_varint(&mut packet, spec.token.len())?;
    packet.extend_from_slice(spec.token);

    let head_len = packet.len() + LENGTH_BYTES + spec.packet_number_len;
    // Header protection samples four bytes behind the packet number's place.
    let least = (4 - spec.packet_number_len + SAMPLE_BYTES).saturating_sub(TAG_BYTES);
    let padded = spec.pad_to.saturating_sub(head_len + TAG_BYTES).max(least);
    let mut payload = spec.frames.to_vec();
    payload.resize(payload.len().max(padded), 0);
    if head_len + payload.len() + TAG_BYTES > MAX_PACKET_BYTES {
        return None;
    }
    let length = u16::try_from(spec.packet_number_len + payload.len() + TAG_BYTES).ok()?;
    packet.extend_from_slice(&(length | TWO_BYTE_VARINT).to_be_bytes());
    let number_at = packet.len();
    let number = spec.packet_number.to_be_bytes();
    packet.extend_from_slice(number.get(4 - spec.packet_number_len..)?);

    keys.seal(u64::from(spec.packet_number), &packet, &mut payload)?;
    packet.append(&mut payload);
    protect_header(&mut packet, number_at, spec.packet_number_len, &keys)?;
    Some(packet)
}

/// A CRYPTO frame.
pub fn crypto_frame(offset: u64, data: &[u8]) -> Vec<u8> {
    let mut frame = vec![6];
    // Both are far below 2^62 for any data in memory.
    let _fits = put_varint(&mut frame, usize::try_from(offset).unwrap_or_default());
    let _fits = put_varint(&mut frame, data.len());
    frame.extend_from_slice(data);
    frame
}

/// The length field is written in two bytes, as everybody does.
const LENGTH_BYTES: usize = 2;
const TWO_BYTE_VARINT: u16 = 0x4000;

fn first_byte(spec: &InitialSpec<'_>) -> Option<u8> {
    let kind = match spec.version {
        VERSION_1 => 0,
        VERSION_2 => 1,
        _ => return None,
    };
    Some(0xc0 | kind << 4 | u8::try_from(spec.packet_number_len - 1).ok()?)
}

fn protect_header(packet: &mut [u8], number_at: usize, number_len: usize, keys: &InitialKeys) -> Option<()> {
    let sample_at = number_at + 4;
    let mask = keys.mask(packet.get(sample_at..sample_at + SAMPLE_BYTES)?)?;
    *packet.first_mut()? ^= mask.first()? & 0x0f;
    for (byte, mask) in packet.get_mut(number_at..number_at + number_len)?.iter_mut().zip(mask.iter().skip(1))
    {
        *byte ^= mask;
    }
    Some(())
}

fn put_varint(out: &mut Vec<u8>, value: usize) -> Option<()> {
    let value = u64::try_from(value).ok()?;
    match value {
        0..=0x3f => out.push(u8::try_from(value).ok()?),
        0x40..=0x3fff => out.extend_from_slice(&(u16::try_from(value).ok()? | TWO_BYTE_VARINT).to_be_bytes()),
        0x4000..=0x3fff_ffff => {
            out.extend_from_slice(&(u32::try_from(value).ok()? | 0x8000_0000).to_be_bytes())
        }
        0x4000_0000..=0x3fff_ffff_ffff_ffff => {
            out.extend_from_slice(&(value | 0xc000_0000_0000_0000).to_be_bytes());
        }
        _ => return None,
    }
    Some(())
}
