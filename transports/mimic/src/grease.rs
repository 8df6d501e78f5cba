//! GREASE values (RFC 8701), drawn as BoringSSL draws them: one byte a slot, so that a value that stands in two places of
//! a hello is the same in both.

use crate::{NoRandomness, Random, random::array};

/// Turns the second GREASE extension into another value when both came out equal.
const OTHER: u16 = 0x1010;

/// The values of one connection; they stay the same in a second hello.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Grease {
    pub(crate) cipher: u16,
    /// In supported_groups and in key_share.
    pub(crate) group: u16,
    pub(crate) first_extension: u16,
    pub(crate) last_extension: u16,
    pub(crate) version: u16,
    pub(crate) signature: u16,
}

impl Grease {
    pub(crate) fn draw(random: &mut dyn Random) -> Result<Self, NoRandomness> {
        let [cipher, group, first, last, version, signature] = array::<6>(random)?.map(value);
        let last = if first == last { last ^ OTHER } else { last };
        Ok(Self { cipher, group, first_extension: first, last_extension: last, version, signature })
    }
}

/// `0x0a0a`, `0x1a1a`, … `0xfafa`.
fn value(byte: u8) -> u16 {
    let byte = (byte & 0xf0) | 0x0a;
    u16::from_be_bytes([byte, byte])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_reserved_ones_and_extensions_differ() {
        for byte in 0..=u8::MAX {
            let mut same = |bytes: &mut [u8]| -> Result<(), NoRandomness> {
                bytes.fill(byte);
                Ok(())
            };
            let grease = Grease::draw(&mut same).unwrap();
            for value in [grease.cipher, grease.first_extension, grease.last_extension] {
                let [high, low] = value.to_be_bytes();
                assert_eq!((high, high & 0x0f), (low, 0x0a));
            }
            assert_ne!(grease.first_extension, grease.last_extension);
        }
    }
}
