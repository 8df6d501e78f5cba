//! JA4, the fingerprint of a ClientHello as FoxIO specifies it: a readable part, a hash over the sorted cipher suites,
//! and a hash over the sorted extensions with the signature algorithms. GREASE counts nowhere, also not among the
//! signature algorithms, where Chrome puts it since 152.

use std::fmt::Write;

use aws_lc_rs::digest::{SHA256, digest};

use super::{ClientHello, extension, is_grease};

const HASH_CHARS: usize = 12;
const COUNT_MAX: usize = 99;

/// What carries the hello: the first letter of JA4.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Transport {
    /// TLS over TCP: `t`.
    Tcp,
    /// QUIC: `q`.
    Quic,
    /// DTLS: `d`.
    Dtls,
}

impl ClientHello {
    /// The JA4 fingerprint, such as `t13d1516h2_8daaf6152771_d8a2da3f94cd`.
    pub fn ja4(&self, transport: Transport) -> String {
        let (ciphers, extensions) = self.ja4_lists();
        format!("{}_{}_{}", self.ja4_a(transport), short_hash(&ciphers), short_hash(&extensions))
    }

    /// JA4_r: the same with the sorted lists themselves instead of their hashes, to see what differs.
    pub fn ja4_raw(&self, transport: Transport) -> String {
        let (ciphers, extensions) = self.ja4_lists();
        format!("{}_{ciphers}_{extensions}", self.ja4_a(transport))
    }

    fn ja4_a(&self, transport: Transport) -> String {
        let transport = match transport {
            Transport::Tcp => 't',
            Transport::Quic => 'q',
            Transport::Dtls => 'd',
        };
        let version = version_code(self.highest_version());
        let name = if self.extension(extension::SERVER_NAME).is_some() { 'd' } else { 'i' };
        let ciphers = self.cipher_suites.iter().filter(|suite| !is_grease(**suite)).count().min(COUNT_MAX);
        let extensions = self.extensions().filter(|(kind, _body)| !is_grease(*kind)).count().min(COUNT_MAX);
        let (first, last) = self.alpn().next().and_then(alpn_ends).unwrap_or(('0', '0'));
        format!("{transport}{version}{name}{ciphers:02}{extensions:02}{first}{last}")
    }

    /// The sorted cipher suites; the sorted extensions and the signature algorithms in their order.
    fn ja4_lists(&self) -> (String, String) {
        let mut ciphers = self.cipher_suites.clone();
        ciphers.sort_unstable();
        let mut kinds: Vec<u16> = self.extensions().map(|(kind, _body)| kind).collect();
        kinds.retain(|kind| *kind != extension::SERVER_NAME && *kind != extension::ALPN);
        kinds.sort_unstable();
        let mut extensions = hex_list(&kinds);
        let algorithms = hex_list(&self.signature_algorithms());
        if !extensions.is_empty() && !algorithms.is_empty() {
            extensions.push('_');
            extensions.push_str(&algorithms);
        }
        (hex_list(&ciphers), extensions)
    }
}

const fn version_code(version: u16) -> &'static str {
    match version {
        0x0304 => "13",
        0x0303 => "12",
        0x0302 => "11",
        0x0301 => "10",
        0x0300 => "s3",
        0x0002 => "s2",
        0xfeff => "d1",
        0xfefd => "d2",
        0xfefc => "d3",
        _ => "00",
    }
}

/// The first and the last character of a protocol name; of its hexadecimal form when one of the two is neither a letter
/// nor a digit.
fn alpn_ends(name: &[u8]) -> Option<(char, char)> {
    let (first, last) = (*name.first()?, *name.last()?);
    if first.is_ascii_alphanumeric() && last.is_ascii_alphanumeric() {
        return Some((char::from(first), char::from(last)));
    }
    let digit = |value: u8| char::from_digit(u32::from(value), 16);
    Some((digit(first >> 4)?, digit(last & 0x0f)?))
}

fn hex_list(values: &[u16]) -> String {
    let mut text = String::with_capacity(values.len() * 5);
    for value in values.iter().filter(|value| !is_grease(**value)) {
        if !text.is_empty() {
            text.push(',');
        }
        // Writing into a string cannot fail.
        let _written = write!(text, "{value:04x}");
    }
    text
}

fn short_hash(list: &str) -> String {
    if list.is_empty() {
        return "0".repeat(HASH_CHARS);
    }
    let hash = digest(&SHA256, list.as_bytes());
    hash.as_ref().iter().take(HASH_CHARS / 2).fold(String::new(), |mut text, byte| {
        let _written = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The examples of FoxIO's specification.
    #[test]
    fn ends_of_protocol_names() {
        assert_eq!(alpn_ends(b"h2"), Some(('h', '2')));
        assert_eq!(alpn_ends(b"http/1.1"), Some(('h', '1')));
        assert_eq!(alpn_ends(&[0xab]), Some(('a', 'b')));
        assert_eq!(alpn_ends(&[0xab, 0xcd]), Some(('a', 'd')));
        assert_eq!(alpn_ends(&[0x30, 0xab]), Some(('3', 'b')));
        assert_eq!(alpn_ends(&[0x30, 0x31, 0xab, 0xcd]), Some(('3', 'd')));
        assert_eq!(alpn_ends(&[0x30, 0xab, 0xcd, 0x31]), Some(('0', '1')));
        assert_eq!(alpn_ends(&[]), None);
    }

    /// The worked example of FoxIO's specification.
    #[test]
    fn hashes_of_the_specification() {
        let ciphers = "002f,0035,009c,009d,1301,1302,1303,c013,c014,c02b,c02c,c02f,c030,cca8,cca9";
        assert_eq!(short_hash(ciphers), "8daaf6152771");
        let extensions = "0005,000a,000b,000d,0012,0015,0017,001b,0023,002b,002d,0033,4469,ff01_\
                          0403,0804,0401,0503,0805,0501,0806,0601";
        assert_eq!(short_hash(extensions), "e5627efa2ab1");
        assert_eq!(short_hash(""), "000000000000");
    }
}
