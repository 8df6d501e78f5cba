//! The API as its clients meet it: the router alone, and over loopback sockets.
#![forbid(unsafe_code)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "tests"
)]

mod answers;
mod asking;
mod checks;
mod documents;
mod fixture;
mod problems;
mod rates;
