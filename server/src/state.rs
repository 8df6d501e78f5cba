//! The state directory: `bridge.toml` (keys: 0600), `commucat.db`, and `lock`, so that two bridges never share one.

use std::{
    env,
    ffi::OsString,
    fs::{self, DirBuilder, File, OpenOptions, TryLockError},
    io::{self, Read as _, Write as _},
    os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

/// Where a bridge of root keeps its state.
const SYSTEM_DIRECTORY: &str = "/var/lib/commucat";
/// Room that must be free at start, in bytes: an empty database with its journal, and the config file.
const ROOM_BYTES: usize = 1024 * 1024;
/// Longest process id that is read from a lock file, in bytes.
const MAX_PID_BYTES: u64 = 16;

/// Why the state directory cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StateError {
    /// Neither `--state`, `$STATE_DIRECTORY`, `$XDG_DATA_HOME` nor `$HOME` says where.
    #[error("no place for the state: give --state DIR, or set HOME")]
    NoPlace,
    /// The disk is full; nothing half-written was left.
    #[error("disk full: no room in {}", path.display())]
    DiskFull {
        /// The directory or file.
        path: PathBuf,
        /// The system's reason.
        #[source]
        source: io::Error,
    },
    /// A file or directory may not be made, read or written by this user.
    #[error("permission denied: {}: it must belong to the user that the bridge runs as", path.display())]
    Permission {
        /// The directory or file.
        path: PathBuf,
        /// The system's reason.
        #[source]
        source: io::Error,
    },
    /// A file or directory that holds keys can be read by others.
    #[error("{} can be read by other users (mode {mode:04o}): run chmod {wanted:04o} on it", path.display())]
    Exposed {
        /// The directory or file.
        path: PathBuf,
        /// The mode it has.
        mode: u32,
        /// The mode it should have.
        wanted: u32,
    },
    /// Another bridge has the directory.
    #[error("another bridge{} uses {}: stop it, or give each bridge its own --state DIR", DisplayPid(*pid), path.display())]
    Locked {
        /// The directory.
        path: PathBuf,
        /// The process that has it, when its lock file says.
        pid: Option<u32>,
    },
    /// Anything else the system says.
    #[error("cannot use {}", path.display())]
    Io {
        /// The directory or file.
        path: PathBuf,
        /// The system's reason.
        #[source]
        source: io::Error,
    },
}

struct DisplayPid(Option<u32>);

impl std::fmt::Display for DisplayPid {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.map_or(Ok(()), |pid| write!(f, " (process {pid})"))
    }
}

impl StateError {
    pub(crate) fn io(path: &Path, source: io::Error) -> Self {
        let path = path.to_owned();
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::DiskFull { path, source },
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
                Self::Permission { path, source }
            }
            _ => Self::Io { path, source },
        }
    }
}

/// An opened state directory.
#[derive(Clone, Debug)]
pub struct StateDir {
    path: PathBuf,
    fresh: bool,
}

/// Held as long as a bridge runs; the kernel gives it back when the process dies, however it dies.
#[derive(Debug)]
pub struct StateLock {
    _file: File,
}

impl StateDir {
    /// Opens the directory, making it when it is not there. Without a path it is the one systemd gave
    /// (`$STATE_DIRECTORY`), `/var/lib/commucat` for root, else `$XDG_DATA_HOME/commucat` or `~/.local/share/commucat`.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn open(path: Option<&Path>) -> Result<Self, StateError> {
        let path = match path {
            Some(path) => path.to_owned(),
            None => default_path(is_root(), |name| env::var_os(name)).ok_or(StateError::NoPlace)?,
        };
        let fresh = !path.exists();
        if fresh {
            let made = DirBuilder::new().recursive(true).mode(0o700).create(&path);
            made.map_err(|error| StateError::io(&path, error))?;
        }
        let mode =
            fs::metadata(&path).map_err(|error| StateError::io(&path, error))?.permissions().mode() & 0o777;
        if mode & 0o022 != 0 {
            return Err(StateError::Exposed { path, mode, wanted: 0o700 });
        }
        Ok(Self { path, fresh })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where `bridge.toml` is.
    pub fn config_path(&self) -> PathBuf {
        self.path.join("bridge.toml")
    }

    /// Where the SQLite database is.
    pub fn database_path(&self) -> PathBuf {
        self.path.join("commucat.db")
    }

    /// Whether this call made the directory.
    pub const fn is_fresh(&self) -> bool {
        self.fresh
    }

    /// Takes the directory for one bridge.
    ///
    /// # Errors
    /// [`StateError::Locked`] names the process that has it.
    pub fn lock(&self) -> Result<StateLock, StateError> {
        let path = self.path.join("lock");
        let mut options = OpenOptions::new();
        let options = options.read(true).write(true).create(true).truncate(false).mode(0o600);
        let mut file = options.open(&path).map_err(|error| StateError::io(&path, error))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut text = String::new();
                let pid = file.take(MAX_PID_BYTES).read_to_string(&mut text).ok();
                let pid = pid.and_then(|_length| text.trim().parse().ok());
                return Err(StateError::Locked { path: self.path.clone(), pid });
            }
            Err(TryLockError::Error(error)) => return Err(StateError::io(&path, error)),
        }
        let write = |file: &mut File| {
            file.set_len(0)?;
            file.write_all(std::process::id().to_string().as_bytes())
        };
        write(&mut file).map_err(|error| StateError::io(&path, error))?;
        Ok(StateLock { _file: file })
    }

    /// Whether there is room to start: tries it with a file that is gone again when this returns.
    ///
    /// # Errors
    /// [`StateError::DiskFull`].
    pub fn check_room(&self) -> Result<(), StateError> {
        self.write_private(&self.path.join(".room"), &vec![0; ROOM_BYTES], false)
    }

    /// Puts a file into the directory, readable by its owner alone, whole or not at all.
    ///
    /// # Errors
    /// [`StateError`]; the file is then what it was before.
    pub fn write_file(&self, name: &str, content: &[u8]) -> Result<(), StateError> {
        self.write_private(&self.path.join(name), content, true)
    }

    fn write_private(&self, path: &Path, content: &[u8], keep: bool) -> Result<(), StateError> {
        let mut temporary = OsString::from(path);
        temporary.push(format!(".{}.tmp", std::process::id()));
        let temporary = PathBuf::from(temporary);
        let write = || {
            let mut file =
                OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&temporary)?;
            file.write_all(content)?;
            file.sync_all()?;
            if keep {
                fs::rename(&temporary, path)?;
                File::open(&self.path)?.sync_all()?;
            }
            Ok(())
        };
        let written = write();
        if written.is_err() || !keep {
            // It may never have been made.
            fs::remove_file(&temporary).ok();
        }
        written.map_err(|error| StateError::io(path, error))
    }

    /// Takes away a database that could not be made whole.
    pub(crate) fn remove_database(&self) {
        for name in ["commucat.db", "commucat.db-wal", "commucat.db-shm"] {
            fs::remove_file(self.path.join(name)).ok();
        }
    }

    /// Undoes [`StateDir::open`] after a failed first start: takes away what this process made, when that is all
    /// there is.
    pub(crate) fn undo(&self) {
        if !self.fresh {
            return;
        }
        self.remove_database();
        for name in ["bridge.toml", "lock"] {
            fs::remove_file(self.path.join(name)).ok();
        }
        // Fails when somebody put something else there, which then stays.
        fs::remove_dir(&self.path).ok();
    }
}

/// Refuses a file with keys that others can read.
///
/// # Errors
/// [`StateError::Exposed`], or the file cannot be looked at.
pub(crate) fn check_private(path: &Path) -> Result<(), StateError> {
    let mode = fs::metadata(path).map_err(|error| StateError::io(path, error))?.permissions().mode() & 0o777;
    if mode & 0o077 == 0 {
        return Ok(());
    }
    Err(StateError::Exposed { path: path.to_owned(), mode, wanted: 0o600 })
}

/// Whether this process runs as root, by the owner of what the kernel says of it.
pub(crate) fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|metadata| metadata.uid() == 0)
}

fn default_path(root: bool, env: impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    let set = |name| env(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    if let Some(given) = set("STATE_DIRECTORY") {
        // systemd may name several, separated by colons; the first is ours.
        let text = given.to_string_lossy();
        return text.split(':').next().map(PathBuf::from);
    }
    if root {
        return Some(SYSTEM_DIRECTORY.into());
    }
    let data = set("XDG_DATA_HOME").filter(|path| path.is_absolute());
    data.or_else(|| set("HOME").map(|home| home.join(".local/share"))).map(|data| data.join("commucat"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn directory_and_files_are_private() {
        let dir = tempfile::tempdir().unwrap();
        let state = StateDir::open(Some(&dir.path().join("a/b"))).unwrap();
        assert!(state.is_fresh());
        state.write_file("bridge.toml", b"key").unwrap();
        assert_eq!(mode(state.path()), 0o700);
        assert_eq!(mode(&state.config_path()), 0o600);
        let _lock = state.lock().unwrap();
        let mut names: Vec<_> =
            fs::read_dir(state.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        assert_eq!(names, ["bridge.toml", "lock"], "no temporary file stays");
        assert!(!StateDir::open(Some(state.path())).unwrap().is_fresh());
    }

    #[test]
    fn a_directory_that_others_can_write_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o777)).unwrap();
        let error = StateDir::open(Some(dir.path())).unwrap_err();
        assert!(error.to_string().contains("mode 0777"), "{error}");
        let file = dir.path().join("key");
        fs::write(&file, "").unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(check_private(&file).unwrap_err().to_string().contains("chmod 0600"));
    }

    #[test]
    fn two_bridges_do_not_share_a_directory() {
        let dir = tempfile::tempdir().unwrap();
        let state = StateDir::open(Some(dir.path())).unwrap();
        let held = state.lock().unwrap();
        let error = state.lock().unwrap_err();
        let text = error.to_string();
        assert!(text.contains(&format!("(process {})", std::process::id())), "{text}");
        assert!(text.contains(&dir.path().display().to_string()), "{text}");
        drop(held);
        state.lock().unwrap();
    }

    #[test]
    fn the_default_place_follows_the_environment() {
        let place = |root, pairs: &[(&str, &str)]| {
            let pairs: Vec<_> = pairs.iter().map(|(k, v)| ((*k).to_owned(), OsString::from(v))).collect();
            let get =
                move |name: &str| pairs.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone());
            default_path(root, get).map(|path| path.display().to_string())
        };
        assert_eq!(place(true, &[]).as_deref(), Some("/var/lib/commucat"));
        assert_eq!(place(true, &[("STATE_DIRECTORY", "/s/a:/s/b")]).as_deref(), Some("/s/a"));
        assert_eq!(place(false, &[("HOME", "/h")]).as_deref(), Some("/h/.local/share/commucat"));
        let both = [("HOME", "/h"), ("XDG_DATA_HOME", "/d")];
        assert_eq!(place(false, &both).as_deref(), Some("/d/commucat"));
        assert_eq!(place(false, &[]), None);
    }
}
