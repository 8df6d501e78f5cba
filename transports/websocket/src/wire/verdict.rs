//! The covert verdict: why a token was refused, readable only by who knows the bridge key.
//!
//! Every answer of the server has an `X-Request-Id` of 32 hex digits. For strangers, and for replays, it is random. For
//! a fresh token with the right bridge key that is refused all the same, it is
//! `blake3 keyed(K_verdict, salt)` cut to 16 bytes, XORed with `code u8 ‖ seven zero bytes ‖ server's unix seconds u64`.

use super::token::{BridgeKeys, Salt, first};

/// Bytes of the id.
pub(crate) const ID_BYTES: usize = 16;
/// The header that carries it.
pub(crate) const ID_HEADER: &str = "X-Request-Id";

/// Why a token with the right bridge key was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reason {
    /// No such user, or his tag is wrong.
    UnknownUser,
    /// The token's time is too far from the server's.
    ClockSkew,
    /// The token's version is no longer spoken.
    VersionTooOld,
    /// No further channels.
    BridgeFull,
    /// The request behind the token makes no sense to this server.
    BadRequest,
}

impl Reason {
    const fn code(self) -> u8 {
        match self {
            Self::UnknownUser => 1,
            Self::ClockSkew => 2,
            Self::VersionTooOld => 3,
            Self::BridgeFull => 4,
            Self::BadRequest => 5,
        }
    }

    const fn from_code(code: u8) -> Option<Self> {
        Some(match code {
            1 => Self::UnknownUser,
            2 => Self::ClockSkew,
            3 => Self::VersionTooOld,
            4 => Self::BridgeFull,
            5 => Self::BadRequest,
            _ => return None,
        })
    }
}

/// The id that says so.
pub(crate) fn seal(bridge: &BridgeKeys, salt: &Salt, reason: Reason, server_unix_s: u64) -> [u8; ID_BYTES] {
    let mut id = pad(bridge, salt);
    let [code, .., t0, t1, t2, t3, t4, t5, t6, t7] = &mut id;
    *code ^= reason.code();
    for (byte, time) in [t0, t1, t2, t3, t4, t5, t6, t7].into_iter().zip(server_unix_s.to_be_bytes()) {
        *byte ^= time;
    }
    id
}

/// Reads the header's value; `None` when it is an ordinary random id.
pub(crate) fn open(bridge: &BridgeKeys, salt: &Salt, value: &[u8]) -> Option<(Reason, u64)> {
    let mut id = unhex(value)?;
    for (byte, pad) in id.iter_mut().zip(pad(bridge, salt)) {
        *byte ^= pad;
    }
    let [code, 0, 0, 0, 0, 0, 0, 0, time @ ..] = id else { return None };
    Some((Reason::from_code(code)?, u64::from_be_bytes(time)))
}

/// The id as the header shows it.
pub(crate) fn hex(id: &[u8; ID_BYTES]) -> String {
    const DIGITS: [char; 16] =
        ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f'];
    let digit = |nibble: u8| DIGITS.get(usize::from(nibble)).copied().unwrap_or('0');
    id.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

fn unhex(text: &[u8]) -> Option<[u8; ID_BYTES]> {
    let (pairs, []) = text.as_chunks::<2>() else { return None };
    let pairs: &[[u8; 2]; ID_BYTES] = pairs.try_into().ok()?;
    let mut id = [0; ID_BYTES];
    for (byte, pair) in id.iter_mut().zip(pairs) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(id)
}

fn pad(bridge: &BridgeKeys, salt: &Salt) -> [u8; ID_BYTES] {
    first(blake3::keyed_hash(&bridge.verdict, salt).as_bytes())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_the_key_and_the_salt_read_it() {
        let bridge = BridgeKeys::derive(&[7; 32]);
        for reason in [
            Reason::UnknownUser,
            Reason::ClockSkew,
            Reason::VersionTooOld,
            Reason::BridgeFull,
            Reason::BadRequest,
        ] {
            let value = hex(&seal(&bridge, &[1; 16], reason, 1_800_000_000));
            assert_eq!(value.len(), 32);
            assert_eq!(open(&bridge, &[1; 16], value.as_bytes()), Some((reason, 1_800_000_000)));
            assert_eq!(open(&bridge, &[2; 16], value.as_bytes()), None);
            assert_eq!(open(&BridgeKeys::derive(&[8; 32]), &[1; 16], value.as_bytes()), None);
        }
    }

    proptest! {
        #[test]
        fn garbage_is_no_verdict(value in proptest::collection::vec(any::<u8>(), 0..40)) {
            prop_assert_eq!(open(&BridgeKeys::derive(&[7; 32]), &[1; 16], &value), None);
        }
    }
}
