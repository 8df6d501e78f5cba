//! Whole-system tests over real sockets
#![forbid(unsafe_code)]
