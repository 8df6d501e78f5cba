//! What is wrong with a configuration: each problem with file, line, column and the whole key path.

use std::{fmt, io, path::PathBuf};

use super::node::{KeyPath, Node, Origin};

/// Why a configuration cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigFileError {
    /// A file cannot be read.
    #[error("cannot read {}{}", path.display(), DisplayHint(reason_of_io(source)))]
    Read {
        /// Which.
        path: PathBuf,
        /// The system's reason.
        #[source]
        source: io::Error,
    },
    /// The file's name ends in neither `.toml`, `.yaml` nor `.yml`.
    #[error("{}: a config file ends in .toml, .yaml or .yml", path.display())]
    Format {
        /// Which.
        path: PathBuf,
    },
    /// The text was read, and these things in it are wrong.
    #[error("{0}")]
    Invalid(Issues),
}

impl ConfigFileError {
    /// The problems one by one; empty when the file could not even be read.
    pub fn issues(&self) -> &[Issue] {
        match self {
            Self::Invalid(issues) => &issues.0,
            Self::Read { .. } | Self::Format { .. } => &[],
        }
    }
}

fn reason_of_io(error: &io::Error) -> Option<&'static str> {
    match error.kind() {
        io::ErrorKind::PermissionDenied => {
            Some("permission denied: is the file owned by the user the bridge runs as?")
        }
        io::ErrorKind::NotFound => Some("there is no such file"),
        io::ErrorKind::IsADirectory => Some("that is a directory"),
        _ => None,
    }
}

struct DisplayHint(Option<&'static str>);

impl fmt::Display for DisplayHint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.map_or(Ok(()), |hint| write!(f, " ({hint})"))
    }
}

/// The problems of one configuration, never empty.
#[derive(Debug)]
pub struct Issues(pub(crate) Vec<Issue>);

impl fmt::Display for Issues {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, issue) in self.0.iter().enumerate() {
            if at > 0 {
                f.write_str("\n")?;
            }
            issue.fmt(f)?;
        }
        Ok(())
    }
}

/// One problem: `bridge.toml:12:3: endpoints[1].params.methud: unknown key; did you mean `method`?`
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Issue {
    /// The file, as it was named; `None` when there is none.
    pub file: Option<PathBuf>,
    /// Where in it, or which environment variable.
    pub origin: Origin,
    /// The key path; empty for a problem of the whole file.
    pub key: String,
    /// What is wrong and, where known, what to do.
    pub message: String,
}

impl fmt::Display for Issue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.origin, &self.file) {
            (Origin::Env(name), _) => write!(f, "environment variable {name}: ")?,
            (Origin::File(at), Some(file)) => write!(f, "{}:{}:{}: ", file.display(), at.line, at.column)?,
            (Origin::File(_), None) => f.write_str("configuration: ")?,
        }
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        f.write_str(&self.message)
    }
}

/// Collects problems of one source.
pub(crate) struct Collector<'a> {
    file: Option<&'a PathBuf>,
    root: &'a Node,
    issues: Vec<Issue>,
}

impl<'a> Collector<'a> {
    pub(crate) const fn new(file: Option<&'a PathBuf>, root: &'a Node) -> Self {
        Self { file, root, issues: Vec::new() }
    }

    /// A problem at a key path, wherever that (or what is above it) was written.
    pub(crate) fn at(&mut self, key: &str, message: impl Into<String>) {
        self.at_path(&KeyPath::parse(key), message);
    }

    pub(crate) fn at_path(&mut self, path: &KeyPath, message: impl Into<String>) {
        self.push(self.root.locate(path), path.to_string(), message);
    }

    pub(crate) fn push(&mut self, origin: Origin, key: String, message: impl Into<String>) {
        self.issues.push(Issue { file: self.file.cloned(), origin, key, message: message.into() });
    }

    pub(crate) fn into_error(self) -> ConfigFileError {
        ConfigFileError::Invalid(Issues(self.issues))
    }

    pub(crate) fn finish(self) -> Result<(), ConfigFileError> {
        if self.issues.is_empty() { Ok(()) } else { Err(self.into_error()) }
    }
}
