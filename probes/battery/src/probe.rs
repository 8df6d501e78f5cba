//! A probe as data: what is sent, in which steps, and where it comes from.

use serde::Serialize;

/// How much harm a measurement can do to who runs it or to its target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Risk {
    /// An ordinary connection.
    Low,
    /// Something that a censor looks for.
    Medium,
    /// Active probes: only against servers whose owner asked for it.
    High,
}

/// Where a probe comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Family {
    /// A recorded first flight, as it was or changed (Alice et al., IMC 2020).
    Replay,
    /// Random bytes of chosen lengths (Alice et al., IMC 2020).
    Random,
    /// The eight probes of a public copy of the Russian checking method.
    Methodika,
    /// The three that give away careless TLS relays (Wang et al., 2023).
    TlsRelay,
    /// What a browser would do: the site behind the port.
    Site,
}

impl Family {
    /// Who described it.
    pub const fn origin(self) -> &'static str {
        match self {
            Self::Replay => "replays of recorded first flights: Alice et al., IMC 2020",
            Self::Random => "random bytes of chosen lengths: Alice et al., IMC 2020",
            Self::Methodika => "eight probes of ByeByeVPN 2.7, a public copy of the Russian checking method",
            Self::TlsRelay => "three probes for TLS relays: Wang et al., 2023",
            Self::Site => "an ordinary request to the site behind the port",
        }
    }
}

/// One thing to do on a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Send these bytes on the carrier, beneath any TLS.
    Send(Vec<u8>),
    /// Read until the server is quiet, then go on.
    Listen,
    /// Shake hands as a TLS client that takes any certificate.
    Tls {
        /// The name in the hello.
        server_name: String,
        /// Application protocols to offer, in order.
        alpn: Vec<Vec<u8>>,
    },
    /// Send these bytes inside TLS; on the carrier when no TLS stands.
    SendInside(Vec<u8>),
    /// Close our direction, and go on reading.
    HalfClose,
}

/// One probe: a connection, what happens on it, and then reading until it ends or patience does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Probe {
    /// Its name in reports: `replay`, `random-49`, `get-absolute`…
    pub name: String,
    /// Where it comes from.
    pub family: Family,
    /// What is done.
    pub steps: Vec<Step>,
}

impl Probe {
    /// A probe that sends bytes and reads.
    pub fn send(name: impl Into<String>, family: Family, bytes: impl Into<Vec<u8>>) -> Self {
        Self { name: name.into(), family, steps: vec![Step::Send(bytes.into())] }
    }

    /// A probe of several steps.
    pub fn steps(name: impl Into<String>, family: Family, steps: Vec<Step>) -> Self {
        Self { name: name.into(), family, steps }
    }

    /// How much harm it can do: all of them are active probes.
    pub const fn risk(&self) -> Risk {
        Risk::High
    }
}
