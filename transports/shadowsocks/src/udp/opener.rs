//! Opens packets where they lie: SIP022 §3.2 (AES), §4.1 (`XChaCha20`), and AEAD-2017.

use aws_lc_rs::aead::{LessSafeKey, NONCE_LEN};
use chacha20poly1305::{AeadInOut as _, Tag, XChaCha20Poly1305, XNonce};

use super::{
    LONG_NONCE_BYTES, SEPARATE_HEADER_BYTES,
    sealer::{body_nonce, xor},
};
use crate::{
    cipher::{BlockCipher, aead_key, open_record},
    error::CryptoError,
    keys::Key,
    method::{Method, TAG_BYTES},
};

/// Session and number of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PacketId {
    pub(crate) session: [u8; 8],
    pub(crate) number: u64,
}

impl PacketId {
    fn from_header(header: &[u8; SEPARATE_HEADER_BYTES]) -> Self {
        let session = *header.first_chunk().unwrap_or(&[0; 8]);
        Self { session, number: u64::from_be_bytes(*header.last_chunk().unwrap_or(&[0; 8])) }
    }
}

/// An AES packet whose separate header is known.
#[derive(Debug)]
pub(crate) struct AesPacket<'a> {
    pub(crate) id: PacketId,
    header: [u8; SEPARATE_HEADER_BYTES],
    rest: &'a mut [u8],
}

impl<'a> AesPacket<'a> {
    /// Uncovers the separate header.
    pub(crate) fn new(outer: &BlockCipher, packet: &'a mut [u8]) -> Result<Self, CryptoError> {
        let (header, rest) =
            packet.split_first_chunk_mut::<SEPARATE_HEADER_BYTES>().ok_or(CryptoError::Unverified)?;
        outer.decrypt(header)?;
        Ok(Self { id: PacketId::from_header(header), header: *header, rest })
    }

    /// Takes the identity header off and gives the key hash in it.
    pub(crate) fn take_identity(&mut self, block: &BlockCipher) -> Result<[u8; 16], CryptoError> {
        let rest = std::mem::take(&mut self.rest);
        let (identity, rest) = rest.split_first_chunk_mut::<16>().ok_or(CryptoError::Unverified)?;
        self.rest = rest;
        block.decrypt(identity)?;
        Ok(xor(*identity, self.header))
    }

    /// Opens the body.
    pub(crate) fn open(self, body: &LessSafeKey) -> Result<&'a mut [u8], CryptoError> {
        open_record(body, body_nonce(self.header), self.rest)
    }
}

/// The body key of a session.
pub(crate) fn session_key(method: Method, key: &Key, session: [u8; 8]) -> Result<LessSafeKey, CryptoError> {
    aead_key(method, &key.session_subkey(method, &session)?)
}

/// Opens an `XChaCha20` packet.
pub(crate) fn open_x_chacha<'a>(
    cipher: &XChaCha20Poly1305,
    packet: &'a mut [u8],
) -> Result<(PacketId, &'a mut [u8]), CryptoError> {
    let (nonce, rest) = packet.split_first_chunk_mut::<LONG_NONCE_BYTES>().ok_or(CryptoError::Unverified)?;
    let at = rest.len().checked_sub(TAG_BYTES).ok_or(CryptoError::Unverified)?;
    let (body, tag) = rest.split_at_mut(at);
    let tag: [u8; TAG_BYTES] = *tag.first_chunk().ok_or(CryptoError::Unverified)?;
    cipher
        .decrypt_inout_detached(&XNonce::from(*nonce), &[], (&mut *body).into(), &Tag::from(tag))
        .map_err(|_says_nothing: chacha20poly1305::Error| CryptoError::Unverified)?;
    let (header, body) =
        body.split_first_chunk_mut::<SEPARATE_HEADER_BYTES>().ok_or(CryptoError::Unverified)?;
    Ok((PacketId::from_header(header), body))
}

/// Opens an AEAD-2017 packet. A wrong key leaves nothing of it: give a copy where several keys are tried.
pub(crate) fn open_legacy<'a>(
    method: Method,
    key: &Key,
    packet: &'a mut [u8],
) -> Result<&'a mut [u8], CryptoError> {
    let (salt, sealed) = packet.split_at_mut_checked(method.key_bytes()).ok_or(CryptoError::Unverified)?;
    let subkey = aead_key(method, &key.session_subkey(method, salt)?)?;
    open_record(&subkey, [0; NONCE_LEN], sealed)
}
