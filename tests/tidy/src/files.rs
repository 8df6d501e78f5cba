//! The text files of the checkout, as they lie on the disk (committed or not).

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};

/// Folders that hold what was made, not what was written; below a `src` they are modules like any other.
const MADE: [&str; 5] = [".git", "target", "book", "node_modules", "__pycache__"];

/// A text file of the checkout.
#[derive(Clone, Debug)]
pub struct File {
    /// Relative to the root, with `/`.
    pub path: String,
    /// The whole of it.
    pub text: String,
}

impl File {
    /// A file that a test makes up.
    pub fn new(path: &str, text: &str) -> Self {
        Self { path: path.to_owned(), text: text.to_owned() }
    }

    /// What follows the last dot of the name; empty when there is none.
    pub fn extension(&self) -> &str {
        let name = self.path.rsplit('/').next().unwrap_or_default();
        name.rsplit_once('.').map_or("", |(_stem, extension)| extension)
    }
}

/// The root of the checkout.
pub fn root() -> PathBuf {
    // Cargo says it anew for each run; what stood there at build time may be another checkout with the same cache.
    let here = std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
    let here = Path::new(&here);
    here.ancestors().nth(2).unwrap_or(here).to_path_buf()
}

/// Every text file under a folder of the checkout (`""` is all of it), sorted by path. What is not UTF-8 is no text.
///
/// # Errors
/// A folder or file cannot be read. A folder that is not there holds no files.
pub fn files(under: &str) -> Result<Vec<File>> {
    let root = root();
    let mut found = Vec::new();
    let mut folders = vec![root.join(under)];
    while let Some(folder) = folders.pop() {
        if !folder.exists() {
            continue;
        }
        for entry in fs::read_dir(&folder).with_context(|| folder.display().to_string())? {
            let entry = entry?;
            let (path, kind) = (entry.path(), entry.file_type()?);
            if kind.is_dir() {
                if !is_made(&path) {
                    folders.push(path);
                }
            } else if kind.is_file() {
                found.extend(read(&root, &path)?);
            }
        }
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(found)
}

fn is_made(folder: &Path) -> bool {
    let is = |name: &str| folder.file_name().is_some_and(|own| own == name);
    MADE.into_iter().any(is) && !folder.components().any(|part| part.as_os_str() == "src")
}

/// `a/../b` as `b`.
pub(crate) fn normal(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            ".." => drop(parts.pop()),
            "" | "." => {}
            name => parts.push(name),
        }
    }
    parts.join("/")
}

fn read(root: &Path, path: &Path) -> Result<Option<File>> {
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        // Editors rename under our feet; a file that is gone breaks no rule.
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error).with_context(|| path.display().to_string()),
    };
    let Ok(text) = String::from_utf8(bytes) else { return Ok(None) };
    let path = path.strip_prefix(root)?.to_string_lossy().replace('\\', "/");
    Ok(Some(File { path, text }))
}
