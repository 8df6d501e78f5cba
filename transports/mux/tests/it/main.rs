//! Sessions and pools from outside: through the public interface, over pipes in memory and simulated networks.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod carriers;
mod datagrams;
mod ends;
mod support;
mod transfers;
