//! What a censor reads out of packets: headers, TLS hellos, QUIC Initials, DNS, HTTP, VPN shapes; and how to write them.
//!
//! Everything here is a function from bytes to a view of them, or from a description to bytes. Nothing holds state,
//! nothing reads a clock, and nothing that a stranger sends can make it panic. The lab's judge, the probe and the
//! transports share it, so a rule means the same to who enforces it and to who measures it.
#![forbid(unsafe_code)]

mod bytes;
mod checksum;
pub mod craft;
pub mod dns;
pub mod dtls;
pub mod entropy;
pub mod fet;
pub mod http;
pub mod ip;
pub mod openvpn;
pub mod quic;
pub mod ssh;
pub mod tls;
pub mod tls_in_tls;
pub mod wireguard;
