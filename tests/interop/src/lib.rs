//! Tests against software we did not write. This library holds what they share: how a foreign program is found, started
//! and stopped, a bridge that really relays, targets on loopback, a SOCKS5 client, and what each transport adds.
#![forbid(unsafe_code)]

mod bridge;
pub mod programs;
mod services;
pub mod shadowsocks;
mod socks;
pub mod websocket;
pub mod wheels;

pub use bridge::RelayBridge;
pub use services::{dns_query, dns_service, dns_service_address, echo_service, udp_echo_service};
pub use socks::{SocksUdp, socks_connect};
