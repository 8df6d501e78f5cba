//! The bridge
#![forbid(unsafe_code)]
