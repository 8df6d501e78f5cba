//! Hexadecimal strings of a template.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

/// The word that stands for a GREASE value.
const GREASE: &str = "grease";

/// A number in four hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct U16(pub u16);

/// A number, or a GREASE value drawn for each connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(clippy::exhaustive_enums, reason = "a slot is one or the other")]
pub enum Code {
    /// Drawn for each connection.
    Grease,
    /// This number.
    Known(u16),
}

/// Bytes in hexadecimal; spaces are allowed between them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bytes(pub Vec<u8>);

impl fmt::Display for U16 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04x}", self.0)
    }
}

impl Serialize for U16 {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for U16 {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        number(&String::deserialize(deserializer)?).map(Self).map_err(D::Error::custom)
    }
}

impl Serialize for Code {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Grease => serializer.serialize_str(GREASE),
            Self::Known(number) => U16(*number).serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Code {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        if text == GREASE {
            return Ok(Self::Grease);
        }
        number(&text).map(Self::Known).map_err(D::Error::custom)
    }
}

impl Serialize for Bytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let digits: String = self.0.iter().map(|byte| format!("{byte:02x}")).collect();
        serializer.serialize_str(&digits)
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        bytes(&text).map(Self).ok_or_else(|| D::Error::custom("pairs of hexadecimal digits are expected"))
    }
}

fn number(text: &str) -> Result<u16, String> {
    let four = text.len() == 4 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    four.then(|| u16::from_str_radix(text, 16).ok())
        .flatten()
        .ok_or_else(|| format!("four hexadecimal digits or \"{GREASE}\" are expected, not {text:?}"))
}

fn bytes(text: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u8>> = text
        .chars()
        .filter(|char| !char.is_whitespace())
        .map(|char| char.to_digit(16).and_then(|digit| u8::try_from(digit).ok()))
        .collect();
    let digits = digits?;
    let (pairs, rest) = digits.as_chunks::<2>();
    rest.is_empty().then(|| pairs.iter().map(|[high, low]| high << 4 | low).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_exact_digits_are_taken() {
        assert_eq!(serde_json::from_str::<Code>("\"11ec\"").unwrap(), Code::Known(0x11ec));
        assert_eq!(serde_json::from_str::<Code>("\"grease\"").unwrap(), Code::Grease);
        for bad in ["\"11e\"", "\"+1ec\"", "\"11ecc\"", "4588", "\"Grease\""] {
            assert!(serde_json::from_str::<Code>(bad).is_err(), "{bad}");
        }
        assert_eq!(serde_json::from_str::<Bytes>("\"00 b8\"").unwrap().0, [0, 0xb8]);
        assert!(serde_json::from_str::<Bytes>("\"00b\"").is_err());
    }
}
