//! Many streams and datagram associations over one long-lived byte stream (a *carrier*), and a small pool of carriers.
//!
//! # Why
//!
//! The networks of 2026 count fresh TLS handshakes per (server network, SNI, fingerprint): more than about six a minute
//! are punished. A proxy that dials once for every stream shows dozens. This crate puts all streams to a bridge on at
//! most three connections that live for tens of minutes, as a browser does with HTTP/2.
//!
//! # What a censor sees
//!
//! One TLS connection with records of up to 16 KiB, small ones among them as HTTP/2 has. The first eight frames of each
//! direction of a stream are padded, so that the lengths of a TLS handshake inside do not show. A carrier without streams
//! says nothing, and ends after one to three minutes.
//!
//! # Parts
//!
//! [`dialled`] and [`accepted`] make a [`Session`] of a carrier, with the [`Driver`] that moves its bytes: a future that
//! its owner spawns. [`Carriers`] is the pool, [`Carried`] a client on top of it. Below them is a core without IO: bytes, time and chance come in.
//!
//! # The wire
//!
//! A frame is `kind u8 ‖ stream u32 ‖ length u16 ‖ body`, big-endian, at most 16,384 bytes in all, so that it fits one TLS
//! record. With the bit 0x80 in its kind the body is `padding u16 ‖ content ‖ padding` (zeros).
//!
//! | kind | frame | content |
//! |---|---|---|
//! | 1 | open | target: 0 and an address (RFC 1928 §5) for a stream, 1 for datagrams |
//! | 2 | data | bytes of the stream |
//! | 3 | window | u32: the peer may send that many bytes more on the stream |
//! | 4 | end | none: half-close |
//! | 5 | reset | code u8: 0 cancelled, 1 refused |
//! | 6, 7 | ping, pong | u64, the same in both |
//! | 8 | go-away | code u8: 0 no new streams, 1 the peer broke the protocol |
//! | 9 | padding | ignored |
//!
//! Streams of the dialling end have odd numbers, which rise; even numbers are the other end's, which opens none today. The
//! kinds 6 to 9 have stream 0. Each direction of a stream may send 64 KiB before it is granted more. Padding is not
//! counted. A data frame of a datagram association carries `length u16 ‖ peer ‖ payload`, cut anywhere.
//!
//! # Limits
//!
//! Everything a peer can make us hold is bounded by [`Config`]. Unknown frames, frames out of place, data beyond the
//! window and floods of small frames end the session with a go-away. All streams of a carrier share its fate, and TCP's
//! head-of-line blocking.
#![forbid(unsafe_code)]

mod carried;
mod config;
mod core;
mod datagrams;
mod dice;
mod driver;
mod error;
mod frame;
#[doc(hidden)]
pub mod fuzzing;
mod pool;
mod session;
mod stream;

pub use carried::Carried;
pub use config::Config;
pub use driver::Driver;
pub use error::{Refusal, Violation};
pub use pool::{CarrierPolicy, Carriers, Spawn};
pub use session::{Session, accepted, dialled};
