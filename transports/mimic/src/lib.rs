//! A sans-IO TLS 1.3 client that says what a browser says, from data.
#![forbid(unsafe_code)]
