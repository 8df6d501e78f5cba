//! Public keys that a server takes for real ones: of the right length, on the curve, with coefficients in range.

use aws_lc_rs::agreement::{Algorithm, ECDH_P256, ECDH_P384, PrivateKey};

use super::{BuildError, GREASE, SECP256R1, SECP384R1, X25519, X25519_MLKEM768, draw::Draw};

/// ML-KEM-768: three polynomials of 256 coefficients below q, and a seed (FIPS 203).
const MLKEM_COEFFICIENTS: usize = 768;
const MLKEM_Q: u16 = 3329;
const MLKEM_SEED_BYTES: usize = 32;

/// The key of a group.
pub(super) fn share(group: u16, x25519: Option<[u8; 32]>, draw: &mut Draw) -> Result<Vec<u8>, BuildError> {
    let key = match group {
        GREASE => vec![0],
        X25519 => x25519.unwrap_or_else(|| x25519_key(draw)).to_vec(),
        X25519_MLKEM768 => {
            let mut key = mlkem_key(draw);
            key.extend(x25519.unwrap_or_else(|| x25519_key(draw)));
            key
        }
        SECP256R1 => nist_key::<32>(&ECDH_P256, draw).ok_or(BuildError::Group(group))?,
        SECP384R1 => nist_key::<48>(&ECDH_P384, draw).ok_or(BuildError::Group(group))?,
        other => return Err(BuildError::Group(other)),
    };
    Ok(key)
}

/// Any 32 bytes are a key; real ones have the highest bit clear.
pub(super) fn x25519_key(draw: &mut Draw) -> [u8; 32] {
    let mut key: [u8; 32] = draw.array();
    if let Some(last) = key.last_mut() {
        *last &= 0x7f;
    }
    key
}

/// Coefficients are drawn again until they are below q, as a server checks (FIPS 203 §7.2); two take three bytes.
fn mlkem_key(draw: &mut Draw) -> Vec<u8> {
    let mut coefficient = || loop {
        let drawn = u16::from_be_bytes(draw.array()) & 0x0fff;
        if drawn < MLKEM_Q {
            return drawn;
        }
    };
    let mut key = Vec::with_capacity(MLKEM_COEFFICIENTS / 2 * 3 + MLKEM_SEED_BYTES);
    for _pair in 0..MLKEM_COEFFICIENTS / 2 {
        let [one_high, one_low] = coefficient().to_be_bytes();
        let [two_high, two_low] = coefficient().to_be_bytes();
        key.extend([one_low, one_high | two_low << 4, two_low >> 4 | two_high << 4]);
    }
    key.extend(draw.array::<MLKEM_SEED_BYTES>());
    key
}

/// The point of a drawn scalar, whose two highest bits are clear so that it is below the order.
fn nist_key<const N: usize>(algorithm: &'static Algorithm, draw: &mut Draw) -> Option<Vec<u8>> {
    let mut scalar: [u8; N] = draw.array();
    *scalar.first_mut()? &= 0x3f;
    let key = PrivateKey::from_private_key(algorithm, &scalar).ok()?;
    Some(key.compute_public_key().ok()?.as_ref().to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_have_their_form() {
        let mut draw = Draw::new(7);
        let key = share(X25519_MLKEM768, None, &mut draw).unwrap();
        assert_eq!(key.len(), 1216);
        for three in key[..1152].chunks(3) {
            let one = u16::from(three[0]) | u16::from(three[1] & 0x0f) << 8;
            let two = u16::from(three[1] >> 4) | u16::from(three[2]) << 4;
            assert!(one < MLKEM_Q && two < MLKEM_Q);
        }
        for (group, length) in [(SECP256R1, 65), (SECP384R1, 97)] {
            let point = share(group, None, &mut draw).unwrap();
            assert_eq!((point.len(), point[0]), (length, 4));
        }
        assert_eq!(share(X25519, Some([5; 32]), &mut draw).unwrap(), [5; 32]);
        assert_eq!(share(0x0100, None, &mut draw), Err(BuildError::Group(0x0100)));
    }
}
