//! A whole bridge over real sockets on loopback, with the plainest transport there can be.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::string_slice,
    reason = "tests"
)]

mod admin;
mod channels;
mod configs;
mod limits;
mod plain;
mod reload;
mod setup;
mod standard;
mod start;
mod support;
mod users;
