//! Which database a bridge uses: the one its configuration names, or SQLite in its state directory.

use std::io;

use commucat_storage::{Dsn, DsnError, Storage, StorageError};

use crate::{
    config::BridgeConfig,
    state::{StateDir, StateError},
};

/// Why the storage cannot be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenStorageError {
    /// The DSN cannot be read.
    #[error("storage.dsn cannot be used")]
    Dsn(#[source] DsnError),
    /// The state directory cannot be used.
    #[error(transparent)]
    State(#[from] StateError),
    /// The database cannot be opened.
    #[error("cannot open the {dsn}")]
    Open {
        /// Which, without its password.
        dsn: Dsn,
        /// Why.
        #[source]
        source: StorageError,
    },
}

/// Opens the database of a bridge, making it at the first time (mode 0600).
///
/// # Errors
/// [`OpenStorageError`]; a full disk is [`StateError::DiskFull`].
pub async fn open_storage(config: &BridgeConfig, state: &StateDir) -> Result<Storage, OpenStorageError> {
    let dsn = match &config.storage.dsn {
        Some(dsn) => dsn.expose().parse().map_err(OpenStorageError::Dsn)?,
        None => Dsn::sqlite(state.database_path()),
    };
    Storage::open(&dsn).await.map_err(|error| opened(error, dsn))
}

fn opened(error: StorageError, dsn: Dsn) -> OpenStorageError {
    match (error, dsn.path()) {
        (StorageError::DiskFull(source), Some(path)) => {
            let source = io::Error::new(io::ErrorKind::StorageFull, source);
            StateError::DiskFull { path: path.to_owned(), source }.into()
        }
        (source, _) => OpenStorageError::Open { dsn, source },
    }
}
