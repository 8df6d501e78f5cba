//! What the client is doing, for a status line or a program. Nothing in it tells who talks to whom.

use commucat_verdict::Diagnosis;
use serde::Serialize;

use crate::manager::EndpointState;

/// A snapshot, about twice a second.
#[derive(Clone, Debug, Default, Serialize)]
#[non_exhaustive]
pub struct Status {
    /// The endpoint that new connections take; `None` before the first one worked.
    pub active: Option<ActiveEndpoint>,
    /// All of them.
    pub endpoints: Vec<EndpointStatus>,
    /// Connections and associations that are open.
    pub connections: usize,
    /// Bytes sent through the bridge since the start.
    pub up_bytes: u64,
    /// Bytes received through the bridge since the start.
    pub down_bytes: u64,
    /// Bytes per second sent just now.
    pub up_rate: u64,
    /// Bytes per second received just now.
    pub down_rate: u64,
    /// Why something failed, most recently.
    pub last_cause: Option<CauseLine>,
    /// Seconds that this machine's clock is ahead of the bridge's, when the bridge told.
    pub clock_ahead_s: Option<i64>,
}

/// The endpoint in use.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ActiveEndpoint {
    /// Its label.
    pub name: String,
    /// Its transport.
    pub transport: String,
    /// Why it and no other.
    pub why: String,
}

/// One endpoint of the list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct EndpointStatus {
    /// Its label.
    pub name: String,
    /// Its transport.
    pub transport: String,
    /// How it is seen.
    pub state: EndpointState,
}

/// Why something failed.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct CauseLine {
    /// The endpoint it is about.
    pub endpoint: String,
    /// Counts up with every new cause, so that a reader shows each once.
    pub number: u64,
    /// When, in seconds since 1970.
    pub at_s: u64,
    /// The same that `doctor` would say.
    #[serde(flatten)]
    pub diagnosis: Diagnosis,
}
