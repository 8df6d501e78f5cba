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
const TURN_TIMEOUT: Duration = Duration::from_secs(5);
/// Connections at once.
const CONNECTIONS: u32 = 8;
/// The server gives up on a lock, and on a statement, after these times, unless the DSN sets them itself
/// (`?options[lock_timeout]=1s`).
const SERVER_TIMEOUTS: [(&str, &str); 2] = [("lock_timeout", "5s"), ("statement_timeout", "15s")];

pub(crate) async fn open(options: &PgConnectOptions) -> Result<PgPool, StorageError> {
    let own = options.get_options().unwrap_or_default();
    let options = options
        .clone()
        .application_name("commucat")
        .options(SERVER_TIMEOUTS.into_iter().filter(|(name, _time)| !own.contains(name)))
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
