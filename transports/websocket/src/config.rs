//! Parameters of the two ends, parsed and validated before a packet leaves.

mod client;
mod server;
mod text;

use std::time::Duration;

use commucat_transport_api::{ConfigError, ConfigProblem};
use serde::{Deserialize, Serialize};

pub(crate) use self::{
    client::{ClientConfig, ClientParams, Credentials},
    server::{CoverParams, Identity, ServerConfig},
    text::{encode_key, encode_pin},
};

/// Shortest quiet time before a ping that can be asked for.
const PING_MIN_S: u16 = 2;
/// Longest quiet time before a ping that can be asked for.
const PING_MAX_S: u16 = 3600;

/// How a bridge knows its users.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Auth {
    /// By the token in the upgrade request.
    #[default]
    Token,
    /// By the path alone: the stream goes to the bridge as it is, for another transport on top.
    None,
}

/// Whether there is TLS.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Tls {
    #[default]
    On,
    /// Somebody else (nginx, a CDN) ends it before us.
    Off,
}

/// When to ping a quiet connection: after a time drawn between these, in seconds, once a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Ping {
    /// Least and greatest quiet time, in seconds.
    pub(crate) idle_s: [u16; 2],
}

impl Ping {
    /// A client's, below the idle limits of the common CDNs (60 to 125 s).
    pub(crate) const CLIENT: Self = Self { idle_s: [20, 45] };
    /// A server's: later, so that a live client always comes first.
    pub(crate) const SERVER: Self = Self { idle_s: [50, 75] };

    fn check(self) -> Result<Self, ConfigError> {
        let [least, most] = self.idle_s;
        if least < PING_MIN_S || most > PING_MAX_S || least > most {
            return Err(bad("ping"));
        }
        Ok(self)
    }

    /// The quiet time of one connection.
    pub(crate) fn draw(self, random: u32) -> Duration {
        let [least, most] = self.idle_s.map(|s| u64::from(s) * 1000);
        Duration::from_millis(least + u64::from(random) % (most - least + 1))
    }
}

fn bad(field: &'static str) -> ConfigError {
    ConfigError::new(Some(field), ConfigProblem::BadValue)
}

fn missing(field: &'static str) -> ConfigError {
    ConfigError::new(Some(field), ConfigProblem::Missing)
}
