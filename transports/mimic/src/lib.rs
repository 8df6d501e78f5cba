//! A TLS 1.3 client that says what a browser says: sans-IO, with its shape read from data.
//!
//! # What a censor sees
//!
//! The hello of the browser whose [`Template`] is used: its cipher suites, extensions and their order (permuted anew
//! for each connection where the browser does that), GREASE in the browser's slots, its key shares (X25519MLKEM768
//! and X25519), GREASE for Encrypted Client Hello with the browser's lengths; then one change_cipher_spec and one
//! Finished record together, as the browser writes them. Templates are data files: a [`Pack`] holds them with a
//! version and a signature, so they can be replaced without a new program when a browser changes.
//!
//! # What it is not
//!
//! It speaks TLS 1.3 alone. A server that picks TLS 1.2 from the hello gets the alert a browser without TLS 1.2 would
//! send, and the caller [`Error::ServerChoseOldVersion`]. It sends no early data and no client certificate.
//!
//! # How to drive it
//!
//! [`Client::new`] makes the hello; then, until the connection ends: send what [`Client::poll_transmit`] gives, hand what
//! arrives to [`Client::handle_input`], look at [`Client::poll_event`]. Once connected, [`Client::seal`] makes records of
//! bytes and [`Client::plaintext`] holds what arrived. Nothing here reads a clock or a socket.
//!
//! # Sources
//!
//! RFC 8446 (TLS 1.3), RFC 8701 (GREASE), RFC 8879 (certificate compression), RFC 9849 §6.2 (GREASE ECH),
//! draft-ietf-tls-ecdhe-mlkem (X25519MLKEM768); the templates were read from captured hellos, named in each file.
#![forbid(unsafe_code)]

mod client;
mod codec;
mod decompress;
mod error;
#[doc(hidden)]
pub mod fuzzing;
mod grease;
mod hello;
mod link;
mod message;
mod random;
mod record;
mod responder;
mod schedule;
mod shares;
mod template;
mod ticket;
mod verify;

pub use client::{Client, ClientOptions, Event, Parts};
pub use error::{Alert, Error};
pub use hello::{SESSION_ID_AT, SESSION_ID_BYTES, SessionId, Unsealed};
pub use link::{Content, MAX_RECORD_BYTES, Opened, Sealed, sealed_bytes};
pub use random::{NoRandomness, Random};
pub use responder::{Flight, MAX_FLIGHT_RECORDS, Responder, TargetHello};
pub use template::{
    BUILT_IN_VERSION, Bytes, Code, Extension, Hellos, MAX_PACK_BYTES, Order, Pack, PackError, Template,
    TemplateError, U16,
};
pub use ticket::Ticket;
pub use verify::{CertificateVerifier, Presented, Trust, WebPki};
