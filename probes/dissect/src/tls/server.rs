//! The ServerHello, as far as it is in the clear (RFC 8446 §4.1.3).

use super::{
    SERVER_HELLO, extension,
    hello::MAX_EXTENSIONS,
    record::{ContentType, records},
};
use crate::bytes::Reader;

/// The random of a ServerHello that is a HelloRetryRequest (RFC 8446 §4.1.3): SHA-256 of "HelloRetryRequest".
const RETRY_RANDOM: [u8; 32] = [
    0xcf, 0x21, 0xad, 0x74, 0xe5, 0x9a, 0x61, 0x11, 0xbe, 0x1d, 0x8c, 0x02, 0x1e, 0x65, 0xb8, 0x91, 0xc2,
    0xa2, 0x11, 0x16, 0x7a, 0xbb, 0x8c, 0x5e, 0x07, 0x9e, 0x09, 0xe2, 0xc8, 0xa8, 0x33, 0x9c,
];

/// A ServerHello.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerHello<'a> {
    /// The version field, `0x0303` since TLS 1.2.
    pub legacy_version: u16,
    /// The random bytes.
    pub random: [u8; 32],
    /// The session id, an echo of the client's in TLS 1.3.
    pub session_id: &'a [u8],
    /// The chosen cipher suite.
    pub cipher_suite: u16,
    /// Extensions in the order sent.
    pub extensions: Vec<(u16, &'a [u8])>,
}

impl ServerHello<'_> {
    /// The version chosen, of supported_versions where it is there.
    pub fn version(&self) -> u16 {
        let chosen = self.extension(extension::SUPPORTED_VERSIONS).and_then(|body| Reader::new(body).u16());
        chosen.unwrap_or(self.legacy_version)
    }

    /// Whether it asks for another ClientHello.
    pub fn is_retry(&self) -> bool {
        self.random == RETRY_RANDOM
    }

    /// The group of the key share, or the group a retry asks for.
    pub fn group(&self) -> Option<u16> {
        Reader::new(self.extension(extension::KEY_SHARE)?).u16()
    }

    /// The body of the first extension of that kind.
    pub fn extension(&self, kind: u16) -> Option<&[u8]> {
        self.extensions.iter().find_map(|(known, body)| (*known == kind).then_some(*body))
    }
}

/// Reads the ServerHello at the beginning of what a server sent, when it stands whole in the first record.
pub fn server_hello(stream: &[u8]) -> Option<ServerHello<'_>> {
    let record = records(stream).next().filter(|record| record.content_type == ContentType::Handshake)?;
    let mut reader = Reader::new(record.fragment);
    if reader.u8()? != SERVER_HELLO {
        return None;
    }
    let length = reader.u24()?;
    let mut reader = Reader::new(reader.take(length)?);
    let legacy_version = reader.u16()?;
    let random = reader.array()?;
    let session_id = reader.vector8()?;
    let cipher_suite = reader.u16()?;
    let _compression = reader.u8()?;
    let mut extensions = Vec::new();
    if !reader.is_empty() {
        let mut list = Reader::new(reader.vector16()?);
        while !list.is_empty() {
            if extensions.len() == MAX_EXTENSIONS {
                return None;
            }
            extensions.push((list.u16()?, list.vector16()?));
        }
    }
    Some(ServerHello { legacy_version, random, session_id, cipher_suite, extensions })
}
