//! Headers of TCP streams: SIP022 §3.1.3, and the bare address of AEAD-2017.

use bytes::{Buf, BufMut};
use commucat_transport_api::HostPort;

use super::WireError;

/// Plaintext bytes of the fixed request header: type, time, length.
pub const REQUEST_FIXED_BYTES: usize = 1 + 8 + 2;
/// Longest padding a client may put into a request, in bytes.
pub const MAX_PADDING_BYTES: usize = 900;

const TYPE_REQUEST: u8 = 0;
const TYPE_RESPONSE: u8 = 1;

/// The first header of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestFixed {
    /// When it was made, in seconds since 1970.
    pub time: u64,
    /// Plaintext bytes of the variable header that follows.
    pub length: u16,
}

impl RequestFixed {
    /// Its bytes.
    pub fn encode(self) -> [u8; REQUEST_FIXED_BYTES] {
        let mut bytes = [0; REQUEST_FIXED_BYTES];
        let mut out = &mut bytes[..];
        out.put_u8(TYPE_REQUEST);
        out.put_u64(self.time);
        out.put_u16(self.length);
        bytes
    }

    /// Reads it.
    ///
    /// # Errors
    /// [`WireError::Truncated`] or [`WireError::Type`].
    pub fn decode(mut input: &[u8]) -> Result<Self, WireError> {
        expect_type(&mut input, TYPE_REQUEST)?;
        let time = input.try_get_u64().map_err(short)?;
        let length = input.try_get_u16().map_err(short)?;
        Ok(Self { time, length })
    }
}

/// The only header of a response, which is its first length chunk too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResponseFixed<'a> {
    /// When it was made, in seconds since 1970.
    pub time: u64,
    /// The salt of the request that it answers.
    pub request_salt: &'a [u8],
    /// Plaintext bytes of the payload chunk that follows.
    pub length: u16,
}

/// Plaintext bytes of the response header for salts of that length.
pub const fn response_fixed_bytes(salt_bytes: usize) -> usize {
    1 + 8 + salt_bytes + 2
}

impl<'a> ResponseFixed<'a> {
    /// Appends its bytes.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.put_u8(TYPE_RESPONSE);
        out.put_u64(self.time);
        out.put_slice(self.request_salt);
        out.put_u16(self.length);
    }

    /// Reads it, for salts of that length.
    ///
    /// # Errors
    /// [`WireError::Truncated`] or [`WireError::Type`].
    pub fn decode(mut input: &'a [u8], salt_bytes: usize) -> Result<Self, WireError> {
        expect_type(&mut input, TYPE_RESPONSE)?;
        let time = input.try_get_u64().map_err(short)?;
        let (request_salt, mut rest) = input.split_at_checked(salt_bytes).ok_or(WireError::Truncated)?;
        let length = rest.try_get_u16().map_err(short)?;
        Ok(Self { time, request_salt, length })
    }
}

/// Where a request goes, and where in the header its payload begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestHead {
    /// Where it goes.
    pub address: HostPort,
    /// Bytes before the payload.
    pub payload_at: usize,
}

/// Appends the variable request header up to its payload. Padding is zeros: it is encrypted.
pub fn encode_request_head(address: &HostPort, padding: u16, out: &mut Vec<u8>) {
    address.encode(out);
    out.put_u16(padding);
    out.put_bytes(0, usize::from(padding));
}

/// Reads the variable request header.
///
/// # Errors
/// What is wrong with it; [`WireError::Bare`] when it holds neither padding nor payload.
pub fn decode_request_head(input: &[u8]) -> Result<RequestHead, WireError> {
    let mut rest = input;
    let address = HostPort::decode(&mut rest).map_err(WireError::Address)?;
    let padding = usize::from(rest.try_get_u16().map_err(short)?);
    let payload = rest.get(padding..).ok_or(WireError::Truncated)?;
    if padding == 0 && payload.is_empty() {
        return Err(WireError::Bare);
    }
    Ok(RequestHead { address, payload_at: input.len() - payload.len() })
}

/// Reads the first chunk of an AEAD-2017 request: an address, then payload.
///
/// # Errors
/// [`WireError::Address`].
pub fn decode_legacy_request(input: &[u8]) -> Result<RequestHead, WireError> {
    let mut rest = input;
    let address = HostPort::decode(&mut rest).map_err(WireError::Address)?;
    Ok(RequestHead { address, payload_at: input.len() - rest.len() })
}

fn expect_type(input: &mut &[u8], wanted: u8) -> Result<(), WireError> {
    match input.try_get_u8().map_err(short)? {
        kind if kind == wanted => Ok(()),
        other => Err(WireError::Type(other)),
    }
}

pub(super) const fn short(_missing: bytes::TryGetError) -> WireError {
    WireError::Truncated
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn address() -> impl Strategy<Value = HostPort> {
        prop_oneof![
            (any::<[u8; 4]>(), any::<u16>())
                .prop_map(|(ip, port)| std::net::SocketAddr::from((ip, port)).into()),
            (any::<[u8; 16]>(), any::<u16>())
                .prop_map(|(ip, port)| std::net::SocketAddr::from((ip, port)).into()),
            ("[a-z]{1,40}\\.org", any::<u16>()).prop_map(|(name, port)| HostPort::new(&name, port).unwrap()),
        ]
    }

    proptest! {
        #[test]
        fn request_headers_round_trip_and_no_prefix_of_them_reads(
            address in address(), padding in 0u16..=900, payload in prop::collection::vec(any::<u8>(), 0..64),
            time: u64, length: u16,
        ) {
            let fixed = RequestFixed { time, length };
            prop_assert_eq!(RequestFixed::decode(&fixed.encode()), Ok(fixed));
            let mut bytes = Vec::new();
            encode_request_head(&address, padding, &mut bytes);
            let payload_at = bytes.len();
            for cut in 0..payload_at {
                prop_assert!(decode_request_head(&bytes[..cut]).is_err(), "cut at {}", cut);
            }
            bytes.extend_from_slice(&payload);
            let decoded = decode_request_head(&bytes);
            if padding == 0 && payload.is_empty() {
                prop_assert_eq!(decoded, Err(WireError::Bare));
            } else {
                prop_assert_eq!(decoded, Ok(RequestHead { address, payload_at }));
            }
        }

        #[test]
        fn response_headers_round_trip_and_no_prefix_of_them_reads(
            salt in prop_oneof![prop::collection::vec(any::<u8>(), 16), prop::collection::vec(any::<u8>(), 32)],
            time: u64, length: u16,
        ) {
            let header = ResponseFixed { time, request_salt: &salt, length };
            let mut bytes = Vec::new();
            header.encode(&mut bytes);
            prop_assert_eq!(bytes.len(), response_fixed_bytes(salt.len()));
            prop_assert_eq!(ResponseFixed::decode(&bytes, salt.len()), Ok(header));
            for cut in 0..bytes.len() {
                prop_assert_eq!(ResponseFixed::decode(&bytes[..cut], salt.len()), Err(WireError::Truncated));
            }
        }

        #[test]
        fn garbage_is_an_error_or_a_header_inside_its_bytes(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            if let Ok(head) = decode_request_head(&bytes) {
                prop_assert!(head.payload_at <= bytes.len());
            }
            if let Ok(head) = decode_legacy_request(&bytes) {
                prop_assert!(head.payload_at <= bytes.len());
            }
            RequestFixed::decode(&bytes).ok();
            ResponseFixed::decode(&bytes, 32).ok();
        }
    }

    #[test]
    fn the_sides_are_told_apart() {
        let request = RequestFixed { time: 1, length: 2 }.encode();
        assert_eq!(ResponseFixed::decode(&request, 16), Err(WireError::Type(0)));
        assert_eq!(RequestFixed::decode(&[1; 11]), Err(WireError::Type(1)));
    }
}
