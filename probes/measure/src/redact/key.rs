//! The key that makes hashes of addresses worthless to others.

use std::{
    fmt,
    fs::{self, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use commucat_transport_api::Secret;

/// Length of a key, in bytes (BLAKE3's).
const KEY_BYTES: usize = 32;
/// Separates these hashes from other uses of such a key.
const LABEL: &[u8] = b"commucat probe redaction 1";

/// A key for [`super::Redactor`]. A fresh one for each report, unless reports are to be compared with each other.
#[derive(Clone)]
pub struct RedactionKey(Secret<[u8; KEY_BYTES]>);

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// The system has no randomness.
    #[error("the system gives no random numbers")]
    NoRandomness,
    /// The file cannot be read or made.
    #[error("cannot read or make the key file {}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The file holds something else.
    #[error("{} is no key: it must have exactly {KEY_BYTES} bytes; remove it to have one made", path.display())]
    Length {
        /// The file.
        path: PathBuf,
    },
}

impl RedactionKey {
    /// A fresh key.
    ///
    /// # Errors
    /// The system has no randomness.
    pub fn fresh() -> Result<Self, KeyError> {
        let mut key = [0; KEY_BYTES];
        aws_lc_rs::rand::fill(&mut key).map_err(|_unspecified| KeyError::NoRandomness)?;
        Ok(Self(Secret::new(key)))
    }

    /// The key in this file; made at first use, readable by its owner only. Reports made with it can be compared.
    ///
    /// # Errors
    /// The file cannot be read or made, or holds something else.
    pub fn kept(path: &Path) -> Result<Self, KeyError> {
        let failed = |source| KeyError::Io { path: path.to_owned(), source };
        match fs::read(path) {
            Ok(bytes) => {
                let key = bytes.try_into().map_err(|_length| KeyError::Length { path: path.to_owned() })?;
                Ok(Self(Secret::new(key)))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let key = Self::fresh()?;
                let mut file =
                    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(failed)?;
                file.write_all(key.0.expose()).and_then(|()| file.sync_all()).map_err(failed)?;
                Ok(key)
            }
            Err(error) => Err(failed(error)),
        }
    }

    /// The keyed hash of a value of some kind.
    pub(super) fn hash(&self, kind: &[u8], value: &[u8]) -> [u8; KEY_BYTES] {
        let mut hasher = blake3::Hasher::new_keyed(self.0.expose());
        for part in [LABEL, kind, value] {
            hasher.update(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_le_bytes()).update(part);
        }
        *hasher.finalize().as_bytes()
    }
}

impl fmt::Debug for RedactionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RedactionKey")
    }
}
