//! SOCKS4 and its 4a extension: one request, one reply. There is no standard but the two memos of 1992 and 1994.

use std::net::Ipv4Addr;

use bytes::Bytes;
use commucat_transport_api::{Host, HostPort};

/// The version byte of a request.
pub(crate) const VERSION: u8 = 4;

const CONNECT: u8 = 1;
const GRANTED: u8 = 0x5a;
const REJECTED: u8 = 0x5b;
/// Longest user id or name, in bytes: they end at a zero byte, so they need a limit.
const MAX_FIELD_BYTES: usize = 255;

/// Why bytes are no SOCKS4 request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Malformed {
    #[error("only CONNECT is served")]
    Command,
    #[error("a field is longer than {MAX_FIELD_BYTES} bytes")]
    TooLong,
    #[error("the host name cannot be used")]
    BadName,
}

/// Reads a request whose first byte is [`VERSION`]; gives the target and the bytes it took, `None` while incomplete.
pub(crate) fn request(input: &[u8]) -> Result<Option<(HostPort, usize)>, Malformed> {
    let [_version, command, p1, p2, a, b, c, d, rest @ ..] = input else { return Ok(None) };
    if *command != CONNECT {
        return Err(Malformed::Command);
    }
    let port = u16::from_be_bytes([*p1, *p2]);
    let Some((_user, rest)) = until_zero(rest)? else { return Ok(None) };
    let ip = Ipv4Addr::new(*a, *b, *c, *d);
    let named = matches!([*a, *b, *c], [0, 0, 0]) && *d != 0;
    if !named {
        return Ok(Some((HostPort { host: Host::Ip(ip.into()), port }, input.len() - rest.len())));
    }
    let Some((name, rest)) = until_zero(rest)? else { return Ok(None) };
    let name = str::from_utf8(name).map_err(|_no_text| Malformed::BadName)?;
    let host = Host::parse(name).map_err(|_no_host| Malformed::BadName)?;
    Ok(Some((HostPort { host, port }, input.len() - rest.len())))
}

/// The answer.
pub(crate) fn reply(granted: bool) -> Bytes {
    Bytes::copy_from_slice(&[0, if granted { GRANTED } else { REJECTED }, 0, 0, 0, 0, 0, 0])
}

/// A field up to its zero byte, and what follows that.
type Field<'a> = Option<(&'a [u8], &'a [u8])>;

fn until_zero(input: &[u8]) -> Result<Field<'_>, Malformed> {
    let window = input.get(..=MAX_FIELD_BYTES).unwrap_or(input);
    match window.iter().position(|byte| *byte == 0) {
        Some(at) => Ok(input.split_at_checked(at).and_then(|(field, rest)| Some((field, rest.get(1..)?)))),
        None if input.len() > MAX_FIELD_BYTES => Err(Malformed::TooLong),
        None => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn both_forms_are_read_at_every_cut() {
        let plain = [4, 1, 0, 80, 192, 0, 2, 7, b'u', 0];
        let named = [4, 1, 1, 187, 0, 0, 0, 1, 0, b'a', b'.', b'b', 0];
        for (bytes, target) in [(&plain[..], "192.0.2.7:80"), (&named[..], "a.b:443")] {
            for cut in 1..bytes.len() {
                assert_eq!(request(&bytes[..cut]), Ok(None));
            }
            assert_eq!(request(bytes), Ok(Some((target.parse().unwrap(), bytes.len()))));
        }
        assert_eq!(request(&[4, 2, 0, 80, 1, 1, 1, 1, 0]), Err(Malformed::Command));
        let mut long = vec![4, 1, 0, 80, 1, 1, 1, 1];
        long.extend([b'u'; 300]);
        assert_eq!(request(&long), Err(Malformed::TooLong));
    }

    proptest! {
        #[test]
        fn no_input_panics(input in proptest::collection::vec(any::<u8>(), 0..600)) {
            if let Ok(Some((_, used))) = request(&input) { prop_assert!(used <= input.len()); }
        }
    }
}
