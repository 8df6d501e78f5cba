//! Records of an open connection in buffers of the caller's: opened and sealed from one into the other, without a copy of ours.

use std::ops::Range;

use super::{Input, Link, Phase};
use crate::{
    Error,
    record::{self, HEADER_BYTES, Header, TAG_BYTES},
};

/// Bytes that one record adds to its content: header, content type, tag.
const OVERHEAD_BYTES: usize = HEADER_BYTES + 1 + TAG_BYTES;

/// The longest record, in bytes: a buffer of so many can always hold the next one whole.
pub const MAX_RECORD_BYTES: usize = HEADER_BYTES + record::MAX_CIPHERTEXT_BYTES;

/// Bytes that records of so many bytes of content need at most.
#[must_use]
pub const fn sealed_bytes(content: usize) -> usize {
    content + OVERHEAD_BYTES * content.div_ceil(record::MAX_PLAINTEXT_BYTES)
}

/// A record that was opened.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Opened {
    /// Its bytes at the front of the wire, header included: they are used up.
    pub used: usize,
    /// Where its content is.
    pub content: Content,
}

/// Where the content of a record is.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Content {
    /// It held none that is the caller's.
    None,
    /// So many bytes at the front of `out`.
    Out(usize),
    /// There in `wire`: `out` was too short.
    Wire(Range<usize>),
}

/// What became of the bytes that were to be sealed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Sealed {
    /// So many of them are in records now.
    pub taken: usize,
    /// So many bytes were written to `out`.
    pub written: usize,
}

impl Link {
    /// Opens the first record of `wire`; `None` when it is not whole, or when the peer ended its direction before it.
    pub(crate) fn open_record(&mut self, wire: &mut [u8], out: &mut [u8]) -> Result<Option<Opened>, Error> {
        if !self.is_open() || self.unread() > 0 {
            return Err(Error::NotOpen);
        }
        if self.phase == Phase::Closed {
            return Ok(None);
        }
        let Some(header) = Header::read(wire)? else { return Ok(None) };
        let used = header.total();
        let Some(record) = wire.get_mut(..used) else { return Ok(None) };
        if header.kind != record::APPLICATION_DATA {
            return Err(Error::Unexpected("record without protection"));
        }
        let receive = self.receive.as_mut().ok_or(Error::NotOpen)?;
        let sealed = header.length.checked_sub(TAG_BYTES).ok_or(Error::BadRecord)?;
        if let Some(out) = out.get_mut(..sealed) {
            let (kind, length) = receive.open_into(record, out)?;
            let content = out.get(..length).unwrap_or_default();
            let is_data = self.take_content(kind, content)?;
            let content = if is_data { Content::Out(length) } else { Content::None };
            return Ok(Some(Opened { used, content }));
        }
        let (kind, content) = receive.open(record)?;
        let is_data = self.take_content(kind, content)?;
        let place = HEADER_BYTES..HEADER_BYTES + content.len();
        Ok(Some(Opened { used, content: if is_data { Content::Wire(place) } else { Content::None } }))
    }

    /// Seals a beginning of `bytes` into `out`, behind what we have to say by ourselves.
    pub(crate) fn seal_into(&mut self, bytes: &[u8], out: &mut [u8]) -> Result<Sealed, Error> {
        if !self.is_open() {
            return Err(Error::NotOpen);
        }
        let mut sealed = Sealed { taken: 0, written: self.transmit_into(out) };
        for part in bytes.chunks(self.max_fragment) {
            let send = self.send.as_mut().ok_or(Error::NotOpen)?;
            if send.records() >= super::RECORDS_BEFORE_UPDATE {
                self.renew_keys()?;
                sealed.written += self.transmit_into(out.get_mut(sealed.written..).unwrap_or_default());
            }
            let room = out.get_mut(sealed.written..).unwrap_or_default();
            // Nothing may come before what we said by ourselves: the keys behind it are others.
            if !self.outgoing.is_empty() || room.len() < part.len() + OVERHEAD_BYTES {
                break;
            }
            let send = self.send.as_mut().ok_or(Error::NotOpen)?;
            sealed.written += send.seal_into(room, record::APPLICATION_DATA, part)?;
            sealed.taken += part.len();
        }
        Ok(sealed)
    }

    /// Moves what is to be sent on our own account into `out`, as far as it fits: how many bytes.
    pub(crate) fn transmit_into(&mut self, out: &mut [u8]) -> usize {
        let count = self.outgoing.len().min(out.len());
        if let (true, Some(to), Some(from)) = (count > 0, out.get_mut(..count), self.outgoing.get(..count)) {
            to.copy_from_slice(from);
            self.outgoing.drain(..count);
        }
        count
    }

    /// Whether these are bytes for the caller; what else they are is kept for [`Link::next`].
    fn take_content(&mut self, kind: u8, content: &[u8]) -> Result<bool, Error> {
        if kind == record::APPLICATION_DATA && self.phase == Phase::Open && !content.is_empty() {
            self.useless_records = 0;
            return Ok(true);
        }
        // `next` sees that the direction ended by its phase, so there is no message to hand on.
        let _ended: Option<Input> = self.take_other(kind, content)?;
        Ok(false)
    }
}

#[cfg(test)]
mod tests;
