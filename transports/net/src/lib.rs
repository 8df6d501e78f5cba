//! Real sockets behind the contract's [`Net`](commucat_transport_api::Net), and the byte relay.
//!
//! * [`SystemNet`] opens the machine's sockets, reads its clock and its randomness. It is the only place in the
//!   project that does, apart from programs' own control sockets.
//! * [`relay`] moves bytes between two streams with exact half-close, large pooled buffers and an idle limit.
//! * [`abort`] ends a stream so that its peer sees a reset, never a clean end of stream: a transfer that broke must
//!   not look finished.
#![forbid(unsafe_code)]

mod connect;
mod pool;
mod relay;
mod system;
mod tcp;
mod udp;

pub use relay::{RelayError, RelayOptions, Relayed, Side, Traffic, relay};
pub use system::{SystemNet, SystemNetOptions};
pub use tcp::abort;
