//! Keys, short ids and user ids as people write them.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use commucat_transport_api::{ConfigError, ConfigProblem};

use crate::{auth::SHORT_ID_BYTES, vless::UUID_BYTES};

pub(crate) fn bad(field: &'static str, why: &'static str) -> ConfigError {
    ConfigError::with_source(Some(field), ConfigProblem::BadValue, why)
}

/// A key of `N` bytes in base64url without padding, as Xray writes keys.
pub(crate) fn decode_key<const N: usize>(field: &'static str, text: &str) -> Result<[u8; N], ConfigError> {
    URL_SAFE_NO_PAD
        .decode(text.trim_end_matches('='))
        .ok()
        .and_then(|bytes| bytes.try_into().ok())
        .ok_or_else(|| bad(field, "a key in base64url is expected; `commucat reality keys` makes them"))
}

pub(crate) fn encode_key(key: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(key)
}

/// Up to sixteen hexadecimal digits, an even number of them; zeros fill the rest.
pub(crate) fn parse_short_id(text: &str) -> Result<[u8; SHORT_ID_BYTES], ConfigError> {
    let wrong = || bad("short_id", "a short id has up to 16 hexadecimal digits, an even number of them");
    let digits = hex_digits(text).filter(|digits| digits.len() <= 2 * SHORT_ID_BYTES).ok_or_else(wrong)?;
    let (pairs, rest) = digits.as_chunks::<2>();
    if !rest.is_empty() {
        return Err(wrong());
    }
    let mut id = [0; SHORT_ID_BYTES];
    for (slot, [high, low]) in id.iter_mut().zip(pairs) {
        *slot = high << 4 | low;
    }
    Ok(id)
}

/// A UUID, with or without dashes.
pub(crate) fn parse_uuid(text: &str) -> Result<[u8; UUID_BYTES], ConfigError> {
    let digits = hex_digits(&text.replace('-', "")).filter(|digits| digits.len() == 2 * UUID_BYTES);
    let digits = digits.ok_or_else(|| bad("user", "a UUID is expected"))?;
    let mut uuid = [0; UUID_BYTES];
    for (slot, [high, low]) in uuid.iter_mut().zip(digits.as_chunks::<2>().0) {
        *slot = high << 4 | low;
    }
    Ok(uuid)
}

pub(crate) fn render_uuid(uuid: &[u8; UUID_BYTES]) -> String {
    let mut text = String::with_capacity(36);
    for (at, byte) in uuid.iter().enumerate() {
        if matches!(at, 4 | 6 | 8 | 10) {
            text.push('-');
        }
        text.push_str(&format!("{byte:02x}"));
    }
    text
}

fn hex_digits(text: &str) -> Option<Vec<u8>> {
    text.chars().map(|char| char.to_digit(16).and_then(|digit| u8::try_from(digit).ok())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_read_back() {
        let uuid = parse_uuid("b831381d-6324-4d53-ad4f-8cda48b30811").unwrap();
        assert_eq!(render_uuid(&uuid), "b831381d-6324-4d53-ad4f-8cda48b30811");
        assert_eq!(parse_uuid("b831381d63244d53ad4f8cda48b30811").unwrap(), uuid);
        assert!(parse_uuid("b831381d").is_err());
        assert_eq!(parse_short_id("").unwrap(), [0; 8]);
        assert_eq!(parse_short_id("01ff").unwrap(), [1, 255, 0, 0, 0, 0, 0, 0]);
        assert!(parse_short_id("012").is_err() && parse_short_id("00112233445566778899").is_err());
        assert_eq!(decode_key::<4>("key", &encode_key(&[1, 2, 3, 250])).unwrap(), [1, 2, 3, 250]);
        assert!(decode_key::<32>("key", "AAAA").is_err());
    }
}
