//! Seals packets: SIP022 §3.2 (AES), §4.1 (`XChaCha20`), SIP023, and AEAD-2017.

use std::{fmt, io};

use aws_lc_rs::aead::{LessSafeKey, NONCE_LEN};
use chacha20poly1305::{AeadInOut as _, KeyInit as _, XChaCha20Poly1305, XNonce};
use commucat_transport_api::Net;

use super::{LONG_NONCE_BYTES, SEPARATE_HEADER_BYTES};
use crate::{
    cipher::{BlockCipher, aead_key, seal_record},
    credentials::ClientKeys,
    error::CryptoError,
    keys::Key,
    method::{Edition, Method, TAG_BYTES},
};

/// The packets of one session in one direction.
pub(crate) struct PacketSealer {
    session: [u8; 8],
    next: u64,
    kind: Kind,
}

enum Kind {
    Aes {
        /// Hides the separate header: the first key of the chain.
        outer: Box<BlockCipher>,
        /// Each identity key with the hash of the key after it.
        identities: Vec<(BlockCipher, [u8; 16])>,
        body: LessSafeKey,
    },
    XChaCha(Box<XChaCha20Poly1305>),
    Legacy {
        method: Method,
        key: Key,
    },
}

impl PacketSealer {
    /// Packets of a client, with identity headers where it has them.
    pub(crate) fn client(keys: &ClientKeys, session: [u8; 8]) -> Result<Self, CryptoError> {
        let mut sealer = Self::server(keys.method, &keys.key, session)?;
        if let Kind::Aes { outer, identities, .. } = &mut sealer.kind {
            let next_keys = keys.identity.iter().skip(1).chain([&keys.key]);
            for (identity, next) in keys.identity.iter().zip(next_keys) {
                identities.push((BlockCipher::new(keys.method, identity)?, next.identity_hash()));
            }
            if let Some(first) = keys.identity.first() {
                **outer = BlockCipher::new(keys.method, first)?;
            }
        }
        Ok(sealer)
    }

    /// Packets of a server to a user.
    pub(crate) fn server(method: Method, key: &Key, session: [u8; 8]) -> Result<Self, CryptoError> {
        let kind = match (method.edition(), method.has_identity_headers()) {
            (Edition::V2017, _) => Kind::Legacy { method, key: key.clone() },
            (Edition::V2022, true) => Kind::Aes {
                outer: Box::new(BlockCipher::new(method, key)?),
                identities: Vec::new(),
                body: aead_key(method, &key.session_subkey(method, &session)?)?,
            },
            (Edition::V2022, false) => Kind::XChaCha(Box::new(x_chacha(key)?)),
        };
        Ok(Self { session, next: 0, kind })
    }

    /// Makes one packet; `write_body` appends the plaintext.
    pub(crate) fn seal(
        &mut self,
        net: &dyn Net,
        out: &mut Vec<u8>,
        write_body: impl FnOnce(&mut Vec<u8>),
    ) -> io::Result<()> {
        out.clear();
        let number = self.next;
        self.next = number.checked_add(1).ok_or_else(|| refused(CryptoError::Exhausted))?;
        match &self.kind {
            Kind::Aes { outer, identities, body } => {
                let header = separate_header(self.session, number);
                out.extend_from_slice(&header);
                for (block, hash) in identities {
                    let mut identity = xor(*hash, header);
                    block.encrypt(&mut identity).map_err(refused)?;
                    out.extend_from_slice(&identity);
                }
                let body_at = out.len();
                write_body(out);
                finish(out, body_at, |record| seal_record(body, body_nonce(header), record))?;
                if let Some(front) = out.first_chunk_mut::<SEPARATE_HEADER_BYTES>() {
                    outer.encrypt(front).map_err(refused)?;
                }
            }
            Kind::XChaCha(cipher) => {
                let mut nonce = [0; LONG_NONCE_BYTES];
                net.fill_random(&mut nonce)?;
                out.extend_from_slice(&nonce);
                out.extend_from_slice(&separate_header(self.session, number));
                write_body(out);
                finish(out, LONG_NONCE_BYTES, |record| x_seal(cipher, nonce, record))?;
            }
            Kind::Legacy { method, key } => {
                let mut salt = vec![0; method.key_bytes()];
                net.fill_random(&mut salt)?;
                out.extend_from_slice(&salt);
                write_body(out);
                let subkey = key.session_subkey(*method, &salt).and_then(|key| aead_key(*method, &key));
                let subkey = subkey.map_err(refused)?;
                finish(out, salt.len(), |record| seal_record(&subkey, [0; NONCE_LEN], record))?;
            }
        }
        Ok(())
    }
}

impl fmt::Debug for PacketSealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PacketSealer").field("next", &self.next).finish_non_exhaustive()
    }
}

/// Adds room for the tag and seals everything from `at`.
fn finish(
    out: &mut Vec<u8>,
    at: usize,
    seal: impl FnOnce(&mut [u8]) -> Result<(), CryptoError>,
) -> io::Result<()> {
    out.resize(out.len() + TAG_BYTES, 0);
    seal(out.get_mut(at..).unwrap_or_default()).map_err(refused)
}

fn x_seal(
    cipher: &XChaCha20Poly1305,
    nonce: [u8; LONG_NONCE_BYTES],
    record: &mut [u8],
) -> Result<(), CryptoError> {
    let at = record.len().checked_sub(TAG_BYTES).ok_or(CryptoError::Unverified)?;
    let (body, tag_room) = record.split_at_mut(at);
    let tag = cipher
        .encrypt_inout_detached(&XNonce::from(nonce), &[], body.into())
        .map_err(|_says_nothing: chacha20poly1305::Error| CryptoError::Unverified)?;
    tag_room.copy_from_slice(&tag);
    Ok(())
}

pub(super) fn x_chacha(key: &Key) -> Result<XChaCha20Poly1305, CryptoError> {
    XChaCha20Poly1305::new_from_slice(key.as_slice())
        .map_err(|_wrong_length: chacha20poly1305::aead::common::InvalidLength| CryptoError::KeyLength)
}

fn separate_header(session: [u8; 8], number: u64) -> [u8; SEPARATE_HEADER_BYTES] {
    let mut header = [0; SEPARATE_HEADER_BYTES];
    let (front, back) = header.split_at_mut(8);
    front.copy_from_slice(&session);
    back.copy_from_slice(&number.to_be_bytes());
    header
}

/// The nonce of an AES body: the separate header without its first four bytes.
pub(super) fn body_nonce(header: [u8; SEPARATE_HEADER_BYTES]) -> [u8; NONCE_LEN] {
    *header.last_chunk().unwrap_or(&[0; NONCE_LEN])
}

pub(super) fn xor(mut a: [u8; 16], b: [u8; 16]) -> [u8; 16] {
    a.iter_mut().zip(b).for_each(|(a, b)| *a ^= b);
    a
}

fn refused(error: CryptoError) -> io::Error {
    io::Error::other(error)
}
