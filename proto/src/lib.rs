//! Message types shared by client and bridge, without IO.
//!
//! * [`link`]: the `commucat://` share link.
#![forbid(unsafe_code)]

pub mod link;
