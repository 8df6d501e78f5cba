//! Tests against software we did not write. This library holds what they share: a bridge that really relays, echo and
//! DNS services, a SOCKS5 client, and how a missing program is passed over.
#![forbid(unsafe_code)]

mod bridge;
mod program;
mod services;
pub mod shadowsocks;
mod socks;

pub use bridge::RelayBridge;
pub use program::{Running, find, free_port};
pub use services::{dns_query, dns_service, dns_service_address, echo_service, read_exactly, udp_echo_service};
pub use socks::{SocksUdp, socks_connect};
