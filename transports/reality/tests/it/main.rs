//! The transport as a whole, with a rustls server as the site that is imitated.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod dials;
mod hostile;
mod links;
mod place;
mod renewal;
mod stalled;
mod suite;
mod support;
mod visitors;
