//! The eight probes of a public copy of the method by which Russian inspectors look for proxies on TLS ports.

use fastrand::Rng;

use super::bytes;
use crate::{BatteryError, Family, Probe, client_hello};

/// Length of its random payload, in bytes.
const RANDOM: usize = 512;
/// Length of its run of 0xff, in bytes.
const ONES: usize = 128;

/// The eight.
///
/// # Errors
/// Those of [`client_hello`].
pub fn methodika(site: &str, rng: &mut Rng) -> Result<Vec<Probe>, BatteryError> {
    let label: String = (0..12).map(|_letter| rng.lowercase()).collect();
    let send = |name: &str, sent: Vec<u8>| Probe::send(name, Family::Methodika, sent);
    Ok(vec![
        Probe::steps("empty", Family::Methodika, Vec::new()),
        send("get", format!("GET / HTTP/1.1\r\nHost: {site}\r\n\r\n").into_bytes()),
        send("connect", b"CONNECT example.com:443 HTTP/1.1\r\nHost: example.com:443\r\n\r\n".to_vec()),
        send("ssh-banner", b"SSH-2.0-OpenSSH_9.6\r\n".to_vec()),
        send("random-512", bytes(rng, RANDOM)),
        send("hello-invalid-sni", client_hello(&format!("{label}.invalid"))?),
        send("get-absolute", b"GET http://example.com/ HTTP/1.1\r\nHost: example.com\r\n\r\n".to_vec()),
        send("ones-128", vec![0xff; ONES]),
    ])
}
