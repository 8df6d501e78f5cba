//! What an operator does to users. Works on the storage alone, so it also works while a bridge runs in another
//! process: that bridge notices within a second or two.

use std::time::{SystemTime, UNIX_EPOCH};

use commucat_storage::{Stamp, Storage, StorageError, StoredUser};
use commucat_transport_api::{Secret, USER_SECRET_BYTES, User, UserId};

/// Names that end so belong to the bridge itself.
const RESERVED_SUFFIX: &str = "@commucat.internal";
/// The user as which the bridge dials itself.
const HEALTH_USER: &str = "health@commucat.internal";
/// The key of the bridge's own secret in `meta`.
const BRIDGE_SECRET: &str = "bridge.secret";
const HEALTH_LABEL: &str = "commucat bridge health user v1";

/// Why an operation on users failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum UserError {
    /// The name cannot be one.
    #[error("a user name has 1 to 64 letters, digits or any of - _ . @")]
    Name,
    /// The name belongs to the bridge itself.
    #[error("names that end in {RESERVED_SUFFIX} belong to the bridge itself")]
    Reserved,
    /// There is such a user already.
    #[error("there is a user `{0}` already")]
    Exists(UserId),
    /// There is no such user.
    #[error("there is no user `{0}`; `commucat user list` shows all")]
    Unknown(UserId),
    /// The system has no randomness.
    #[error("the system gives no random numbers")]
    Random(#[source] getrandom::Error),
    /// The database failed.
    #[error("the storage failed")]
    Storage(#[source] StorageError),
}

/// The user operations of one storage, on behalf of one actor (for the journal).
#[derive(Clone, Debug)]
pub struct Users {
    storage: Storage,
    actor: String,
}

impl Users {
    /// Operations by `actor`, such as `cli:root`.
    pub fn new(storage: Storage, actor: impl Into<String>) -> Self {
        Self { storage, actor: actor.into() }
    }

    /// Adds a user with a fresh secret.
    ///
    /// # Errors
    /// [`UserError::Name`], [`UserError::Reserved`], [`UserError::Exists`].
    pub async fn add(&self, name: &str, note: &str) -> Result<User, UserError> {
        let id = operator_name(name)?;
        let user = User { id, secret: fresh_secret()? };
        match self.storage.add_user(&user, note, self.stamp()).await {
            Ok(()) => Ok(user),
            Err(StorageError::AlreadyExists(_)) => Err(UserError::Exists(user.id)),
            Err(error) => Err(UserError::Storage(error)),
        }
    }

    /// All users.
    ///
    /// # Errors
    /// The storage failed.
    pub async fn list(&self) -> Result<Vec<StoredUser>, UserError> {
        self.storage.users().await.map_err(UserError::Storage)
    }

    /// One user.
    ///
    /// # Errors
    /// [`UserError::Unknown`].
    pub async fn get(&self, name: &str) -> Result<StoredUser, UserError> {
        let id = operator_name(name)?;
        self.storage.user(&id).await.map_err(|error| unknown(id, error))
    }

    /// Keeps a user out; its open connections are cut.
    ///
    /// # Errors
    /// [`UserError::Unknown`].
    pub async fn disable(&self, name: &str) -> Result<(), UserError> {
        let id = operator_name(name)?;
        self.storage.set_user_disabled(&id, true, self.stamp()).await.map_err(|error| unknown(id, error))
    }

    /// Lets a disabled user in again, with the same secret.
    ///
    /// # Errors
    /// [`UserError::Unknown`].
    pub async fn enable(&self, name: &str) -> Result<(), UserError> {
        let id = operator_name(name)?;
        self.storage.set_user_disabled(&id, false, self.stamp()).await.map_err(|error| unknown(id, error))
    }

    /// Removes a user and its secret; its links never work again.
    ///
    /// # Errors
    /// [`UserError::Unknown`].
    pub async fn remove(&self, name: &str) -> Result<(), UserError> {
        let id = operator_name(name)?;
        self.storage.remove_user(&id, self.stamp()).await.map_err(|error| unknown(id, error))
    }

    /// Gives a user a fresh secret; links handed out before stop working.
    ///
    /// # Errors
    /// [`UserError::Unknown`].
    pub async fn rotate(&self, name: &str) -> Result<(), UserError> {
        let id = operator_name(name)?;
        let secret = fresh_secret()?;
        self.storage.rotate_user(&id, &secret, self.stamp()).await.map_err(|error| unknown(id, error))
    }

    fn stamp(&self) -> Stamp<'_> {
        Stamp { actor: &self.actor, at_ms: now_ms() }
    }
}

/// Milliseconds since 1970-01-01 UTC, as the machine believes.
pub(crate) fn now_ms() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(now.as_millis()).unwrap_or(i64::MAX)
}

/// Everybody who may connect: the enabled users, and the bridge's own health user, which no list shows.
pub(crate) async fn admitted(storage: &Storage, health: &User) -> Result<Vec<User>, StorageError> {
    let stored = storage.users().await?;
    let mut users: Vec<User> =
        stored.into_iter().filter(|user| !user.disabled).map(|user| user.user).collect();
    users.push(health.clone());
    Ok(users)
}

/// The user as which the bridge checks its own endpoints. Its secret comes from the bridge's own, which is made at
/// the first start.
pub(crate) async fn health_user(storage: &Storage) -> Result<User, UserError> {
    let fresh = fresh_secret()?;
    let secret =
        storage.init_meta(BRIDGE_SECRET, fresh.expose(), now_ms()).await.map_err(UserError::Storage)?;
    let secret = Secret::new(blake3::derive_key(HEALTH_LABEL, secret.expose()));
    let id = HEALTH_USER.parse().map_err(|_never: commucat_transport_api::ConfigError| UserError::Name)?;
    Ok(User { id, secret })
}

fn operator_name(name: &str) -> Result<UserId, UserError> {
    let id: UserId = name.parse().map_err(|_bad: commucat_transport_api::ConfigError| UserError::Name)?;
    if name.ends_with(RESERVED_SUFFIX) { Err(UserError::Reserved) } else { Ok(id) }
}

fn unknown(id: UserId, error: StorageError) -> UserError {
    match error {
        StorageError::NotFound(_) => UserError::Unknown(id),
        error => UserError::Storage(error),
    }
}

fn fresh_secret() -> Result<Secret<[u8; USER_SECRET_BYTES]>, UserError> {
    let mut secret = [0; USER_SECRET_BYTES];
    getrandom::fill(&mut secret).map_err(UserError::Random)?;
    Ok(Secret::new(secret))
}

#[cfg(test)]
mod tests {
    use commucat_storage::Dsn;

    use super::*;

    #[tokio::test]
    async fn users_come_and_go_and_every_step_is_written_down() {
        let dir = tempfile::tempdir().unwrap();
        let storage = Storage::open(&Dsn::sqlite(dir.path().join("x.db"))).await.unwrap();
        let users = Users::new(storage.clone(), "cli:test");
        let health = health_user(&storage).await.unwrap();
        let ann = users.add("ann", "a friend").await.unwrap();
        assert!(matches!(users.add("ann", "").await, Err(UserError::Exists(_))));
        assert!(matches!(users.add("a b", "").await, Err(UserError::Name)));
        assert!(matches!(users.add(HEALTH_USER, "").await, Err(UserError::Reserved)));
        users.disable("ann").await.unwrap();
        assert_eq!(admitted(&storage, &health).await.unwrap().len(), 1, "the health user only");
        users.enable("ann").await.unwrap();
        assert_eq!(users.get("ann").await.unwrap().user.secret.expose(), ann.secret.expose());
        users.rotate("ann").await.unwrap();
        assert_ne!(users.get("ann").await.unwrap().user.secret.expose(), ann.secret.expose());
        assert_eq!(users.list().await.unwrap().len(), 1, "the health user is in no list");
        users.remove("ann").await.unwrap();
        assert!(matches!(users.remove("ann").await, Err(UserError::Unknown(_))));
        let journal: Vec<_> =
            storage.audit(None, 10).await.unwrap().into_iter().rev().map(|e| e.action).collect();
        assert_eq!(journal, ["user.add", "user.disable", "user.enable", "user.rotate", "user.remove"]);
    }

    #[tokio::test]
    async fn the_health_user_is_the_same_after_a_restart() {
        let dir = tempfile::tempdir().unwrap();
        let storage = Storage::open(&Dsn::sqlite(dir.path().join("x.db"))).await.unwrap();
        let first = health_user(&storage).await.unwrap();
        let second = health_user(&storage).await.unwrap();
        assert_eq!(first.secret.expose(), second.secret.expose());
        assert_ne!(first.secret.expose(), &[0; 32]);
    }
}
