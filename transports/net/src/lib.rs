//! Real sockets behind the contract's Net, and the byte relay
#![forbid(unsafe_code)]
