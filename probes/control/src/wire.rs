//! What the probe and the control server share: paths, ALPN names, answers. The probe writes its own requests.
//!
//! | request | answer |
//! |---|---|
//! | `GET /source?bytes=N[&chunk=B&every_ms=T]` | N bytes of [`pattern`]; with `every_ms`, B bytes at a time |
//! | `HEAD /source?bytes=N` | the head alone |
//! | `POST /sink` | reads the body, then [`SinkAnswer`] |
//! | `POST /echo` | the body, as it arrives |
//! | `GET /whoami` | [`WhoamiAnswer`] |
//! | `GET /hello` | [`HelloAnswer`] |
//! | `GET /time` | [`TimeAnswer`] |
//!
//! A body needs `Content-Length`. Connections are kept open between requests, and requests may be pipelined. A refused
//! request gets a status of 400 or more and [`ErrorAnswer`], and the connection is closed.
//!
//! # How a TCP port tells what it is spoken to in
//!
//! * TLS: `16 03`, a third byte of at most 4, and a handshake message of type 1 (sixth byte `01`).
//! * HTTP: `GET /`, `HEAD /` or `POST /`. So `GET ` before random bytes is no request, and is echoed.
//! * Everything else is echoed, also what begins like one of these and then stops for longer than
//!   [`crate::Limits::detect_ms`].

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

/// Sends bytes.
pub const SOURCE: &str = "/source";
/// Reads bytes and says how many, and their digest.
pub const SINK: &str = "/sink";
/// Sends back what it reads.
pub const ECHO: &str = "/echo";
/// Says which address it sees.
pub const WHOAMI: &str = "/whoami";
/// Says which TLS hello it saw.
pub const HELLO: &str = "/hello";
/// Says what time it is.
pub const TIME: &str = "/time";

/// ALPN inside TLS over TCP.
pub const ALPN_HTTP: &[u8] = b"http/1.1";
/// ALPN of the probe over QUIC.
pub const ALPN_PROBE: &[u8] = b"commucat-probe/1";
/// ALPN of HTTP/3: accepted so that a hello can look like a browser's. The streams still speak HTTP/1.1.
pub const ALPN_H3: &[u8] = b"h3";

/// A server with a token serves only paths below it: `/TOKEN/source`.
pub fn path(token: Option<&str>, request: &str) -> String {
    match token {
        Some(token) => format!("/{token}{request}"),
        None => request.to_owned(),
    }
}

/// The answer of [`SINK`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SinkAnswer {
    /// Bytes of body read.
    pub bytes: u64,
    /// SHA-256 of the body, 64 lower-case hex digits.
    pub sha256: String,
}

/// The answer of [`WHOAMI`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WhoamiAnswer {
    /// The peer's address as the server sees it.
    pub address: IpAddr,
    /// The peer's port as the server sees it.
    pub port: u16,
}

/// The answer of [`HELLO`]: what the server read on the wire, before TLS was done with it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HelloAnswer {
    /// What carried the hello.
    pub carrier: Carrier,
    /// The server name in it.
    pub server_name: Option<String>,
    /// JA4 (FoxIO) of it; `None` without TLS, or when it did not parse.
    pub ja4: Option<String>,
    /// ALPN that was agreed on.
    pub alpn: Option<String>,
    /// TLS version that was agreed on, `1.2` or `1.3`.
    pub tls_version: Option<String>,
}

/// What carried a request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Carrier {
    /// TCP without TLS.
    #[default]
    Tcp,
    /// TLS over TCP.
    Tls,
    /// QUIC.
    Quic,
}

/// The answer of [`TIME`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TimeAnswer {
    /// Milliseconds since 1970-01-01 UTC, as the server believes.
    pub unix_ms: u64,
}

/// The body of every answer with a status of 400 or more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorAnswer {
    /// What is wrong with the request, for a person.
    pub error: String,
}

/// Fills `out` with the bytes that [`SOURCE`] sends from this offset on: incompressible and known to both ends, so
/// that a changed byte is noticed. It is SplitMix64 over the number of the 8-byte word, little-endian.
pub fn pattern(offset: u64, mut out: &mut [u8]) {
    let mut at = offset;
    while !out.is_empty() {
        let skip = usize::try_from(at % WORD).unwrap_or(0);
        let bytes = word(at / WORD).to_le_bytes();
        let part = bytes.get(skip..).unwrap_or_default();
        let take = part.len().min(out.len());
        let (now, later) = out.split_at_mut(take);
        now.copy_from_slice(part.get(..take).unwrap_or_default());
        out = later;
        at = at.wrapping_add(take as u64);
    }
}

/// Bytes that one step of the generator gives.
const WORD: u64 = 8;

/// SplitMix64 (Steele, Lea, Flood 2014), the constants of its reference implementation.
const fn word(number: u64) -> u64 {
    let state = number.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pattern_is_splitmix64() {
        // First outputs of SplitMix64 with seed 0, as published with xoshiro's reference code.
        let mut bytes = [0; 16];
        pattern(0, &mut bytes);
        assert_eq!(bytes[..8], 0xe220_a839_7b1d_cdaf_u64.to_le_bytes());
        assert_eq!(bytes[8..], 0x6e78_9e6a_a1b9_65f4_u64.to_le_bytes());
    }

    #[test]
    fn the_pattern_is_the_same_from_any_offset() {
        let mut whole = [0; 100];
        pattern(0, &mut whole);
        for from in 0..whole.len() {
            let mut part = vec![0; whole.len() - from];
            pattern(from as u64, &mut part);
            assert_eq!(part, whole[from..]);
        }
    }

    #[test]
    fn a_token_is_a_path_prefix() {
        assert_eq!(path(None, SINK), "/sink");
        assert_eq!(path(Some("k3y"), SINK), "/k3y/sink");
    }
}
