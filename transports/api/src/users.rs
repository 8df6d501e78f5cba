//! Who may use a bridge. One secret a user: every transport derives its own credentials from it.

use std::{
    fmt,
    str::FromStr,
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

use crate::{ConfigError, ConfigProblem, Secret};

/// Longest user name, in bytes.
pub const MAX_USER_NAME_BYTES: usize = 64;
/// Length of a user's secret, in bytes.
pub const USER_SECRET_BYTES: usize = 32;

/// The name of a user on one bridge: 1 to 64 bytes of letters, digits and `-_.@`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct UserId(Arc<str>);

impl UserId {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for UserId {
    type Err = ConfigError;

    fn from_str(name: &str) -> Result<Self, ConfigError> {
        let ok = (1..=MAX_USER_NAME_BYTES).contains(&name.len())
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b'@'));
        if !ok {
            return Err(ConfigError::new(Some("user"), ConfigProblem::BadValue));
        }
        Ok(Self(name.into()))
    }
}

impl fmt::Display for UserId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for UserId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for UserId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        text.parse().map_err(D::Error::custom)
    }
}

/// A user that a server transport should let in.
#[derive(Clone, Debug)]
pub struct User {
    /// The name.
    pub id: UserId,
    /// The root of all credentials of this user; transports use it through a key derivation with a label of their own.
    pub secret: Secret<[u8; USER_SECRET_BYTES]>,
}

/// The users of a bridge, shared by all its transports and replaced as a whole when one is added or removed.
///
/// A transport keeps an index of its own (say, by key hash) and rebuilds it when [`UserTable::generation`] moved.
#[derive(Debug, Default)]
pub struct UserTable {
    users: RwLock<Arc<[User]>>,
    generation: AtomicU64,
    full: AtomicBool,
}

impl UserTable {
    /// A table with these users.
    pub fn new(users: impl Into<Arc<[User]>>) -> Self {
        Self { users: RwLock::new(users.into()), generation: AtomicU64::new(1), full: AtomicBool::new(false) }
    }

    /// Replaces all users. Channels that are open stay open.
    pub fn replace(&self, users: impl Into<Arc<[User]>>) {
        *self.users.write().unwrap_or_else(PoisonError::into_inner) = users.into();
        self.generation.fetch_add(1, Ordering::Release);
    }

    /// Moves with every [`Self::replace`].
    pub fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// The users as of now.
    pub fn snapshot(&self) -> Arc<[User]> {
        Arc::clone(&self.users.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The bridge says that it takes no further channels (or does again). A transport that can tell an authenticated
    /// client so without telling a stranger, does.
    pub fn set_full(&self, full: bool) {
        self.full.store(full, Ordering::Release);
    }

    /// Whether the bridge takes no further channels.
    pub fn is_full(&self) -> bool {
        self.full.load(Ordering::Acquire)
    }
}
