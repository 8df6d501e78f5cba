//! The schemas, embedded, and how a database is brought to the newest of them.
//!
//! A migration that was published never changes; a new one gets the next number and a file in both folders. A
//! database that carries a number this program does not know is refused ([`StorageError::TooNew`]).

use sqlx::{
    Connection as _, PgConnection, SqlSafeStr as _, SqliteConnection,
    migrate::{Migration, MigrationType, Migrator},
};

use crate::StorageError;

struct Step {
    version: i64,
    name: &'static str,
    sqlite: &'static str,
    postgres: &'static str,
}

const STEPS: &[Step] = &[Step {
    version: 1,
    name: "initial",
    sqlite: include_str!("../migrations/sqlite/0001_initial.sql"),
    postgres: include_str!("../migrations/postgres/0001_initial.sql"),
}];

/// The newest schema version this program knows.
pub(crate) const LATEST: i64 = 1;

/// SQLite has no lock of its own for migrations: two programs that start at once would both see an empty database.
/// The whole run is therefore one transaction that takes the write lock first.
pub(crate) async fn sqlite(connection: &mut SqliteConnection) -> Result<(), StorageError> {
    let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
    migrator(|step| step.sqlite)
        .run_direct(None, &mut *transaction, false)
        .await
        .map_err(|error| StorageError::migration(error, LATEST))?;
    transaction.commit().await?;
    Ok(())
}

/// PostgreSQL's migrator takes an advisory lock; it goes with the connection, which the caller closes.
pub(crate) async fn postgres(connection: &mut PgConnection) -> Result<(), StorageError> {
    migrator(|step| step.postgres)
        .run_direct(None, connection, false)
        .await
        .map_err(|error| StorageError::migration(error, LATEST))
}

fn migrator(sql: fn(&Step) -> &'static str) -> Migrator {
    let migration = |step: &Step| {
        Migration::new(step.version, step.name.into(), MigrationType::Simple, sql(step).into_sql_str(), false)
    };
    Migrator::with_migrations(STEPS.iter().map(migration).collect())
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use super::*;

    #[test]
    fn every_file_is_embedded_and_numbered_without_a_gap() {
        let expected: Vec<String> =
            STEPS.iter().map(|step| format!("{:04}_{}.sql", step.version, step.name)).collect();
        for folder in ["sqlite", "postgres"] {
            let path =
                Path::new(&std::env::var_os("CARGO_MANIFEST_DIR").unwrap()).join("migrations").join(folder);
            let mut found: Vec<String> =
                fs::read_dir(path).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
            found.sort();
            assert_eq!(found, expected, "{folder}");
        }
        let versions: Vec<i64> = STEPS.iter().map(|step| step.version).collect();
        assert_eq!(versions, (1..=LATEST).collect::<Vec<_>>());
    }
}
