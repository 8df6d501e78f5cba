//! Opening a PostgreSQL database: one connection to bring the schema up, then a pool.

use std::time::Duration;

use sqlx::{
    ConnectOptions as _, Connection as _, PgPool,
    postgres::{PgConnectOptions, PgPoolOptions},
};

use crate::{StorageError, migrate};

/// How long the first connection may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a call waits for a connection; a server that went away shows after this time.
const TURN_TIMEOUT: Duration = Duration::from_secs(10);
/// Connections at once.
const CONNECTIONS: u32 = 8;
/// The server gives up on a lock, and on a statement, after these times.
const LOCK_TIMEOUT: &str = "5s";
const STATEMENT_TIMEOUT: &str = "15s";

pub(crate) async fn open(options: &PgConnectOptions) -> Result<PgPool, StorageError> {
    let options = options
        .clone()
        .application_name("commucat")
        .options([("lock_timeout", LOCK_TIMEOUT), ("statement_timeout", STATEMENT_TIMEOUT)])
        .disable_statement_logging();
    let connecting = tokio::time::timeout(CONNECT_TIMEOUT, options.connect()).await;
    let mut connection = connecting.map_err(|late| StorageError::Unreachable(late.into()))??;
    let migrated = migrate::postgres(&mut connection).await;
    // Also gives up the migration lock when the migration failed.
    let closed = connection.close().await;
    migrated?;
    closed?;
    Ok(PgPoolOptions::new()
        .max_connections(CONNECTIONS)
        .acquire_timeout(TURN_TIMEOUT)
        .connect_lazy_with(options))
}
