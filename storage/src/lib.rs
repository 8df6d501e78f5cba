//! What a bridge must remember across restarts, in SQLite by default or in PostgreSQL by DSN.
//!
//! [`Storage`] is one handle with one behaviour: every statement is a single text with `$N` placeholders that both
//! databases read, only the schemas differ (`migrations/sqlite`, `migrations/postgres`). The conformance suite in
//! `tests/conformance` runs the same cases on both and is the contract.
//!
//! Four aggregates are kept: users, a small key/value table (`meta`), an append-only journal of administrative
//! actions (`audit`), and the last self-check of each endpoint. Every change of a user writes its journal entry in
//! the same transaction, so no change goes without one.
//!
//! There is no clock in here: times are milliseconds since 1970-01-01 UTC and come in as arguments.
//!
//! User secrets are stored as they are, because every transport derives its credential from them. The protection of
//! the file is its mode (0600, in a directory made with 0700) and the disk below it.
#![forbid(unsafe_code)]

mod audit;
mod checks;
mod dsn;
mod error;
mod limits;
mod meta;
mod migrate;
mod pools;
mod postgres;
mod sqlite;
mod storage;
mod users;

pub use audit::{AuditEvent, Stamp};
pub use checks::EndpointCheck;
pub use dsn::{DbKind, Dsn, DsnError};
pub use error::{Entity, StorageError};
pub use limits::{
    MAX_ACTOR_BYTES, MAX_AUDIT_PAGE, MAX_DETAIL_BYTES, MAX_ENDPOINT_BYTES, MAX_FAILURE_BYTES,
    MAX_META_KEY_BYTES, MAX_META_VALUE_BYTES, MAX_NOTE_BYTES,
};
pub use storage::{SCHEMA_VERSION, Storage};
pub use users::StoredUser;
