//! The contract every CommuCat transport implements, and nothing else.
//!
//! A transport carries bytes between a client and a bridge so that a censor sees something ordinary. This crate
//! says what such a transport must offer and what it may assume; it holds no socket, no clock and no spawn, so a
//! transport written against it runs over real sockets, over another transport, or inside a seeded simulator
//! without changing a line.
//!
//! # The shape, in the order things happen
//!
//! 1. A [`Registry`] maps a [`TransportId`] to a [`PluggableTransport`].
//! 2. [`PluggableTransport::client`] or [`PluggableTransport::server`] turns a [`Spec`] into a typed, validated
//!    object. **Everything is parsed before a packet leaves**: a [`Client`] that exists can only fail on the network.
//! 3. [`Client::dial`] opens a [`Channel`] to a [`Target`]. A failed dial is [`Failure`] *evidence* (phase, signal,
//!    time, bytes), never a verdict: a dead bridge and a censor look the same from one side.
//! 4. [`Server::listen`] gives a [`Listener`]. [`Listener::accept`] is cheap; the slow and hostile part happens in
//!    [`Incoming::handshake`], which the caller runs in a task of its own. A stranger is answered in there exactly as
//!    the cover service would answer, never by a silent close.
//! 5. [`Server::client_spec`] says what a client needs; links, QR codes and assist hand that out.
//!
//! A transport that only turns one carrier stream into another implements [`StreamTransport`], and [`Simple`] makes the
//! rest.
//!
//! # Rules
//!
//! * Time, sockets and names come from [`Net`]. A transport never reads a clock or opens a socket by itself.
//! * A [`ByteStream`] has exact TCP semantics: `poll_shutdown` is a half-close that the other side sees as end of
//!   stream at once, and the other direction stays open.
//! * A dropped dial or channel leaves nothing behind.
//! * Nothing a peer sends may panic or grow memory without a named limit.
#![forbid(unsafe_code)]

mod abort;
mod channel;
mod descriptor;
mod error;
mod evidence;
mod exact;
mod handshake;
mod host;
mod layer;
mod net;
mod probe;
mod redacted;
mod registry;
mod secret;
mod simple;
mod spec;
mod target;
mod transport;
mod users;

use std::{future::Future, pin::Pin};

/// A boxed future: one allocation a dial buys an object-safe contract without a macro.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;
/// The source of an error whose type the contract does not name.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

pub use abort::{abort, is_aborting};
pub use channel::{BoxStream, ByteStream, Channel, DatagramChannel, MuxSession, Opened, PathInfo};
pub use descriptor::{Addressing, ChannelKinds, Descriptor, Roles, TransportId};
pub use error::{AcceptError, ConfigError, ConfigProblem, DialError, ListenError};
pub use evidence::{Failure, Phase, Retry, Signal, Suspicion};
pub use exact::{read_exact, read_target, write_all, write_target};
pub use handshake::{DriveError, Handshake, Step, drive};
pub use host::{Host, HostPort, HostPortError, MAX_HOST_NAME_BYTES};
pub use layer::{Layer, Layered, passed_in, passed_out, reader_below, writer_below};
pub use net::{Cx, Events, Net, StreamPort, UdpPort};
pub use probe::{ProbeReport, ProbeStep};
pub use redacted::{Redacted, reveal_redacted};
pub use registry::Registry;
pub use secret::Secret;
pub use simple::{SIMPLE_HANDSHAKE_MAX, Simple, StreamTransport};
pub use spec::Spec;
pub use target::{BRIDGE_HOST, BRIDGE_PORT, MAX_ADDRESS_BYTES, MUX_HOST, MUX_PORT, Target, TargetError};
pub use transport::{Accepted, Client, Incoming, Listener, PluggableTransport, Server};
pub use users::{MAX_USER_NAME_BYTES, USER_SECRET_BYTES, User, UserId, UserTable};
