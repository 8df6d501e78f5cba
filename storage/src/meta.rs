//! A few named values of the bridge itself, such as its identity. Values may be key material, so they come out as
//! secrets.

use commucat_transport_api::Secret;

use crate::{
    Entity, MAX_META_KEY_BYTES, MAX_META_VALUE_BYTES, Storage, StorageError, limits,
    pools::{read, write},
};

impl Storage {
    /// The value of a key, when it has one.
    ///
    /// # Errors
    /// The database failed.
    pub async fn meta(&self, key: &str) -> Result<Option<Secret<Vec<u8>>>, StorageError> {
        let value: Option<Vec<u8>> =
            read!(self, |connection| sqlx::query_scalar("SELECT value FROM meta WHERE key = $1")
                .bind(key)
                .fetch_optional(connection)
                .await?);
        Ok(value.map(Secret::new))
    }

    /// Sets a key.
    ///
    /// # Errors
    /// [`StorageError::Invalid`] for a key or value that is too long.
    pub async fn set_meta(&self, key: &str, value: &[u8], at_ms: i64) -> Result<(), StorageError> {
        check(key, value)?;
        write!(self, |connection| {
            sqlx::query(
                "INSERT INTO meta (key, value, updated_at_ms) VALUES ($1, $2, $3)
                 ON CONFLICT (key) DO UPDATE SET value = excluded.value, updated_at_ms = excluded.updated_at_ms",
            )
            .bind(key)
            .bind(value)
            .bind(at_ms)
            .execute(connection)
            .await?;
        });
        Ok(())
    }

    /// Sets a key unless it has a value, and gives the value it then has: of several processes that make an identity
    /// at once, all go on with the same one.
    ///
    /// # Errors
    /// [`StorageError::Invalid`] for a key or value that is too long.
    pub async fn init_meta(
        &self,
        key: &str,
        value: &[u8],
        at_ms: i64,
    ) -> Result<Secret<Vec<u8>>, StorageError> {
        check(key, value)?;
        let value: Vec<u8> = write!(self, |connection| {
            sqlx::query(
                "INSERT INTO meta (key, value, updated_at_ms) VALUES ($1, $2, $3) ON CONFLICT (key) DO NOTHING",
            )
            .bind(key)
            .bind(value)
            .bind(at_ms)
            .execute(&mut *connection)
            .await?;
            sqlx::query_scalar("SELECT value FROM meta WHERE key = $1")
                .bind(key)
                .fetch_one(connection)
                .await?
        });
        Ok(Secret::new(value))
    }

    /// Removes a key.
    ///
    /// # Errors
    /// [`StorageError::NotFound`].
    pub async fn remove_meta(&self, key: &str) -> Result<(), StorageError> {
        let rows = write!(self, |connection| sqlx::query("DELETE FROM meta WHERE key = $1")
            .bind(key)
            .execute(connection)
            .await?
            .rows_affected());
        if rows == 0 { Err(StorageError::NotFound(Entity::MetaKey)) } else { Ok(()) }
    }
}

fn check(key: &str, value: &[u8]) -> Result<(), StorageError> {
    limits::name("key", key, MAX_META_KEY_BYTES)?;
    if value.len() > MAX_META_VALUE_BYTES {
        return Err(StorageError::Invalid { field: "value", reason: "too long" });
    }
    Ok(())
}
