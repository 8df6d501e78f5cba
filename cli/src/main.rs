//! The `commucat` program.
#![forbid(unsafe_code)]
fn main() {}
