//! The whole program over real sockets: every test starts `commucat` as a person would and looks at what he would see.
#![forbid(unsafe_code)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test says what went wrong by panicking, and what it left out by printing"
)]

mod assist;
mod browse;
mod carrier;
mod crash;
mod doctor;
mod hostile;
mod lab;
mod links;
mod probe;
mod reality;
mod reality_crowd;
mod setup;
mod support;
mod udp;
