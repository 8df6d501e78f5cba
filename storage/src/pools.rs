//! The two drivers behind one handle. `read!` and `write!` expand one body for both: the statements inside are the
//! same text, only the connection's type differs.

use sqlx::PgPool;

use crate::sqlite::SqlitePools;

#[derive(Clone, Debug)]
pub(crate) enum Pools {
    Sqlite(SqlitePools),
    Postgres(PgPool),
}

/// Runs `$body` with `$connection` that may only read.
macro_rules! read {
    ($storage:expr, |$connection:ident| $body:expr) => {
        match &$storage.pools {
            $crate::pools::Pools::Sqlite(pools) => {
                let mut held = pools.readers.acquire().await?;
                let $connection = &mut *held;
                $body
            }
            $crate::pools::Pools::Postgres(pool) => {
                let mut held = pool.acquire().await.map_err($crate::StorageError::postgres_pool)?;
                let $connection = &mut *held;
                $body
            }
        }
    };
}

/// Runs `$body` in a transaction and commits it. A `?` or a dropped future rolls back.
macro_rules! write {
    ($storage:expr, |$connection:ident| $body:expr) => {
        match &$storage.pools {
            $crate::pools::Pools::Sqlite(pools) => {
                // IMMEDIATE takes the write lock at once: a transaction that reads first and writes later could
                // fail half way although it waited.
                let mut transaction = pools.writer.begin_with("BEGIN IMMEDIATE").await?;
                let $connection = &mut *transaction;
                let outcome = $body;
                transaction.commit().await?;
                outcome
            }
            $crate::pools::Pools::Postgres(pool) => {
                let mut transaction = pool.begin().await.map_err($crate::StorageError::postgres_pool)?;
                let $connection = &mut *transaction;
                let outcome = $body;
                transaction.commit().await?;
                outcome
            }
        }
    };
}

pub(crate) use read;
pub(crate) use write;
