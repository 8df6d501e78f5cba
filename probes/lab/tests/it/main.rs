//! What the lab promises, tested on real namespaces. Without the rights for those, each test says so in a line and ends.
#![forbid(unsafe_code)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    clippy::print_stdout,
    clippy::unchecked_time_subtraction,
    reason = "tests"
)]

mod censor;
mod crash;
mod family;
mod places;
mod prober;
mod record;
mod role;
mod runs;
mod support;
mod truth;
