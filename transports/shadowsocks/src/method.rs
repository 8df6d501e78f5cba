//! The six methods: names and sizes.

use std::{fmt, str::FromStr};

use aws_lc_rs::{aead, cipher};

/// Bytes of an AEAD tag, the same for all methods.
pub const TAG_BYTES: usize = 16;
/// Longest key and longest salt of any method, in bytes.
pub const MAX_KEY_BYTES: usize = 32;

/// A Shadowsocks cipher with the framing that belongs to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Method {
    /// `2022-blake3-aes-128-gcm` (SIP022).
    Blake3Aes128Gcm,
    /// `2022-blake3-aes-256-gcm` (SIP022).
    Blake3Aes256Gcm,
    /// `2022-blake3-chacha20-poly1305` (SIP022 §4).
    Blake3ChaCha20Poly1305,
    /// `aes-128-gcm` (SIP004).
    Aes128Gcm,
    /// `aes-256-gcm` (SIP004).
    Aes256Gcm,
    /// `chacha20-ietf-poly1305` (SIP004).
    ChaCha20Poly1305,
}

/// Which framing a method has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Edition {
    /// SIP022: headers with a time, replay rejected, fixed-length keys.
    V2022,
    /// SIP004 and SIP007: passwords, no time.
    V2017,
}

/// A method name that is none of the six.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "unknown method; known are 2022-blake3-{{aes-128-gcm,aes-256-gcm,chacha20-poly1305}}, aes-128-gcm, aes-256-gcm, chacha20-ietf-poly1305"
)]
pub struct UnknownMethod;

impl Method {
    /// All methods, best first.
    pub const ALL: [Self; 6] = [
        Self::Blake3Aes128Gcm,
        Self::Blake3Aes256Gcm,
        Self::Blake3ChaCha20Poly1305,
        Self::Aes256Gcm,
        Self::Aes128Gcm,
        Self::ChaCha20Poly1305,
    ];

    /// The name in configurations and links.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Blake3Aes128Gcm => "2022-blake3-aes-128-gcm",
            Self::Blake3Aes256Gcm => "2022-blake3-aes-256-gcm",
            Self::Blake3ChaCha20Poly1305 => "2022-blake3-chacha20-poly1305",
            Self::Aes128Gcm => "aes-128-gcm",
            Self::Aes256Gcm => "aes-256-gcm",
            Self::ChaCha20Poly1305 => "chacha20-ietf-poly1305",
        }
    }

    /// The framing.
    pub const fn edition(self) -> Edition {
        match self {
            Self::Blake3Aes128Gcm | Self::Blake3Aes256Gcm | Self::Blake3ChaCha20Poly1305 => Edition::V2022,
            Self::Aes128Gcm | Self::Aes256Gcm | Self::ChaCha20Poly1305 => Edition::V2017,
        }
    }

    /// Bytes of a key, and of a stream's salt.
    pub const fn key_bytes(self) -> usize {
        match self {
            Self::Blake3Aes128Gcm | Self::Aes128Gcm => 16,
            Self::Blake3Aes256Gcm
            | Self::Blake3ChaCha20Poly1305
            | Self::Aes256Gcm
            | Self::ChaCha20Poly1305 => 32,
        }
    }

    /// Longest plaintext of one chunk, in bytes.
    pub const fn max_chunk_bytes(self) -> usize {
        match self.edition() {
            Edition::V2022 => 0xffff,
            Edition::V2017 => 0x3fff,
        }
    }

    /// Whether many users are told apart by identity headers (SIP023): they need a block cipher.
    pub const fn has_identity_headers(self) -> bool {
        matches!(self, Self::Blake3Aes128Gcm | Self::Blake3Aes256Gcm)
    }

    pub(crate) const fn aead(self) -> &'static aead::Algorithm {
        match self {
            Self::Blake3Aes128Gcm | Self::Aes128Gcm => &aead::AES_128_GCM,
            Self::Blake3Aes256Gcm | Self::Aes256Gcm => &aead::AES_256_GCM,
            Self::Blake3ChaCha20Poly1305 | Self::ChaCha20Poly1305 => &aead::CHACHA20_POLY1305,
        }
    }

    pub(crate) const fn block_cipher(self) -> &'static cipher::Algorithm {
        match self.key_bytes() {
            16 => &cipher::AES_128,
            _ => &cipher::AES_256,
        }
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Method {
    type Err = UnknownMethod;

    fn from_str(name: &str) -> Result<Self, UnknownMethod> {
        if name.eq_ignore_ascii_case("chacha20-poly1305") {
            return Ok(Self::ChaCha20Poly1305);
        }
        Self::ALL.into_iter().find(|method| method.name().eq_ignore_ascii_case(name)).ok_or(UnknownMethod)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip() {
        for method in Method::ALL {
            assert_eq!(method.name().parse(), Ok(method));
        }
        assert_eq!("CHACHA20-POLY1305".parse(), Ok(Method::ChaCha20Poly1305));
        assert_eq!("rc4-md5".parse::<Method>(), Err(UnknownMethod));
    }
}
