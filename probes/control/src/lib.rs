//! The small server that a measurement talks to: echo, sink and source over TCP, TLS, QUIC and UDP.
//!
//! A probe can only tell what a network does to a flow when it knows what the far end did. So an operator runs this
//! server beside a bridge (and in a second place, and inside the country), and the probe compares. [`wire`] is all
//! that both ends share.
//!
//! # What a TCP port speaks
//!
//! The first bytes decide ([`wire`] has the details): a TLS hello gets TLS 1.2 or 1.3 with any server name, an
//! HTTP/1.1 request line gets HTTP, and everything else is echoed byte for byte. Inside TLS the same decision is made
//! once more, without TLS. UDP ports answer each datagram with itself less its last byte. QUIC ports speak the same
//! requests on bidirectional streams.
//!
//! # Safe to expose
//!
//! * Nothing is ever sent to anybody but the peer that asked, so this is no relay.
//! * Before a peer has proven its address (TCP and QUIC handshakes), it gets fewer bytes than it sent.
//! * Bytes, seconds, connections (in total and for one address) and datagrams are limited: [`Limits`]. A peer that
//!   sends a byte a minute is dropped by the same clock as one that sends nothing.
//! * Addresses and server names of peers appear in logs at DEBUG only, and redacted.
#![forbid(unsafe_code)]

mod certificate;
mod config;
mod connection;
mod detect;
mod error;
mod gate;
mod guarded;
mod head;
mod http;
mod limits;
mod pin;
mod quic;
mod rate;
mod recorder;
mod seen;
mod server;
mod snoop;
mod stats;
mod tcp;
mod udp;
pub mod wire;

pub use certificate::Certificate;
pub use config::{ControlConfig, Listen, ListenError};
pub use error::ControlError;
pub use limits::{
    CONNECTIONS_MAX, ECHO_BYTES_MAX, HEAD_BYTES_MAX, HEADERS_MAX, Limits, PACE_MAX, SINK_BYTES_MAX,
    SOCKETS_MAX, SOURCE_BYTES_MAX, SOURCE_CHUNK_MAX, TOKEN_BYTES_MAX,
};
pub use pin::{Pin, PinError};
pub use server::{Addresses, Control, RunningControl};
pub use stats::Stats;
