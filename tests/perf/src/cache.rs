//! Where fetched and built programs are kept: outside the checkout, so that they outlive it.

use std::path::{Path, PathBuf};

use anyhow::Context;

/// The harness's place in the user's cache.
#[derive(Clone, Debug)]
pub struct Cache {
    root: PathBuf,
}

impl Cache {
    /// `$XDG_CACHE_HOME/commucat`, or `~/.cache/commucat`.
    ///
    /// # Errors
    /// When neither variable is set.
    pub fn standard() -> anyhow::Result<Self> {
        let given = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let base = given("XDG_CACHE_HOME").or_else(|| given("HOME").map(|home| home.join(".cache")));
        Ok(Self::at(&base.context("neither XDG_CACHE_HOME nor HOME is set")?.join("commucat")))
    }

    /// A cache elsewhere.
    #[must_use]
    pub fn at(root: &Path) -> Self {
        Self { root: root.to_owned() }
    }

    /// Unpacked wheels.
    #[must_use]
    pub fn wheels(&self) -> PathBuf {
        self.root.join("wheels")
    }

    /// Programs built from source.
    #[must_use]
    pub fn tools(&self) -> PathBuf {
        self.root.join("tools")
    }

    /// Records of runs.
    #[must_use]
    pub fn records(&self) -> PathBuf {
        self.root.join("bench")
    }
}
