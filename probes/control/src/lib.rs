//! The small server that a measurement talks to: echo, sink and source over TCP, TLS, QUIC and UDP.
#![forbid(unsafe_code)]
