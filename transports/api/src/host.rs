//! Hosts and ports as people write them: `example.org:443`, `192.0.2.7:443`, `[2001:db8::1]:443`.

use std::{
    fmt,
    net::{IpAddr, Ipv6Addr, SocketAddr},
    str::FromStr,
    sync::Arc,
};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

/// Longest host name, in bytes: the length byte of a SOCKS address holds no more (RFC 1928 §5).
pub const MAX_HOST_NAME_BYTES: usize = 255;

/// A host: an address, or a name that still has to be resolved (by whoever dials it).
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Host {
    /// An IP address.
    Ip(IpAddr),
    /// A domain name of 1 to [`MAX_HOST_NAME_BYTES`] bytes: visible ASCII without separators.
    Name(Arc<str>),
}

/// Why a text is no host or no `host:port`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HostPortError {
    /// No host stands before the port.
    #[error("the host is empty")]
    EmptyHost,
    /// The name is longer than [`MAX_HOST_NAME_BYTES`].
    #[error("the host name is longer than 255 bytes")]
    HostTooLong,
    /// The name holds a byte no host name has.
    #[error("the host name has a character that no host name may have")]
    BadHost,
    /// There is no `:port`.
    #[error("no port: write host:port, or [v6-address]:port")]
    NoPort,
    /// The port is no number from 0 to 65535.
    #[error("the port is not a number from 0 to 65535")]
    BadPort,
}

impl Host {
    /// Takes a name or the text of an address.
    ///
    /// # Errors
    /// [`HostPortError`] when the text is empty, too long, or has characters of no host name.
    pub fn parse(text: &str) -> Result<Self, HostPortError> {
        if let Ok(ip) = text.parse::<IpAddr>() {
            return Ok(Self::Ip(ip));
        }
        if text.is_empty() {
            return Err(HostPortError::EmptyHost);
        }
        if text.len() > MAX_HOST_NAME_BYTES {
            return Err(HostPortError::HostTooLong);
        }
        let ok = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_');
        if !text.bytes().all(ok) {
            return Err(HostPortError::BadHost);
        }
        Ok(Self::Name(text.into()))
    }

    /// The address, when no name has to be resolved.
    pub const fn ip(&self) -> Option<IpAddr> {
        match self {
            Self::Ip(ip) => Some(*ip),
            Self::Name(_) => None,
        }
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(ip) => ip.fmt(f),
            Self::Name(name) => f.write_str(name),
        }
    }
}

/// Where something listens. Serialized as the text people write.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct HostPort {
    /// The host.
    pub host: Host,
    /// The port; 0 asks the system for a free one when listening.
    pub port: u16,
}

impl HostPort {
    /// Puts host and port together.
    ///
    /// # Errors
    /// As [`Host::parse`].
    pub fn new(host: &str, port: u16) -> Result<Self, HostPortError> {
        Ok(Self { host: Host::parse(host)?, port })
    }

    /// The socket address, when no name has to be resolved.
    pub fn socket_addr(&self) -> Option<SocketAddr> {
        self.host.ip().map(|ip| SocketAddr::new(ip, self.port))
    }
}

impl From<SocketAddr> for HostPort {
    fn from(addr: SocketAddr) -> Self {
        Self { host: Host::Ip(addr.ip()), port: addr.port() }
    }
}

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.host {
            Host::Ip(IpAddr::V6(ip)) => write!(f, "[{ip}]:{}", self.port),
            host => write!(f, "{host}:{}", self.port),
        }
    }
}

impl FromStr for HostPort {
    type Err = HostPortError;

    fn from_str(text: &str) -> Result<Self, HostPortError> {
        let (host, port) = text.rsplit_once(':').ok_or(HostPortError::NoPort)?;
        let port = port.parse().map_err(|_not_a_port: std::num::ParseIntError| HostPortError::BadPort)?;
        if let Some(v6) = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            let ip: Ipv6Addr =
                v6.parse().map_err(|_not_v6: std::net::AddrParseError| HostPortError::BadHost)?;
            return Ok(Self { host: Host::Ip(ip.into()), port });
        }
        if host.contains(':') {
            return Err(HostPortError::NoPort);
        }
        Ok(Self { host: Host::parse(host)?, port })
    }
}

impl Serialize for HostPort {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for HostPort {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        text.parse().map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_round_trips() {
        for text in ["example.org:443", "192.0.2.7:1", "[2001:db8::1]:65535", "a_b:0"] {
            assert_eq!(text.parse::<HostPort>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn each_mistake_has_its_name() {
        let cases = [
            ("example.org", HostPortError::NoPort),
            ("2001:db8::1", HostPortError::NoPort),
            (":1", HostPortError::EmptyHost),
            ("a:65536", HostPortError::BadPort),
            ("a b:1", HostPortError::BadHost),
            ("[::g]:1", HostPortError::BadHost),
        ];
        for (text, error) in cases {
            assert_eq!(text.parse::<HostPort>(), Err(error), "{text}");
        }
        let long = format!("{}:1", "a".repeat(256));
        assert_eq!(long.parse::<HostPort>(), Err(HostPortError::HostTooLong));
    }
}
