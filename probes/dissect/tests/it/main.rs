//! Tests of the parsers and writers against each other, against recorded bytes and against strangers.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod hellos;
mod initials;
mod names;
mod packets;
mod shapes;
mod strangers;
mod written_hellos;
