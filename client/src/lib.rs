//! The client: one local port that speaks SOCKS5, SOCKS4a and HTTP proxy, port forwards, and `doctor`.
//!
//! ```text
//! local program ──► inbound (socks, http: pure parsers) ──► Manager ──► an endpoint's transport ──► bridge
//!                                                             │
//!                         health, policy, race, budget (pure) ┘
//! ```
//!
//! * [`Runtime`] is a running client: ports, forwards, background tasks.
//! * [`Manager`] gives every connection a channel through the endpoint that works best now.
//! * [`Status`] is what a status line shows; every failure stands there as one sentence.
//! * [`doctor`] measures every endpoint beside controls and names the cause.
//!
//! This crate opens no socket and reads no clock by itself: both come in as [`Net`](commucat_transport_api::Net).
#![forbid(unsafe_code)]

mod assist;
mod auth;
pub mod doctor;
mod endpoint;
mod error;
#[doc(hidden)]
pub mod fuzzing;
mod http;
mod inbound;
mod manager;
mod runtime;
mod socks;
mod state;
mod status;

pub use auth::{Credentials, MAX_CREDENTIAL_BYTES};
pub use endpoint::Endpoint;
pub use error::ClientError;
pub use inbound::{Forward, ForwardError, HANDSHAKE_LIMIT, MAX_HANDSHAKES};
pub use manager::{CHECK_BUDGET, DIAL_BUDGET, DialFailed, EndpointState, MAX_ENDPOINTS, Manager, TICK};
pub use runtime::{DEFAULT_LISTEN, DEFAULT_MAX_CONNECTIONS, Options, Runtime, endpoints};
pub use state::{ClientState, History, MAX_REMEMBERED, STATE_FILE};
pub use status::{ActiveEndpoint, CauseLine, EndpointStatus, Status};
