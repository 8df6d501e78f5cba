//! The token: proof of the bridge key and of the user key in one flight, looking like randomness.
//!
//! ```text
//! salt 16 ‖ tag_s 16 ‖ tag_u 16 ‖ mask( version u8 ‖ flags u8 ‖ unix seconds u64 ‖ user hash 8 ‖ request ‖ payload )
//!
//! mask   = blake3 keyed(K_mask, salt), as long as needed (XOF), XORed over everything behind tag_u
//! tag_s  = blake3 keyed(K_tag,  salt ‖ first 18 masked bytes)          cut to 16 bytes
//! tag_u  = blake3 keyed(K_user, salt ‖ tag_s ‖ all masked bytes)       cut to 16 bytes
//! K_mask, K_tag, K_verdict = blake3 derive_key(label, bridge key)
//! K_user = blake3 derive_key("commucat websocket user key v1", user secret)
//! user hash = blake3 derive_key("commucat websocket user hash v1", K_user), cut to 8 bytes
//! ```
//!
//! `tag_s` is cheap and needs no user, so garbage costs the server one hash. `tag_u` covers the request and the first
//! payload too: nobody in the middle (a CDN that ends the TLS) can bend the target. Big-endian throughout.

use std::fmt;

use subtle::ConstantTimeEq;
use zeroize::{Zeroize, ZeroizeOnDrop};

/// The version this build writes.
pub(crate) const VERSION: u8 = 1;
/// The oldest version this build's server takes.
pub(crate) const MIN_VERSION: u8 = 1;
/// Random bytes at the head of a token.
pub(crate) const SALT_BYTES: usize = 16;
/// Length of a key, in bytes.
pub(crate) const KEY_BYTES: usize = 32;
/// Bytes of a token before request and payload.
pub(crate) const TOKEN_BYTES: usize = SALT_BYTES + 2 * TAG_BYTES + HEADER_BYTES;
/// Longest first payload, in bytes.
pub(crate) const MAX_EARLY_BYTES: usize = 2048;
/// Longest token with request and payload.
pub(crate) const MAX_SEALED_BYTES: usize = TOKEN_BYTES + super::request::MAX_REQUEST_BYTES + MAX_EARLY_BYTES;

const TAG_BYTES: usize = 16;
const HASH_BYTES: usize = 8;
const HEADER_BYTES: usize = 2 + 8 + HASH_BYTES;

pub(crate) type Salt = [u8; SALT_BYTES];
pub(crate) type UserHash = [u8; HASH_BYTES];

/// The keys that come from the bridge key.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub(crate) struct BridgeKeys {
    mask: [u8; KEY_BYTES],
    tag: [u8; KEY_BYTES],
    pub(super) verdict: [u8; KEY_BYTES],
}

impl BridgeKeys {
    pub(crate) fn derive(key: &[u8; KEY_BYTES]) -> Self {
        Self {
            mask: blake3::derive_key("commucat websocket token mask v1", key),
            tag: blake3::derive_key("commucat websocket bridge tag v1", key),
            verdict: blake3::derive_key("commucat websocket verdict v1", key),
        }
    }
}

impl fmt::Debug for BridgeKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}

/// The key of one user on this transport.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub(crate) struct UserKey([u8; KEY_BYTES]);

impl UserKey {
    /// From the user's root secret.
    pub(crate) fn derive(secret: &[u8; 32]) -> Self {
        Self(blake3::derive_key("commucat websocket user key v1", secret))
    }

    pub(crate) const fn from_bytes(bytes: [u8; KEY_BYTES]) -> Self {
        Self(bytes)
    }

    pub(crate) const fn expose(&self) -> &[u8; KEY_BYTES] {
        &self.0
    }

    pub(crate) fn hash(&self) -> UserHash {
        first(&blake3::derive_key("commucat websocket user hash v1", &self.0))
    }
}

impl fmt::Debug for UserKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}

/// Makes a token. `body` is the request and the first payload.
pub(crate) fn seal(
    bridge: &BridgeKeys,
    user: &UserKey,
    salt: Salt,
    version: u8,
    unix_s: u64,
    body: &[u8],
) -> Vec<u8> {
    let mut masked = Vec::with_capacity(HEADER_BYTES + body.len());
    masked.push(version);
    masked.push(0);
    masked.extend_from_slice(&unix_s.to_be_bytes());
    masked.extend_from_slice(&user.hash());
    masked.extend_from_slice(body);
    mask(bridge, &salt, &mut masked);
    let tag_s = bridge_tag(bridge, &salt, masked.get(..HEADER_BYTES).unwrap_or_default());
    let tag_u = user_tag(user, &salt, &tag_s, &masked);
    let mut token = Vec::with_capacity(TOKEN_BYTES + body.len());
    token.extend_from_slice(&salt);
    token.extend_from_slice(&tag_s);
    token.extend_from_slice(&tag_u);
    token.extend_from_slice(&masked);
    token
}

/// A token whose maker knows the bridge key. Who he is, is still to be proved.
pub(crate) struct Opened<'a> {
    pub(crate) salt: Salt,
    pub(crate) version: u8,
    pub(crate) unix_s: u64,
    pub(crate) user_hash: UserHash,
    tag_s: [u8; TAG_BYTES],
    tag_u: [u8; TAG_BYTES],
    masked: &'a [u8],
    body: Vec<u8>,
}

/// Opens a token with the bridge key; `None` for whoever does not know it.
pub(crate) fn open<'a>(bridge: &BridgeKeys, token: &'a [u8]) -> Option<Opened<'a>> {
    if token.len() > MAX_SEALED_BYTES {
        return None;
    }
    let (&salt, rest) = token.split_first_chunk::<SALT_BYTES>()?;
    let (&tag_s, rest) = rest.split_first_chunk::<TAG_BYTES>()?;
    let (&tag_u, masked) = rest.split_first_chunk::<TAG_BYTES>()?;
    let right = bridge_tag(bridge, &salt, masked.get(..HEADER_BYTES)?);
    if !bool::from(right.ct_eq(&tag_s)) {
        return None;
    }
    let mut body = masked.to_vec();
    mask(bridge, &salt, &mut body);
    let (&[version, _flags], rest) = body.split_first_chunk::<2>()?;
    let (&time, rest) = rest.split_first_chunk::<8>()?;
    let (&user_hash, rest) = rest.split_first_chunk::<HASH_BYTES>()?;
    let body = rest.to_vec();
    Some(Opened { salt, version, unix_s: u64::from_be_bytes(time), user_hash, tag_s, tag_u, masked, body })
}

impl Opened<'_> {
    /// Whether the token was made by the holder of this user key, request and payload included.
    pub(crate) fn is_by(&self, user: &UserKey) -> bool {
        user_tag(user, &self.salt, &self.tag_s, self.masked).ct_eq(&self.tag_u).into()
    }

    /// Request and first payload. Believe them only after [`Self::is_by`].
    pub(crate) fn body(&self) -> &[u8] {
        &self.body
    }
}

fn mask(bridge: &BridgeKeys, salt: &Salt, bytes: &mut [u8]) {
    let mut stream = blake3::Hasher::new_keyed(&bridge.mask).update(salt).finalize_xof();
    let mut block = [0u8; 64];
    for part in bytes.chunks_mut(block.len()) {
        stream.fill(&mut block);
        for (byte, key) in part.iter_mut().zip(block) {
            *byte ^= key;
        }
    }
}

fn bridge_tag(bridge: &BridgeKeys, salt: &Salt, header: &[u8]) -> [u8; TAG_BYTES] {
    first(blake3::Hasher::new_keyed(&bridge.tag).update(salt).update(header).finalize().as_bytes())
}

fn user_tag(user: &UserKey, salt: &Salt, tag_s: &[u8; TAG_BYTES], masked: &[u8]) -> [u8; TAG_BYTES] {
    first(blake3::Hasher::new_keyed(&user.0).update(salt).update(tag_s).update(masked).finalize().as_bytes())
}

/// The first `N` bytes of a hash.
pub(super) fn first<const N: usize>(hash: &[u8; 32]) -> [u8; N] {
    const { assert!(N <= 32, "a hash has 32 bytes") };
    let mut out = [0; N];
    for (out, byte) in out.iter_mut().zip(hash) {
        *out = *byte;
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn keys() -> (BridgeKeys, UserKey) {
        (BridgeKeys::derive(&[7; 32]), UserKey::derive(&[9; 32]))
    }

    #[test]
    fn another_key_or_user_is_refused() {
        let (bridge, user) = keys();
        let token = seal(&bridge, &user, [1; 16], VERSION, 1_800_000_000, b"body");
        assert!(open(&BridgeKeys::derive(&[8; 32]), &token).is_none());
        let opened = open(&bridge, &token).unwrap();
        assert!(opened.is_by(&user));
        assert!(!opened.is_by(&UserKey::derive(&[10; 32])));
        assert_eq!((opened.version, opened.unix_s, opened.user_hash), (VERSION, 1_800_000_000, user.hash()));
        assert_eq!(opened.body(), b"body");
    }

    #[test]
    fn secrets_do_not_print() {
        let (bridge, user) = keys();
        assert_eq!(format!("{bridge:?} {user:?}"), "[secret] [secret]");
    }

    proptest! {
        #[test]
        fn every_flipped_bit_and_every_cut_is_noticed(
            salt: [u8; 16],
            body in proptest::collection::vec(any::<u8>(), 0..200),
            at: prop::sample::Index,
            bit in 0u8..8,
        ) {
            let (bridge, user) = keys();
            let token = seal(&bridge, &user, salt, VERSION, 5, &body);
            prop_assert_eq!(token.len(), TOKEN_BYTES + body.len());
            let mut bent = token.clone();
            let at = at.index(bent.len());
            bent[at] ^= 1 << bit;
            prop_assert!(!open(&bridge, &bent).is_some_and(|opened| opened.is_by(&user)));
            prop_assert!(!open(&bridge, &token[..at]).is_some_and(|opened| opened.is_by(&user)));
        }

        #[test]
        fn garbage_is_no_token(bytes in proptest::collection::vec(any::<u8>(), 0..3000)) {
            prop_assert!(open(&keys().0, &bytes).is_none());
        }
    }
}
