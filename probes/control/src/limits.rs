//! Every limit of the server, with its unit and the reason for its size.

use std::time::Duration;

use serde::Deserialize;

/// Most bytes one `GET /source` gives: enough for a throttle test at 100 Mbit/s over five seconds.
pub const SOURCE_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// Most bytes `POST /sink` reads.
pub const SINK_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// Most bytes `POST /echo` sends back.
pub const ECHO_BYTES_MAX: u64 = 16 * 1024 * 1024;
/// Most bytes `chunk=` may ask for, and what is sent at once without it.
pub const SOURCE_CHUNK_MAX: usize = 64 * 1024;
/// Longest pause `every_ms=` may ask for.
pub const PACE_MAX: Duration = Duration::from_secs(10);
/// Longest request head, in bytes: probes pad heads to move bytes upwards, 4 KiB at a time.
pub const HEAD_BYTES_MAX: usize = 16 * 1024;
/// Most header lines in a request.
pub const HEADERS_MAX: usize = 64;
/// Longest token, in bytes.
pub const TOKEN_BYTES_MAX: usize = 64;
/// Most sockets one server binds.
pub const SOCKETS_MAX: usize = 1024;
/// The ceiling of [`Limits::connections`]: a descriptor each.
pub const CONNECTIONS_MAX: u32 = 16_384;
/// The ceiling of every time in [`Limits`].
pub(crate) const TIME_MAX: Duration = Duration::from_secs(3600);
/// The ceiling of [`Limits::connection_bytes`].
pub(crate) const CONNECTION_BYTES_MAX: u64 = 4 * 1024 * 1024 * 1024;
/// The ceiling of [`Limits::datagrams_per_second`].
pub(crate) const DATAGRAMS_PER_SECOND_MAX: u32 = 100_000;

/// Longest TLS hello that is kept for `GET /hello`, in bytes. A hello with post-quantum shares has under 2 KiB.
pub(crate) const HELLO_BYTES_MAX: usize = 16 * 1024;
/// Bytes read or written at once.
pub(crate) const BUFFER_BYTES: usize = 16 * 1024;
/// Longest UDP datagram (RFC 768).
pub(crate) const DATAGRAM_BYTES_MAX: usize = 65_535;
/// Addresses whose datagrams are counted at a time; the rest get no answer until some were quiet for a second.
pub(crate) const RATE_ENTRIES_MAX: usize = 8_192;
/// QUIC connections whose hello is kept until they ask for it.
pub(crate) const QUIC_HELLOS_MAX: usize = 1_024;
/// How long an unfinished QUIC hello is kept.
pub(crate) const QUIC_HELLO_LIFE: Duration = Duration::from_secs(60);
/// Streams one QUIC connection may have open.
pub(crate) const QUIC_STREAMS_MAX: u32 = 16;
/// Bytes one QUIC stream may have in flight towards us.
pub(crate) const QUIC_STREAM_WINDOW_BYTES: u32 = 256 * 1024;
/// Bytes one QUIC connection may have in flight towards us, and we towards it.
pub(crate) const QUIC_WINDOW_BYTES: u32 = 1024 * 1024;
/// Above this share of all connections, a QUIC peer must first prove its address (RFC 9000 §8.1.2).
pub(crate) const QUIC_RETRY_ABOVE: u32 = 4;
/// How long running requests may go on after a stop.
pub(crate) const STOP_GRACE: Duration = Duration::from_secs(2);
/// Pause after the system refused to accept a connection (no descriptors left).
pub(crate) const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The limits an operator may move. The defaults suit a machine with 256 MiB of memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Connections at a time, TCP and QUIC together. At most [`CONNECTIONS_MAX`].
    pub connections: u32,
    /// Connections at a time from one address (IPv6: one /64).
    pub connections_per_address: u32,
    /// Requests on one connection.
    pub requests: u32,
    /// Bytes both ways on one connection.
    pub connection_bytes: u64,
    /// Milliseconds a connection may last.
    pub connection_ms: u64,
    /// Milliseconds until the first byte, and between requests.
    pub first_byte_ms: u64,
    /// Milliseconds from the first byte until it is clear what is spoken; then it is echoed.
    pub detect_ms: u64,
    /// Milliseconds for a TLS handshake, and for a whole request head.
    pub head_ms: u64,
    /// Milliseconds without a byte in either direction.
    pub idle_ms: u64,
    /// Datagrams answered a second for one address (IPv6: one /64).
    pub datagrams_per_second: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 4_096,
            connections_per_address: 256,
            requests: 256,
            connection_bytes: 256 * 1024 * 1024,
            connection_ms: 600_000,
            first_byte_ms: 30_000,
            detect_ms: 5_000,
            head_ms: 10_000,
            idle_ms: 60_000,
            datagrams_per_second: 500,
        }
    }
}

impl Limits {
    pub(crate) const fn connection(&self) -> Duration {
        Duration::from_millis(self.connection_ms)
    }

    pub(crate) const fn first_byte(&self) -> Duration {
        Duration::from_millis(self.first_byte_ms)
    }

    pub(crate) const fn detect(&self) -> Duration {
        Duration::from_millis(self.detect_ms)
    }

    pub(crate) const fn head(&self) -> Duration {
        Duration::from_millis(self.head_ms)
    }

    pub(crate) const fn idle(&self) -> Duration {
        Duration::from_millis(self.idle_ms)
    }

    /// The name of the first limit that is zero or above its ceiling.
    pub(crate) fn wrong(&self) -> Option<&'static str> {
        let time = u64::try_from(TIME_MAX.as_millis()).unwrap_or(u64::MAX);
        let checks = [
            ("connections", u64::from(self.connections), u64::from(CONNECTIONS_MAX)),
            ("connections_per_address", u64::from(self.connections_per_address), u64::from(CONNECTIONS_MAX)),
            ("requests", u64::from(self.requests), u64::from(u32::MAX)),
            ("connection_bytes", self.connection_bytes, CONNECTION_BYTES_MAX),
            ("connection_ms", self.connection_ms, time),
            ("first_byte_ms", self.first_byte_ms, time),
            ("detect_ms", self.detect_ms, time),
            ("head_ms", self.head_ms, time),
            ("idle_ms", self.idle_ms, time),
            (
                "datagrams_per_second",
                u64::from(self.datagrams_per_second),
                u64::from(DATAGRAMS_PER_SECOND_MAX),
            ),
        ];
        checks.iter().find(|(_, value, max)| *value == 0 || value > max).map(|(name, ..)| *name)
    }
}
