//! The salt prefix: fixed bytes at the head of a request's salt, so that the stream starts like another protocol
//! and is passed by filters that let known openings through.
//!
//! It eats entropy of the salt, so it is short and only for methods with 32-byte salts: 20 random bytes stay.

use std::fmt::Write as _;

use base64::{Engine as _, engine::general_purpose};
use commucat_transport_api::{ConfigError, ConfigProblem};

use crate::method::Method;

/// Longest prefix, in bytes.
pub const MAX_PREFIX_BYTES: usize = 12;
/// Salts must be this long for a prefix, in bytes.
const MIN_SALT_BYTES: usize = 32;
const BASE64_MARK: &str = "base64:";

/// Bytes at the head of every request salt; empty for none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Prefix(Vec<u8>);

impl Prefix {
    /// Reads `POST%20`, `%16%03%01` or `base64:BdxfYAEg`. As in Outline keys a percent-decoded text is UTF-8 whose
    /// code points up to U+00FF are the bytes; what is no UTF-8 is taken as bytes.
    pub(crate) fn parse(text: &str, method: Method) -> Result<Self, ConfigError> {
        let bytes = match text.strip_prefix(BASE64_MARK) {
            Some(encoded) => {
                crate::keys::decode_base64(encoded).ok_or_else(|| bad("the prefix is not base64"))?
            }
            None => {
                let decoded =
                    percent_decode(text).ok_or_else(|| bad("the prefix has a broken percent encoding"))?;
                match String::from_utf8(decoded) {
                    Ok(text) => return Self::from_code_points(&text, method),
                    Err(not_utf8) => not_utf8.into_bytes(),
                }
            }
        };
        Self::new(bytes, method)
    }

    /// Reads the form of Outline's JSON: each code point is a byte.
    pub(crate) fn from_code_points(text: &str, method: Method) -> Result<Self, ConfigError> {
        let bytes: Option<Vec<u8>> = text.chars().map(|c| u8::try_from(u32::from(c)).ok()).collect();
        Self::new(bytes.ok_or_else(|| bad("the prefix has a character beyond U+00FF"))?, method)
    }

    fn new(bytes: Vec<u8>, method: Method) -> Result<Self, ConfigError> {
        if bytes.is_empty() {
            return Ok(Self::default());
        }
        if bytes.len() > MAX_PREFIX_BYTES {
            return Err(bad("the prefix is longer than 12 bytes"));
        }
        if method.key_bytes() < MIN_SALT_BYTES {
            return Err(bad("a prefix needs a method with 32-byte salts"));
        }
        Ok(Self(bytes))
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// The form of [`Self::parse`] that links and specs carry.
    pub(crate) fn to_text(&self) -> Option<String> {
        if self.0.is_empty() {
            return None;
        }
        if self.0.is_ascii() && !self.0.starts_with(BASE64_MARK.as_bytes()) {
            return Some(percent_encode(&self.0));
        }
        let mut text = BASE64_MARK.to_owned();
        general_purpose::STANDARD.encode_string(&self.0, &mut text);
        Some(text)
    }

    /// The form of Outline's JSON.
    pub(crate) fn to_code_points(&self) -> String {
        self.0.iter().copied().map(char::from).collect()
    }
}

/// Percent-encodes all but unreserved characters (RFC 3986 §2.3).
pub(crate) fn percent_encode(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for byte in bytes {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            text.push(char::from(*byte));
        } else {
            // Writing to a string cannot fail.
            write!(text, "%{byte:02X}").ok();
        }
    }
    text
}

/// Undoes percent encoding; `None` where a `%` is not followed by two hex digits.
pub(crate) fn percent_decode(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(if byte == b'%' {
            hex_digit(rest.next()?)? << 4 | hex_digit(rest.next()?)?
        } else {
            byte
        });
    }
    Some(bytes)
}

fn hex_digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

fn bad(reason: &'static str) -> ConfigError {
    ConfigError::with_source(Some("prefix"), ConfigProblem::BadValue, reason)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_three_forms_mean_bytes() {
        let parse = |text| Prefix::parse(text, Method::ChaCha20Poly1305).unwrap();
        assert_eq!(parse("POST%20").bytes(), b"POST ");
        assert_eq!(parse("%16%03%01%00%C2%A8%01%01").bytes(), [0x16, 3, 1, 0, 0xa8, 1, 1]);
        assert_eq!(parse("%05%DC_%E0").bytes(), [5, 0xdc, b'_', 0xe0]);
        assert_eq!(parse("base64:BdxfYAEg").bytes(), [5, 0xdc, 0x5f, 0x60, 1, 0x20]);
        assert_eq!(Prefix::from_code_points("\u{5}\u{dc}", Method::Aes256Gcm).unwrap().bytes(), [5, 0xdc]);
    }

    #[test]
    fn text_round_trips() {
        for bytes in [&b"GET "[..], &[0x16, 3, 1, 0xff], b"base64:", b"SSH-2.0\r\n"] {
            let prefix = Prefix::new(bytes.to_vec(), Method::Aes256Gcm).unwrap();
            assert_eq!(Prefix::parse(&prefix.to_text().unwrap(), Method::Aes256Gcm).unwrap(), prefix);
        }
    }

    #[test]
    fn what_would_hurt_is_refused() {
        let reason = |text, method| {
            let error = Prefix::parse(text, method).unwrap_err();
            assert_eq!(error.field(), Some("prefix"));
            std::error::Error::source(&error).unwrap().to_string()
        };
        assert!(reason("GET%20", Method::Blake3Aes128Gcm).contains("32-byte salts"));
        assert!(reason("0123456789abc", Method::Aes256Gcm).contains("12 bytes"));
        assert!(reason("%4", Method::Aes256Gcm).contains("percent"));
        assert!(reason("base64:*", Method::Aes256Gcm).contains("base64"));
        assert!(reason("\u{2026}", Method::Aes256Gcm).contains("U+00FF"));
    }
}
