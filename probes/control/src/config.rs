//! What an operator says to a control server.

use std::{
    fmt,
    net::{IpAddr, SocketAddr},
    str::FromStr,
};

use commucat_transport_api::Secret;
use serde::{Deserialize, Deserializer, de::Error as _};

use crate::{Certificate, ControlError, Limits, SOCKETS_MAX, TOKEN_BYTES_MAX};

/// What to listen at, and within which limits.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ControlConfig {
    /// TCP ports: TLS, HTTP and raw echo, told apart by their first bytes.
    pub tcp: Vec<Listen>,
    /// UDP ports that echo.
    pub udp: Vec<Listen>,
    /// UDP ports that speak QUIC.
    pub quic: Vec<Listen>,
    /// The certificate for TLS and QUIC.
    pub certificate: Certificate,
    /// Serve only paths below `/TOKEN`. Raw echo and UDP echo know no paths and stay open: leave `udp` empty and set
    /// `no_raw_echo = true` where that is not wanted.
    pub token: Option<Secret<String>>,
    /// Do not echo what is neither TLS nor HTTP, but close.
    pub no_raw_echo: bool,
    /// The limits.
    pub limits: Limits,
}

/// One address and a range of ports: `203.0.113.7:443`, `[::]:8000-8063`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listen {
    ip: IpAddr,
    first: u16,
    last: u16,
}

/// Why a text is no place to listen at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected ADDRESS:PORT or ADDRESS:FIRST-LAST, for example 203.0.113.7:443 or [::]:8000-8063")]
pub struct ListenError;

impl ControlConfig {
    /// All three kinds at one address each, ports chosen by the system: for tests and demonstrations.
    pub fn anywhere_on(ip: IpAddr) -> Self {
        let any = vec![Listen::from(SocketAddr::new(ip, 0))];
        Self { tcp: any.clone(), udp: any.clone(), quic: any, ..Self::default() }
    }

    pub(crate) fn check(&self) -> Result<(), ControlError> {
        let asked = [&self.tcp, &self.udp, &self.quic].into_iter().flatten().map(Listen::len).sum();
        if asked == 0 {
            return Err(ControlError::NothingToListenAt);
        }
        if asked > SOCKETS_MAX {
            return Err(ControlError::TooManySockets { asked });
        }
        if self.token.as_ref().is_some_and(|token| !is_token(token.expose())) {
            return Err(ControlError::BadToken);
        }
        self.limits.wrong().map_or(Ok(()), |name| Err(ControlError::BadLimit { name }))
    }
}

impl Listen {
    /// The addresses in it.
    pub fn addresses(&self) -> impl Iterator<Item = SocketAddr> + use<> {
        let ip = self.ip;
        (self.first..=self.last).map(move |port| SocketAddr::new(ip, port))
    }

    fn len(&self) -> usize {
        usize::from(self.last - self.first) + 1
    }
}

impl From<SocketAddr> for Listen {
    fn from(address: SocketAddr) -> Self {
        Self { ip: address.ip(), first: address.port(), last: address.port() }
    }
}

impl FromStr for Listen {
    type Err = ListenError;

    fn from_str(text: &str) -> Result<Self, ListenError> {
        let address = |text: &str| text.parse::<SocketAddr>().map_err(|_text| ListenError);
        let Some((start, last)) = text.rsplit_once('-') else {
            return Ok(address(text)?.into());
        };
        let start = address(start)?;
        let last = last.parse().map_err(|_text: std::num::ParseIntError| ListenError)?;
        if start.port() == 0 || last < start.port() {
            return Err(ListenError);
        }
        Ok(Self { ip: start.ip(), first: start.port(), last })
    }
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", SocketAddr::new(self.ip, self.first))?;
        if self.last != self.first {
            write!(f, "-{}", self.last)?;
        }
        Ok(())
    }
}

impl<'de> Deserialize<'de> for Listen {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        text.parse().map_err(D::Error::custom)
    }
}

fn is_token(text: &str) -> bool {
    (1..=TOKEN_BYTES_MAX).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    #[test]
    fn a_config_is_read() {
        let config: ControlConfig = toml::from_str(
            r#"
            tcp = ["203.0.113.7:443", "203.0.113.7:8000-8003"]
            quic = ["[::]:443"]
            token = "k3y"
            certificate = { from = "kept", file = "/var/lib/commucat/control.pem" }
            limits = { connections = 100 }
            "#,
        )
        .unwrap();
        config.check().unwrap();
        let tcp: Vec<_> = config.tcp.iter().flat_map(Listen::addresses).map(|at| at.port()).collect();
        assert_eq!(tcp, [443, 8000, 8001, 8002, 8003]);
        assert_eq!(config.limits, Limits { connections: 100, ..Limits::default() });
        assert!(!format!("{config:?}").contains("k3y"), "the token is a secret");
    }

    #[test]
    fn a_place_to_listen_at_round_trips() {
        for text in ["203.0.113.7:443", "[::]:8000-8063", "127.0.0.1:0"] {
            assert_eq!(text.parse::<Listen>().unwrap().to_string(), text);
        }
        for text in ["", "443", "a.example:443", "127.0.0.1:5-4", "127.0.0.1:0-9", "127.0.0.1:1-65536"] {
            assert_eq!(text.parse::<Listen>(), Err(ListenError), "{text}");
        }
    }

    #[test]
    fn wrong_configs_are_refused() {
        let good = ControlConfig::anywhere_on(Ipv4Addr::LOCALHOST.into());
        good.check().unwrap();
        assert!(matches!(ControlConfig::default().check(), Err(ControlError::NothingToListenAt)));
        let many = ControlConfig { tcp: vec!["127.0.0.1:1-60000".parse().unwrap()], ..good.clone() };
        assert!(matches!(many.check(), Err(ControlError::TooManySockets { asked: 60_002 })));
        for token in ["", "a/b", "a b", &"x".repeat(65)] {
            let config = ControlConfig { token: Some(Secret::new(token.to_owned())), ..good.clone() };
            assert!(matches!(config.check(), Err(ControlError::BadToken)), "{token}");
        }
        let endless = Limits { connection_ms: 3_600_001, ..Limits::default() };
        let config = ControlConfig { limits: endless, ..good.clone() };
        assert!(matches!(config.check(), Err(ControlError::BadLimit { name: "connection_ms" })));
        let none = Limits { requests: 0, ..Limits::default() };
        let config = ControlConfig { limits: none, ..good };
        assert!(matches!(config.check(), Err(ControlError::BadLimit { name: "requests" })));
    }

    #[test]
    fn unknown_keys_are_errors() {
        assert!(toml::from_str::<ControlConfig>("tpc = []").is_err());
        assert!(toml::from_str::<ControlConfig>("limits = { conections = 1 }").is_err());
    }
}
