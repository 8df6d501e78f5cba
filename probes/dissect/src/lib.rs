//! What a censor reads out of packets: headers, TLS hellos, QUIC Initials, DNS, HTTP, VPN shapes; and how to write them.
#![forbid(unsafe_code)]

mod bytes;
mod checksum;
pub mod craft;
pub mod ip;
