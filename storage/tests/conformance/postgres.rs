//! A PostgreSQL of our own: found on this machine, made in a temporary directory, stopped at the end.

use std::{
    fs,
    io::Write as _,
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use commucat_storage::{Dsn, Storage, StorageError};
use tempfile::TempDir;

use crate::suite::{by, user};

const PASSWORD: &str = "a-password-of-the-test";
const START_LIMIT: Duration = Duration::from_secs(60);
/// A port may be taken between choosing and using it.
const START_ATTEMPTS: usize = 3;

pub(crate) enum Found {
    Running(Cluster),
    NotInstalled,
}

pub(crate) struct Cluster {
    bin: PathBuf,
    dir: TempDir,
    port: u16,
    server: Child,
}

impl Cluster {
    pub(crate) fn start() -> Found {
        let Some(bin) = newest_bin() else { return Found::NotInstalled };
        let dir = tempfile::Builder::new().prefix("commucat-pg-").tempdir_in("/tmp").unwrap();
        let password_file = dir.path().join("password");
        fs::write(&password_file, PASSWORD).unwrap();
        if root() {
            run(Command::new("chown").args(["-R", "postgres:postgres"]).arg(dir.path()));
        }
        let data = dir.path().join("data");
        run(unprivileged(&bin.join("initdb"))
            .args([
                "--username=commucat",
                "--auth=scram-sha-256",
                "--encoding=UTF8",
                "--no-locale",
                "--no-sync",
            ])
            .arg(format!("--pwfile={}", password_file.display()))
            .arg("-D")
            .arg(&data));
        for _ in 0..START_ATTEMPTS {
            let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
            let mut server = unprivileged(&bin.join("postgres"))
                .arg("-D")
                .arg(&data)
                .arg("-k")
                .arg(dir.path())
                .args(["-h", "127.0.0.1", "-p", &port.to_string(), "-c", "fsync=off"])
                .stdout(Stdio::null())
                .stderr(fs::File::create(dir.path().join("log")).unwrap())
                .spawn()
                .unwrap();
            if ready(&bin, port, &mut server) {
                return Found::Running(Self { bin, dir, port, server });
            }
        }
        panic!(
            "PostgreSQL did not start:\n{}",
            fs::read_to_string(dir.path().join("log")).unwrap_or_default()
        );
    }

    pub(crate) fn fresh_database(&self, name: &str) -> Dsn {
        self.psql("postgres", &format!("CREATE DATABASE {name}"));
        self.dsn("commucat", PASSWORD, name)
    }

    fn dsn(&self, user: &str, password: &str, database: &str) -> Dsn {
        format!("postgres://{user}:{password}@127.0.0.1:{}/{database}", self.port).parse().unwrap()
    }

    fn psql(&self, database: &str, statement: &str) {
        run(Command::new(self.bin.join("psql"))
            .env("PGPASSWORD", PASSWORD)
            .args(["-X", "-q", "-v", "ON_ERROR_STOP=1", "-h", "127.0.0.1", "-U", "commucat"])
            .args(["-p", &self.port.to_string(), "-d", database, "-c", statement]));
    }

    fn psql_fails(&self, database: &str, statement: &str) -> bool {
        !Command::new(self.bin.join("psql"))
            .env("PGPASSWORD", PASSWORD)
            .args(["-X", "-q", "-v", "ON_ERROR_STOP=1", "-h", "127.0.0.1", "-U", "commucat"])
            .args(["-p", &self.port.to_string(), "-d", database, "-c", statement])
            .stderr(Stdio::null())
            .status()
            .unwrap()
            .success()
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let mut stop = unprivileged(&self.bin.join("pg_ctl"));
        stop.args(["stop", "-m", "immediate", "-s", "-D"]).arg(self.dir.path().join("data"));
        if stop.status().is_ok_and(|status| status.success()) {
            drop(self.server.wait());
        }
    }
}

/// What a server that refuses, is gone, is newer or is not ours looks like.
pub(crate) async fn the_server_speaks_clearly(cluster: &Cluster) {
    let open = async |dsn: Dsn| Storage::open(&dsn).await.unwrap_err();
    let wrong = open(cluster.dsn("commucat", "wrong", "postgres")).await;
    assert!(matches!(wrong, StorageError::Refused(_)), "{wrong:?}");
    let missing = open(cluster.dsn("commucat", PASSWORD, "no_such_database")).await;
    assert!(matches!(missing, StorageError::Refused(_)), "{missing:?}");

    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let gone = open(format!("postgres://u:p@127.0.0.1:{closed}/x").parse().unwrap()).await;
    assert!(matches!(gone, StorageError::Unreachable(_)), "{gone:?}");

    let dsn = cluster.fresh_database("newer");
    Storage::open(&dsn).await.unwrap().close().await;
    assert!(cluster.psql_fails("newer", "DELETE FROM audit"), "the journal is append-only");
    assert!(cluster.psql_fails("newer", "TRUNCATE audit"), "the journal is append-only");
    cluster.psql(
        "newer",
        "INSERT INTO _sqlx_migrations (version, description, installed_on, success, checksum, execution_time)
         VALUES (99, 'later', now(), true, '\\x00', 0)",
    );
    let newer = open(dsn).await;
    assert!(matches!(newer, StorageError::TooNew { found: 99, .. }), "{newer:?}");

    let dsn = cluster.fresh_database("changed");
    Storage::open(&dsn).await.unwrap().close().await;
    cluster.psql("changed", "UPDATE _sqlx_migrations SET checksum = '\\x00'");
    let changed = open(dsn).await;
    assert!(matches!(changed, StorageError::ForeignSchema { version: 1 }), "{changed:?}");
}

pub(crate) async fn a_foreign_lock_is_locked_and_passes(cluster: &Cluster) {
    let dsn = cluster.fresh_database("held");
    Storage::open(&dsn).await.unwrap().close().await;
    let text =
        format!("postgres://commucat:{PASSWORD}@127.0.0.1:{}/held?options[lock_timeout]=100ms", cluster.port);
    let storage = Storage::open(&text.parse().unwrap()).await.unwrap();
    let mut holder = Command::new(cluster.bin.join("psql"))
        .env("PGPASSWORD", PASSWORD)
        .args([
            "-X",
            "-q",
            "-h",
            "127.0.0.1",
            "-U",
            "commucat",
            "-p",
            &cluster.port.to_string(),
            "-d",
            "held",
        ])
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = holder.stdin.take().unwrap();
    input.write_all(b"BEGIN; LOCK TABLE users IN ACCESS EXCLUSIVE MODE; CREATE TABLE locked ();\n").unwrap();
    // The lock is there when the server shows that the session waits inside its transaction.
    let held = "DO $$ BEGIN IF NOT EXISTS (SELECT FROM pg_locks l JOIN pg_class c ON c.oid = l.relation
        WHERE c.relname = 'users' AND l.mode = 'AccessExclusiveLock' AND l.granted) THEN RAISE 'not yet'; END IF; END $$";
    while cluster.psql_fails("held", held) {
        std::thread::sleep(Duration::from_millis(20));
    }
    let error = storage.add_user(&user("bob", 1), "", by(1)).await.unwrap_err();
    assert!(matches!(error, StorageError::Locked(_)) && error.is_transient(), "{error:?}");
    drop(input);
    holder.wait().unwrap();
    storage.add_user(&user("bob", 1), "", by(1)).await.unwrap();
    storage.close().await;
}

/// The server is stopped under an open handle.
pub(crate) async fn a_server_that_goes_is_unreachable(cluster: Cluster) {
    let storage = Storage::open(&cluster.fresh_database("going")).await.unwrap();
    storage.ping().await.unwrap();
    drop(cluster);
    let error = storage.ping().await.unwrap_err();
    assert!(matches!(error, StorageError::Unreachable(_)) && error.is_transient(), "{error:?}");
    storage.close().await;
}

fn newest_bin() -> Option<PathBuf> {
    let mut versions: Vec<(u32, PathBuf)> = fs::read_dir("/usr/lib/postgresql")
        .ok()?
        .filter_map(|entry| {
            let path = entry.ok()?.path();
            let version = path.file_name()?.to_str()?.parse().ok()?;
            path.join("bin/initdb").exists().then(|| (version, path.join("bin")))
        })
        .collect();
    versions.sort();
    versions.pop().map(|(_version, bin)| bin)
}

fn root() -> bool {
    use std::os::unix::fs::MetadataExt as _;
    fs::metadata("/proc/self").is_ok_and(|me| me.uid() == 0)
}

/// PostgreSQL refuses to run as root: then it runs as the user its package made, and ends when the test dies.
fn unprivileged(program: &Path) -> Command {
    if !root() {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups", "--pdeathsig=TERM"]).arg(program);
    command.current_dir("/");
    command
}

fn ready(bin: &Path, port: u16, server: &mut Child) -> bool {
    let begun = Instant::now();
    while begun.elapsed() < START_LIMIT {
        if server.try_wait().unwrap().is_some() {
            return false;
        }
        let asked = Command::new(bin.join("pg_isready"))
            .args(["-q", "-h", "127.0.0.1", "-p", &port.to_string()])
            .status()
            .unwrap();
        if asked.success() {
            return true;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    false
}

fn run(command: &mut Command) {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(
        output.status.success(),
        "{command:?}\n{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}
