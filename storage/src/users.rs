//! The users of the bridge. Every change writes its journal entry in the same transaction.

use commucat_transport_api::{Secret, USER_SECRET_BYTES, User, UserId};
use sqlx::Error as SqlxError;
use zeroize::Zeroizing;

use crate::{
    Entity, MAX_NOTE_BYTES, Stamp, Storage, StorageError,
    audit::log,
    limits,
    pools::{read, write},
};

/// A user as it is stored.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct StoredUser {
    /// Name and secret.
    pub user: User,
    /// When it was added.
    pub created_at_ms: i64,
    /// Whether it is kept out.
    pub disabled: bool,
    /// What the operator wrote down about it.
    pub note: String,
}

type Row = (String, Vec<u8>, i64, bool, String);

const COLUMNS_BY_ID: &str = "SELECT id, secret, created_at_ms, disabled, note FROM users WHERE id = $1";
const COLUMNS_ALL: &str = "SELECT id, secret, created_at_ms, disabled, note FROM users ORDER BY id";

impl Storage {
    /// Adds a user, enabled, created at the stamp's time.
    ///
    /// # Errors
    /// [`StorageError::AlreadyExists`]; [`StorageError::Invalid`] for a note that is too long.
    pub async fn add_user(&self, user: &User, note: &str, by: Stamp<'_>) -> Result<(), StorageError> {
        limits::text("note", note, MAX_NOTE_BYTES)?;
        by.check()?;
        write!(self, |connection| {
            sqlx::query(
                "INSERT INTO users (id, secret, created_at_ms, disabled, note) VALUES ($1, $2, $3, $4, $5)",
            )
            .bind(user.id.as_str())
            .bind(user.secret.expose().as_slice())
            .bind(by.at_ms)
            .bind(false)
            .bind(note)
            .execute(&mut *connection)
            .await
            .map_err(exists)?;
            log!(connection, "user.add", user.id.as_str(), "", by);
        });
        Ok(())
    }

    /// All users, by name in byte order.
    ///
    /// # Errors
    /// The database failed.
    pub async fn users(&self) -> Result<Vec<StoredUser>, StorageError> {
        let rows: Vec<Row> =
            read!(self, |connection| sqlx::query_as(COLUMNS_ALL).fetch_all(connection).await?);
        rows.into_iter().map(stored).collect()
    }

    /// One user.
    ///
    /// # Errors
    /// [`StorageError::NotFound`].
    pub async fn user(&self, id: &UserId) -> Result<StoredUser, StorageError> {
        let row: Option<Row> = read!(self, |connection| sqlx::query_as(COLUMNS_BY_ID)
            .bind(id.as_str())
            .fetch_optional(connection)
            .await?);
        stored(row.ok_or(StorageError::NotFound(Entity::User))?)
    }

    /// Keeps a user out, or lets it in again.
    ///
    /// # Errors
    /// [`StorageError::NotFound`].
    pub async fn set_user_disabled(
        &self,
        id: &UserId,
        disabled: bool,
        by: Stamp<'_>,
    ) -> Result<(), StorageError> {
        by.check()?;
        let action = if disabled { "user.disable" } else { "user.enable" };
        write!(self, |connection| {
            let done = sqlx::query("UPDATE users SET disabled = $2 WHERE id = $1")
                .bind(id.as_str())
                .bind(disabled)
                .execute(&mut *connection)
                .await?;
            found(done.rows_affected())?;
            log!(connection, action, id.as_str(), "", by);
        });
        Ok(())
    }

    /// Gives a user another secret; every link handed out before stops working.
    ///
    /// # Errors
    /// [`StorageError::NotFound`].
    pub async fn rotate_user(
        &self,
        id: &UserId,
        secret: &Secret<[u8; USER_SECRET_BYTES]>,
        by: Stamp<'_>,
    ) -> Result<(), StorageError> {
        by.check()?;
        write!(self, |connection| {
            let done = sqlx::query("UPDATE users SET secret = $2 WHERE id = $1")
                .bind(id.as_str())
                .bind(secret.expose().as_slice())
                .execute(&mut *connection)
                .await?;
            found(done.rows_affected())?;
            log!(connection, "user.rotate", id.as_str(), "", by);
        });
        Ok(())
    }

    /// Removes a user and its secret. The journal keeps its name.
    ///
    /// # Errors
    /// [`StorageError::NotFound`].
    pub async fn remove_user(&self, id: &UserId, by: Stamp<'_>) -> Result<(), StorageError> {
        by.check()?;
        write!(self, |connection| {
            let done = sqlx::query("DELETE FROM users WHERE id = $1")
                .bind(id.as_str())
                .execute(&mut *connection)
                .await?;
            found(done.rows_affected())?;
            log!(connection, "user.remove", id.as_str(), "", by);
        });
        Ok(())
    }
}

const fn found(rows: u64) -> Result<(), StorageError> {
    if rows == 0 { Err(StorageError::NotFound(Entity::User)) } else { Ok(()) }
}

fn exists(error: SqlxError) -> StorageError {
    match error {
        SqlxError::Database(error) if error.is_unique_violation() => {
            StorageError::AlreadyExists(Entity::User)
        }
        other => other.into(),
    }
}

fn stored((id, secret, created_at_ms, disabled, note): Row) -> Result<StoredUser, StorageError> {
    let secret = Zeroizing::new(secret);
    let secret = <[u8; USER_SECRET_BYTES]>::try_from(secret.as_slice()).map_err(
        |_length: std::array::TryFromSliceError| StorageError::Corrupt("a secret of another length".into()),
    )?;
    let id = id
        .parse()
        .map_err(|error: commucat_transport_api::ConfigError| StorageError::Corrupt(error.into()))?;
    Ok(StoredUser { user: User { id, secret: Secret::new(secret) }, created_at_ms, disabled, note })
}
