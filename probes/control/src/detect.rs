//! What the first bytes of a connection say.

/// What is spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Spoken {
    /// A TLS hello.
    Tls,
    /// An HTTP/1.1 request.
    Http,
    /// Neither.
    Other,
    /// More bytes are needed.
    Undecided,
}

/// How HTTP requests begin that this server answers.
const REQUESTS: [&[u8]; 3] = [b"GET /", b"HEAD /", b"POST /"];
/// Record type of handshake messages (RFC 8446 §5.1).
const HANDSHAKE: u8 = 0x16;
/// First byte of every TLS record version.
const MAJOR: u8 = 3;
/// Highest second byte of a record version.
const MINOR_MAX: u8 = 4;
/// Handshake type of a client hello (RFC 8446 §4).
const CLIENT_HELLO: u8 = 1;

/// Looks at the bytes so far. `tls` says whether TLS can still come (inside TLS it cannot).
pub(crate) fn detect(bytes: &[u8], tls: bool) -> Spoken {
    if bytes.is_empty() {
        return Spoken::Undecided;
    }
    let http = REQUESTS.iter().map(|request| begins(bytes, request)).fold(Spoken::Other, better);
    if tls { better(http, hello(bytes)) } else { http }
}

fn begins(bytes: &[u8], request: &[u8]) -> Spoken {
    if bytes.starts_with(request) {
        Spoken::Http
    } else if request.starts_with(bytes) {
        Spoken::Undecided
    } else {
        Spoken::Other
    }
}

fn hello(bytes: &[u8]) -> Spoken {
    let fits = |at: usize, test: fn(u8) -> bool| bytes.get(at).is_none_or(|byte| test(*byte));
    let possible = fits(0, |byte| byte == HANDSHAKE)
        && fits(1, |byte| byte == MAJOR)
        && fits(2, |byte| byte <= MINOR_MAX)
        && fits(5, |byte| byte == CLIENT_HELLO);
    match (possible, bytes.len() > 5) {
        (false, _) => Spoken::Other,
        (true, true) => Spoken::Tls,
        (true, false) => Spoken::Undecided,
    }
}

fn better(one: Spoken, other: Spoken) -> Spoken {
    match (one, other) {
        (known @ (Spoken::Tls | Spoken::Http), _) | (_, known @ (Spoken::Tls | Spoken::Http)) => known,
        (Spoken::Undecided, _) | (_, Spoken::Undecided) => Spoken::Undecided,
        (Spoken::Other, Spoken::Other) => Spoken::Other,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn each_protocol_is_known_at_its_last_needed_byte() {
        let cases: [(&[u8], Spoken); 10] = [
            (b"GET /source", Spoken::Http),
            (b"POST /", Spoken::Http),
            (b"HEAD /", Spoken::Http),
            (b"GET \x93\x11", Spoken::Other),
            (b"PUT /", Spoken::Other),
            (b"SSH-2.0", Spoken::Other),
            (b"\x16\x03\x01\x02\x00\x01", Spoken::Tls),
            (b"\x16\x03\x0a\x02\x00\x01", Spoken::Other),
            (b"\x16\x03\x03\x02\x00\x02", Spoken::Other),
            (b"\x00", Spoken::Other),
        ];
        for (bytes, spoken) in cases {
            assert_eq!(detect(bytes, true), spoken, "{bytes:?}");
            let expected = if spoken == Spoken::Tls { Spoken::Other } else { spoken };
            assert_eq!(detect(bytes, false), expected, "inside TLS: {bytes:?}");
        }
        for bytes in [&b""[..], b"G", b"GET ", b"HEAD", b"POST ", b"\x16", b"\x16\x03\x01\x02\x00"] {
            assert_eq!(detect(bytes, true), Spoken::Undecided, "{bytes:?}");
        }
    }

    proptest! {
        #[test]
        fn a_decision_is_never_taken_back(bytes in prop::collection::vec(any::<u8>(), 1..12), tls: bool) {
            let mut decided = Spoken::Undecided;
            for end in 0..=bytes.len() {
                let now = detect(&bytes[..end], tls);
                prop_assert!(decided == Spoken::Undecided || decided == now);
                decided = now;
            }
        }

        #[test]
        fn six_bytes_always_decide(bytes in prop::collection::vec(any::<u8>(), 6..12), tls: bool) {
            prop_assert_ne!(detect(&bytes, tls), Spoken::Undecided);
        }
    }
}
