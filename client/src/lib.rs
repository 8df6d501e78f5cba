//! The local proxy: SOCKS5, HTTP and port forwards over the transports
#![forbid(unsafe_code)]
