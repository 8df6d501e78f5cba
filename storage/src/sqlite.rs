//! Opening a SQLite file: private from its first byte, WAL, one writer, a few readers.

use std::{
    fs::{DirBuilder, OpenOptions},
    io,
    path::Path,
    time::Duration,
};

use sqlx::{
    ConnectOptions as _, Connection as _, SqliteConnection, SqlitePool,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};

use crate::{StorageError, migrate};

/// How long a statement waits for another process's write lock.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a call waits for its turn at the one writer or at a reader.
const TURN_TIMEOUT: Duration = Duration::from_secs(10);
/// Connections that only read.
const READERS: u32 = 4;

/// The pools of one file. SQLite lets one connection write at a time, so there is one; readers never wait for it.
#[derive(Clone, Debug)]
pub(crate) struct SqlitePools {
    pub(crate) writer: SqlitePool,
    pub(crate) readers: SqlitePool,
}

pub(crate) async fn open(path: &Path, max_pages: Option<u32>) -> Result<SqlitePools, StorageError> {
    create_private(path)?;
    let mut options = SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(false)
        .journal_mode(SqliteJournalMode::Wal)
        // WAL with FULL survives a power cut with every committed change; changes are rare here.
        .synchronous(SqliteSynchronous::Full)
        .busy_timeout(BUSY_TIMEOUT)
        .foreign_keys(true)
        .disable_statement_logging();
    if let Some(pages) = max_pages {
        options = options.pragma("max_page_count", pages.to_string());
    }
    let mut connection = options.connect().await.map_err(|error| opening(path, error))?;
    let ready = prepare(&mut connection).await;
    // Closing is a courtesy to the file (it removes the journal): what `prepare` found matters more.
    let closed = connection.close().await;
    ready?;
    closed?;

    let pool = |connections: u32| {
        SqlitePoolOptions::new()
            .max_connections(connections)
            .acquire_timeout(TURN_TIMEOUT)
            .idle_timeout(None)
            .max_lifetime(None)
            .test_before_acquire(false)
    };
    Ok(SqlitePools {
        writer: pool(1).connect_lazy_with(options.clone()),
        readers: pool(READERS).connect_lazy_with(options.pragma("query_only", "ON")),
    })
}

async fn prepare(connection: &mut SqliteConnection) -> Result<(), StorageError> {
    // The file is small (users and a journal of commands), so looking at all of it costs milliseconds.
    let verdict: String = sqlx::query_scalar("PRAGMA quick_check(1)").fetch_one(&mut *connection).await?;
    if verdict != "ok" {
        return Err(StorageError::Corrupt(verdict.into()));
    }
    migrate::sqlite(connection).await
}

/// Makes the file and its directories unless they are there. SQLite gives the journal files the mode of the file.
fn create_private(path: &Path) -> Result<(), StorageError> {
    if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        private_dirs().create(parent).map_err(|error| StorageError::io(parent, error))?;
    }
    // Opening for writing also tells a read-only or forbidden file by the system's own reason.
    let file = private_file().open(path).map_err(|error| StorageError::io(path, error))?;
    let metadata = file.metadata().map_err(|error| StorageError::io(path, error))?;
    if !metadata.is_file() {
        return Err(StorageError::io(
            path,
            io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"),
        ));
    }
    warn_when_others_read(path, &metadata);
    Ok(())
}

fn private_dirs() -> DirBuilder {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder
}

fn private_file() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

#[cfg(unix)]
fn warn_when_others_read(path: &Path, metadata: &std::fs::Metadata) {
    use std::os::unix::fs::PermissionsExt as _;
    let mode = metadata.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        let mode = format!("{mode:o}");
        tracing::warn!(path = %path.display(), mode, "the database holds secrets and others may read it; chmod 600");
    }
}

#[cfg(not(unix))]
fn warn_when_others_read(_path: &Path, _metadata: &std::fs::Metadata) {}

/// "Cannot open" from the library means the file; every other code speaks for itself.
fn opening(path: &Path, error: sqlx::Error) -> StorageError {
    const SQLITE_PERM: i32 = 3;
    const SQLITE_READONLY: i32 = 8;
    const SQLITE_CANTOPEN: i32 = 14;
    let code =
        error.as_database_error().and_then(|error| error.code()?.parse::<i32>().ok()).unwrap_or_default();
    match code & 0xff {
        SQLITE_PERM | SQLITE_READONLY | SQLITE_CANTOPEN => {
            StorageError::Access { path: path.to_owned(), source: error.into() }
        }
        _ => error.into(),
    }
}
