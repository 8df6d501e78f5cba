//! What a client proves itself with, and what a server knows it by.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError, RwLock},
};

use commucat_transport_api::{UserId, UserTable};

use crate::{
    cipher::BlockCipher,
    error::CryptoError,
    keys::{self, IDENTITY_BYTES, Key},
    method::Method,
    prefix::Prefix,
};

/// Users that are told apart by trying each key. Beyond it a table is cut: the cost of a stranger grows with it.
pub(crate) const MAX_TRIAL_USERS: usize = 1024;
/// Addresses whose last user is remembered, so that most connections need one try.
const MAX_HINTS: usize = 8192;

/// A client's keys.
#[derive(Debug)]
pub(crate) struct ClientKeys {
    pub(crate) method: Method,
    /// Identity keys (SIP023), outermost first; mostly none or one.
    pub(crate) identity: Vec<Key>,
    pub(crate) key: Key,
    pub(crate) prefix: Prefix,
}

/// One user of a server.
#[derive(Debug)]
pub(crate) struct UserEntry {
    pub(crate) id: Option<UserId>,
    pub(crate) key: Key,
}

/// How a server tells its users apart.
#[derive(Debug)]
pub(crate) enum ServerKeys {
    /// One key for everybody.
    Single(Arc<UserEntry>),
    /// An identity header names the user.
    Identity {
        /// The server's own key.
        ipsk: Key,
        /// The same, ready for UDP headers.
        block: Box<BlockCipher>,
        /// The users by the hash of their key.
        users: UserIndex,
    },
    /// Each user's key is tried.
    Trial(UserIndex),
}

impl ServerKeys {
    /// Moves when users were added or removed.
    pub(crate) fn generation(&self) -> u64 {
        match self {
            Self::Single(_) => 0,
            Self::Identity { users, .. } | Self::Trial(users) => users.table.generation(),
        }
    }

    /// Whether the user may still come in.
    pub(crate) fn knows(&self, user: &UserEntry) -> bool {
        match self {
            Self::Single(_) => true,
            Self::Identity { users, .. } | Self::Trial(users) => {
                users.current().by_hash.contains_key(&user.key.identity_hash())
            }
        }
    }
}

/// The users of a table, indexed by key hash; rebuilt when the table's generation moved.
#[derive(Debug)]
pub(crate) struct UserIndex {
    method: Method,
    table: Arc<UserTable>,
    current: RwLock<Arc<Snapshot>>,
    hints: Mutex<HashMap<IpAddr, [u8; IDENTITY_BYTES]>>,
}

#[derive(Debug, Default)]
pub(crate) struct Snapshot {
    generation: u64,
    by_hash: HashMap<[u8; IDENTITY_BYTES], Arc<UserEntry>>,
    /// The users that are tried, at most [`MAX_TRIAL_USERS`].
    trial: Vec<Arc<UserEntry>>,
}

impl UserIndex {
    pub(crate) fn new(method: Method, table: Arc<UserTable>) -> Self {
        Self { method, table, current: RwLock::default(), hints: Mutex::default() }
    }

    /// The user with that key hash.
    pub(crate) fn by_hash(&self, hash: &[u8; IDENTITY_BYTES]) -> Option<Arc<UserEntry>> {
        self.current().by_hash.get(hash).cloned()
    }

    /// Tries users until one fits: first who last came from this address, then all.
    pub(crate) fn try_each<T>(
        &self,
        peer: Option<IpAddr>,
        mut fits: impl FnMut(&UserEntry) -> Option<T>,
    ) -> Option<(Arc<UserEntry>, T)> {
        self.try_hinted(peer, &mut fits).or_else(|| self.try_all(peer, fits))
    }

    /// Tries the user who last came from this address.
    pub(crate) fn try_hinted<T>(
        &self,
        peer: Option<IpAddr>,
        mut fits: impl FnMut(&UserEntry) -> Option<T>,
    ) -> Option<(Arc<UserEntry>, T)> {
        let hash = self.hints().get(&peer?).copied()?;
        let user = self.by_hash(&hash)?;
        let found = fits(&user)?;
        Some((user, found))
    }

    /// Tries all users, and remembers who it was.
    pub(crate) fn try_all<T>(
        &self,
        peer: Option<IpAddr>,
        mut fits: impl FnMut(&UserEntry) -> Option<T>,
    ) -> Option<(Arc<UserEntry>, T)> {
        let current = self.current();
        let (user, found) = current.trial.iter().find_map(|user| fits(user).map(|found| (user, found)))?;
        if let Some(peer) = peer {
            let mut hints = self.hints();
            if hints.len() >= MAX_HINTS {
                hints.clear();
            }
            hints.insert(peer, user.key.identity_hash());
        }
        Some((Arc::clone(user), found))
    }

    /// How many keys a stranger costs.
    pub(crate) fn trial_cost(&self) -> usize {
        self.current().trial.len()
    }

    fn current(&self) -> Arc<Snapshot> {
        let generation = self.table.generation();
        {
            let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
            if current.generation == generation {
                return Arc::clone(&current);
            }
        }
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        if current.generation != generation {
            *current = Arc::new(self.build(generation));
        }
        Arc::clone(&current)
    }

    fn build(&self, generation: u64) -> Snapshot {
        let mut snapshot = Snapshot { generation, ..Snapshot::default() };
        for user in self.table.snapshot().iter() {
            // A derived key always fits its method; were it not so, the user could not come in, and that is all.
            let Ok(key) = keys::user_key(self.method, user) else { continue };
            let entry = Arc::new(UserEntry { id: Some(user.id.clone()), key });
            if snapshot.trial.len() < MAX_TRIAL_USERS {
                snapshot.trial.push(Arc::clone(&entry));
            }
            snapshot.by_hash.insert(entry.key.identity_hash(), entry);
        }
        if !self.method.has_identity_headers() && snapshot.by_hash.len() > MAX_TRIAL_USERS {
            tracing::warn!(
                users = snapshot.by_hash.len(),
                limit = MAX_TRIAL_USERS,
                method = %self.method,
                "this method tries each key: users beyond the limit cannot come in"
            );
        }
        snapshot
    }

    fn hints(&self) -> std::sync::MutexGuard<'_, HashMap<IpAddr, [u8; IDENTITY_BYTES]>> {
        self.hints.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The entry of a server whose key is everybody's.
pub(crate) fn single(key: Key) -> ServerKeys {
    ServerKeys::Single(Arc::new(UserEntry { id: None, key }))
}

/// A server that knows its users by identity header, or else by trial.
pub(crate) fn many(
    method: Method,
    ipsk: Option<Key>,
    table: Arc<UserTable>,
) -> Result<ServerKeys, CryptoError> {
    let users = UserIndex::new(method, table);
    Ok(match ipsk {
        Some(ipsk) => ServerKeys::Identity { block: Box::new(BlockCipher::new(method, &ipsk)?), ipsk, users },
        None => ServerKeys::Trial(users),
    })
}

#[cfg(test)]
mod tests {
    use commucat_transport_api::{Secret, User};

    use super::*;

    fn user(name: &str, byte: u8) -> User {
        User { id: name.parse().unwrap(), secret: Secret::new([byte; 32]) }
    }

    #[test]
    fn the_index_follows_the_table() {
        let method = Method::Blake3Aes128Gcm;
        let table = Arc::new(UserTable::new(vec![user("anna", 1)]));
        let index = UserIndex::new(method, Arc::clone(&table));
        let anna = keys::user_key(method, &user("anna", 1)).unwrap().identity_hash();
        let ben = keys::user_key(method, &user("ben", 2)).unwrap().identity_hash();
        assert_eq!(index.by_hash(&anna).unwrap().id.as_ref().unwrap().as_str(), "anna");
        assert!(index.by_hash(&ben).is_none());
        table.replace(vec![user("ben", 2)]);
        assert!(index.by_hash(&anna).is_none());
        assert!(index.by_hash(&ben).is_some());
    }

    #[test]
    fn who_came_last_from_an_address_is_tried_first() {
        let method = Method::Aes256Gcm;
        let users: Vec<User> = (0..100).map(|n| user(&format!("u{n}"), n)).collect();
        let index = UserIndex::new(method, Arc::new(UserTable::new(users.clone())));
        let wanted = keys::user_key(method, &users[80]).unwrap();
        let peer = Some(IpAddr::from([192, 0, 2, 1]));
        let mut tries = 0;
        let mut find = || {
            tries = 0;
            let found = index.try_each(peer, |user| {
                tries += 1;
                (user.key.as_slice() == wanted.as_slice()).then_some(())
            });
            assert_eq!(found.unwrap().0.id.as_ref().unwrap().as_str(), "u80");
            tries
        };
        assert_eq!(find(), 81);
        assert_eq!(find(), 1);
    }

    #[test]
    fn trials_are_bounded() {
        let users: Vec<User> = (0..MAX_TRIAL_USERS + 5)
            .map(|n| User {
                id: format!("u{n}").parse().unwrap(),
                secret: Secret::new([u8::try_from(n % 251).unwrap(); 32]),
            })
            .collect();
        let index = UserIndex::new(Method::Aes128Gcm, Arc::new(UserTable::new(users)));
        let mut tries = 0;
        let found = index.try_each::<()>(None, |_user| {
            tries += 1;
            None
        });
        assert!(found.is_none());
        assert_eq!(tries, MAX_TRIAL_USERS);
    }
}
