//! The transport as a whole: the acceptance suite, hostile peers, datagrams, recorded vectors, and the `shadowsocks`
//! crate at the other end.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "tests"
)]

mod datagrams;
mod hostile;
mod oracle;
mod streams;
mod suite;
mod support;
mod vectors;
