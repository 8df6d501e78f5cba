//! A file of records that is never longer than asked, never ends inside a record, and never stops the lab.

use std::{
    fs::{self, File},
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use crate::LabError;

/// Bytes that are gathered before the system is called.
const BUFFER_BYTES: usize = 256 * 1024;

/// Why a file is no longer written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Ended {
    /// It reached its size.
    Full,
    /// The system refused; its reason.
    Refused(String),
}

/// A file of records.
#[derive(Debug)]
pub(super) struct RecordFile {
    path: PathBuf,
    file: File,
    buffer: Vec<u8>,
    /// Bytes in the file; it ends with a whole record there.
    written: u64,
    limit: u64,
    ended: Option<Ended>,
    missed: u64,
}

impl RecordFile {
    /// Makes the file, and empties it when it was there. `limit` is in bytes.
    pub(super) fn create(folder: &Path, name: &str, limit: u64) -> Result<Self, LabError> {
        let path = folder.join(name);
        let failed = |source| LabError::Capture { path: path.clone(), source };
        fs::create_dir_all(folder).map_err(failed)?;
        let file = File::create(&path).map_err(failed)?;
        Ok(Self {
            file,
            buffer: Vec::with_capacity(BUFFER_BYTES),
            written: 0,
            limit,
            ended: None,
            missed: 0,
            path,
        })
    }

    /// Adds a record of two parts, or counts it as missed.
    pub(super) fn append(&mut self, head: &[u8], body: &[u8]) {
        if self.ended.is_none() {
            let length = (head.len() + body.len()) as u64;
            if self.written + self.buffer.len() as u64 + length > self.limit {
                self.flush();
                self.ended.get_or_insert(Ended::Full);
            }
        }
        if self.ended.is_some() {
            self.missed += 1;
            return;
        }
        self.buffer.extend_from_slice(head);
        self.buffer.extend_from_slice(body);
        if self.buffer.len() >= BUFFER_BYTES {
            self.flush();
        }
    }

    /// Writes what is gathered. When the system refuses, the file is cut back to its last whole record that is safe.
    pub(super) fn flush(&mut self) {
        if self.buffer.is_empty() || self.ended.is_some() {
            return;
        }
        match self.file.write_all(&self.buffer) {
            Ok(()) => self.written += self.buffer.len() as u64,
            Err(error) => self.refused(&error),
        }
        self.buffer.clear();
    }

    fn refused(&mut self, error: &io::Error) {
        // On a full disk shortening still works; where it does not, the file ends inside a record, and readers say so.
        let _cut = self.file.set_len(self.written);
        self.ended = Some(Ended::Refused(error.to_string()));
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) const fn written(&self) -> u64 {
        self.written
    }

    /// Records that came after the end.
    pub(super) const fn missed(&self) -> u64 {
        self.missed
    }

    pub(super) const fn ended(&self) -> Option<&Ended> {
        self.ended.as_ref()
    }
}

impl std::fmt::Display for Ended {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Full => f.write_str("it reached its size; allow more with a larger limit"),
            Self::Refused(reason) => write!(f, "the system refused to write: {reason}"),
        }
    }
}
