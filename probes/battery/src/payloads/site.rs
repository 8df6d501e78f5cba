//! What a browser or a curious person does: asks the site behind the port.

use crate::{Family, Probe, Step};

/// Requests over TLS: a page, a page that is not there, and a hello alone that then says nothing.
pub fn site(site: &str) -> Vec<Probe> {
    let handshake = || Step::Tls { server_name: site.to_owned(), alpn: vec![b"http/1.1".to_vec()] };
    let ask = |method: &str, path: &str| {
        let head =
            format!("{method} {path} HTTP/1.1\r\nHost: {site}\r\nAccept: */*\r\nConnection: close\r\n\r\n");
        Step::SendInside(head.into_bytes())
    };
    let probe = |name: &str, steps| Probe::steps(name, Family::Site, steps);
    let half = b"GET / HTTP/1.1\r\nHost: ".to_vec();
    vec![
        probe("site-page", vec![handshake(), ask("GET", "/")]),
        probe("site-missing-page", vec![handshake(), ask("GET", "/9b1c/no-such-page")]),
        probe("site-options", vec![handshake(), ask("OPTIONS", "*")]),
        probe("site-handshake-only", vec![handshake()]),
        probe("site-half-request", vec![handshake(), Step::SendInside(half), Step::HalfClose]),
    ]
}
