//! The handle: open, ask whether it works, close.

use crate::{
    DbKind, Dsn, StorageError,
    dsn::Inner,
    migrate,
    pools::{Pools, read},
    postgres, sqlite,
};

/// The newest schema version this program knows, and the one an open database has.
pub const SCHEMA_VERSION: i64 = migrate::LATEST;

/// An open database. Cheap to clone; all clones share their connections.
#[derive(Clone, Debug)]
pub struct Storage {
    pub(crate) pools: Pools,
}

impl Storage {
    /// Opens the database, making it and bringing its schema up when needed.
    ///
    /// # Errors
    /// [`StorageError::Access`] for a file that cannot be opened, [`StorageError::NotADatabase`] and
    /// [`StorageError::Corrupt`] for what is in it, [`StorageError::TooNew`] when a newer program wrote it,
    /// [`StorageError::DiskFull`], [`StorageError::Locked`]; [`StorageError::Unreachable`] and
    /// [`StorageError::Refused`] for a server.
    pub async fn open(dsn: &Dsn) -> Result<Self, StorageError> {
        let pools = match &dsn.inner {
            Inner::Sqlite(path) => Pools::Sqlite(sqlite::open(path, None).await?),
            Inner::Postgres(options) => Pools::Postgres(postgres::open(options).await?),
        };
        Ok(Self { pools })
    }

    /// Which database it is.
    pub const fn kind(&self) -> DbKind {
        match &self.pools {
            Pools::Sqlite(_) => DbKind::Sqlite,
            Pools::Postgres(_) => DbKind::Postgres,
        }
    }

    /// Asks the database for a sign of life.
    ///
    /// # Errors
    /// Why there is none.
    pub async fn ping(&self) -> Result<(), StorageError> {
        let _one: i64 = read!(self, |connection| sqlx::query_scalar("SELECT CAST(1 AS BIGINT)")
            .fetch_one(connection)
            .await?);
        Ok(())
    }

    /// Closes all connections of all clones, after the calls that run.
    pub async fn close(&self) {
        match &self.pools {
            Pools::Sqlite(pools) => {
                pools.readers.close().await;
                pools.writer.close().await;
            }
            Pools::Postgres(pool) => pool.close().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use commucat_transport_api::{Secret, User};

    use super::*;
    use crate::{MAX_NOTE_BYTES, Stamp};

    #[tokio::test]
    async fn a_full_database_is_disk_full_and_keeps_what_it_has() {
        let dir = tempfile::tempdir().unwrap();
        let storage =
            Storage { pools: Pools::Sqlite(sqlite::open(&dir.path().join("x.db"), Some(24)).await.unwrap()) };
        let note = "n".repeat(MAX_NOTE_BYTES);
        let mut added = 0;
        let error = loop {
            let user = User { id: format!("u{added}").parse().unwrap(), secret: Secret::new([7; 32]) };
            match storage.add_user(&user, &note, Stamp { actor: "test", at_ms: 1 }).await {
                Ok(()) => added += 1,
                Err(error) => break error,
            }
            assert!(added < 1000, "24 pages hold less");
        };
        assert!(matches!(error, StorageError::DiskFull(_)), "{error:?}");
        assert!(added > 0);
        assert_eq!(storage.users().await.unwrap().len(), added);
        assert_eq!(
            storage.audit(None, 1000).await.unwrap().len(),
            added,
            "user and journal entry go together"
        );
    }
}
