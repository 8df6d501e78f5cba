//! What the client remembers between runs: which endpoint won last, and how each did. Endpoints are named by a hash of
//! their spec, so the file tells nobody which bridges were used.

use std::{
    collections::BTreeMap,
    fs::{self, File, OpenOptions},
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

/// The file in the state directory.
pub const STATE_FILE: &str = "client.json";
/// Endpoints that are remembered; the ones used longest ago are forgotten first.
pub const MAX_REMEMBERED: usize = 256;
/// Largest file that is read, in bytes.
const MAX_FILE_BYTES: u64 = 256 * 1024;
const VERSION: u32 = 1;

/// What is remembered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClientState {
    version: u32,
    /// The endpoint that was used last.
    pub last_winner: Option<String>,
    /// How each endpoint did.
    pub endpoints: BTreeMap<String, History>,
}

/// How one endpoint did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct History {
    /// Dials that gave a channel.
    pub successes: u64,
    /// Dials that failed.
    pub failures: u64,
    /// When it last worked, in seconds since 1970.
    pub last_success_s: Option<u64>,
    /// When it last failed, in seconds since 1970.
    pub last_failure_s: Option<u64>,
    /// How long the last dial took, in milliseconds.
    pub dial_ms: Option<u64>,
}

impl Default for ClientState {
    fn default() -> Self {
        Self { version: VERSION, last_winner: None, endpoints: BTreeMap::new() }
    }
}

impl ClientState {
    /// What stands in the directory. A missing file is an empty state; a broken one too, and says so in the log:
    /// what is remembered is a convenience.
    pub fn load(directory: &Path) -> Self {
        match read(&directory.join(STATE_FILE)) {
            Ok(state) if state.version == VERSION => state,
            Ok(other) => {
                tracing::warn!(
                    version = other.version,
                    "the remembered state is of another version; starting afresh"
                );
                Self::default()
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Self::default(),
            Err(error) => {
                tracing::warn!(%error, "the remembered state cannot be read; starting afresh");
                Self::default()
            }
        }
    }

    /// Writes the file as a whole or not at all, readable by its owner alone.
    ///
    /// # Errors
    /// The directory cannot be written to.
    pub fn save(&self, directory: &Path) -> io::Result<()> {
        let json = serde_json::to_vec_pretty(self).map_err(io::Error::other)?;
        let new = directory.join(format!("{STATE_FILE}.{}.new", std::process::id()));
        let written = write(&new, &json).and_then(|()| fs::rename(&new, directory.join(STATE_FILE)));
        if written.is_err() {
            // Half a file is of no use to anybody.
            fs::remove_file(&new).ok();
        }
        written
    }

    /// A dial or a first byte worked.
    pub(crate) fn worked(&mut self, key: &str, unix_s: u64, dial_ms: Option<u64>) {
        let history = self.entry(key);
        history.successes = history.successes.saturating_add(1);
        history.last_success_s = Some(unix_s);
        history.dial_ms = dial_ms.or(history.dial_ms);
    }

    /// A dial failed.
    pub(crate) fn failed(&mut self, key: &str, unix_s: u64) {
        let history = self.entry(key);
        history.failures = history.failures.saturating_add(1);
        history.last_failure_s = Some(unix_s);
    }

    fn entry(&mut self, key: &str) -> &mut History {
        if !self.endpoints.contains_key(key) && self.endpoints.len() >= MAX_REMEMBERED {
            let last_used = |history: &History| history.last_success_s.max(history.last_failure_s);
            let oldest = self.endpoints.iter().min_by_key(|(_, history)| last_used(history));
            if let Some(oldest) = oldest.map(|(key, _)| key.clone()) {
                self.endpoints.remove(&oldest);
            }
        }
        self.endpoints.entry(key.to_owned()).or_default()
    }
}

fn read(path: &PathBuf) -> io::Result<ClientState> {
    if fs::metadata(path)?.len() > MAX_FILE_BYTES {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "the file is too large"));
    }
    serde_json::from_slice(&fs::read(path)?)
        .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
}

fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file: File = options.open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_saved_is_loaded_and_nobody_else_reads_it() {
        let directory = tempfile::tempdir().unwrap();
        assert_eq!(ClientState::load(directory.path()), ClientState::default());
        let mut state = ClientState { last_winner: Some("ab".to_owned()), ..ClientState::default() };
        state.worked("ab", 7, Some(40));
        state.failed("cd", 9);
        state.save(directory.path()).unwrap();
        state.save(directory.path()).unwrap();
        assert_eq!(ClientState::load(directory.path()), state);
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1, "nothing is left behind");
        #[cfg(unix)]
        {
            let mode = std::os::unix::fs::PermissionsExt::mode(
                &fs::metadata(directory.path().join(STATE_FILE)).unwrap().permissions(),
            );
            assert_eq!(mode & 0o777, 0o600);
        }
    }

    #[test]
    fn a_broken_file_is_an_empty_state() {
        let directory = tempfile::tempdir().unwrap();
        for bad in
            [&b"{"[..], b"[]", b"{\"version\":9,\"last_winner\":null,\"endpoints\":{}}", &[b' '; 300_000]]
        {
            fs::write(directory.path().join(STATE_FILE), bad).unwrap();
            assert_eq!(ClientState::load(directory.path()), ClientState::default());
        }
    }

    #[test]
    fn the_oldest_are_forgotten() {
        let mut state = ClientState::default();
        for at in 0..MAX_REMEMBERED as u64 + 10 {
            state.worked(&at.to_string(), at, None);
        }
        assert_eq!(state.endpoints.len(), MAX_REMEMBERED);
        assert!(!state.endpoints.contains_key("9") && state.endpoints.contains_key("10"));
    }

    #[test]
    fn a_directory_that_cannot_be_written_is_an_error() {
        assert!(ClientState::default().save(Path::new("/nonexistent/commucat")).is_err());
    }
}
