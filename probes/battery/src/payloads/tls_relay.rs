//! Three probes that a TLS server answers in its own way, and a careless relay does not: plain HTTP on the TLS port,
//! bytes of no record after the handshake, and application data that no key opens.

use fastrand::Rng;

use super::bytes;
use crate::{Family, Probe, Step};

/// Bytes of the corrupted record, and of those that are no record.
const BODY: usize = 64;

/// The three.
pub fn tls_relay(site: &str, rng: &mut Rng) -> Vec<Probe> {
    let handshake = || Step::Tls { server_name: site.to_owned(), alpn: vec![b"http/1.1".to_vec()] };
    let plain = format!("GET / HTTP/1.1\r\nHost: {site}\r\nConnection: close\r\n\r\n");
    // No record type begins with 0x7f.
    let mut foreign = bytes(rng, BODY);
    if let Some(first) = foreign.first_mut() {
        *first = 0x7f;
    }
    let mut corrupted = vec![0x17, 0x03, 0x03, 0, u8::try_from(BODY).unwrap_or(u8::MAX)];
    corrupted.extend(bytes(rng, BODY));
    let after = |name: &str, sent| {
        Probe::steps(name, Family::TlsRelay, vec![handshake(), Step::Listen, Step::Send(sent)])
    };
    vec![
        Probe::send("plain-http", Family::TlsRelay, plain.into_bytes()),
        after("no-record-after-handshake", foreign),
        after("corrupted-data", corrupted),
    ]
}
