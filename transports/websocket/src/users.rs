//! Who a token is from: an index by key hash, rebuilt when the table of users moved, and the salts already seen.

use std::{
    collections::{HashMap, HashSet},
    mem,
    sync::{Arc, Mutex, PoisonError, RwLock},
    time::{Duration, Instant},
};

use commucat_transport_api::{UserId, UserTable};

use crate::wire::token::{Salt, UserHash, UserKey};

/// Most salts remembered in one half of the replay cache. Only who knows the bridge key can add one. When a half is
/// full before its time, it is turned early: service goes before memory of the oldest.
const MAX_SALTS: usize = 1 << 17;

/// Users by the hash of their key.
#[derive(Debug)]
pub(crate) struct UserIndex {
    table: Arc<UserTable>,
    built: RwLock<Arc<Built>>,
}

#[derive(Debug, Default)]
struct Built {
    generation: u64,
    users: HashMap<UserHash, (UserId, UserKey)>,
}

impl UserIndex {
    pub(crate) fn new(table: Arc<UserTable>) -> Self {
        Self { table, built: RwLock::default() }
    }

    /// The user with that key hash.
    pub(crate) fn find(&self, hash: &UserHash) -> Option<(UserId, UserKey)> {
        self.current().users.get(hash).cloned()
    }

    /// Whether the bridge takes no further channels.
    pub(crate) fn is_full(&self) -> bool {
        self.table.is_full()
    }

    fn current(&self) -> Arc<Built> {
        // Read before the snapshot: should the table move in between, the next look-up builds anew.
        let generation = self.table.generation();
        let built = Arc::clone(&self.built.read().unwrap_or_else(PoisonError::into_inner));
        if built.generation == generation {
            return built;
        }
        let users = self
            .table
            .snapshot()
            .iter()
            .map(|user| {
                let key = UserKey::derive(user.secret.expose());
                (key.hash(), (user.id.clone(), key))
            })
            .collect();
        let built = Arc::new(Built { generation, users });
        *self.built.write().unwrap_or_else(PoisonError::into_inner) = Arc::clone(&built);
        built
    }
}

/// Salts seen within the time that a token stays valid, in two halves that are turned.
#[derive(Debug)]
pub(crate) struct Replays {
    window: Duration,
    halves: Mutex<Halves>,
}

#[derive(Debug, Default)]
struct Halves {
    turned: Option<Instant>,
    now: HashSet<Salt>,
    before: HashSet<Salt>,
}

impl Replays {
    /// Remembers each salt for at least `window`.
    pub(crate) fn new(window: Duration) -> Self {
        Self { window, halves: Mutex::default() }
    }

    /// Remembers a salt; `false` when it was there.
    pub(crate) fn insert(&self, salt: Salt, now: Instant) -> bool {
        let mut halves = self.halves.lock().unwrap_or_else(PoisonError::into_inner);
        let age = halves.turned.map_or(Duration::MAX, |turned| now.saturating_duration_since(turned));
        if age >= self.window || halves.now.len() >= MAX_SALTS {
            let last = mem::take(&mut halves.now);
            halves.before = if age >= self.window * 2 { HashSet::new() } else { last };
            halves.turned = Some(now);
        }
        !halves.before.contains(&salt) && halves.now.insert(salt)
    }
}

#[cfg(test)]
mod tests {
    use commucat_transport_api::{Secret, User};

    use super::*;

    fn user(name: &str, secret: u8) -> User {
        User { id: name.parse().unwrap(), secret: Secret::new([secret; 32]) }
    }

    #[test]
    fn the_index_follows_the_table() {
        let table = Arc::new(UserTable::new(vec![user("anna", 1)]));
        let index = UserIndex::new(Arc::clone(&table));
        let (anna, boris) = (UserKey::derive(&[1; 32]).hash(), UserKey::derive(&[2; 32]).hash());
        assert_eq!(index.find(&anna).unwrap().0.as_str(), "anna");
        assert!(index.find(&boris).is_none());
        table.replace(vec![user("boris", 2)]);
        assert!(index.find(&anna).is_none());
        assert_eq!(index.find(&boris).unwrap().0.as_str(), "boris");
    }

    #[test]
    fn a_salt_is_remembered_for_the_window_and_memory_is_bounded() {
        let start = Instant::now();
        let window = Duration::from_secs(240);
        let replays = Replays::new(window);
        assert!(replays.insert([1; 16], start));
        assert!(!replays.insert([1; 16], start + window.saturating_sub(Duration::from_secs(1))));
        assert!(!replays.insert([1; 16], start + window));
        assert!(replays.insert([1; 16], start + window * 4));
        for at in 0..300_000u128 {
            replays.insert(at.to_be_bytes(), start + window * 4);
        }
        let halves = replays.halves.lock().unwrap();
        assert!(halves.now.len() <= MAX_SALTS && halves.before.len() <= MAX_SALTS);
    }
}
