//! Where the database is: `sqlite:///path`, a plain path, or `postgres://user:password@host/name`.

use std::{
    fmt,
    path::{Path, PathBuf},
    str::FromStr,
};

use sqlx::postgres::PgConnectOptions;

/// Which database a handle speaks to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DbKind {
    /// The embedded default.
    Sqlite,
    /// A PostgreSQL server.
    Postgres,
}

impl fmt::Display for DbKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Sqlite => "SQLite",
            Self::Postgres => "PostgreSQL",
        })
    }
}

/// Where the database is. May hold a password: `Debug` and `Display` show only what kind it is and a file's path.
#[derive(Clone)]
pub struct Dsn {
    pub(crate) inner: Inner,
}

#[derive(Clone)]
pub(crate) enum Inner {
    Sqlite(PathBuf),
    Postgres(Box<PgConnectOptions>),
}

/// Why a text is no DSN. Never repeats the text, which may hold a password.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DsnError {
    /// Nothing stands there.
    #[error("the DSN is empty")]
    Empty,
    /// A scheme that no driver here reads.
    #[error("unknown scheme: write sqlite:///path/to/file, a plain path, or postgres://…")]
    UnknownScheme,
    /// The database would be gone with the process.
    #[error("an in-memory database keeps nothing: write the path of a file")]
    InMemory,
    /// `?…` after a path; there are no options.
    #[error("a SQLite DSN takes no options after `?`")]
    Options,
    /// PostgreSQL's driver cannot read it.
    #[error("unreadable PostgreSQL DSN")]
    Postgres(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl Dsn {
    /// The SQLite database in this file.
    pub fn sqlite(path: impl Into<PathBuf>) -> Self {
        Self { inner: Inner::Sqlite(path.into()) }
    }

    /// Which database it is.
    pub const fn kind(&self) -> DbKind {
        match &self.inner {
            Inner::Sqlite(_) => DbKind::Sqlite,
            Inner::Postgres(_) => DbKind::Postgres,
        }
    }

    /// The file, when it is one.
    pub fn path(&self) -> Option<&Path> {
        match &self.inner {
            Inner::Sqlite(path) => Some(path),
            Inner::Postgres(_) => None,
        }
    }
}

impl FromStr for Dsn {
    type Err = DsnError;

    /// After `sqlite:` or `sqlite://` the rest is the path, taken literally.
    fn from_str(text: &str) -> Result<Self, DsnError> {
        if text.starts_with("postgres://") || text.starts_with("postgresql://") {
            let options =
                text.parse::<PgConnectOptions>().map_err(|error| DsnError::Postgres(error.into()))?;
            return Ok(Self { inner: Inner::Postgres(Box::new(options)) });
        }
        let with_scheme = text.strip_prefix("sqlite:");
        let path = with_scheme.map_or(text, |rest| rest.strip_prefix("//").unwrap_or(rest));
        if path.is_empty() {
            return Err(DsnError::Empty);
        }
        if path.contains(":memory:") {
            return Err(DsnError::InMemory);
        }
        if with_scheme.is_some() && path.contains('?') {
            return Err(DsnError::Options);
        }
        if with_scheme.is_none() && path.contains("://") {
            return Err(DsnError::UnknownScheme);
        }
        Ok(Self::sqlite(path))
    }
}

impl fmt::Display for Dsn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.inner {
            Inner::Sqlite(path) => write!(f, "SQLite {}", path.display()),
            Inner::Postgres(_) => f.write_str("PostgreSQL"),
        }
    }
}

impl fmt::Debug for Dsn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Dsn({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_and_schemes() {
        let path = |text: &str| text.parse::<Dsn>().unwrap().path().unwrap().to_owned();
        assert_eq!(path("sqlite:///var/lib/x.db"), Path::new("/var/lib/x.db"));
        assert_eq!(path("sqlite:x.db"), Path::new("x.db"));
        assert_eq!(path("sqlite://x.db"), Path::new("x.db"));
        assert_eq!(path("/var/lib/x y.db"), Path::new("/var/lib/x y.db"));
        assert_eq!("postgresql://u:p@h/db".parse::<Dsn>().unwrap().kind(), DbKind::Postgres);
    }

    #[test]
    fn each_mistake_has_its_name() {
        let error = |text: &str| text.parse::<Dsn>().unwrap_err();
        assert!(matches!(error(""), DsnError::Empty));
        assert!(matches!(error("sqlite://"), DsnError::Empty));
        assert!(matches!(error("sqlite::memory:"), DsnError::InMemory));
        assert!(matches!(error("sqlite:///x?mode=ro"), DsnError::Options));
        assert!(matches!(error("mysql://h/db"), DsnError::UnknownScheme));
        assert!(matches!(error("postgres://h:notaport/db"), DsnError::Postgres(_)));
    }

    #[test]
    fn a_password_is_never_shown() {
        let dsn: Dsn = "postgres://commucat:hunter2@db.example:5432/commucat".parse().unwrap();
        let shown = format!("{dsn} {dsn:?}");
        assert!(!shown.contains("hunter2") && !shown.contains("db.example"), "{shown}");
        let error = format!("{:?}", "postgres://u:hunter2@h:notaport/db".parse::<Dsn>().unwrap_err());
        assert!(!error.contains("hunter2"), "{error}");
    }
}
