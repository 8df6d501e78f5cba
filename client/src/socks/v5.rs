//! SOCKS5 messages: greeting, user/password, request, reply.

use std::net::{Ipv4Addr, SocketAddr};

use bytes::{BufMut as _, Bytes, BytesMut};
use commucat_transport_api::{HostPort, TargetError};

use super::Reply;

pub(crate) const VERSION: u8 = 5;
/// No authentication.
pub(crate) const METHOD_NONE: u8 = 0x00;
/// User name and password.
pub(crate) const METHOD_PASSWORD: u8 = 0x02;
/// None of the offered methods will do.
pub(crate) const METHOD_REFUSED: u8 = 0xff;

const AUTH_VERSION: u8 = 1;
const CONNECT: u8 = 1;
const UDP_ASSOCIATE: u8 = 3;

/// Why bytes are no SOCKS5 message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Malformed {
    #[error("the version byte is wrong")]
    Version,
    #[error("the reserved byte is not zero")]
    Reserved,
    #[error("the address cannot be used")]
    Address(#[source] TargetError),
}

/// A parsed message and the bytes it took; `None` while it is incomplete.
pub(crate) type Parsed<T> = Result<Option<(T, usize)>, Malformed>;

/// What the client asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Request {
    pub(crate) command: Command,
    pub(crate) address: HostPort,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Command {
    Connect,
    UdpAssociate,
    /// BIND, or a number nobody defined.
    Other(u8),
}

/// Reads `VER NMETHODS METHODS`; gives the methods.
pub(crate) fn greeting(input: &[u8]) -> Parsed<&[u8]> {
    let [version, count, rest @ ..] = input else { return incomplete(input, VERSION) };
    if *version != VERSION {
        return Err(Malformed::Version);
    }
    let count = usize::from(*count);
    Ok(rest.get(..count).map(|methods| (methods, 2 + count)))
}

/// Reads `VER ULEN UNAME PLEN PASSWD` (RFC 1929 §2).
pub(crate) fn password(input: &[u8]) -> Parsed<(&[u8], &[u8])> {
    let [version, length, rest @ ..] = input else { return incomplete(input, AUTH_VERSION) };
    if *version != AUTH_VERSION {
        return Err(Malformed::Version);
    }
    let Some((user, rest)) = rest.split_at_checked(usize::from(*length)) else { return Ok(None) };
    let Some((length, rest)) = rest.split_first() else { return Ok(None) };
    let Some(password) = rest.get(..usize::from(*length)) else { return Ok(None) };
    Ok(Some(((user, password), 3 + user.len() + password.len())))
}

/// Reads `VER CMD RSV ATYP DST.ADDR DST.PORT`.
pub(crate) fn request(input: &[u8]) -> Parsed<Request> {
    let [version, command, reserved, rest @ ..] = input else { return incomplete(input, VERSION) };
    if *version != VERSION {
        return Err(Malformed::Version);
    }
    if *reserved != 0 {
        return Err(Malformed::Reserved);
    }
    let mut unread = rest;
    let address = match HostPort::decode(&mut unread) {
        Ok(address) => address,
        Err(TargetError::Incomplete) => return Ok(None),
        Err(error) => return Err(Malformed::Address(error)),
    };
    let command = match *command {
        CONNECT => Command::Connect,
        UDP_ASSOCIATE => Command::UdpAssociate,
        other => Command::Other(other),
    };
    Ok(Some((Request { command, address }, input.len() - unread.len())))
}

/// The method the server picked.
pub(crate) fn method_reply(method: u8) -> Bytes {
    Bytes::copy_from_slice(&[VERSION, method])
}

/// Whether the password was right.
pub(crate) fn password_reply(ok: bool) -> Bytes {
    Bytes::copy_from_slice(&[AUTH_VERSION, u8::from(!ok)])
}

/// The answer to a request. `bound` matters for UDP ASSOCIATE alone; otherwise it is all zeros.
pub(crate) fn reply(reply: Reply, bound: Option<SocketAddr>) -> Bytes {
    let bound = bound.unwrap_or_else(|| (Ipv4Addr::UNSPECIFIED, 0).into());
    let mut out = BytesMut::new();
    out.put_slice(&[VERSION, reply as u8, 0]);
    HostPort::from(bound).encode(&mut out);
    out.freeze()
}

fn incomplete<T>(input: &[u8], version: u8) -> Parsed<T> {
    match input.first() {
        Some(first) if *first != version => Err(Malformed::Version),
        _ => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn messages_of_rfc_1928_are_read_at_every_cut() {
        let bytes =
            [5, 1, 0, 3, 11, b'e', b'x', b'a', b'm', b'p', b'l', b'e', b'.', b'o', b'r', b'g', 1, 187, 9];
        for cut in 0..bytes.len() - 1 {
            assert_eq!(request(&bytes[..cut]), Ok(None), "{cut}");
        }
        let (found, used) = request(&bytes).unwrap().unwrap();
        assert_eq!(found, Request { command: Command::Connect, address: "example.org:443".parse().unwrap() });
        assert_eq!(used, bytes.len() - 1, "what follows belongs to the tunnel");
        assert_eq!(greeting(&[5, 2, 0, 2, 5]), Ok(Some((&[0, 2][..], 4))));
        assert_eq!(password(&[1, 1, b'u', 2, b'p', b'w']), Ok(Some(((&b"u"[..], &b"pw"[..]), 6))));
        assert_eq!(request(&[5, 1, 0, 9, 0, 0]), Err(Malformed::Address(TargetError::UnknownType(9))));
        assert_eq!(greeting(&[4]), Err(Malformed::Version));
    }

    #[test]
    fn replies_are_as_the_rfc_writes_them() {
        assert_eq!(&reply(Reply::Succeeded, None)[..], [5, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
        let bound = reply(Reply::Succeeded, Some("[::1]:258".parse().unwrap()));
        assert_eq!(bound.len(), 22);
        assert_eq!(&bound[20..], [1, 2]);
    }

    proptest! {
        #[test]
        fn no_input_panics_and_none_is_overrun(input in proptest::collection::vec(any::<u8>(), 0..600)) {
            if let Ok(Some((_, used))) = greeting(&input) { prop_assert!(used <= input.len()); }
            if let Ok(Some((_, used))) = password(&input) { prop_assert!(used <= input.len()); }
            if let Ok(Some((_, used))) = request(&input) { prop_assert!(used <= input.len()); }
        }
    }
}
