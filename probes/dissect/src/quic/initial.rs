//! Opens Initial packets and collects the CRYPTO frames in them.

use super::{
    header::{Header, PacketKind, header},
    keys::{InitialKeys, SAMPLE_BYTES, Sender, TAG_BYTES},
};
use crate::{bytes::Reader, tls::ClientHello};

/// The end of the CRYPTO stream that is looked at. A ClientHello does not reach it.
pub const MAX_CRYPTO_BYTES: u64 = 1 << 16;
/// Initial packets of one datagram that are opened; one in practice.
const MAX_PACKETS: usize = 8;
/// Frames of one datagram that are read. Chrome sends some thirty.
const MAX_FRAMES: usize = 4096;

/// The Initial packets of one datagram, opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Initial {
    /// The version, 1 or 2.
    pub version: u32,
    /// Destination connection ID of the first packet.
    pub destination_id: Vec<u8>,
    /// Source connection ID of the first packet.
    pub source_id: Vec<u8>,
    /// Token of the first packet, from a Retry or an earlier connection.
    pub token: Vec<u8>,
    /// Packet number of the first packet, as far as it was sent.
    pub packet_number: u32,
    /// The type of the very first frame (RFC 9000 §12.4), PADDING included: some censors read no further.
    pub first_frame: Option<u64>,
    /// The CRYPTO frames in the order sent.
    pub crypto: Vec<Crypto>,
    /// Whether a CONNECTION_CLOSE frame is there.
    pub closes: bool,
}

/// A CRYPTO frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Crypto {
    /// Where the data stands in the stream.
    pub offset: u64,
    /// The data.
    pub data: Vec<u8>,
}

impl Initial {
    /// The ClientHello, when all of it is in this datagram, in whatever frames.
    pub fn client_hello(&self) -> Option<ClientHello> {
        ClientHello::parse(message(&self.stream())?)
    }

    /// What can be read of the ClientHello out of this datagram alone. The hello of a current browser takes two
    /// datagrams, and Chrome sends its pieces in random order, so this is often less than the datagram holds.
    pub fn client_hello_prefix(&self) -> Option<ClientHello> {
        ClientHello::parse_prefix(&self.stream())
    }

    /// The CRYPTO stream from its beginning to the first gap.
    pub fn stream(&self) -> Vec<u8> {
        join_crypto(&self.crypto)
    }
}

/// Opens the first datagram of a client. `None` when it holds no Initial that these keys open: not QUIC, another
/// version, or a client that already uses a connection ID of the server.
pub fn initial(datagram: &[u8]) -> Option<Initial> {
    let Header::Long { kind: PacketKind::Initial, version, destination_id, .. } = header(datagram)? else {
        return None;
    };
    open_initials(datagram, &InitialKeys::derive(version, destination_id, Sender::Client)?)
}

/// Opens the Initial packets at the beginning of a datagram with given keys. Packets of other kinds between them are
/// stepped over. `None` unless the first one opens.
pub fn open_initials(datagram: &[u8], keys: &InitialKeys) -> Option<Initial> {
    let mut found: Option<Initial> = None;
    let mut rest = datagram;
    let mut frames_left = MAX_FRAMES;
    for _packet in 0..MAX_PACKETS {
        let Some(packet) = packet(rest) else { break };
        rest = packet.behind;
        if packet.kind != PacketKind::Initial {
            continue;
        }
        let Some((packet_number, payload)) = open(&packet, keys) else { break };
        let initial = found.get_or_insert_with(|| Initial {
            version: packet.version,
            destination_id: packet.destination_id.to_vec(),
            source_id: packet.source_id.to_vec(),
            token: packet.token.to_vec(),
            packet_number,
            first_frame: None,
            crypto: Vec::new(),
            closes: false,
        });
        if read_frames(&payload, initial, &mut frames_left).is_none() {
            break;
        }
    }
    found
}

/// The pieces joined from offset zero to the first gap: those of one datagram, or of the several that a large hello
/// takes.
pub fn join_crypto<'a>(pieces: impl IntoIterator<Item = &'a Crypto>) -> Vec<u8> {
    let mut pieces: Vec<_> = pieces.into_iter().collect();
    pieces.sort_by_key(|piece| piece.offset);
    let mut stream = Vec::new();
    for piece in pieces {
        let here = u64::try_from(stream.len()).unwrap_or(u64::MAX);
        let Some(known) = here.checked_sub(piece.offset) else { break };
        let new = usize::try_from(known).ok().and_then(|known| piece.data.get(known..));
        stream.extend_from_slice(new.unwrap_or_default());
    }
    stream
}

/// One packet with a long header and a length, still protected.
struct Protected<'a> {
    kind: PacketKind,
    version: u32,
    destination_id: &'a [u8],
    source_id: &'a [u8],
    token: &'a [u8],
    /// The packet from its first byte to the end of its length.
    bytes: &'a [u8],
    /// Where the packet number stands.
    number_at: usize,
    behind: &'a [u8],
}

fn packet(bytes: &[u8]) -> Option<Protected<'_>> {
    let Header::Long { kind, version, destination_id, source_id, rest } = header(bytes)? else { return None };
    let mut reader = Reader::new(rest);
    let token = match kind {
        PacketKind::Initial => {
            let length = reader.varint_len()?;
            reader.take(length)?
        }
        PacketKind::ZeroRtt | PacketKind::Handshake => &[],
        PacketKind::VersionNegotiation | PacketKind::Retry | PacketKind::Unknown => return None,
    };
    let length = reader.varint_len()?;
    let number_at = bytes.len() - reader.rest().len();
    reader.take(length)?;
    let behind = reader.rest();
    let bytes = bytes.get(..bytes.len() - behind.len())?;
    Some(Protected { kind, version, destination_id, source_id, token, bytes, number_at, behind })
}

/// The packet number and the frames.
fn open(packet: &Protected<'_>, keys: &InitialKeys) -> Option<(u32, Vec<u8>)> {
    let sample_at = packet.number_at + 4;
    let mask = keys.mask(packet.bytes.get(sample_at..sample_at + SAMPLE_BYTES)?)?;
    let mut bytes = packet.bytes.to_vec();
    let first = bytes.first_mut()?;
    *first ^= mask.first()? & 0x0f;
    let number_len = usize::from(*first & 0x03) + 1;
    let mut number = 0;
    for (byte, mask) in
        bytes.get_mut(packet.number_at..)?.iter_mut().zip(mask.iter().skip(1)).take(number_len)
    {
        *byte ^= mask;
        number = number << 8 | u32::from(*byte);
    }
    let (header, payload) = bytes.split_at_mut_checked(packet.number_at + number_len)?;
    if payload.len() < TAG_BYTES {
        return None;
    }
    let payload = keys.open(u64::from(number), header, payload)?.to_vec();
    Some((number, payload))
}

/// Collects the CRYPTO frames; the other frames that an Initial may hold are stepped over (RFC 9000 §12.4). `None` when
/// something else stands there.
fn read_frames(payload: &[u8], initial: &mut Initial, frames_left: &mut usize) -> Option<()> {
    let mut reader = Reader::new(payload);
    while !reader.is_empty() {
        let kind = reader.varint()?;
        initial.first_frame.get_or_insert(kind);
        if kind == 0 {
            continue;
        }
        *frames_left = frames_left.checked_sub(1)?;
        match kind {
            1 => {}
            2 | 3 => step_over_ack(&mut reader, kind == 3, frames_left)?,
            6 => {
                let offset = reader.varint()?;
                let length = reader.varint_len()?;
                let data = reader.take(length)?;
                if offset.saturating_add(u64::try_from(length).ok()?) > MAX_CRYPTO_BYTES {
                    return None;
                }
                initial.crypto.push(Crypto { offset, data: data.to_vec() });
            }
            0x1c => {
                reader.varint()?;
                reader.varint()?;
                let length = reader.varint_len()?;
                reader.take(length)?;
                initial.closes = true;
            }
            _ => return None,
        }
    }
    Some(())
}

fn step_over_ack(reader: &mut Reader<'_>, with_ecn: bool, frames_left: &mut usize) -> Option<()> {
    reader.varint()?;
    reader.varint()?;
    let ranges = reader.varint()?;
    reader.varint()?;
    for _range in 0..ranges {
        *frames_left = frames_left.checked_sub(1)?;
        reader.varint()?;
        reader.varint()?;
    }
    for _count in 0..if with_ecn { 3 } else { 0 } {
        reader.varint()?;
    }
    Some(())
}

/// The handshake message at the beginning of the stream, when it is whole.
fn message(stream: &[u8]) -> Option<&[u8]> {
    let [_, high, middle, low, ..] = *stream else { return None };
    let length = usize::try_from(u32::from_be_bytes([0, high, middle, low])).ok()?;
    stream.get(..length.checked_add(4)?)
}
