//! Other people's REALITY on either side of ours: Xray, sing-box and shoes.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod ends;
mod inner;
mod shoes;
mod sing_box;
mod site;
mod strangers;
mod tap;
mod xray;

/// Bytes of a transfer whose wire is looked at.
const SOME_BYTES: usize = 8 << 20;
/// Bytes of a transfer that is not over at once.
const MORE_BYTES: usize = 64 << 20;
