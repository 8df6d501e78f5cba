//! The sealed flight: our messages in records of the target's lengths.

use crate::{
    Error,
    codec::{handshake, vec16},
    message,
    record::{self, Protection},
};

/// Sealed records of a target's flight.
pub const MAX_FLIGHT_RECORDS: usize = 16;
/// A first record longer than this holds the whole flight; a shorter one only EncryptedExtensions. As Xray decides it.
const COALESCED_ABOVE_BYTES: usize = 512;
/// What a record has besides content: header, content type, tag.
const OVERHEAD_BYTES: usize = record::HEADER_BYTES + 1 + record::TAG_BYTES;

/// The lengths of the sealed records of a target's flight.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flight {
    lengths: Vec<usize>,
}

impl Flight {
    /// From the records' lengths in bytes, headers included.
    ///
    /// # Errors
    /// None, too many, or one that no record has.
    pub fn new(lengths: Vec<usize>) -> Result<Self, Error> {
        let longest = record::HEADER_BYTES + record::MAX_CIPHERTEXT_BYTES;
        let possible = |length: &usize| (OVERHEAD_BYTES + 1..=longest).contains(length);
        if lengths.is_empty() || lengths.len() > MAX_FLIGHT_RECORDS || !lengths.iter().all(possible) {
            return Err(Error::Illegal("a flight that no target sends"));
        }
        Ok(Self { lengths })
    }

    /// The lengths.
    pub fn lengths(&self) -> &[usize] {
        &self.lengths
    }

    /// Whether messages of these lengths fit.
    pub fn holds(&self, messages: &[usize]) -> bool {
        if self.is_separate(messages.len()) {
            return self
                .lengths
                .iter()
                .zip(messages)
                .all(|(length, message)| OVERHEAD_BYTES + message <= *length);
        }
        let room: usize = self.lengths.iter().map(|length| length - OVERHEAD_BYTES).sum();
        let all: usize = messages.iter().sum();
        (self.lengths.len()..=room).contains(&all)
    }

    /// A record a message, or all messages as one string of bytes.
    fn is_separate(&self, messages: usize) -> bool {
        self.lengths.len() == messages
            && self.lengths.first().is_some_and(|first| *first <= COALESCED_ABOVE_BYTES)
    }

    pub(super) fn seal(
        &self,
        send: &mut Protection,
        out: &mut Vec<u8>,
        messages: &[Vec<u8>],
    ) -> Result<(), Error> {
        let lengths: Vec<usize> = messages.iter().map(Vec::len).collect();
        if !self.holds(&lengths) {
            return Err(Error::Illegal("a target whose records are too short"));
        }
        if self.is_separate(messages.len()) {
            for (length, message) in self.lengths.iter().zip(messages) {
                let padding = length - OVERHEAD_BYTES - message.len();
                send.seal_padded(out, record::HANDSHAKE, message, padding)?;
            }
            return Ok(());
        }
        let all = messages.concat();
        let mut rest = all.as_slice();
        for (index, length) in self.lengths.iter().enumerate() {
            let room = length - OVERHEAD_BYTES;
            // An empty handshake record is not allowed, so a byte is kept for each record to come.
            let kept = self.lengths.len() - index - 1;
            let (part, later) = rest.split_at(room.min(rest.len().saturating_sub(kept)));
            send.seal_padded(out, record::HANDSHAKE, part, room - part.len())?;
            rest = later;
        }
        Ok(())
    }
}

pub(super) fn encrypted_extensions() -> Vec<u8> {
    let mut out = Vec::new();
    handshake(&mut out, message::ENCRYPTED_EXTENSIONS, |out| vec16(out, |_| {}));
    out
}

pub(super) fn certificate(der: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let vec24 = |out: &mut Vec<u8>, body: &[u8]| {
        let [_, high, middle, low] = u32::try_from(body.len()).unwrap_or_default().to_be_bytes();
        out.extend_from_slice(&[high, middle, low]);
        out.extend_from_slice(body);
    };
    let mut entry = Vec::new();
    vec24(&mut entry, der);
    entry.extend_from_slice(&[0, 0]);
    handshake(&mut out, message::CERTIFICATE, |out| {
        out.push(0);
        vec24(out, &entry);
    });
    out
}

pub(super) fn certificate_verify(scheme: u16, signature: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    handshake(&mut out, message::CERTIFICATE_VERIFY, |out| {
        out.extend_from_slice(&scheme.to_be_bytes());
        vec16(out, |out| out.extend_from_slice(signature));
    });
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fits_is_known_beforehand() {
        let separate = Flight::new(vec![40, 900, 290, 74]).unwrap();
        assert!(separate.holds(&[6, 187, 72, 52]));
        assert!(!separate.holds(&[6, 879, 72, 52]));
        let coalesced = Flight::new(vec![4000, 800]).unwrap();
        assert!(coalesced.holds(&[6, 187, 72, 52]) && coalesced.holds(&[6, 4000, 72, 52]));
        assert!(!coalesced.holds(&[6, 5000, 72, 52]));
        assert!(Flight::new(vec![22]).is_err() && Flight::new(vec![]).is_err());
    }
}
