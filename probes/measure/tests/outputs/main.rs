//! Every form a run can be written in: valid, whole, private, and fit to be looked at.
#![forbid(unsafe_code)]
#![allow(
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::print_stdout,
    reason = "tests"
)]

mod compare;
mod forms;
mod page;
mod private;
mod real;
mod rows;
mod sample;
mod terminal;
mod watching;
