//! XUDP: datagrams of one association as frames of mux.cool, all of session 0, each with its own peer.
//!
//! A frame is two bytes of length, session, status, options, for a datagram the network and an address, then with the
//! data option two bytes of length and the datagram. Pure.

use commucat_transport_api::HostPort;

use super::{RequestError, decode_address, encode_address};

/// The longest head that is read: Xray's limit.
const MAX_HEAD_BYTES: usize = 512;
/// Session, status, options.
const SHORTEST_HEAD_BYTES: usize = 4;
const OPTION_DATA: u8 = 1;
const OPTION_ERROR: u8 = 2;
const NETWORK_UDP: u8 = 2;
const NEW: u8 = 1;
const KEEP: u8 = 2;
const END: u8 = 3;
const KEEP_ALIVE: u8 = 4;

/// Bytes of the id under which an association outlives its stream.
pub(super) const GLOBAL_ID_BYTES: usize = 8;

/// A frame that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Frame<'a> {
    /// A datagram to or from that peer; without one, the last that was named.
    Datagram(Option<HostPort>, &'a [u8]),
    /// The session begins, with the peer of what comes without one: the id of the association, and a datagram.
    New(Option<[u8; GLOBAL_ID_BYTES]>, HostPort, Option<&'a [u8]>),
    /// Nothing for us.
    Nothing,
    /// The association is over.
    End,
    /// Somebody asks for a session that is not spoken here: another number, or a stream.
    Foreign(u16),
}

/// Reads a frame at the head of `input`, which is moved behind it; `None` when it is not whole yet.
pub(crate) fn decode<'a>(input: &mut &'a [u8]) -> Result<Option<Frame<'a>>, RequestError> {
    let Some((length, rest)) = input.split_first_chunk() else { return Ok(None) };
    let length = usize::from(u16::from_be_bytes(*length));
    if !(SHORTEST_HEAD_BYTES..=MAX_HEAD_BYTES).contains(&length) {
        return Err(RequestError::Malformed);
    }
    let Some((head, rest)) = rest.split_at_checked(length) else { return Ok(None) };
    let &[high, low, status, options, ref more @ ..] = head else { return Err(RequestError::Malformed) };
    let Some((data, rest)) = data(options, rest) else { return Ok(None) };
    let session = u16::from_be_bytes([high, low]);
    let frame = match (status, more) {
        (NEW, [NETWORK_UDP, address @ ..]) if session == 0 => {
            let mut rest = address;
            let peer = decode_address(&mut rest)?.ok_or(RequestError::Malformed)?;
            // Nothing but zeros is none.
            let id = rest.first_chunk().copied().filter(|id| *id != [0; GLOBAL_ID_BYTES]);
            Frame::New(id, peer, data)
        }
        (NEW, [_network, ..]) => Frame::Foreign(session),
        (KEEP, [NETWORK_UDP, address @ ..]) if session == 0 => {
            let peer = decode_address(&mut &*address)?.ok_or(RequestError::Malformed)?;
            data.map_or(Frame::Nothing, |datagram| Frame::Datagram(Some(peer), datagram))
        }
        (KEEP, []) if session == 0 => data.map_or(Frame::Nothing, |datagram| Frame::Datagram(None, datagram)),
        (END, _) if session == 0 => Frame::End,
        (KEEP | END | KEEP_ALIVE, _) => Frame::Nothing,
        _ => return Err(RequestError::Malformed),
    };
    *input = rest;
    Ok(Some(frame))
}

/// The data of a frame, when its options say that there is some; `None` when it is not whole yet.
fn data(options: u8, rest: &[u8]) -> Option<(Option<&[u8]>, &[u8])> {
    if options & OPTION_DATA == 0 {
        return Some((None, rest));
    }
    let (length, rest) = rest.split_first_chunk()?;
    let (data, rest) = rest.split_at_checked(u16::from_be_bytes(*length).into())?;
    Some((Some(data), rest))
}

/// Appends a datagram. The first one of a client begins the session.
pub(super) fn encode(first: bool, peer: &HostPort, datagram: &[u8], out: &mut Vec<u8>) {
    let at = out.len();
    out.extend_from_slice(&[0, 0, 0, 0, if first { NEW } else { KEEP }, OPTION_DATA, NETWORK_UDP]);
    encode_address(peer, out);
    let head = u16::try_from(out.len() - at - 2).unwrap_or(u16::MAX).to_be_bytes();
    for (slot, byte) in out.iter_mut().skip(at).zip(head) {
        *slot = byte;
    }
    out.extend_from_slice(&u16::try_from(datagram.len()).unwrap_or(u16::MAX).to_be_bytes());
    out.extend_from_slice(datagram);
}

/// Appends the answer to a session that is not spoken here: it is over, and was an error.
pub(super) fn refuse(session: u16, out: &mut Vec<u8>) {
    let [high, low] = session.to_be_bytes();
    out.extend_from_slice(&[0, 4, high, low, END, OPTION_ERROR]);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn datagrams_survive_and_cut_ones_wait(
            datagram in proptest::collection::vec(any::<u8>(), 0..200),
            first: bool,
            at in 0..3_usize,
        ) {
            let peer: HostPort = ["192.0.2.1:53", "[2001:db8::1]:443", "a.example:1"][at].parse().unwrap();
            let mut wire = Vec::new();
            encode(first, &peer, &datagram, &mut wire);
            for cut in 0..wire.len() {
                prop_assert_eq!(decode(&mut &wire[..cut]), Ok(None));
            }
            wire.push(7);
            let mut input = wire.as_slice();
            let expected = if first {
                Frame::New(None, peer, Some(&datagram))
            } else {
                Frame::Datagram(Some(peer), &datagram)
            };
            prop_assert_eq!(decode(&mut input), Ok(Some(expected)));
            prop_assert_eq!(input, [7]);
        }

        #[test]
        fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
            decode(&mut bytes.as_slice()).ok();
        }
    }

    /// What Xray sends first: the id of the association behind the address.
    #[test]
    fn the_first_frame_of_xray() {
        let wire = [0, 20, 0, 0, 1, 1, 2, 0, 53, 1, 192, 0, 2, 1, 1, 2, 3, 4, 5, 6, 7, 8, 0, 2, 9, 9];
        let peer = "192.0.2.1:53".parse().unwrap();
        let id = Some([1, 2, 3, 4, 5, 6, 7, 8]);
        assert_eq!(decode(&mut &wire[..]), Ok(Some(Frame::New(id, peer, Some(&[9, 9])))));
    }

    #[test]
    fn other_sessions_are_refused_and_the_rest_is_passed_over() {
        let read = |wire: &[u8]| decode(&mut &*wire).map(|frame| format!("{:?}", frame.unwrap()));
        assert_eq!(read(&[0, 12, 0, 1, 1, 0, 1, 0, 80, 1, 192, 0, 2, 1]).unwrap(), "Foreign(1)");
        assert_eq!(read(&[0, 12, 0, 3, 1, 1, 2, 0, 80, 1, 192, 0, 2, 1, 0, 1, 5]).unwrap(), "Foreign(3)");
        assert_eq!(read(&[0, 4, 0, 0, 4, 1, 0, 2, 1, 1]).unwrap(), "Nothing");
        assert_eq!(read(&[0, 4, 0, 0, 2, 1, 0, 1, 5]).unwrap(), "Datagram(None, [5])");
        assert_eq!(read(&[0, 4, 0, 0, 3, 0]).unwrap(), "End");
        for wire in [&[0, 3, 0, 0, 0][..], &[2, 1, 0], &[0, 4, 0, 0, 9, 0]] {
            assert_eq!(decode(&mut &*wire), Err(RequestError::Malformed));
        }
        let mut out = Vec::new();
        refuse(3, &mut out);
        assert_eq!(out, [0, 4, 0, 3, 3, 2]);
    }
}
