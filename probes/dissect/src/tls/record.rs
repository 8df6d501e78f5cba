//! TLS records: five bytes of header and a fragment (RFC 8446 §5.1).

use crate::bytes::Reader;

/// The longest fragment a TLS 1.2 peer may send: 2^14 bytes and 2048 of expansion (RFC 5246 §6.2.3).
pub const MAX_RECORD_BYTES: usize = (1 << 14) + 2048;

pub(super) const HEADER_BYTES: usize = 5;

/// The first byte of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ContentType {
    /// 20.
    ChangeCipherSpec,
    /// 21.
    Alert,
    /// 22.
    Handshake,
    /// 23.
    ApplicationData,
    /// 24 (RFC 6520).
    Heartbeat,
}

impl ContentType {
    /// The type of that number.
    pub const fn from_byte(byte: u8) -> Option<Self> {
        match byte {
            20 => Some(Self::ChangeCipherSpec),
            21 => Some(Self::Alert),
            22 => Some(Self::Handshake),
            23 => Some(Self::ApplicationData),
            24 => Some(Self::Heartbeat),
            _ => None,
        }
    }
}

/// One record, perhaps not all of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record<'a> {
    /// Its type.
    pub content_type: ContentType,
    /// Its legacy version, `0x0301` or `0x0303` in practice.
    pub version: u16,
    /// Fragment bytes its header promises.
    pub length: usize,
    /// Fragment bytes that are there.
    pub fragment: &'a [u8],
}

impl Record<'_> {
    /// Whether all promised bytes are there.
    pub const fn is_whole(&self) -> bool {
        self.fragment.len() == self.length
    }
}

/// The records of a stream prefix, in order. The last one may be cut off; the iterator ends at the end of the bytes,
/// at a header that is cut off, and at bytes that are no record.
pub const fn records(stream: &[u8]) -> Records<'_> {
    Records { rest: stream }
}

/// See [`records`].
#[derive(Clone, Copy, Debug)]
pub struct Records<'a> {
    rest: &'a [u8],
}

impl<'a> Records<'a> {
    /// What was not read. After the end: empty, the beginning of a header, or no TLS.
    pub const fn rest(&self) -> &'a [u8] {
        self.rest
    }
}

impl<'a> Iterator for Records<'a> {
    type Item = Record<'a>;

    fn next(&mut self) -> Option<Record<'a>> {
        let mut reader = Reader::new(self.rest);
        let content_type = ContentType::from_byte(reader.u8()?)?;
        let version = reader.u16()?;
        let length = usize::from(reader.u16()?);
        if version >> 8 != 3 || length > MAX_RECORD_BYTES {
            return None;
        }
        let fragment = reader.take(length.min(reader.rest().len()))?;
        self.rest = reader.rest();
        Some(Record { content_type, version, length, fragment })
    }
}

/// Writes a handshake message as records of at most those sizes; the last size goes on for ever. Sizes of zero count
/// as one. The first record has version `0x0301`, the others `0x0303`, as clients send.
pub fn split_records(message: &[u8], sizes: &[usize]) -> Vec<u8> {
    let mut out = Vec::with_capacity(message.len() + HEADER_BYTES);
    let mut rest = message;
    let mut sizes = sizes.iter().copied();
    let (mut size, mut version) = (1 << 14, [3, 1]);
    while !rest.is_empty() {
        size = sizes.next().unwrap_or(size).clamp(1, 1 << 14);
        let (fragment, behind) = rest.split_at_checked(size).unwrap_or((rest, &[]));
        out.push(22);
        out.extend_from_slice(&version);
        out.extend_from_slice(&u16::try_from(fragment.len()).unwrap_or_default().to_be_bytes());
        out.extend_from_slice(fragment);
        (rest, version) = (behind, [3, 3]);
    }
    out
}
