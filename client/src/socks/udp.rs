//! The header of SOCKS5 datagrams (RFC 1928 §7). Fragments are refused, as the RFC allows.

use bytes::BufMut as _;
use commucat_transport_api::{HostPort, TargetError};

/// Why a datagram is dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Malformed {
    #[error("the datagram is shorter than its header")]
    Short,
    #[error("the reserved bytes are not zero")]
    Reserved,
    #[error("fragments are not supported")]
    Fragment,
    #[error("the address cannot be used")]
    Address(#[source] TargetError),
}

/// Splits a datagram into its peer and its payload.
pub(crate) fn decode(datagram: &[u8]) -> Result<(HostPort, &[u8]), Malformed> {
    let [r1, r2, fragment, rest @ ..] = datagram else { return Err(Malformed::Short) };
    if (*r1, *r2) != (0, 0) {
        return Err(Malformed::Reserved);
    }
    if *fragment != 0 {
        return Err(Malformed::Fragment);
    }
    let mut payload = rest;
    let peer = HostPort::decode(&mut payload).map_err(|error| match error {
        TargetError::Incomplete => Malformed::Short,
        other => Malformed::Address(other),
    })?;
    Ok((peer, payload))
}

/// Replaces `out` with the header for `peer` and the payload.
pub(crate) fn encode(peer: &HostPort, payload: &[u8], out: &mut Vec<u8>) {
    out.clear();
    out.put_slice(&[0, 0, 0]);
    peer.encode(out);
    out.put_slice(payload);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn fragments_and_short_datagrams_are_refused() {
        assert_eq!(decode(&[0, 0, 1, 1, 1, 1, 1, 1, 0, 53]), Err(Malformed::Fragment));
        assert_eq!(decode(&[0, 0]), Err(Malformed::Short));
        assert_eq!(decode(&[0, 0, 0, 1, 1, 1]), Err(Malformed::Short));
        assert_eq!(decode(&[0, 7, 0, 1, 1, 1, 1, 1, 0, 53]), Err(Malformed::Reserved));
        assert_eq!(decode(&[0, 0, 0, 2, 1]), Err(Malformed::Address(TargetError::UnknownType(2))));
    }

    proptest! {
        #[test]
        fn a_datagram_round_trips(payload in proptest::collection::vec(any::<u8>(), 0..200), port: u16) {
            for host in ["example.org", "192.0.2.1", "2001:db8::1"] {
                let peer = HostPort::new(host, port).unwrap();
                let mut out = vec![1, 2, 3];
                encode(&peer, &payload, &mut out);
                prop_assert_eq!(out.len(), 3 + peer.encoded_len() + payload.len());
                prop_assert_eq!(decode(&out), Ok((peer, &payload[..])));
            }
        }

        #[test]
        fn no_datagram_panics(datagram in proptest::collection::vec(any::<u8>(), 0..300)) {
            if let Ok((_, payload)) = decode(&datagram) { prop_assert!(payload.len() < datagram.len()); }
        }
    }
}
