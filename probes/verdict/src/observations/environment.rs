//! The machine and its surroundings.

use serde::{Deserialize, Serialize};

/// What the machine and its nearest surroundings are like. Whether anything answers stands in the series of
/// [`super::Subtest::Env`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Environment {
    /// Whether there is a default route, or another one to a control server; `None` when the system does not say.
    pub routed: Option<bool>,
    /// The interface that the default route leads to.
    pub interface: Option<String>,
    /// `wired`, `wifi`, `mobile`, `tunnel` or `unknown`.
    pub network_type: String,
    /// Tunnels that would carry the measurements; not empty only when the targets allow it expressly.
    pub tunnels: Vec<String>,
    /// Programs found that rewrite packets of this machine.
    pub rewriters: Vec<String>,
    /// Something answered in the control servers' place and asks for a login.
    pub captive: bool,
    /// Seconds that this machine's clock is ahead of the control server's; negative when behind.
    pub clock_ahead_s: Option<i64>,
    /// Median round-trip time to the control server abroad, in microseconds.
    pub rtt_us: Option<u64>,
    /// Failure rate of harmless datagrams (0 to 1): what is lost anyway.
    pub datagram_loss: Option<f64>,
    /// How long silence must last to count as no answer, in microseconds.
    pub timeout_us: Option<u64>,
}
