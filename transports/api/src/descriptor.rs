//! What a transport says about itself before anything is configured.

use std::{borrow::Cow, fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, de::Error as _};

use crate::{ConfigError, ConfigProblem};

const MAX_ID_BYTES: usize = 32;

/// The name of a transport: 1 to 32 bytes of `a-z`, `0-9`, `-`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct TransportId(Cow<'static, str>);

impl TransportId {
    /// For a transport's own constant: `const ID: TransportId = TransportId::from_static("websocket");`
    ///
    /// # Panics
    /// When the text is no valid id; in a `const` that is a compile error.
    #[allow(
        clippy::panic,
        clippy::indexing_slicing,
        reason = "evaluated in constants: a bad id does not compile"
    )]
    pub const fn from_static(id: &'static str) -> Self {
        let bytes = id.as_bytes();
        let mut at = 0;
        while at < bytes.len() {
            assert!(
                matches!(bytes[at], b'a'..=b'z' | b'0'..=b'9' | b'-'),
                "a transport id is a-z, 0-9 and -"
            );
            at += 1;
        }
        assert!(!bytes.is_empty() && bytes.len() <= MAX_ID_BYTES, "a transport id has 1 to 32 bytes");
        Self(Cow::Borrowed(id))
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for TransportId {
    type Err = ConfigError;

    fn from_str(id: &str) -> Result<Self, ConfigError> {
        let ok = (1..=MAX_ID_BYTES).contains(&id.len())
            && id.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
        if !ok {
            return Err(ConfigError::new(Some("transport"), ConfigProblem::BadValue));
        }
        Ok(Self(Cow::Owned(id.to_owned())))
    }
}

impl fmt::Display for TransportId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for TransportId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <Cow<'de, str>>::deserialize(deserializer)?;
        text.parse().map_err(D::Error::custom)
    }
}

/// What a transport is called and what it can carry.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Descriptor {
    /// Its name in specs and tables.
    pub id: TransportId,
    /// One line for people: what a censor sees.
    pub summary: &'static str,
    /// Link schemes it reads and writes, without `://`; the first is its own.
    pub schemes: &'static [&'static str],
    /// The channels a dial can give.
    pub channels: ChannelKinds,
    /// The ends it has.
    pub roles: Roles,
    /// Who says where a channel goes.
    pub addressing: Addressing,
    /// A bridge needs more than generated parameters: something that only its operator can choose.
    pub needs_operator: bool,
}

impl Descriptor {
    /// A descriptor without link schemes.
    pub const fn new(
        id: TransportId,
        summary: &'static str,
        channels: ChannelKinds,
        roles: Roles,
        addressing: Addressing,
    ) -> Self {
        Self { id, summary, schemes: &[], channels, roles, addressing, needs_operator: false }
    }

    /// The same for a transport whose bridge needs something that only its operator can choose.
    #[must_use]
    pub const fn for_operators(mut self) -> Self {
        self.needs_operator = true;
        self
    }

    /// The same with link schemes.
    #[must_use]
    pub const fn with_schemes(mut self, schemes: &'static [&'static str]) -> Self {
        self.schemes = schemes;
        self
    }
}

/// Which channels a transport can give.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ChannelKinds {
    /// Reliable byte streams.
    pub stream: bool,
    /// Datagrams.
    pub datagram: bool,
    /// A session that opens further channels without another handshake.
    pub mux: bool,
}

impl ChannelKinds {
    /// Streams, and nothing else.
    pub const STREAM: Self = Self { stream: true, datagram: false, mux: false };
}

/// Which ends a transport has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Roles {
    /// It can only dial.
    ClientOnly,
    /// It can dial and listen.
    Both,
}

/// Who decides where a channel goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Addressing {
    /// Every channel ends at the bridge; only [`crate::Target::Bridge`] can be dialled.
    Bridge,
    /// The protocol itself carries the target.
    Proxy,
}
