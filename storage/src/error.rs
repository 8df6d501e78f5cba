//! What can go wrong, as situations a caller can act on, and how each driver's codes map onto them.

use std::{borrow::Cow, fmt, io, path::PathBuf};

use commucat_transport_api::BoxError;
use sqlx::{error::DatabaseError, migrate::MigrateError, postgres::PgDatabaseError, sqlite::SqliteError};

/// What a row describes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Entity {
    /// A user of the bridge.
    User,
    /// A key in `meta`.
    MetaKey,
    /// The last check of an endpoint.
    EndpointCheck,
}

impl fmt::Display for Entity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::User => "user",
            Self::MetaKey => "key",
            Self::EndpointCheck => "endpoint check",
        })
    }
}

/// Why the storage did not do what it was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StorageError {
    /// There is no such row.
    #[error("no such {0}")]
    NotFound(Entity),
    /// There is one already.
    #[error("this {0} exists already")]
    AlreadyExists(Entity),
    /// A value that may not be stored.
    #[error("`{field}` cannot be stored: {reason}")]
    Invalid {
        /// Which argument.
        field: &'static str,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The disk or the database is full. What was asked for did not happen.
    #[error("the disk that holds the database is full")]
    DiskFull(#[source] BoxError),
    /// Somebody else holds the database for too long. Trying again later is right.
    #[error("the database is locked by somebody else")]
    Locked(#[source] BoxError),
    /// A newer version of the program wrote this database.
    #[error(
        "the database has schema version {found}, this program knows up to {known}: use the newer program"
    )]
    TooNew {
        /// The version in the database.
        found: i64,
        /// The newest this program knows.
        known: i64,
    },
    /// The database has a schema of this version that is not ours.
    #[error("schema version {version} of the database was not made by this program")]
    ForeignSchema {
        /// Which version.
        version: i64,
    },
    /// The file is damaged, or a row holds what no version of the program writes.
    #[error("the database is damaged")]
    Corrupt(#[source] BoxError),
    /// The file is something else.
    #[error("the file is not a SQLite database")]
    NotADatabase(#[source] BoxError),
    /// The file or its directory cannot be opened, made or written.
    #[error("cannot open {}", path.display())]
    Access {
        /// Which file.
        path: PathBuf,
        /// The system's reason.
        #[source]
        source: BoxError,
    },
    /// The database server does not answer.
    #[error("the database server cannot be reached")]
    Unreachable(#[source] BoxError),
    /// The database server answers and refuses us: password, role, database name.
    #[error("the database server refuses the connection")]
    Refused(#[source] BoxError),
    /// Anything else a driver says.
    #[error("the database failed")]
    Backend(#[source] BoxError),
}

impl StorageError {
    /// Whether the same call may succeed a little later.
    pub const fn is_transient(&self) -> bool {
        matches!(self, Self::Locked(_) | Self::Unreachable(_))
    }

    pub(crate) fn io(path: impl Into<PathBuf>, error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::DiskFull(error.into()),
            _ => Self::Access { path: path.into(), source: error.into() },
        }
    }

    /// A pool of PostgreSQL connections that gives none: the server is gone.
    pub(crate) fn postgres_pool(error: sqlx::Error) -> Self {
        match error {
            sqlx::Error::PoolTimedOut => Self::Unreachable(error.into()),
            other => other.into(),
        }
    }

    pub(crate) fn migration(error: MigrateError, known: i64) -> Self {
        match error {
            MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => error.into(),
            MigrateError::VersionMissing(found) if found > known => Self::TooNew { found, known },
            MigrateError::VersionMissing(version) | MigrateError::VersionMismatch(version) => {
                Self::ForeignSchema { version }
            }
            MigrateError::Dirty(_) => Self::Corrupt(error.into()),
            other => Self::Backend(other.into()),
        }
    }
}

impl From<sqlx::Error> for StorageError {
    fn from(error: sqlx::Error) -> Self {
        use sqlx::Error as E;
        match error {
            E::Database(error) => database(error),
            E::Io(error) if error.kind() == io::ErrorKind::StorageFull => Self::DiskFull(error.into()),
            E::Io(_) | E::Tls(_) => Self::Unreachable(error.into()),
            E::PoolTimedOut => Self::Locked(error.into()),
            E::ColumnDecode { .. } | E::Decode(_) => Self::Corrupt(error.into()),
            other => Self::Backend(other.into()),
        }
    }
}

fn database(error: Box<dyn DatabaseError>) -> StorageError {
    if let Some(sqlite) = error.try_downcast_ref::<SqliteError>() {
        let code = sqlite_code(sqlite.code());
        return from_sqlite_code(code, error.into_error());
    }
    if let Some(postgres) = error.try_downcast_ref::<PgDatabaseError>() {
        let state = postgres.code().to_owned();
        return from_sqlstate(&state, error.into_error());
    }
    StorageError::Backend(error.into_error())
}

fn sqlite_code(code: Option<Cow<'_, str>>) -> i32 {
    code.and_then(|code| code.parse().ok()).unwrap_or_default()
}

/// By the primary result code in the low byte (<https://www.sqlite.org/rescode.html>), but for the extended ones
/// that say more.
fn from_sqlite_code(code: i32, source: BoxError) -> StorageError {
    const SQLITE_IOERR_SHMSIZE: i32 = 10 | (19 << 8);
    match (code, code & 0xff) {
        // The shared-memory file of the journal could not grow.
        (SQLITE_IOERR_SHMSIZE, _) | (_, 13) => StorageError::DiskFull(source),
        (_, 5 | 6) => StorageError::Locked(source),
        (_, 11) => StorageError::Corrupt(source),
        (_, 26) => StorageError::NotADatabase(source),
        _ => StorageError::Backend(source),
    }
}

/// By SQLSTATE (PostgreSQL manual, appendix A).
fn from_sqlstate(state: &str, source: BoxError) -> StorageError {
    match state {
        "53100" => StorageError::DiskFull(source),
        // Lock not available, deadlock, serialization, statement timeout.
        "55P03" | "40P01" | "40001" | "57014" => StorageError::Locked(source),
        // Too many connections, shutting down, crashed, starting.
        "53300" | "57P01" | "57P02" | "57P03" => StorageError::Unreachable(source),
        // No such database.
        "3D000" => StorageError::Refused(source),
        "XX001" | "XX002" => StorageError::Corrupt(source),
        _ if state.starts_with("08") => StorageError::Unreachable(source),
        // Invalid authorization; insufficient privilege.
        _ if state.starts_with("28") || state == "42501" => StorageError::Refused(source),
        _ => StorageError::Backend(source),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_become_situations() {
        type E = StorageError;
        assert!(matches!(from_sqlite_code(13, "".into()), E::DiskFull(_)));
        assert!(matches!(from_sqlite_code(4874, "".into()), E::DiskFull(_)));
        assert!(matches!(from_sqlite_code(517, "".into()), E::Locked(_)), "SQLITE_BUSY_SNAPSHOT");
        assert!(matches!(from_sqlite_code(11, "".into()), E::Corrupt(_)));
        assert!(matches!(from_sqlite_code(26, "".into()), E::NotADatabase(_)));
        assert!(matches!(from_sqlite_code(1, "".into()), E::Backend(_)));
        assert!(matches!(from_sqlstate("53100", "".into()), E::DiskFull(_)));
        assert!(matches!(from_sqlstate("08006", "".into()), E::Unreachable(_)));
        assert!(matches!(from_sqlstate("28P01", "".into()), E::Refused(_)));
        assert!(matches!(from_sqlstate("42P01", "".into()), E::Backend(_)));
    }

    #[test]
    fn a_source_is_not_printed_twice() {
        let error = StorageError::DiskFull("the reason".into());
        assert!(!error.to_string().contains("the reason"));
        assert_eq!(std::error::Error::source(&error).unwrap().to_string(), "the reason");
    }
}
