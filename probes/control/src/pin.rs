//! The pin of a certificate: SHA-256 of its public key. It says which server is meant, whoever signed.

use std::{fmt, str::FromStr};

use aws_lc_rs::digest;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use rustls_pki_types::CertificateDer;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

/// Length of a SHA-256 digest.
const PIN_BYTES: usize = 32;
/// What curl's `--pinnedpubkey` writes before the digest.
const PREFIX: &str = "sha256//";

/// SHA-256 of a certificate's SubjectPublicKeyInfo (RFC 5280 §4.1.2.7), as in RFC 7469.
///
/// Written as curl's `--pinnedpubkey` wants it: `sha256//BASE64`. 64 hex digits are read as well.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Pin([u8; PIN_BYTES]);

/// Why something is no pin, or has none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PinError {
    /// The text is no pin.
    #[error("a certificate pin is `sha256//` and 44 characters of base64, or 64 hex digits")]
    Text,
    /// The bytes are no X.509 certificate.
    #[error("not an X.509 certificate: {0}")]
    Certificate(webpki::Error),
}

impl Pin {
    /// The pin of a certificate.
    ///
    /// # Errors
    /// [`PinError::Certificate`] when it does not parse.
    pub fn of(certificate: &CertificateDer<'_>) -> Result<Self, PinError> {
        let parsed = webpki::EndEntityCert::try_from(certificate).map_err(PinError::Certificate)?;
        let digest = digest::digest(&digest::SHA256, parsed.subject_public_key_info().as_ref());
        digest.as_ref().try_into().map(Self).map_err(|_length| PinError::Text)
    }

    /// The digest.
    pub const fn as_bytes(&self) -> &[u8; PIN_BYTES] {
        &self.0
    }
}

impl fmt::Display for Pin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PREFIX}{}", STANDARD.encode(self.0))
    }
}

impl fmt::Debug for Pin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Pin {
    type Err = PinError;

    fn from_str(text: &str) -> Result<Self, PinError> {
        let bytes = match text.strip_prefix(PREFIX) {
            Some(base64) => STANDARD.decode(base64).ok(),
            None => from_hex(text),
        };
        bytes.and_then(|bytes| bytes.try_into().ok()).map(Self).ok_or(PinError::Text)
    }
}

impl Serialize for Pin {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Pin {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        text.parse().map_err(D::Error::custom)
    }
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    if !rest.is_empty() {
        return None;
    }
    pairs.iter().map(|[high, low]| Some(nibble(*high)? << 4 | nibble(*low)?)).collect()
}

fn nibble(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pin_round_trips_in_both_forms() {
        let pin = Pin([0xab; PIN_BYTES]);
        assert_eq!(pin.to_string().parse(), Ok(pin));
        assert_eq!("ab".repeat(32).parse(), Ok(pin));
        assert_eq!("AB".repeat(32).parse(), Ok(pin));
    }

    #[test]
    fn other_texts_are_no_pins() {
        for text in ["", "sha256//", "sha256//AAAA", "ab", &"zz".repeat(32), &"ab".repeat(33), "sha1//abcd"] {
            assert_eq!(text.parse::<Pin>(), Err(PinError::Text), "{text}");
        }
    }

    #[test]
    fn garbage_has_no_pin() {
        assert!(matches!(Pin::of(&vec![0x30, 0x03, 1, 2, 3].into()), Err(PinError::Certificate(_))));
    }
}
