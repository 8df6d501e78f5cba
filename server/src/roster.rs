//! Who may use the bridge right now, who is on it, and how to cut one user's connections at once.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
};

use commucat_transport_api::{User, UserId, UserTable};
use tokio_util::sync::CancellationToken;

/// Users by name, kept in step with the table that the transports read.
#[derive(Debug)]
pub(crate) struct Roster {
    table: Arc<UserTable>,
    live: Mutex<HashMap<UserId, Live>>,
    max_per_user: AtomicU32,
}

#[derive(Debug)]
struct Live {
    user: User,
    cut: CancellationToken,
    connections: Arc<AtomicU32>,
}

/// Why a user is not let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NotLetIn {
    /// Removed or disabled since its handshake began.
    Unknown,
    /// It has as many connections as one user may have.
    TooMany,
}

/// One connection of a user.
#[derive(Debug)]
pub(crate) struct UserSeat {
    cut: CancellationToken,
    connections: Arc<AtomicU32>,
}

impl UserSeat {
    /// Resolves when the user was removed.
    pub(crate) async fn cut(&self) {
        self.cut.cancelled().await;
    }
}

impl Drop for UserSeat {
    fn drop(&mut self) {
        self.connections.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Roster {
    pub(crate) fn new(table: Arc<UserTable>, max_per_user: u32) -> Self {
        Self { table, live: Mutex::new(HashMap::new()), max_per_user: AtomicU32::new(max_per_user) }
    }

    pub(crate) const fn table(&self) -> &Arc<UserTable> {
        &self.table
    }

    pub(crate) fn set_max_per_user(&self, max: u32) {
        self.max_per_user.store(max, Ordering::Relaxed);
    }

    /// Lets exactly these users in from now on. Open connections of a user who is gone, or who has another secret,
    /// are cut; those of the others stay. Gives how many users were cut off.
    pub(crate) fn replace(&self, users: &[User]) -> usize {
        let mut live = self.lock();
        let changed = users.len() != live.len()
            || users.iter().any(|user| live.get(&user.id).is_none_or(|known| !same(&known.user, user)));
        if !changed {
            return 0;
        }
        let wanted: HashMap<_, _> = users.iter().map(|user| (&user.id, user)).collect();
        let before = std::mem::take(&mut *live);
        let (mut kept, gone): (HashMap<_, _>, HashMap<_, _>) = before
            .into_iter()
            .partition(|(id, known)| wanted.get(id).is_some_and(|user| same(&known.user, user)));
        for user in users {
            let entry = kept.remove(&user.id).unwrap_or_else(|| Live {
                user: user.clone(),
                cut: CancellationToken::new(),
                connections: Arc::default(),
            });
            live.insert(user.id.clone(), entry);
        }
        // The table first: a client that comes back at once must not get in with the old secret.
        self.table.replace(users.to_vec());
        gone.values().for_each(|gone| gone.cut.cancel());
        gone.len()
    }

    /// Takes a seat for a connection of this user.
    pub(crate) fn enter(&self, id: &UserId) -> Result<UserSeat, NotLetIn> {
        let live = self.lock();
        let user = live.get(id).ok_or(NotLetIn::Unknown)?;
        if user.connections.load(Ordering::Relaxed) >= self.max_per_user.load(Ordering::Relaxed) {
            return Err(NotLetIn::TooMany);
        }
        user.connections.fetch_add(1, Ordering::Relaxed);
        Ok(UserSeat { cut: user.cut.clone(), connections: Arc::clone(&user.connections) })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<UserId, Live>> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Both secrets are the bridge's own, from its own database: no stranger can time this.
fn same(a: &User, b: &User) -> bool {
    a.id == b.id && a.secret.expose() == b.secret.expose()
}

#[cfg(test)]
mod tests {
    use commucat_transport_api::Secret;

    use super::*;

    fn user(name: &str, byte: u8) -> User {
        User { id: name.parse().unwrap(), secret: Secret::new([byte; 32]) }
    }

    #[test]
    fn only_the_user_who_went_is_cut() {
        let roster = Roster::new(Arc::new(UserTable::default()), 10);
        roster.replace(&[user("ann", 1), user("bob", 2), user("cid", 3)]);
        let generation = roster.table.generation();
        let seats: Vec<_> =
            ["ann", "bob", "cid"].map(|name| roster.enter(&name.parse().unwrap()).unwrap()).into();
        assert_eq!(roster.replace(&[user("ann", 1), user("bob", 9)]), 2);
        let cut: Vec<_> = seats.iter().map(|seat| seat.cut.is_cancelled()).collect();
        assert_eq!(cut, [false, true, true], "bob has another secret, cid is gone");
        assert!(roster.table.generation() > generation);
        assert_eq!(roster.enter(&"cid".parse().unwrap()).unwrap_err(), NotLetIn::Unknown);
    }

    #[test]
    fn another_secret_cuts_and_an_unchanged_list_does_nothing() {
        let roster = Roster::new(Arc::new(UserTable::default()), 10);
        roster.replace(&[user("ann", 1)]);
        let seat = roster.enter(&"ann".parse().unwrap()).unwrap();
        let generation = roster.table.generation();
        roster.replace(&[user("ann", 1)]);
        assert_eq!(roster.table.generation(), generation);
        assert!(!seat.cut.is_cancelled());
        roster.replace(&[user("ann", 2)]);
        assert!(seat.cut.is_cancelled());
        assert!(roster.enter(&"ann".parse().unwrap()).is_ok());
    }

    #[test]
    fn one_user_cannot_take_every_seat() {
        let roster = Roster::new(Arc::new(UserTable::default()), 1);
        roster.replace(&[user("ann", 1), user("bob", 2)]);
        let ann = "ann".parse().unwrap();
        let seat = roster.enter(&ann).unwrap();
        assert_eq!(roster.enter(&ann).unwrap_err(), NotLetIn::TooMany);
        assert!(roster.enter(&"bob".parse().unwrap()).is_ok());
        drop(seat);
        assert!(roster.enter(&ann).is_ok());
    }
}
