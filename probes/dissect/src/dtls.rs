//! DTLS as WebRTC speaks it: its records, its ClientHello, and the two byte strings by which Snowflake was found.

use crate::{bytes::Reader, tls::ClientHello};

/// Where the groups stand in a ServerHello of Snowflake's library, counted from the first byte of the UDP payload.
const SNOWFLAKE_GROUPS_AT: usize = 0x5a;
const SNOWFLAKE_GROUPS: [u8; 5] = [0x1d, 0x00, 0x17, 0x00, 0x18];
const HANDSHAKE: u8 = 22;
const HANDSHAKE_HEADER_BYTES: usize = 12;

/// A DTLS 1.0 or 1.2 record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record<'a> {
    /// 20 to 25, as in TLS.
    pub content_type: u8,
    /// `0xfeff` or `0xfefd`.
    pub version: u16,
    /// Zero until the keys change.
    pub epoch: u16,
    /// The fragment.
    pub fragment: &'a [u8],
}

/// The records of a datagram. Ends at what is no whole record.
pub fn records(datagram: &[u8]) -> impl Iterator<Item = Record<'_>> {
    let mut reader = Reader::new(datagram);
    std::iter::from_fn(move || record(&mut reader))
}

/// The ClientHello of a datagram, when it stands in one fragment.
pub fn client_hello(datagram: &[u8]) -> Option<ClientHello> {
    let record = records(datagram).next()?;
    if record.content_type != HANDSHAKE || record.epoch != 0 {
        return None;
    }
    let head = record.fragment.first_chunk::<HANDSHAKE_HEADER_BYTES>()?;
    let [_kind, length @ .., _, _, o0, o1, o2, f0, f1, f2] = head;
    let length: &[u8; 3] = length.first_chunk()?;
    let whole = [*o0, *o1, *o2] == [0; 3] && [*f0, *f1, *f2] == *length;
    if whole { ClientHello::parse_dtls(record.fragment) } else { None }
}

/// Whether a payload is a ServerHello as Russia recognised Snowflake's in 2021: a handshake record of DTLS 1.2, and
/// three groups at a fixed place, where no server needs to send groups at all.
pub fn is_snowflake_2021(payload: &[u8]) -> bool {
    payload.starts_with(&[HANDSHAKE, 0xfe, 0xfd])
        && payload.get(SNOWFLAKE_GROUPS_AT..).is_some_and(|rest| rest.starts_with(&SNOWFLAKE_GROUPS))
}

fn record<'a>(reader: &mut Reader<'a>) -> Option<Record<'a>> {
    let content_type = reader.u8().filter(|kind| (20..=25).contains(kind))?;
    let version = reader.u16().filter(|version| matches!(version, 0xfeff | 0xfefd))?;
    let epoch = reader.u16()?;
    reader.take(6)?;
    Some(Record { content_type, version, epoch, fragment: reader.vector16()? })
}
