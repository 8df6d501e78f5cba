//! The file that runs are appended to, and the older ones behind it.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use crate::{Run, output::write_jsonl};

/// Smallest size at which a journal may turn over, in bytes.
pub const JOURNAL_BYTES_MIN: u64 = 64 * 1024;
/// Most older files that are kept.
pub const FILES_KEPT_MAX: u8 = 99;

/// A file of runs that turns over at a size: `watch.jsonl` becomes `watch.jsonl.1`, that `watch.jsonl.2`, and the
/// oldest goes. So it never takes more than the size times one more than the files kept, and a run's length on top.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    file: File,
    length: u64,
    bytes_max: u64,
    keep: u8,
}

/// Why a run could not be written down.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JournalError {
    /// The file cannot be opened, written or renamed.
    #[error("cannot write {}: look at free space and rights", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The size or the number of files is out of range.
    #[error(
        "a journal turns over at {JOURNAL_BYTES_MIN} bytes or more, and keeps at most {FILES_KEPT_MAX} files"
    )]
    BadLimits,
}

impl Journal {
    /// Opens or makes the file, readable by its owner only. A half line that a crash left at its end is cut off.
    ///
    /// # Errors
    /// The file cannot be opened, or a limit is out of range.
    pub fn open(path: &Path, bytes_max: u64, keep: u8) -> Result<Self, JournalError> {
        if bytes_max < JOURNAL_BYTES_MIN || keep > FILES_KEPT_MAX {
            return Err(JournalError::BadLimits);
        }
        let failed = |source| JournalError::Io { path: path.to_owned(), source };
        let file = open(path).map_err(failed)?;
        let length = whole_lines(path, &file).map_err(failed)?;
        Ok(Self { path: path.to_owned(), file, length, bytes_max, keep })
    }

    /// Appends a run: all its rows or, when the disk is full, none.
    ///
    /// # Errors
    /// The file cannot be written or turned over.
    pub fn append(&mut self, run: &Run) -> Result<(), JournalError> {
        let path = self.path.clone();
        self.try_append(run).map_err(|source| JournalError::Io { path, source })
    }

    fn try_append(&mut self, run: &Run) -> io::Result<()> {
        let mut rows = Vec::new();
        write_jsonl(run, &mut rows)?;
        let added = u64::try_from(rows.len()).unwrap_or(u64::MAX);
        if self.length > 0 && self.length.saturating_add(added) > self.bytes_max {
            self.turn_over()?;
        }
        let written = self.file.write_all(&rows).and_then(|()| self.file.sync_data());
        if let Err(error) = written {
            // Whatever was written of it is taken back: the file holds whole runs only.
            self.file.set_len(self.length)?;
            return Err(error);
        }
        self.length += added;
        Ok(())
    }

    fn turn_over(&mut self) -> io::Result<()> {
        if self.keep == 0 {
            self.file.set_len(0)?;
        } else {
            for older in (1..self.keep).rev() {
                rename(&numbered(&self.path, older), &numbered(&self.path, older + 1))?;
            }
            rename(&self.path, &numbered(&self.path, 1))?;
            self.file = open(&self.path)?;
        }
        self.length = 0;
        Ok(())
    }
}

fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().append(true).create(true).mode(0o600).open(path)
}

/// The length up to the last line feed; the file is cut there.
fn whole_lines(path: &Path, file: &File) -> io::Result<u64> {
    const STEP: u64 = 64 * 1024;
    use std::os::unix::fs::FileExt as _;
    let length = file.metadata()?.len();
    let reader = File::open(path)?;
    let mut end = length;
    while end > 0 {
        let from = end.saturating_sub(STEP);
        let mut block = vec![0; usize::try_from(end - from).unwrap_or(0)];
        reader.read_exact_at(&mut block, from)?;
        if let Some(at) = block.iter().rposition(|byte| *byte == b'\n') {
            end = from + u64::try_from(at).unwrap_or(0) + 1;
            break;
        }
        end = from;
    }
    if end < length {
        file.set_len(end)?;
    }
    Ok(end)
}

fn numbered(path: &Path, number: u8) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{number}"));
    name.into()
}

fn rename(from: &Path, to: &Path) -> io::Result<()> {
    match fs::rename(from, to) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        done => done,
    }
}
