//! The client as a whole, over a small transport made for these tests and real loopback sockets.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

#[path = "it/assist.rs"]
mod assist;
#[path = "it/curl.rs"]
mod curl;
#[path = "it/doctor.rs"]
mod doctor;
#[path = "it/failover.rs"]
mod failover;
#[path = "it/http.rs"]
mod http;
#[path = "it/limits.rs"]
mod limits;
#[path = "it/mini.rs"]
mod mini;
#[path = "it/peer.rs"]
mod peer;
#[path = "it/real.rs"]
mod real;
#[path = "it/socks.rs"]
mod socks;
#[path = "it/udp.rs"]
mod udp;
