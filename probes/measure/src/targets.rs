//! Whom the probe may ask, and what it may do: configuration, never code. `configs/probe-targets.toml` explains it.

mod ports;

use std::{
    net::{IpAddr, SocketAddr},
    path::{Path, PathBuf},
    time::Duration,
};

use commucat_control::Pin;
use commucat_verdict::observations::{PortClass, ServerKind};
use serde::{Deserialize, Serialize};

pub(crate) use self::ports::class_of;
pub use self::ports::{PORTS_MAX, PortError, Ports};
use crate::safety::Consent;

/// Most servers, resolvers, hosts or names of one kind. More would only make a run longer.
pub const TARGETS_MAX: usize = 64;
/// Longest name, in bytes (RFC 1035 §2.3.4).
const NAME_BYTES_MAX: usize = 253;
/// Shortest silence that may count as no answer.
const TIMEOUT_MIN: Duration = Duration::from_millis(100);
/// Longest window for answers of resolvers, and longest silence.
const WINDOW_MAX: Duration = Duration::from_secs(30);

/// The targets of a run.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Targets {
    /// The run is made inside the lab, whose network is a tunnel by construction. Reports say so.
    pub lab: bool,
    /// Control servers.
    #[serde(rename = "server")]
    pub servers: Vec<Server>,
    /// Resolvers to ask.
    pub dns: DnsTargets,
    /// Names for hellos and questions.
    pub names: Names,
    /// Addresses of content delivery networks that speak TLS: encrypted hellos are filtered only towards these.
    #[serde(rename = "cdn")]
    pub cdns: Vec<Cdn>,
    /// What the user agrees to.
    pub consent: Consent,
    /// How long to wait.
    pub timing: Timing,
}

/// One control server (`commucat probe serve`).
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Server {
    /// Where it stands: `foreign`, `foreign_other` or `domestic`.
    pub kind: ServerKind,
    /// Its address.
    pub address: IpAddr,
    /// Its TCP ports. The more, the more trials can be made without meeting the consequences of an earlier one.
    #[serde(default)]
    pub tcp: Ports,
    /// Its UDP ports that echo.
    #[serde(default)]
    pub udp: Ports,
    /// Its UDP ports that speak QUIC.
    #[serde(default)]
    pub quic: Ports,
    /// The pin of its certificate.
    #[serde(default)]
    pub pin: Option<Pin>,
    /// Its token, if it has one.
    #[serde(default)]
    pub token: Option<String>,
}

/// Resolvers to ask.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct DnsTargets {
    /// The resolver of this network; without it the system's configuration is read.
    pub system: Option<SocketAddr>,
    /// Resolvers abroad whose answers are believed more.
    pub control: Vec<SocketAddr>,
    /// Hosts abroad that answer no questions: any answer from there was made on the way.
    pub no_resolver: Vec<SocketAddr>,
}

/// Names.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Names {
    /// Names that nobody has a reason to block. Two or more: handshakes are counted for each name by some networks.
    pub innocent: Vec<String>,
    /// Names believed to be blocked here. Asking for them is risk class medium.
    pub blocked: Vec<String>,
    /// The public name of a provider's encrypted hellos.
    pub ech_outer: String,
}

/// A host of a content delivery network.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Cdn {
    /// Address and port.
    pub address: SocketAddr,
    /// A name that it serves.
    pub name: String,
}

/// How long to wait.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Timing {
    /// Least silence that counts as no answer, in milliseconds; three round trips when those are longer.
    pub timeout_min_ms: u64,
    /// How long answers of a resolver are collected, in milliseconds: a forged one races the true one.
    pub dns_window_ms: u64,
}

/// Why targets cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TargetError {
    /// The file cannot be read.
    #[error("cannot read the targets in {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The text is not what `configs/probe-targets.toml` describes.
    #[error("the targets do not parse; configs/probe-targets.toml shows every key")]
    Parse(#[source] toml::de::Error),
    /// There is no control server to measure with.
    #[error(
        "no control server abroad in the targets: add a [[server]] with kind = \"foreign\" (an operator runs one with `commucat probe serve`)"
    )]
    NoServer,
    /// A server has no TCP port.
    #[error("the {kind} server has no tcp ports: list some, for example tcp = [443, \"20000-20063\"]")]
    NoPorts {
        /// Which.
        kind: ServerKind,
    },
    /// Too many of a kind.
    #[error("{what}: at most {TARGETS_MAX}")]
    TooMany {
        /// Of what.
        what: &'static str,
    },
    /// A name that no hello can bear.
    #[error("{name:?} is no host name: letters, digits, hyphens and dots, at most {NAME_BYTES_MAX} bytes")]
    Name {
        /// The text.
        name: String,
    },
    /// A waiting time outside the sensible range.
    #[error("timing.{key} must be between {} and {} ms", TIMEOUT_MIN.as_millis(), WINDOW_MAX.as_millis())]
    Timing {
        /// Which.
        key: &'static str,
    },
    /// A server kind that is none.
    #[error("a [[server]] cannot be of kind \"cdn\": hosts of delivery networks are listed under [[cdn]]")]
    CdnServer,
}

impl Default for Names {
    fn default() -> Self {
        Self {
            innocent: vec!["www.example.org".to_owned(), "example.com".to_owned(), "example.net".to_owned()],
            blocked: Vec::new(),
            ech_outer: "cloudflare-ech.com".to_owned(),
        }
    }
}

impl Default for Timing {
    fn default() -> Self {
        Self { timeout_min_ms: 1_500, dns_window_ms: 3_000 }
    }
}

impl Targets {
    /// Reads targets from a file and checks them.
    ///
    /// # Errors
    /// The file cannot be read, does not parse, or names nothing that could be measured.
    pub fn load(path: &Path) -> Result<Self, TargetError> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| TargetError::Read { path: path.to_owned(), source })?;
        Self::parse(&text)
    }

    /// Reads targets from a text and checks them.
    ///
    /// # Errors
    /// As [`Self::load`], but for reading.
    pub fn parse(text: &str) -> Result<Self, TargetError> {
        let targets: Self = toml::from_str(text).map_err(TargetError::Parse)?;
        targets.check()?;
        Ok(targets)
    }

    /// Checks targets that were made by a program.
    ///
    /// # Errors
    /// They name nothing that could be measured, or too much.
    pub fn check(&self) -> Result<(), TargetError> {
        if !self.servers.iter().any(|server| server.kind == ServerKind::Foreign) {
            return Err(TargetError::NoServer);
        }
        for server in &self.servers {
            if server.kind == ServerKind::Cdn {
                return Err(TargetError::CdnServer);
            }
            if server.tcp.is_empty() {
                return Err(TargetError::NoPorts { kind: server.kind });
            }
        }
        let counts = [
            ("servers", self.servers.len()),
            ("control resolvers", self.dns.control.len()),
            ("hosts that are no resolvers", self.dns.no_resolver.len()),
            ("innocent names", self.names.innocent.len()),
            ("blocked names", self.names.blocked.len()),
            ("cdn hosts", self.cdns.len()),
        ];
        if let Some((what, _)) = counts.iter().find(|(_, count)| *count > TARGETS_MAX) {
            return Err(TargetError::TooMany { what });
        }
        let cdn_names = self.cdns.iter().map(|cdn| &cdn.name);
        let names = self.names.innocent.iter().chain(&self.names.blocked).chain(cdn_names);
        if let Some(name) = names.chain([&self.names.ech_outer]).find(|name| !is_host_name(name)) {
            return Err(TargetError::Name { name: name.clone() });
        }
        self.timing.check()
    }

    /// The first server of a kind.
    pub fn server(&self, kind: ServerKind) -> Option<&Server> {
        self.servers.iter().find(|server| server.kind == kind)
    }
}

impl Server {
    /// Whether it has a TCP port of this class.
    pub fn has_tcp(&self, class: PortClass) -> bool {
        self.tcp.of_class(class).next().is_some()
    }
}

impl Timing {
    fn check(&self) -> Result<(), TargetError> {
        let range = TIMEOUT_MIN..=WINDOW_MAX;
        if !range.contains(&self.timeout_min()) {
            return Err(TargetError::Timing { key: "timeout_min_ms" });
        }
        if !range.contains(&self.dns_window()) {
            return Err(TargetError::Timing { key: "dns_window_ms" });
        }
        Ok(())
    }

    pub(crate) const fn timeout_min(&self) -> Duration {
        Duration::from_millis(self.timeout_min_ms)
    }

    pub(crate) const fn dns_window(&self) -> Duration {
        Duration::from_millis(self.dns_window_ms)
    }
}

fn is_host_name(name: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
    };
    name.len() <= NAME_BYTES_MAX && name.split('.').all(label)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"
        lab = true
        [[server]]
        kind = "foreign"
        address = "203.0.113.20"
        tcp = [443, 80, "20000-20063"]
        udp = ["20000-20015"]
        quic = [443]
        token = "k3y"
        [[server]]
        kind = "domestic"
        address = "198.18.0.20"
        tcp = [443]
        [dns]
        no_resolver = ["203.0.113.99:53"]
        [names]
        innocent = ["innocent.example", "example.com"]
        blocked = ["blocked.example"]
        [[cdn]]
        address = "198.51.100.10:443"
        name = "example.com"
        [consent]
        medium = true
        [timing]
        timeout_min_ms = 500
    "#;

    #[test]
    fn targets_are_read() {
        let targets = Targets::parse(GOOD).unwrap();
        let server = targets.server(ServerKind::Foreign).unwrap();
        assert_eq!(server.tcp.len(), 66);
        assert!(server.has_tcp(PortClass::Https) && !server.has_tcp(PortClass::Dns));
        assert_eq!(targets.timing.dns_window_ms, 3_000);
        assert_eq!(targets.names.ech_outer, "cloudflare-ech.com");
    }

    #[test]
    fn the_example_is_valid_and_shows_every_key() {
        let text = include_str!("../../../configs/probe-targets.toml");
        let targets = Targets::parse(text).unwrap();
        assert!(targets.server(ServerKind::Domestic).is_some());
        assert_eq!(targets.consent, Consent::default(), "nothing risky unless somebody says so");
        let written = toml::to_string(&targets).unwrap();
        let keys = written.lines().filter_map(|line| line.split_once(" = ")).map(|(key, _)| key);
        // `lab` is for the lab alone.
        for key in keys.filter(|key| *key != "lab") {
            assert!(text.contains(key), "the example lacks {key}");
        }
    }

    #[test]
    fn targets_survive_writing() {
        let targets = Targets::parse(GOOD).unwrap();
        let again = Targets::parse(&toml::to_string(&targets).unwrap()).unwrap();
        assert_eq!(format!("{again:?}"), format!("{targets:?}"));
    }

    #[test]
    fn wrong_targets_say_what_is_wrong() {
        let wrong = |from: &str, to: &str| {
            assert!(GOOD.contains(from));
            Targets::parse(&GOOD.replacen(from, to, 1)).unwrap_err()
        };
        assert!(matches!(Targets::parse(""), Err(TargetError::NoServer)));
        assert!(matches!(wrong("\"foreign\"", "\"domestic\""), TargetError::NoServer));
        assert!(matches!(wrong("\"domestic\"", "\"cdn\""), TargetError::CdnServer));
        assert!(matches!(wrong("tcp = [443]", ""), TargetError::NoPorts { .. }));
        assert!(matches!(wrong("tcp = [443]", "tpc = [443]"), TargetError::Parse(_)));
        assert!(matches!(wrong("20000-20063", "20063-20000"), TargetError::Parse(_)));
        assert!(matches!(wrong("\"example.com\"]", "\"exa mple\"]"), TargetError::Name { .. }));
        assert!(matches!(wrong("500", "50"), TargetError::Timing { key: "timeout_min_ms" }));
        let missing = Targets::load(Path::new("/nonexistent/targets.toml")).unwrap_err();
        assert!(missing.to_string().contains("/nonexistent/targets.toml"));
    }
}
