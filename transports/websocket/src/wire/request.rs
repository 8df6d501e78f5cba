//! What a client asks for, behind its token: one command byte, the address of a stream, padding.
//!
//! ```text
//! command u8 (1 stream, 2 datagrams, 3 bridge) ‖ address (streams only, RFC 1928 §5) ‖ pad length u8 ‖ pad
//! ```

use bytes::BufMut;
use commucat_transport_api::{HostPort, MAX_ADDRESS_BYTES, Target};

/// Longest request: command, address, pad length, pad.
pub(crate) const MAX_REQUEST_BYTES: usize = 1 + MAX_ADDRESS_BYTES + 1 + MAX_PAD_BYTES as usize;
/// Longest padding. Without it the length of the upgrade request would tell the length of the host's name.
pub(crate) const MAX_PAD_BYTES: u8 = 96;

const STREAM: u8 = 1;
const DATAGRAMS: u8 = 2;
const BRIDGE: u8 = 3;

/// Appends the request for `target`; `false` when the protocol has no word for it.
#[must_use]
pub(crate) fn encode(target: &Target, pad: u8, out: &mut Vec<u8>) -> bool {
    match target {
        Target::Stream(address) => {
            out.put_u8(STREAM);
            address.encode(out);
        }
        Target::Datagrams => out.put_u8(DATAGRAMS),
        Target::Bridge => out.put_u8(BRIDGE),
        _ => return false,
    }
    let pad = pad.min(MAX_PAD_BYTES);
    out.put_u8(pad);
    out.put_bytes(0, usize::from(pad));
    true
}

/// Takes one whole request from the front of `input`; what is left is the first payload.
pub(crate) fn decode(input: &mut &[u8]) -> Option<Target> {
    let (&command, mut rest) = input.split_first()?;
    let target = match command {
        STREAM => Target::from_address(HostPort::decode(&mut rest).ok()?),
        DATAGRAMS => Target::Datagrams,
        BRIDGE => Target::Bridge,
        _ => return None,
    };
    let (&pad, rest) = rest.split_first()?;
    *input = rest.get(usize::from(pad)..)?;
    Some(target)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn requests_round_trip_and_short_ones_are_refused() {
        let stream = |text: &str| Target::Stream(text.parse().unwrap());
        let targets = [
            stream("example.org:443"),
            stream("192.0.2.7:80"),
            stream("[2001:db8::1]:53"),
            Target::Datagrams,
            Target::Bridge,
        ];
        for target in targets {
            let mut out = Vec::new();
            assert!(encode(&target, 7, &mut out));
            assert!(out.len() <= MAX_REQUEST_BYTES);
            for cut in 0..out.len() {
                assert_eq!(decode(&mut &out[..cut]), None);
            }
            out.extend_from_slice(b"first payload");
            let mut input = &out[..];
            assert_eq!(decode(&mut input), Some(target));
            assert_eq!(input, b"first payload");
        }
        assert!(!encode(&Target::IpTunnel, 0, &mut Vec::new()));
    }

    proptest! {
        #[test]
        fn garbage_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            drop(decode(&mut &bytes[..]));
        }
    }
}
