//! Under which conditions a trial was made. Two trials with equal conditions repeat each other.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The parts of the probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Subtest {
    /// The machine, its routes, its clock, and whether anything answers.
    Env,
    /// Names: injection, replacement, silence.
    Dns,
    /// TLS hellos: name and fingerprint.
    Tls,
    /// QUIC.
    Quic,
    /// UDP and shapes of VPN protocols.
    Udp,
    /// Flows that stop after some packets or bytes.
    Freeze,
    /// Limits of parallel connections.
    Conns,
    /// Slowed flows.
    Throttle,
    /// Protocols, ports and addresses that alone are let through.
    Allowlist,
    /// Fully encrypted first payloads.
    Fet,
    /// Encrypted client hellos.
    Ech,
    /// A real transport, end to end.
    Transport,
    /// A bridge, seen from outside.
    Bridge,
    /// A host that a REALITY bridge could imitate.
    Dest,
}

impl Subtest {
    /// The name of the subcommand.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Env => "env",
            Self::Dns => "dns",
            Self::Tls => "tls",
            Self::Quic => "quic",
            Self::Udp => "udp",
            Self::Freeze => "freeze",
            Self::Conns => "conns",
            Self::Throttle => "throttle",
            Self::Allowlist => "allowlist",
            Self::Fet => "fet",
            Self::Ech => "ech",
            Self::Transport => "transport",
            Self::Bridge => "bridge",
            Self::Dest => "dest",
        }
    }
}

impl fmt::Display for Subtest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What distinguishes one experiment from another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Condition {
    /// Whose experiment.
    pub subtest: Subtest,
    /// What carries it.
    pub protocol: Protocol,
    /// Who is asked.
    pub server: ServerKind,
    /// Which kind of port of that server.
    pub port: PortClass,
    /// What is sent first.
    pub payload: Payload,
    /// Whom a hello looks like.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fingerprint: Option<Fingerprint>,
    /// Which name a hello, a request or a question bears.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<NameClass>,
    /// How many connections are opened beside each other; 1 for most.
    pub parallel: u16,
}

impl Condition {
    /// A condition without name and fingerprint, on any port, one connection at a time.
    pub const fn new(subtest: Subtest, protocol: Protocol, server: ServerKind, payload: Payload) -> Self {
        Self {
            subtest,
            protocol,
            server,
            port: PortClass::High,
            payload,
            fingerprint: None,
            name: None,
            parallel: 1,
        }
    }

    /// The same with a name.
    #[must_use]
    pub const fn name(mut self, name: NameClass) -> Self {
        self.name = Some(name);
        self
    }

    /// The same with a fingerprint.
    #[must_use]
    pub const fn fingerprint(mut self, fingerprint: Fingerprint) -> Self {
        self.fingerprint = Some(fingerprint);
        self
    }

    /// The same on another kind of port.
    #[must_use]
    pub const fn port(mut self, port: PortClass) -> Self {
        self.port = port;
        self
    }

    /// The same with connections beside each other.
    #[must_use]
    pub const fn parallel(mut self, parallel: u16) -> Self {
        self.parallel = parallel;
        self
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} to {}", self.payload.as_str(), self.server.as_str())?;
        if let Some(fingerprint) = self.fingerprint {
            write!(f, " as {}", fingerprint.as_str())?;
        }
        if let Some(name) = self.name {
            write!(f, ", {} name", name.as_str())?;
        }
        if self.port != PortClass::High {
            write!(f, ", port {}", self.port.as_str())?;
        }
        if self.parallel > 1 {
            write!(f, ", {} at once", self.parallel)?;
        }
        Ok(())
    }
}

/// Writes an enum whose variants have names, one place for Rust, JSON and people.
macro_rules! named {
    ($(#[$about:meta])* $name:ident { $($(#[$doc:meta])* $variant:ident = $text:literal,)+ }) => {
        $(#[$about])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[non_exhaustive]
        pub enum $name { $($(#[$doc])* #[serde(rename = $text)] $variant,)+ }

        impl $name {
            /// The name in reports.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)+ }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

named! {
    /// What carries a trial.
    Protocol {
        /// TCP without TLS.
        Tcp = "tcp",
        /// TLS over TCP.
        Tls = "tls",
        /// Plain UDP datagrams.
        Udp = "udp",
        /// QUIC.
        Quic = "quic",
    }
}

named! {
    /// Who is asked.
    ServerKind {
        /// The control server abroad.
        Foreign = "foreign",
        /// Another control server abroad, in another network where possible.
        ForeignOther = "foreign_other",
        /// A server inside the country.
        Domestic = "domestic",
        /// An address of a content delivery network abroad.
        Cdn = "cdn",
    }
}

named! {
    /// Which port of the server. Censors treat some specially.
    PortClass {
        /// Any other port.
        High = "high",
        /// 443.
        Https = "443",
        /// 80.
        Http = "80",
        /// 53.
        Dns = "53",
    }
}

named! {
    /// What is sent first.
    Payload {
        /// Nothing beyond the opening of the connection.
        Nothing = "nothing",
        /// A whole TLS handshake and an HTTP request inside it.
        Request = "request",
        /// A TLS ClientHello; a ServerHello is a success.
        Hello = "hello",
        /// A ClientHello with the encrypted_client_hello extension.
        HelloEch = "hello_ech",
        /// Random bytes.
        Random = "random",
        /// Random bytes behind the head of a TLS record.
        TlsRecord = "tls_record",
        /// Printable text.
        Text = "text",
        /// The banner of an SSH client.
        Ssh = "ssh",
        /// An HTTP request in the clear.
        Http = "http",
        /// A QUIC version 1 handshake.
        QuicV1 = "quic_v1",
        /// The same from a source port that is not above the server's: one censor looks only at those above.
        QuicLowSource = "quic_low_source",
        /// A datagram shaped like an Initial, of a version that no server speaks.
        QuicUnknown = "quic_unknown",
        /// A small datagram of random bytes.
        DatagramSmall = "datagram_small",
        /// A large datagram of random bytes (1200 B).
        DatagramLarge = "datagram_large",
        /// A datagram like WireGuard's handshake initiation.
        WireGuard = "wireguard",
        /// A datagram like OpenVPN's hard reset.
        OpenVpn = "openvpn",
        /// A DTLS ClientHello.
        Dtls = "dtls",
        /// Random bytes of the sizes that the VPN shapes have.
        VpnSized = "vpn_sized",
        /// Many bytes, from the server.
        Download = "download",
        /// Many bytes, to the server.
        Upload = "upload",
        /// Many tiny messages and their echoes.
        Trickle = "trickle",
    }
}

named! {
    /// Whom a ClientHello looks like.
    Fingerprint {
        /// A current Chrome.
        ChromeCurrent = "chrome_current",
        /// A Chrome of long ago, which proxies went on imitating.
        ChromeStale = "chrome_stale",
        /// A current Firefox.
        Firefox = "firefox",
        /// A program, not a browser.
        CurlLike = "curl_like",
    }
}

named! {
    /// What kind of name.
    NameClass {
        /// Nobody has a reason to block it.
        Innocent = "innocent",
        /// The user believes that it is blocked here.
        Blocked = "blocked",
        /// No name at all.
        Empty = "empty",
        /// A name that nobody has used before.
        Random = "random",
        /// The public name of a provider's encrypted hellos.
        EchOuter = "ech_outer",
    }
}
