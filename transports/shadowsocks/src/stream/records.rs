//! Records in both directions once the headers are done: sealed length, sealed payload (SIP004 §2, SIP022 §3.1.2).

use tokio::io::ReadBuf;

use crate::{
    buffer::{Inbox, Outbox},
    cipher::StreamCipher,
    error::{CryptoError, StreamError},
    method::{Method, TAG_BYTES},
    wire::WireError,
};

/// Bytes of a sealed length.
const LENGTH_BYTES: usize = 2 + TAG_BYTES;
/// Bytes a record has beyond its payload.
const RECORD_OVERHEAD_BYTES: usize = LENGTH_BYTES + TAG_BYTES;

/// Opens records from an inbox.
#[derive(Debug)]
pub(crate) struct Opener {
    cipher: StreamCipher,
    max_chunk: usize,
    next: Next,
}

/// What the next bytes of the inbox are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    Length,
    Payload(usize),
    /// This much plaintext, opened where it lay because the reader had no room for all of it; then a used tag.
    Plain(usize),
}

impl Opener {
    /// Continues with a length.
    pub(crate) const fn new(method: Method, cipher: StreamCipher) -> Self {
        Self { cipher, max_chunk: method.max_chunk_bytes(), next: Next::Length }
    }

    /// Continues with a payload whose length a header said.
    #[must_use]
    pub(crate) const fn with_payload(mut self, length: usize) -> Self {
        self.next = Next::Payload(length);
        self
    }

    /// Continues with plaintext that was opened in the inbox, its tag behind it.
    #[must_use]
    pub(crate) const fn with_plain(mut self, length: usize) -> Self {
        self.next = Next::Plain(length);
        self
    }

    /// Whether the stream may end here.
    pub(crate) fn at_boundary(&self, inbox: &Inbox) -> bool {
        self.next == Next::Length && inbox.len() == 0
    }

    /// Moves plaintext from the inbox to `out` until one of them has no more to give.
    pub(crate) fn read(&mut self, inbox: &mut Inbox, out: &mut ReadBuf<'_>) -> Result<(), StreamError> {
        loop {
            match self.next {
                Next::Plain(left) => {
                    let count = left.min(out.remaining());
                    out.put_slice(inbox.front(count).unwrap_or_default());
                    inbox.consume(count);
                    if count < left {
                        self.next = Next::Plain(left - count);
                        return Ok(());
                    }
                    inbox.consume(TAG_BYTES);
                    self.next = Next::Length;
                }
                // Without room, opening would only move bytes that the reader does not want yet.
                _ if out.remaining() == 0 => return Ok(()),
                Next::Length => {
                    let Some(sealed) = inbox.front(LENGTH_BYTES) else { return Ok(()) };
                    let length = self.open_length(sealed)?;
                    inbox.consume(LENGTH_BYTES);
                    self.next = Next::Payload(length);
                }
                Next::Payload(length) => {
                    let Some(sealed) = inbox.front(length + TAG_BYTES) else { return Ok(()) };
                    if out.remaining() < length {
                        self.cipher.open_in_place(sealed).map_err(broken)?;
                        self.next = Next::Plain(length);
                        continue;
                    }
                    self.cipher.open_into(sealed, out.initialize_unfilled_to(length)).map_err(broken)?;
                    out.advance(length);
                    inbox.consume(length + TAG_BYTES);
                    self.next = Next::Length;
                }
            }
        }
    }

    fn open_length(&mut self, sealed: &[u8]) -> Result<usize, StreamError> {
        let mut length = [0; 2];
        self.cipher.open_into(sealed, &mut length).map_err(broken)?;
        let length = u16::from_be_bytes(length);
        if usize::from(length) > self.max_chunk {
            return Err(StreamError::Header(WireError::ChunkLength(length)));
        }
        Ok(length.into())
    }
}

/// Seals as much of `data` into the outbox as fits and says how much that was.
pub(crate) fn seal_records(
    cipher: &mut StreamCipher,
    method: Method,
    data: &[u8],
    outbox: &mut Outbox,
) -> Result<usize, StreamError> {
    let mut taken = 0;
    for chunk in data.chunks(method.max_chunk_bytes()) {
        let Some(fits) = outbox.room().checked_sub(RECORD_OVERHEAD_BYTES).filter(|fits| *fits > 0) else {
            break;
        };
        let chunk = chunk.get(..chunk.len().min(fits)).unwrap_or_default();
        seal_record(cipher, chunk, outbox)?;
        taken += chunk.len();
    }
    Ok(taken)
}

/// Seals one record, which may be empty. The caller made sure that it fits.
pub(crate) fn seal_record(
    cipher: &mut StreamCipher,
    chunk: &[u8],
    outbox: &mut Outbox,
) -> Result<(), StreamError> {
    let length = u16::try_from(chunk.len()).map_err(|_too_long: std::num::TryFromIntError| no_room())?;
    seal(cipher, &length.to_be_bytes(), outbox)?;
    seal(cipher, chunk, outbox)
}

/// Seals one piece without a length before it.
pub(crate) fn seal(cipher: &mut StreamCipher, plain: &[u8], outbox: &mut Outbox) -> Result<(), StreamError> {
    let out = outbox.claim(plain.len() + TAG_BYTES).ok_or_else(no_room)?;
    cipher.seal_into(plain, out).map_err(StreamError::Crypto)
}

const fn broken(error: CryptoError) -> StreamError {
    match error {
        CryptoError::Exhausted => StreamError::Crypto(error),
        _ => StreamError::Corrupt,
    }
}

const fn no_room() -> StreamError {
    StreamError::Crypto(CryptoError::Unverified)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::keys::Key;

    fn ciphers(method: Method) -> (StreamCipher, StreamCipher) {
        let key = Key::from_material(method, &[9; 32]).unwrap();
        (
            StreamCipher::new(method, &key, &[1; 32]).unwrap(),
            StreamCipher::new(method, &key, &[1; 32]).unwrap(),
        )
    }

    fn sealed(method: Method, cipher: &mut StreamCipher, data: &[u8]) -> Vec<u8> {
        let mut outbox = Outbox::default();
        assert_eq!(seal_records(cipher, method, data, &mut outbox).unwrap(), data.len());
        let count = crate::buffer::BUFFER_BYTES - outbox.room();
        let mut other = Outbox::default();
        std::mem::swap(&mut other, &mut outbox);
        drain(other, count)
    }

    fn drain(mut outbox: Outbox, count: usize) -> Vec<u8> {
        let (mut far, near) = tokio::io::duplex(crate::buffer::BUFFER_BYTES);
        let mut near: commucat_transport_api::BoxStream = Box::new(near);
        let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
        assert!(outbox.poll_drain(&mut cx, &mut near).is_ready());
        let mut bytes = vec![0; count];
        let mut buf = ReadBuf::new(&mut bytes);
        assert!(tokio::io::AsyncRead::poll_read(std::pin::Pin::new(&mut far), &mut cx, &mut buf).is_ready());
        bytes
    }

    fn read_all(opener: &mut Opener, inbox: &mut Inbox, room: usize) -> Result<Vec<u8>, StreamError> {
        let mut all = Vec::new();
        loop {
            let mut space = vec![0; room];
            let mut out = ReadBuf::new(&mut space);
            opener.read(inbox, &mut out)?;
            if out.filled().is_empty() {
                return Ok(all);
            }
            all.extend_from_slice(out.filled());
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn any_cut_and_any_reader_give_the_same_bytes(
            data in prop::collection::vec(any::<u8>(), 1..40_000), cut in 0usize..40_100, room in 1usize..70_000,
            method in prop::sample::select(Method::ALL.to_vec()),
        ) {
            let (mut seal, open) = ciphers(method);
            let bytes = sealed(method, &mut seal, &data);
            let cut = cut.min(bytes.len());
            let (mut opener, mut inbox) = (Opener::new(method, open), Inbox::default());
            inbox.push(&bytes[..cut]);
            let mut heard = read_all(&mut opener, &mut inbox, room).unwrap();
            prop_assert_eq!(opener.at_boundary(&inbox), heard.len() == data.len() || cut == 0 || is_boundary(method, &data, cut));
            inbox.push(&bytes[cut..]);
            heard.extend(read_all(&mut opener, &mut inbox, room).unwrap());
            prop_assert!(opener.at_boundary(&inbox));
            prop_assert!(heard == data);
        }

        #[test]
        fn garbage_is_refused(data in prop::collection::vec(any::<u8>(), 18..200)) {
            let (_seal, open) = ciphers(Method::Blake3Aes256Gcm);
            let (mut opener, mut inbox) = (Opener::new(Method::Blake3Aes256Gcm, open), Inbox::default());
            inbox.push(&data);
            prop_assert!(matches!(read_all(&mut opener, &mut inbox, 100), Err(StreamError::Corrupt)));
        }
    }

    fn is_boundary(method: Method, data: &[u8], cut: usize) -> bool {
        let mut at = 0;
        for chunk in data.chunks(method.max_chunk_bytes()) {
            at += chunk.len() + RECORD_OVERHEAD_BYTES;
            if at == cut {
                return true;
            }
        }
        false
    }

    #[test]
    fn a_chunk_over_the_old_limit_is_refused() {
        let method = Method::Aes128Gcm;
        let (mut seal, open) = ciphers(method);
        let mut outbox = Outbox::default();
        super::seal(&mut seal, &0x4000u16.to_be_bytes(), &mut outbox).unwrap();
        let mut inbox = Inbox::default();
        inbox.push(&drain(outbox, LENGTH_BYTES));
        let error = read_all(&mut Opener::new(method, open), &mut inbox, 100).unwrap_err();
        assert!(matches!(error, StreamError::Header(WireError::ChunkLength(0x4000))));
    }

    #[test]
    fn every_flipped_bit_is_noticed() {
        let method = Method::Blake3Aes128Gcm;
        let (mut seal, _open) = ciphers(method);
        let bytes = sealed(method, &mut seal, b"some payload");
        for at in 0..bytes.len() {
            let mut bytes = bytes.clone();
            bytes[at] ^= 0x10;
            let (_seal, open) = ciphers(method);
            let mut inbox = Inbox::default();
            inbox.push(&bytes);
            assert!(read_all(&mut Opener::new(method, open), &mut inbox, 100).is_err(), "byte {at}");
        }
    }
}
