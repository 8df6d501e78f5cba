//! HTTP/1.1 as a proxy reads it (RFC 9110, RFC 9112): pure parsers for heads and body framing, no IO.

pub(crate) mod body;
pub(crate) mod head;
pub(crate) mod reply;
pub(crate) mod request;
pub(crate) mod response;
