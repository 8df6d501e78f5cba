//! The bridge: what runs on the operator's machine.
//!
//! | to | use |
//! |---|---|
//! | read a configuration | [`BridgeConfig::load`] |
//! | set up from nothing | [`setup::prepare`] |
//! | keep state | [`StateDir`], [`open_storage`] |
//! | run | [`Bridge::start`], then [`RunningBridge`] |
//! | manage users | [`Users`], [`client_link`] |
//! | tell systemd | [`notify`] |
//!
//! A connection goes through these rooms: an endpoint's accept loop (`endpoint`), handshake and seat (`session`,
//! `gate`, `roster`), then out to its target (`egress`) or to the bridge's own HTTP service (`http`, `assist`).
//!
//! Nothing here names a concrete transport, and no log line at INFO or above and no metric says who uses the bridge
//! or what for.
#![forbid(unsafe_code)]

mod admin;
mod assist;
mod bridge;
pub mod config;
mod egress;
mod endpoint;
mod error;
mod gate;
mod http;
mod links;
mod metrics;
pub mod notify;
mod rate;
mod roster;
mod session;
pub mod setup;
mod state;
mod storage;
mod tasks;
mod users;
mod watch;

pub use admin::{EndpointReadiness, Readiness};
pub use bridge::{Bridge, Drained, Reloaded, RunningBridge};
pub use config::{BridgeConfig, ConfigFileError};
pub use egress::{Denied, Egress, EgressError, Policy};
pub use endpoint::RunningEndpoint;
pub use error::{BindReason, StartError};
pub use links::{ClientLinkError, client_link};
pub use metrics::METRICS;
pub use state::{StateDir, StateError, StateLock};
pub use storage::{OpenStorageError, open_storage};
pub use users::{UserError, Users};
