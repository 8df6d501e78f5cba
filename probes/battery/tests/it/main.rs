//! The battery against real servers on loopback: nginx, OpenSSL, an echo, and our own bridges.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod bridges;
mod peers;
mod same;
mod support;
