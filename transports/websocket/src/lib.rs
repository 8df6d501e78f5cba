//! WebSocket over browser-like TLS, both ends
#![forbid(unsafe_code)]
