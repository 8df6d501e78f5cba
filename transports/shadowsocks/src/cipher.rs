//! The ciphers: one AEAD a stream direction with its counter, and the single AES block of identity headers.

use std::fmt;

use aws_lc_rs::{
    aead::{Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey},
    cipher::{DecryptingKey, DecryptionContext, EncryptingKey, UnboundCipherKey},
};

use crate::{
    error::CryptoError,
    keys::Key,
    method::{Method, TAG_BYTES},
};

/// One direction of a stream: seals or opens records in order. The key schedule is made once.
#[derive(Debug)]
pub(crate) struct StreamCipher {
    key: LessSafeKey,
    counter: u64,
}

impl StreamCipher {
    /// The cipher of the direction that starts with this salt.
    pub(crate) fn new(method: Method, key: &Key, salt: &[u8]) -> Result<Self, CryptoError> {
        Ok(Self { key: aead_key(method, &key.session_subkey(method, salt)?)?, counter: 0 })
    }

    /// Seals `plain` into `out`, which is longer by [`TAG_BYTES`].
    pub(crate) fn seal_into(&mut self, plain: &[u8], out: &mut [u8]) -> Result<(), CryptoError> {
        let (body, tag) = out.split_at_mut_checked(plain.len()).ok_or(CryptoError::Unverified)?;
        let nonce = self.next_nonce()?;
        self.key.seal_out_of_place_scatter(nonce, Aad::empty(), plain, body, &[], tag)?;
        Ok(())
    }

    /// Opens `sealed` into `out`, which is shorter by [`TAG_BYTES`].
    pub(crate) fn open_into(&mut self, sealed: &[u8], out: &mut [u8]) -> Result<(), CryptoError> {
        let (body, tag) = sealed.split_at_checked(out.len()).ok_or(CryptoError::Unverified)?;
        let nonce = self.next_nonce()?;
        self.key.open_separate_gather(nonce, Aad::empty(), body, tag, out)?;
        Ok(())
    }

    /// Opens where the bytes lie; the plaintext is all but the last [`TAG_BYTES`].
    pub(crate) fn open_in_place<'a>(&mut self, sealed: &'a mut [u8]) -> Result<&'a mut [u8], CryptoError> {
        let nonce = self.next_nonce()?;
        Ok(self.key.open_in_place(nonce, Aad::empty(), sealed)?)
    }

    /// SIP022 §3.1.1: a 96-bit little-endian counter. 64 bits of it are more than a stream can live.
    fn next_nonce(&mut self) -> Result<Nonce, CryptoError> {
        let mut nonce = [0u8; NONCE_LEN];
        if let Some(low) = nonce.first_chunk_mut::<8>() {
            *low = self.counter.to_le_bytes();
        }
        self.counter = self.counter.checked_add(1).ok_or(CryptoError::Exhausted)?;
        Ok(Nonce::assume_unique_for_key(nonce))
    }
}

/// A ready AEAD key.
pub(crate) fn aead_key(method: Method, key: &Key) -> Result<LessSafeKey, CryptoError> {
    Ok(LessSafeKey::new(UnboundKey::new(method.aead(), key.as_slice())?))
}

/// Seals the front of `record` (all but the last [`TAG_BYTES`]) where it lies.
pub(crate) fn seal_record(
    key: &LessSafeKey,
    nonce: [u8; NONCE_LEN],
    record: &mut [u8],
) -> Result<(), CryptoError> {
    let at = record.len().checked_sub(TAG_BYTES).ok_or(CryptoError::Unverified)?;
    let (body, tag_room) = record.split_at_mut_checked(at).ok_or(CryptoError::Unverified)?;
    let tag = key.seal_in_place_separate_tag(Nonce::assume_unique_for_key(nonce), Aad::empty(), body)?;
    tag_room.copy_from_slice(tag.as_ref());
    Ok(())
}

/// Opens one record where it lies and gives its plaintext.
pub(crate) fn open_record<'a>(
    key: &LessSafeKey,
    nonce: [u8; NONCE_LEN],
    record: &'a mut [u8],
) -> Result<&'a mut [u8], CryptoError> {
    Ok(key.open_in_place(Nonce::assume_unique_for_key(nonce), Aad::empty(), record)?)
}

/// AES on single blocks, both ways.
pub(crate) struct BlockCipher {
    encrypt: EncryptingKey,
    decrypt: DecryptingKey,
}

impl BlockCipher {
    pub(crate) fn new(method: Method, key: &Key) -> Result<Self, CryptoError> {
        let unbound = || UnboundCipherKey::new(method.block_cipher(), key.as_slice());
        Ok(Self { encrypt: EncryptingKey::ecb(unbound()?)?, decrypt: DecryptingKey::ecb(unbound()?)? })
    }

    pub(crate) fn encrypt(&self, block: &mut [u8; 16]) -> Result<(), CryptoError> {
        self.encrypt.encrypt(block)?;
        Ok(())
    }

    pub(crate) fn decrypt(&self, block: &mut [u8; 16]) -> Result<(), CryptoError> {
        self.decrypt.decrypt(block, DecryptionContext::None)?;
        Ok(())
    }
}

impl fmt::Debug for BlockCipher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BlockCipher")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_open_in_order_only() {
        for method in Method::ALL {
            let key = Key::from_material(method, &[3; 32]).unwrap();
            let mut seal = StreamCipher::new(method, &key, &[1; 32]).unwrap();
            let mut open = StreamCipher::new(method, &key, &[1; 32]).unwrap();
            let (mut first, mut second) = ([0u8; 5 + TAG_BYTES], [0u8; TAG_BYTES]);
            seal.seal_into(b"hello", &mut first).unwrap();
            seal.seal_into(b"", &mut second).unwrap();
            let mut plain = [0u8; 5];
            open.open_into(&first, &mut plain).unwrap();
            assert_eq!(&plain, b"hello");
            assert_eq!(open.open_in_place(&mut second).unwrap().len(), 0);
            assert_eq!(open.open_into(&first, &mut plain), Err(CryptoError::Unverified));
        }
    }

    /// FIPS-197 appendix C.1.
    #[test]
    fn one_block_is_aes() {
        let key: Vec<u8> = (0..16).collect();
        let key = Key::from_material(Method::Blake3Aes128Gcm, &key).unwrap();
        let cipher = BlockCipher::new(Method::Blake3Aes128Gcm, &key).unwrap();
        let plain: [u8; 16] = std::array::from_fn(|n| u8::try_from(n * 0x11).unwrap());
        let mut block = plain;
        cipher.encrypt(&mut block).unwrap();
        assert_eq!(block[..4], [0x69, 0xc4, 0xe0, 0xd8]);
        cipher.decrypt(&mut block).unwrap();
        assert_eq!(block, plain);
    }
}
