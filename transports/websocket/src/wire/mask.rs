//! Masking of client payloads (RFC 6455 §5.3), eight bytes at a time.

/// XORs `data` with the masking key. `offset` is where in the frame's payload `data` begins.
pub(crate) fn apply(key: [u8; 4], offset: u64, data: &mut [u8]) {
    let key = rotated(key, offset);
    let [a, b, c, d] = key;
    let wide = u64::from_ne_bytes([a, b, c, d, a, b, c, d]);
    let (words, tail) = data.as_chunks_mut::<8>();
    for word in words {
        *word = (u64::from_ne_bytes(*word) ^ wide).to_ne_bytes();
    }
    for (byte, key) in tail.iter_mut().zip(key.into_iter().cycle()) {
        *byte ^= key;
    }
}

/// The key as it stands `offset` bytes into the payload.
fn rotated(key: [u8; 4], offset: u64) -> [u8; 4] {
    let turn = (offset % 4) * 8;
    let word = u32::from_le_bytes(key);
    // `turn` is 0, 8, 16 or 24.
    #[allow(clippy::cast_possible_truncation, reason = "turn is below 32")]
    word.rotate_right(turn as u32).to_le_bytes()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn rfc_6455_example() {
        // RFC 6455 §5.7: a single-frame masked text message "Hello".
        let mut data = *b"Hello";
        apply([0x37, 0xfa, 0x21, 0x3d], 0, &mut data);
        assert_eq!(data, [0x7f, 0x9f, 0x4d, 0x51, 0x58]);
    }

    proptest! {
        #[test]
        fn equals_the_plain_formula_at_every_offset(
            key: [u8; 4],
            offset in 0u64..1 << 40,
            data in proptest::collection::vec(any::<u8>(), 0..100),
        ) {
            let plain: Vec<u8> = data
                .iter()
                .zip(offset..)
                .map(|(byte, at)| byte ^ key[usize::try_from(at % 4).unwrap()])
                .collect();
            let mut fast = data;
            apply(key, offset, &mut fast);
            prop_assert_eq!(fast, plain);
        }
    }
}
