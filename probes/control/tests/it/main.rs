//! The control server as peers see it: honest ones, clumsy ones, and hostile ones.
#![forbid(unsafe_code)]
#![allow(
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::print_stderr,
    reason = "tests"
)]

mod abuse;
mod echo;
mod foreign;
mod http;
mod logs;
mod quic;
mod stop;
mod support;
mod tls;
mod udp;
