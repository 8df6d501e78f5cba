//! What bytes from a server say, read as HTTP and as TLS, and with what differs each time taken out.

mod http;
mod steady;
mod tls;

pub(crate) use self::steady::steady;
pub use self::{
    http::HttpFacts,
    tls::{RecordFact, ServerHelloFacts, TlsFacts},
};

/// Bytes of a digest that are shown, in hexadecimal: enough to tell apart, short enough to read.
const DIGEST_BYTES: usize = 8;

/// A short digest in hexadecimal.
pub(crate) fn digest(bytes: &[u8]) -> String {
    hex(blake3::hash(bytes).as_bytes().get(..DIGEST_BYTES).unwrap_or_default())
}

/// Bytes in hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    const DIGITS: [char; 16] =
        ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f'];
    let digit = |value: u8| DIGITS.get(usize::from(value)).copied().unwrap_or('?');
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 0x0f)]).collect()
}
