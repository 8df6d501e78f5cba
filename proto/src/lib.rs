//! Message types shared by client and bridge, without IO.
//!
//! * [`link`]: the `commucat://` share link.
//! * [`assist`]: the request and the answer of `POST /api/p2p/assist`.
//! * [`problem`]: what every error of the HTTP API looks like (RFC 9457).
#![forbid(unsafe_code)]

pub mod assist;
pub mod link;
pub mod problem;
