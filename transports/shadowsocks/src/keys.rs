//! Keys, salts and how one is derived from another (SIP004, SIP022 §2, SIP023).

use aws_lc_rs::hkdf;
use base64::{Engine as _, engine::general_purpose};
use commucat_transport_api::{Secret, User};
use md5::{Digest as _, Md5};

use crate::{
    error::CryptoError,
    method::{Edition, MAX_KEY_BYTES, Method},
};

/// Domain of the key that a user has on a bridge.
const USER_KEY_CONTEXT: &str = "commucat shadowsocks user key v1";
const SESSION_CONTEXT: &str = "shadowsocks 2022 session subkey";
const IDENTITY_CONTEXT: &str = "shadowsocks 2022 identity subkey";
const LEGACY_INFO: &[u8] = b"ss-subkey";
/// Bytes of the hash by which an identity header names the next key.
pub(crate) const IDENTITY_BYTES: usize = 16;

/// A symmetric key of 16 or 32 bytes.
#[derive(Clone, Debug)]
pub(crate) struct Key {
    bytes: Secret<[u8; MAX_KEY_BYTES]>,
    length: usize,
}

impl Key {
    /// Takes the first bytes of `material` as a key of the method's length.
    pub(crate) fn from_material(method: Method, material: &[u8]) -> Result<Self, CryptoError> {
        let length = method.key_bytes();
        let mut bytes = [0; MAX_KEY_BYTES];
        let (Some(to), Some(from)) = (bytes.get_mut(..length), material.get(..length)) else {
            return Err(CryptoError::KeyLength);
        };
        to.copy_from_slice(from);
        Ok(Self { bytes: Secret::new(bytes), length })
    }

    /// Reads a base64 key of exactly the method's length, as SIP022 wants.
    pub(crate) fn from_base64(method: Method, text: &str) -> Result<Self, CryptoError> {
        let material = Secret::new(decode_base64(text).ok_or(CryptoError::KeyEncoding)?);
        if material.expose().len() != method.key_bytes() {
            return Err(CryptoError::KeyLength);
        }
        Self::from_material(method, material.expose())
    }

    /// `EVP_BytesToKey` with MD5 and no salt: how AEAD-2017 turns a password into a key.
    pub(crate) fn from_password(method: Method, password: &str) -> Result<Self, CryptoError> {
        let mut material = [0u8; MAX_KEY_BYTES];
        let mut last: Option<[u8; 16]> = None;
        for block in material.chunks_exact_mut(16) {
            let mut hash = Md5::new();
            if let Some(last) = &last {
                hash.update(last);
            }
            hash.update(password.as_bytes());
            let digest: [u8; 16] = hash.finalize().into();
            block.copy_from_slice(&digest);
            last = Some(digest);
        }
        let material = Secret::new(material);
        Self::from_material(method, material.expose())
    }

    /// The text form of a credential in the method's own way: base64 key or password.
    pub(crate) fn from_credential(method: Method, text: &str) -> Result<Self, CryptoError> {
        match method.edition() {
            Edition::V2022 => Self::from_base64(method, text),
            Edition::V2017 if text.is_empty() => Err(CryptoError::KeyLength),
            Edition::V2017 => Self::from_password(method, text),
        }
    }

    pub(crate) fn as_slice(&self) -> &[u8] {
        self.bytes.expose().get(..self.length).unwrap_or_default()
    }

    /// The key of one stream direction.
    pub(crate) fn session_subkey(&self, method: Method, salt: &[u8]) -> Result<Self, CryptoError> {
        match method.edition() {
            Edition::V2022 => self.derive(method, SESSION_CONTEXT, salt),
            Edition::V2017 => {
                let mut material = Secret::new([0u8; MAX_KEY_BYTES]);
                let mut bytes = *material.expose();
                let out = bytes.get_mut(..method.key_bytes()).ok_or(CryptoError::KeyLength)?;
                hkdf::Salt::new(hkdf::HKDF_SHA1_FOR_LEGACY_USE_ONLY, salt)
                    .extract(self.as_slice())
                    .expand(&[LEGACY_INFO], OutputLength(out.len()))
                    .and_then(|okm| okm.fill(out))
                    .map_err(CryptoError::from)?;
                material = Secret::new(bytes);
                Self::from_material(method, material.expose())
            }
        }
    }

    /// The key under which a stream's identity header is encrypted.
    pub(crate) fn identity_subkey(&self, method: Method, salt: &[u8]) -> Result<Self, CryptoError> {
        self.derive(method, IDENTITY_CONTEXT, salt)
    }

    /// The name of this key in an identity header.
    pub(crate) fn identity_hash(&self) -> [u8; IDENTITY_BYTES] {
        let hash = blake3::hash(self.as_slice());
        let mut short = [0; IDENTITY_BYTES];
        short
            .copy_from_slice(hash.as_bytes().first_chunk::<IDENTITY_BYTES>().unwrap_or(&[0; IDENTITY_BYTES]));
        short
    }

    fn derive(&self, method: Method, context: &str, salt: &[u8]) -> Result<Self, CryptoError> {
        let hash = blake3::Hasher::new_derive_key(context).update(self.as_slice()).update(salt).finalize();
        Self::from_material(method, hash.as_bytes())
    }
}

/// What a user types or scans: the base64 key of SIP022, or for AEAD-2017 a password.
pub(crate) fn user_credential(method: Method, user: &User) -> Secret<String> {
    let derived = Secret::new(blake3::derive_key(USER_KEY_CONTEXT, user.secret.expose()));
    let bytes = derived.expose();
    Secret::new(match method.edition() {
        Edition::V2022 => {
            general_purpose::STANDARD.encode(bytes.get(..method.key_bytes()).unwrap_or_default())
        }
        Edition::V2017 => general_purpose::URL_SAFE_NO_PAD.encode(bytes),
    })
}

/// The key of [`user_credential`].
pub(crate) fn user_key(method: Method, user: &User) -> Result<Key, CryptoError> {
    Key::from_credential(method, user_credential(method, user).expose())
}

/// Base64 in the standard or the URL alphabet, padded or not.
pub(crate) fn decode_base64(text: &str) -> Option<Vec<u8>> {
    let text = text.trim_end_matches('=');
    general_purpose::STANDARD_NO_PAD
        .decode(text)
        .or_else(|_not_standard: base64::DecodeError| general_purpose::URL_SAFE_NO_PAD.decode(text))
        .ok()
}

/// A stream's salt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Salt {
    bytes: [u8; MAX_KEY_BYTES],
    length: usize,
}

impl Salt {
    pub(crate) fn from_slice(salt: &[u8]) -> Option<Self> {
        let mut bytes = [0; MAX_KEY_BYTES];
        bytes.get_mut(..salt.len())?.copy_from_slice(salt);
        Some(Self { bytes, length: salt.len() })
    }

    pub(crate) fn as_slice(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
    }
}

struct OutputLength(usize);

impl hkdf::KeyType for OutputLength {
    fn len(&self) -> usize {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|b| format!("{b:02x}")).collect()
    }

    /// `openssl enc -aes-256-cbc -md md5 -nosalt -k password -P` prints this key.
    #[test]
    fn a_password_becomes_the_key_openssl_makes() {
        let key = Key::from_password(Method::Aes256Gcm, "password").unwrap();
        assert_eq!(hex(key.as_slice()), "5f4dcc3b5aa765d61d8327deb882cf992b95990a9151374abd8ff8c5a7a0fe08");
    }

    #[test]
    fn a_key_has_the_length_of_its_method() {
        assert!(Key::from_base64(Method::Blake3Aes128Gcm, "AAAAAAAAAAAAAAAAAAAAAA==").is_ok());
        assert!(matches!(Key::from_base64(Method::Blake3Aes256Gcm, "AAAA"), Err(CryptoError::KeyLength)));
        assert!(matches!(Key::from_base64(Method::Blake3Aes256Gcm, "!"), Err(CryptoError::KeyEncoding)));
    }

    #[test]
    fn a_credential_gives_the_user_key() {
        let user = User { id: "anna".parse().unwrap(), secret: Secret::new([7; 32]) };
        for method in Method::ALL {
            let text = user_credential(method, &user);
            let key = Key::from_credential(method, text.expose()).unwrap();
            assert_eq!(key.as_slice(), user_key(method, &user).unwrap().as_slice());
            assert_eq!(key.as_slice().len(), method.key_bytes());
        }
    }
}
