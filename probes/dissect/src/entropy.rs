//! How random bytes look.

/// Set bits a byte: 4 for random bytes, less for text and zeros. Zero for no bytes.
pub fn set_bits_per_byte(bytes: &[u8]) -> f64 {
    let ones: u64 = bytes.iter().map(|byte| u64::from(byte.count_ones())).sum();
    ratio(ones, bytes.len())
}

/// Shannon entropy of the byte distribution, in bits a byte: near 8 for many random bytes, and at most the logarithm
/// of the length for few. Zero for no bytes.
pub fn shannon_bits(bytes: &[u8]) -> f64 {
    let mut counts = [0_u64; 256];
    for byte in bytes {
        if let Some(count) = counts.get_mut(usize::from(*byte)) {
            *count += 1;
        }
    }
    let shares = counts.iter().filter(|count| **count > 0).map(|count| ratio(*count, bytes.len()));
    shares.map(|share| -share * share.log2()).sum()
}

/// The share of bytes from 0x20 to 0x7e. Zero for no bytes.
pub fn printable_share(bytes: &[u8]) -> f64 {
    let printable = bytes.iter().filter(|byte| is_printable(**byte)).count();
    ratio(u64::try_from(printable).unwrap_or(u64::MAX), bytes.len())
}

/// Whether a byte is printable ASCII, space included.
pub const fn is_printable(byte: u8) -> bool {
    matches!(byte, 0x20..=0x7e)
}

fn ratio(part: u64, whole: usize) -> f64 {
    // Counts of bytes in memory are far below 2^32 here; a longer input is as good as infinite.
    let narrow = |value: u64| u32::try_from(value).map_or(f64::INFINITY, f64::from);
    if whole == 0 { 0.0 } else { narrow(part) / narrow(u64::try_from(whole).unwrap_or(u64::MAX)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures() {
        let all: Vec<u8> = (0..=255).collect();
        assert_eq!((set_bits_per_byte(&all), shannon_bits(&all)), (4.0, 8.0));
        assert_eq!((set_bits_per_byte(&[0xff; 9]), shannon_bits(&[7; 9])), (8.0, 0.0));
        assert_eq!(shannon_bits(&[1, 2, 1, 2]), 1.0);
        assert_eq!((printable_share(b"ab\x00\x01"), printable_share(b"")), (0.5, 0.0));
        assert_eq!((set_bits_per_byte(b""), shannon_bits(b"")), (0.0, 0.0));
    }
}
