//! The probe against real control servers on loopback: nothing is found where nothing is wrong, and what a small
//! censor in between does is observed.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod clean;
mod refusals;
mod support;
mod wrong;
