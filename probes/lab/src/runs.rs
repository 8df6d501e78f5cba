//! Runs: a transport, both ends, in a lab with a profile. Does it start, does everything arrive, and did the censor act?
//!
//! The bridge runs in the world's place, the client in the client's. The two ends come from the caller as a [`Subject`]:
//! this crate names no concrete transport.
//!
//! A run **passes** when
//! 1. the first byte came through the bridge and back within [`BOOTSTRAP_MAX`],
//! 2. [`Load`] went both ways and arrived whole, by digest, over as many connections as the load says, and
//! 3. the censor did nothing that touches a packet: marks, notes and calls of the active prober are allowed, and so
//!    nothing that comes of those calls; after a call the client comes a second time and must be served as before.

mod exchange;
mod matrix;
mod reason;
mod run;
mod serve;
mod subject;

use std::time::Duration;

use commucat_censor::Profile;

pub use self::{
    matrix::{MatrixConfig, MatrixEvent, matrix},
    run::{RunConfig, run},
    subject::{BridgePlace, Ends, Subject},
};

/// Within this time the first byte must have come through and back (the limit that Psiphon's clients give a tunnel).
pub const BOOTSTRAP_MAX: Duration = Duration::from_secs(20);
/// Within this time the load must have arrived: a link of 10 Mbit/s that loses 5 % moves it in about half.
pub const TRANSFER_MAX: Duration = Duration::from_secs(60);

/// What a profile is called in reports: one without a name of its own by its chain.
pub(crate) fn label(profile: &Profile) -> String {
    if profile.name == CUSTOM { profile.chain() } else { profile.name.clone() }
}

/// The name of profiles that have none.
const CUSTOM: &str = "custom";

/// What is moved in a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Load {
    /// Bytes from the bridge to the client, over all connections.
    pub down: u64,
    /// Bytes from the client to the bridge, over all connections.
    pub up: u64,
    /// Connections that are open at one time, as a browser opens them to one site.
    pub connections: u32,
}

impl Default for Load {
    fn default() -> Self {
        Self { down: 1024 * 1024, up: 256 * 1024, connections: 6 }
    }
}

impl Load {
    /// The share of one connection; what does not divide is rounded up.
    pub(crate) const fn share(self) -> (u64, u64) {
        let connections = if self.connections == 0 { 1 } else { self.connections as u64 };
        (self.up.div_ceil(connections), self.down.div_ceil(connections))
    }
}
