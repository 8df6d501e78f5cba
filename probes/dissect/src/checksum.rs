//! The Internet checksum (RFC 1071) over pieces, and the pseudo-headers of TCP, UDP and ICMPv6.

use std::net::IpAddr;

/// A sum that grows by whole pieces. Only the last piece may have an odd length.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Sum(u64);

impl Sum {
    pub(crate) fn bytes(self, bytes: &[u8]) -> Self {
        let words = bytes.chunks_exact(4);
        let tail = match words.remainder() {
            [] => 0,
            [a] => u64::from(*a) << 8,
            [a, b] => u64::from(u16::from_be_bytes([*a, *b])),
            [a, b, c, ..] => u64::from(u16::from_be_bytes([*a, *b])) + (u64::from(*c) << 8),
        };
        // Wide words may be summed before folding: 2^16 is 1 modulo 2^16 - 1.
        let wide: u64 = words
            .map(|word| match word {
                [a, b, c, d] => u64::from(u32::from_be_bytes([*a, *b, *c, *d])),
                _ => 0,
            })
            .sum();
        Self(self.0 + wide + tail)
    }

    pub(crate) const fn value(self, value: u64) -> Self {
        Self(self.0 + value)
    }

    /// The pseudo-header of RFC 9293 §3.1 and RFC 8200 §8.1.
    pub(crate) fn pseudo_header(source: IpAddr, destination: IpAddr, protocol: u8, length: usize) -> Self {
        let sum = match (source, destination) {
            (IpAddr::V4(source), IpAddr::V4(destination)) => {
                Self::default().bytes(&source.octets()).bytes(&destination.octets())
            }
            (source, destination) => Self::default().bytes(&octets(source)).bytes(&octets(destination)),
        };
        sum.value(u64::from(protocol)).value(u64::try_from(length).unwrap_or_default())
    }

    /// The one's complement of the folded sum. Zero when a right checksum was summed along.
    pub(crate) fn finish(self) -> u16 {
        let mut sum = self.0;
        while sum > 0xffff {
            sum = (sum & 0xffff) + (sum >> 16);
        }
        !u16::try_from(sum).unwrap_or_default()
    }
}

/// The address as IPv6 bytes; an IPv4 one is mapped.
pub(crate) const fn octets(address: IpAddr) -> [u8; 16] {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped().octets(),
        IpAddr::V6(address) => address.octets(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_rfc_1071() {
        let bytes = [0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7];
        assert_eq!(Sum::default().bytes(&bytes).finish(), !0xddf2);
        assert_eq!(Sum::default().bytes(&bytes[..4]).bytes(&bytes[4..]).finish(), !0xddf2);
        assert_eq!(Sum::default().bytes(&bytes[..3]).finish(), !(0x0001 + 0xf200));
    }
}
