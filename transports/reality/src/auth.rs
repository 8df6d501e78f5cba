//! Who a hello is from: what REALITY hides in the session id.
//!
//! The 32 bytes are 16 sealed bytes and their tag. The key comes from the server's static X25519 key and the hello's
//! own key share, so only the server can read them, and they are bound to the whole hello.

use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey},
    hkdf, hmac,
};
use commucat_mimic::{SESSION_ID_AT, SESSION_ID_BYTES};
use zeroize::Zeroizing;

/// Bytes of a short id; shorter ones are filled with zeros.
pub(crate) const SHORT_ID_BYTES: usize = 8;
/// Bytes of what is sealed.
const CLAIM_BYTES: usize = 16;
/// The version that clients claim: that of the Xray whose rules they keep.
pub(crate) const VERSION: [u8; 3] = [26, 9, 9];

/// What a client says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Claim {
    pub(crate) version: [u8; 3],
    /// Seconds since 1970.
    pub(crate) time: u32,
    pub(crate) short_id: [u8; SHORT_ID_BYTES],
}

impl Claim {
    fn encode(&self) -> [u8; CLAIM_BYTES] {
        let mut out = [0; CLAIM_BYTES];
        let [major, minor, patch] = self.version;
        let [a, b, c, d] = self.time.to_be_bytes();
        let (head, tail) = out.split_at_mut(CLAIM_BYTES - SHORT_ID_BYTES);
        head.copy_from_slice(&[major, minor, patch, 0, a, b, c, d]);
        tail.copy_from_slice(&self.short_id);
        out
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let &[major, minor, patch, _reserved, a, b, c, d, ref short_id @ ..] = bytes else { return None };
        Some(Self {
            version: [major, minor, patch],
            time: u32::from_be_bytes([a, b, c, d]),
            short_id: short_id.try_into().ok()?,
        })
    }
}

/// The key of one connection.
pub(crate) struct AuthKey {
    key: Zeroizing<[u8; 32]>,
}

impl AuthKey {
    /// From the X25519 secret and the hello's random.
    pub(crate) fn derive(shared: &[u8], random: &[u8; 32]) -> Option<Self> {
        let (salt, _) = random.split_at(20);
        let mut key = Zeroizing::new([0; 32]);
        hkdf::Salt::new(hkdf::HKDF_SHA256, salt)
            .extract(shared)
            .expand(&[b"REALITY"], hkdf::HKDF_SHA256)
            .and_then(|okm| okm.fill(&mut *key))
            .ok()?;
        Some(Self { key })
    }

    /// The session id for a hello whose session id is zeros.
    pub(crate) fn seal(
        &self,
        claim: &Claim,
        hello: &[u8],
        random: &[u8; 32],
    ) -> Option<[u8; SESSION_ID_BYTES]> {
        let mut sealed = [0; SESSION_ID_BYTES];
        let (body, tag) = sealed.split_at_mut(CLAIM_BYTES);
        body.copy_from_slice(&claim.encode());
        let made = self.aead()?.seal_in_place_separate_tag(nonce(random)?, Aad::from(hello), body).ok()?;
        tag.copy_from_slice(made.as_ref());
        Some(sealed)
    }

    /// What a hello claims; `None` when it is not for us.
    pub(crate) fn open(&self, hello: &[u8], random: &[u8; 32]) -> Option<Claim> {
        let mut zeroed = hello.to_vec();
        let slot = zeroed.get_mut(SESSION_ID_AT..SESSION_ID_AT + SESSION_ID_BYTES)?;
        let mut sealed = <[u8; SESSION_ID_BYTES]>::try_from(&*slot).ok()?;
        slot.fill(0);
        let opened = self.aead()?.open_in_place(nonce(random)?, Aad::from(zeroed), &mut sealed).ok()?;
        Claim::decode(opened)
    }

    /// HMAC-SHA512 under this key: what stands for a signature in the certificate.
    pub(crate) fn mac(&self, parts: &[&[u8]]) -> hmac::Tag {
        let mut context = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA512, &*self.key));
        parts.iter().for_each(|part| context.update(part));
        context.sign()
    }

    fn aead(&self) -> Option<LessSafeKey> {
        UnboundKey::new(&AES_256_GCM, &*self.key).ok().map(LessSafeKey::new)
    }
}

impl std::fmt::Debug for AuthKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("AuthKey(…)")
    }
}

fn nonce(random: &[u8; 32]) -> Option<Nonce> {
    let (_, nonce) = random.split_at(20);
    Nonce::try_assume_unique_for_key(nonce).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLAIM: Claim = Claim { version: VERSION, time: 1_790_000_000, short_id: [1, 2, 3, 4, 0, 0, 0, 0] };

    #[test]
    fn a_claim_opens_with_the_same_key_over_the_same_hello() {
        let random: [u8; 32] = std::array::from_fn(|at| u8::try_from(at).unwrap());
        let key = AuthKey::derive(&[7; 32], &random).unwrap();
        let mut hello = vec![5; 300];
        hello[SESSION_ID_AT..SESSION_ID_AT + 32].fill(0);
        let sealed = key.seal(&CLAIM, &hello, &random).unwrap();
        hello[SESSION_ID_AT..SESSION_ID_AT + 32].copy_from_slice(&sealed);
        assert_eq!(key.open(&hello, &random), Some(CLAIM));
        assert_eq!(AuthKey::derive(&[8; 32], &random).unwrap().open(&hello, &random), None);
        for at in [0, 100, SESSION_ID_AT, SESSION_ID_AT + 31] {
            let mut changed = hello.clone();
            changed[at] ^= 1;
            assert_eq!(key.open(&changed, &random), None, "byte {at}");
        }
        assert_eq!(key.open(&hello[..50], &random), None);
    }
}
