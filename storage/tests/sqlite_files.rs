//! What a SQLite file meets on a real disk: modes, damage, strangers' files, a newer program, no space.
#![forbid(unsafe_code)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "tests"
)]

use std::{
    fs,
    io::{Seek as _, SeekFrom, Write as _},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Command,
};

use commucat_storage::{Dsn, Stamp, Storage, StorageError};
use commucat_transport_api::{Secret, User};
use sqlx::{Connection as _, SqliteConnection, sqlite::SqliteConnectOptions};

const BY: Stamp<'static> = Stamp { actor: "test", at_ms: 1 };

async fn open_error(path: &Path) -> StorageError {
    Storage::open(&Dsn::sqlite(path)).await.unwrap_err()
}

fn user(name: &str) -> User {
    User { id: name.parse().unwrap(), secret: Secret::new([1; 32]) }
}

fn mode(path: impl AsRef<Path>) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

async fn made(path: &Path) {
    let storage = Storage::open(&Dsn::sqlite(path)).await.unwrap();
    storage.add_user(&user("alice"), "", BY).await.unwrap();
    storage.close().await;
}

async fn statement(path: &Path, statement: &'static str) -> Result<(), sqlx::Error> {
    let mut raw = SqliteConnection::connect_with(&SqliteConnectOptions::new().filename(path)).await.unwrap();
    let outcome = sqlx::raw_sql(statement).execute(&mut raw).await;
    raw.close().await.unwrap();
    outcome.map(drop)
}

#[tokio::test]
async fn files_and_directories_are_private_from_the_start() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("state/deep/bridge.db");
    let storage = Storage::open(&Dsn::sqlite(&path)).await.unwrap();
    storage.add_user(&user("alice"), "", BY).await.unwrap();
    assert_eq!(mode(dir.path().join("state")), 0o700);
    assert_eq!(mode(dir.path().join("state/deep")), 0o700);
    for suffix in ["", "-wal", "-shm"] {
        let file = PathBuf::from(format!("{}{suffix}", path.display()));
        assert_eq!(mode(&file), 0o600, "{}", file.display());
    }
    storage.close().await;
}

#[tokio::test]
async fn the_journal_is_append_only() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.db");
    made(&path).await;
    for change in ["DELETE FROM audit", "UPDATE audit SET actor = 'nobody'"] {
        let error = statement(&path, change).await.unwrap_err();
        assert!(error.to_string().contains("append-only"), "{error}");
    }
}

#[tokio::test]
async fn a_newer_database_is_refused_untouched() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.db");
    made(&path).await;
    statement(&path, "INSERT INTO _sqlx_migrations VALUES (99, 'later', CURRENT_TIMESTAMP, true, x'00', 0)")
        .await
        .unwrap();
    let error = open_error(&path).await;
    assert!(matches!(error, StorageError::TooNew { found: 99, known: 1 }), "{error:?}");
    assert!(error.to_string().contains("99") && error.to_string().contains("newer"), "{error}");
}

#[tokio::test]
async fn a_changed_schema_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.db");
    made(&path).await;
    statement(&path, "UPDATE _sqlx_migrations SET checksum = x'00'").await.unwrap();
    let error = open_error(&path).await;
    assert!(matches!(error, StorageError::ForeignSchema { version: 1 }), "{error:?}");
}

#[tokio::test]
async fn another_file_is_not_a_database_and_stays_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("notes.txt");
    let text = "these are somebody's notes\n".repeat(400);
    fs::write(&path, &text).unwrap();
    let error = open_error(&path).await;
    assert!(matches!(error, StorageError::NotADatabase(_)), "{error:?}");
    assert_eq!(fs::read_to_string(&path).unwrap(), text);
}

#[tokio::test]
async fn a_damaged_file_is_corrupt() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.db");
    made(&path).await;
    let mut file = fs::OpenOptions::new().write(true).open(&path).unwrap();
    file.seek(SeekFrom::Start(4096)).unwrap();
    file.write_all(&[0x5a; 4 * 4096]).unwrap();
    drop(file);
    let error = open_error(&path).await;
    assert!(matches!(error, StorageError::Corrupt(_)), "{error:?}");
}

#[tokio::test]
async fn a_cut_file_is_corrupt() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.db");
    made(&path).await;
    fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(3 * 4096).unwrap();
    let error = open_error(&path).await;
    assert!(matches!(error, StorageError::Corrupt(_)), "{error:?}");
}

#[tokio::test]
async fn a_path_that_cannot_be_opened_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let error = open_error(dir.path()).await;
    assert!(matches!(error, StorageError::Access { .. }), "{error:?}");
    assert!(error.to_string().contains(dir.path().to_str().unwrap()), "{error}");
    let file = dir.path().join("a-file");
    fs::write(&file, "x").unwrap();
    assert!(matches!(open_error(&file.join("x.db")).await, StorageError::Access { .. }));
    assert!(matches!(open_error(Path::new("/proc/no/x.db")).await, StorageError::Access { .. }));
}

#[tokio::test]
async fn a_foreign_lock_is_locked_and_passes() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.db");
    made(&path).await;
    let storage = Storage::open(&Dsn::sqlite(&path)).await.unwrap();
    let mut holder =
        SqliteConnection::connect_with(&SqliteConnectOptions::new().filename(&path)).await.unwrap();
    let held = holder.begin_with("BEGIN IMMEDIATE").await.unwrap();
    assert_eq!(storage.users().await.unwrap().len(), 1, "readers do not wait for a writer");
    let error = storage.add_user(&user("bob"), "", BY).await.unwrap_err();
    assert!(matches!(error, StorageError::Locked(_)) && error.is_transient(), "{error:?}");
    held.rollback().await.unwrap();
    storage.add_user(&user("bob"), "", BY).await.unwrap();
    storage.close().await;
}

/// Runs itself again in a mount namespace of its own, with a file system that has no room.
#[tokio::test]
async fn a_full_disk_is_disk_full() {
    if let Ok(dir) = std::env::var("COMMUCAT_TEST_FULL_DISK") {
        let error = open_error(&Path::new(&dir).join("x.db")).await;
        assert!(matches!(error, StorageError::DiskFull(_)), "{error:?}");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let script = "mount -t tmpfs -o size=16k,mode=700 tmpfs \"$COMMUCAT_TEST_FULL_DISK\" || exit 77
        exec \"$0\" --exact a_full_disk_is_disk_full --nocapture";
    let output = Command::new("unshare")
        .args(["--user", "--map-root-user", "--mount", "sh", "-c", script])
        .arg(std::env::current_exe().unwrap())
        .env("COMMUCAT_TEST_FULL_DISK", dir.path())
        .output();
    let Ok(output) = output else {
        println!("skipped: no unshare on this system");
        return;
    };
    let text =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    if !output.status.success() && !text.contains("running 1 test") {
        println!("skipped: this system gives no mount namespace: {text}");
        return;
    }
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
}
