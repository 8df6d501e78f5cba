//! Hellos beside captured ones, and whole handshakes with a rustls server, without a socket.
#![forbid(unsafe_code)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_precision_loss,
    reason = "tests"
)]

mod captured;
mod handshakes;
mod hostile;
mod responder;
mod shape;
mod support;
