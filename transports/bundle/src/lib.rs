//! The only crate that names concrete transports
#![forbid(unsafe_code)]
