//! The first bytes of each direction: what we seal before the first payload, and what we expect of the answer.

use std::{fmt, io, sync::Arc, time::Instant};

use commucat_transport_api::{BoxFuture, HostPort, Net};

use super::records::{Opener, seal, seal_record};
use crate::{
    buffer::{Inbox, Outbox},
    cipher::{BlockCipher, StreamCipher},
    credentials::ClientKeys,
    error::{CryptoError, StreamError},
    keys::{Key, Salt},
    method::{Edition, Method, TAG_BYTES},
    wire::{self, MAX_PADDING_BYTES, RequestFixed, ResponseFixed},
};

/// Bytes of a request's variable header besides address, padding and payload.
const PADDING_LENGTH_BYTES: usize = 2;

/// A request that has not been sent: it waits for the first payload, to leave together with it.
pub(crate) struct RequestOpening {
    pub(crate) keys: Arc<ClientKeys>,
    pub(crate) net: Arc<dyn Net>,
    pub(crate) target: HostPort,
    pub(crate) started: Instant,
    /// When the request leaves without payload, once somebody waits for the answer.
    pub(crate) wait: Option<BoxFuture<'static, ()>>,
}

impl fmt::Debug for RequestOpening {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequestOpening").field("method", &self.keys.method).finish_non_exhaustive()
    }
}

/// What the answer to a sent request must look like.
#[derive(Debug)]
pub(crate) struct ResponseExpected {
    keys: Arc<ClientKeys>,
    net: Arc<dyn Net>,
    request_salt: Salt,
}

impl RequestOpening {
    /// Seals salt, headers and as much of the payload as the header holds.
    ///
    /// Gives the cipher for what follows, the payload bytes taken, and what the answer must look like.
    pub(crate) fn seal(
        &self,
        payload: &[u8],
        outbox: &mut Outbox,
    ) -> io::Result<(StreamCipher, usize, ResponseExpected)> {
        let method = self.keys.method;
        let salt = random_salt(method, self.keys.prefix.bytes(), &*self.net)?;
        let broken = |error: StreamError| error.into_io(self.net.now() - self.started, 0, 0);
        claim_bytes(salt.as_slice(), outbox).map_err(broken)?;
        let mut cipher = StreamCipher::new(method, &self.keys.key, salt.as_slice())
            .map_err(|error| broken(StreamError::Crypto(error)))?;
        let taken = match method.edition() {
            Edition::V2022 => {
                identity_headers(&self.keys, &salt, outbox).map_err(broken)?;
                let padding = random_padding(payload.len(), &*self.net)?;
                self.seal_2022(payload, padding, &mut cipher, outbox).map_err(broken)?
            }
            Edition::V2017 => self.seal_2017(payload, &mut cipher, outbox).map_err(broken)?,
        };
        let expected =
            ResponseExpected { keys: Arc::clone(&self.keys), net: Arc::clone(&self.net), request_salt: salt };
        Ok((cipher, taken, expected))
    }

    fn seal_2022(
        &self,
        payload: &[u8],
        padding: u16,
        cipher: &mut StreamCipher,
        outbox: &mut Outbox,
    ) -> Result<usize, StreamError> {
        let head_bytes = self.target.encoded_len() + PADDING_LENGTH_BYTES + usize::from(padding);
        let taken = payload.len().min(usize::from(u16::MAX) - head_bytes);
        let first = payload.get(..taken).unwrap_or_default();
        let mut head = Vec::with_capacity(head_bytes + taken);
        wire::encode_request_head(&self.target, padding, &mut head);
        head.extend_from_slice(first);
        let length = u16::try_from(head.len())
            .map_err(|_too_long: std::num::TryFromIntError| StreamError::Crypto(CryptoError::Unverified))?;
        let fixed = RequestFixed { time: self.net.unix_time().as_secs(), length };
        seal(cipher, &fixed.encode(), outbox)?;
        seal(cipher, &head, outbox)?;
        Ok(taken)
    }

    fn seal_2017(
        &self,
        payload: &[u8],
        cipher: &mut StreamCipher,
        outbox: &mut Outbox,
    ) -> Result<usize, StreamError> {
        let room = self.keys.method.max_chunk_bytes() - self.target.encoded_len();
        let taken = payload.len().min(room);
        let mut head = Vec::with_capacity(self.target.encoded_len() + taken);
        self.target.encode(&mut head);
        head.extend_from_slice(payload.get(..taken).unwrap_or_default());
        seal_record(cipher, &head, outbox)?;
        Ok(taken)
    }
}

impl ResponseExpected {
    /// Reads the head of the answer when all of it is there.
    pub(crate) fn open(&self, inbox: &mut Inbox) -> Result<Option<Opener>, StreamError> {
        let method = self.keys.method;
        let salt_bytes = method.key_bytes();
        let fixed_bytes = match method.edition() {
            Edition::V2022 => wire::response_fixed_bytes(salt_bytes) + TAG_BYTES,
            Edition::V2017 => 0,
        };
        let Some(head) = inbox.front(salt_bytes + fixed_bytes) else { return Ok(None) };
        let (salt, sealed) = head.split_at_mut(salt_bytes);
        let mut cipher = StreamCipher::new(method, &self.keys.key, salt).map_err(StreamError::Crypto)?;
        let opener = match method.edition() {
            Edition::V2022 => {
                let length = self.open_fixed(&mut cipher, sealed)?;
                Opener::new(method, cipher).with_payload(length)
            }
            Edition::V2017 => Opener::new(method, cipher),
        };
        inbox.consume(salt_bytes + fixed_bytes);
        Ok(Some(opener))
    }

    fn open_fixed(&self, cipher: &mut StreamCipher, sealed: &mut [u8]) -> Result<usize, StreamError> {
        let plain =
            cipher.open_in_place(sealed).map_err(|_unverified: CryptoError| StreamError::ForeignAnswer)?;
        let fixed =
            ResponseFixed::decode(plain, self.request_salt.as_slice().len()).map_err(StreamError::Header)?;
        if fixed.request_salt != self.request_salt.as_slice() {
            return Err(StreamError::WrongRequest);
        }
        let ours = self.net.unix_time().as_secs();
        if !wire::is_fresh(fixed.time, ours) {
            return Err(StreamError::ClockSkew(ours.cast_signed().wrapping_sub(fixed.time.cast_signed())));
        }
        Ok(fixed.length.into())
    }
}

/// A response that has not been sent: its header leaves with the first payload.
#[derive(Debug)]
pub(crate) struct ResponseOpening {
    pub(crate) method: Method,
    pub(crate) key: Key,
    pub(crate) net: Arc<dyn Net>,
    pub(crate) request_salt: Salt,
    pub(crate) salt: Salt,
}

impl ResponseOpening {
    /// Seals salt, header and the first record. An empty payload makes an answer that only proves the key.
    pub(crate) fn seal(
        &self,
        payload: &[u8],
        outbox: &mut Outbox,
    ) -> Result<(StreamCipher, usize), StreamError> {
        let first = payload.get(..payload.len().min(self.method.max_chunk_bytes())).unwrap_or_default();
        claim_bytes(self.salt.as_slice(), outbox)?;
        let mut cipher =
            StreamCipher::new(self.method, &self.key, self.salt.as_slice()).map_err(StreamError::Crypto)?;
        match self.method.edition() {
            Edition::V2022 => {
                let length = u16::try_from(first.len()).map_err(|_too_long: std::num::TryFromIntError| {
                    StreamError::Crypto(CryptoError::Unverified)
                })?;
                let mut fixed = Vec::with_capacity(wire::response_fixed_bytes(self.salt.as_slice().len()));
                let request_salt = self.request_salt.as_slice();
                ResponseFixed { time: self.net.unix_time().as_secs(), request_salt, length }
                    .encode(&mut fixed);
                seal(&mut cipher, &fixed, outbox)?;
                seal(&mut cipher, first, outbox)?;
            }
            Edition::V2017 => seal_record(&mut cipher, first, outbox)?,
        }
        Ok((cipher, first.len()))
    }
}

/// A fresh salt that begins with `prefix`.
pub(crate) fn random_salt(method: Method, prefix: &[u8], net: &dyn Net) -> io::Result<Salt> {
    let mut bytes = vec![0; method.key_bytes()];
    net.fill_random(&mut bytes)?;
    if let Some(head) = bytes.get_mut(..prefix.len()) {
        head.copy_from_slice(prefix);
    }
    Salt::from_slice(&bytes).ok_or_else(|| io::ErrorKind::InvalidInput.into())
}

/// Padding so that the first packet has no telling length: always some without payload (SIP022 §3.1.3 wants it),
/// up to the limit with a short payload, none with one that is longer than any padding.
fn random_padding(payload: usize, net: &dyn Net) -> io::Result<u16> {
    let most = MAX_PADDING_BYTES.saturating_sub(payload);
    let Ok(most) = u16::try_from(most) else { return Ok(0) };
    if most == 0 {
        return Ok(0);
    }
    let mut bytes = [0; 4];
    net.fill_random(&mut bytes)?;
    let spread = u32::from_le_bytes(bytes) % u32::from(most);
    Ok(1 + u16::try_from(spread).unwrap_or_default())
}

fn identity_headers(keys: &ClientKeys, salt: &Salt, outbox: &mut Outbox) -> Result<(), StreamError> {
    let next_keys = keys.identity.iter().skip(1).chain([&keys.key]);
    for (identity, next) in keys.identity.iter().zip(next_keys) {
        let mut block = next.identity_hash();
        identity
            .identity_subkey(keys.method, salt.as_slice())
            .and_then(|subkey| BlockCipher::new(keys.method, &subkey)?.encrypt(&mut block))
            .map_err(StreamError::Crypto)?;
        claim_bytes(&block, outbox)?;
    }
    Ok(())
}

fn claim_bytes(bytes: &[u8], outbox: &mut Outbox) -> Result<(), StreamError> {
    let out = outbox.claim(bytes.len()).ok_or(StreamError::Crypto(CryptoError::Unverified))?;
    out.copy_from_slice(bytes);
    Ok(())
}
