//! The transport from outside: through its public interface, over loopback and simulated networks, against peers that
//! are not ours.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]
#![allow(clippy::needless_pass_by_value, reason = "JSON parameters read best in place")]

mod cover;
mod early;
mod foreign;
mod hello;
mod limits;
mod pings;
mod probe;
mod refusals;
mod suite;
mod support;
mod vectors;
