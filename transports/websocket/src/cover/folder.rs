//! A folder of static files. Nothing outside of it is ever read: no `..`, no hidden names, no link that leads out.

use std::{
    ffi::OsStr,
    path::{Path, PathBuf},
    time::SystemTime,
};

use commucat_transport_api::{ConfigError, ConfigProblem};
use tokio::fs::{self, File};

use super::local::{Content, Page};

/// Longest decoded request path, in bytes.
const MAX_PATH_BYTES: usize = 1024;
const INDEX: &str = "index.html";
/// The page for what is not there, when the folder has one.
const NOT_FOUND: &str = "404.html";

/// The folder.
#[derive(Debug)]
pub(crate) struct Folder {
    root: PathBuf,
}

impl Folder {
    pub(super) fn open(path: &Path) -> Result<Self, ConfigError> {
        let root = path
            .canonicalize()
            .map_err(|error| ConfigError::with_source(Some("cover"), ConfigProblem::BadValue, error))?;
        if !root.is_dir() {
            return Err(ConfigError::with_source(Some("cover"), ConfigProblem::BadValue, "not a folder"));
        }
        Ok(Self { root })
    }

    /// The page at a request path.
    pub(super) async fn page(&self, path: &str) -> Page {
        match self.find(path).await {
            Some(page) => page,
            None => self.not_found().await,
        }
    }

    async fn not_found(&self) -> Page {
        match self.file(&self.root.join(NOT_FOUND)).await {
            Some(page) => Page { status: 404, last_modified: None, etag: None, ..page },
            None => Page::status(404),
        }
    }

    async fn find(&self, path: &str) -> Option<Page> {
        let decoded = decode(path)?;
        let mut full = self.root.clone();
        for segment in decoded.split('/').filter(|segment| !segment.is_empty()) {
            if segment.starts_with('.') || segment.contains(['\\', '\0']) {
                return None;
            }
            full.push(segment);
        }
        if !fs::metadata(&full).await.ok()?.is_dir() {
            return if decoded.ends_with('/') { None } else { self.file(&full).await };
        }
        let index = self.file(&full.join(INDEX)).await?;
        if decoded.ends_with('/') {
            return Some(index);
        }
        Some(Page { location: Some(format!("{path}/")), ..Page::status(301) })
    }

    async fn file(&self, path: &Path) -> Option<Page> {
        let real = fs::canonicalize(path).await.ok()?;
        if !real.starts_with(&self.root) {
            return None;
        }
        let file = File::open(&real).await.ok()?;
        let metadata = file.metadata().await.ok().filter(std::fs::Metadata::is_file)?;
        let modified = metadata.modified().ok();
        let stamp = modified.and_then(|time| time.duration_since(SystemTime::UNIX_EPOCH).ok());
        Some(Page {
            status: 200,
            content_type: content_type(&real),
            etag: stamp.map(|stamp| format!("\"{:x}-{:x}\"", stamp.as_secs(), metadata.len())),
            last_modified: modified.map(httpdate::fmt_http_date),
            content: Content::File { file, length: metadata.len() },
            location: None,
        })
    }
}

/// Percent-decodes a path; `None` when it is no UTF-8 text or too long.
fn decode(path: &str) -> Option<String> {
    if !path.starts_with('/') || path.len() > MAX_PATH_BYTES * 3 {
        return None;
    }
    let mut bytes = Vec::with_capacity(path.len());
    let mut rest = path.as_bytes();
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        if byte == b'%' {
            let (digits, tail) = tail.split_at_checked(2)?;
            bytes.push(u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?);
            rest = tail;
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).ok().filter(|path| path.len() <= MAX_PATH_BYTES)
}

fn content_type(path: &Path) -> &'static str {
    let extension = path.extension().and_then(OsStr::to_str).unwrap_or_default().to_ascii_lowercase();
    match extension.as_str() {
        "html" | "htm" => "text/html; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "json" => "application/json",
        "txt" => "text/plain; charset=utf-8",
        "xml" => "text/xml; charset=utf-8",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "gif" => "image/gif",
        "webp" => "image/webp",
        "avif" => "image/avif",
        "ico" => "image/x-icon",
        "woff2" => "font/woff2",
        "pdf" => "application/pdf",
        "mp4" => "video/mp4",
        "wasm" => "application/wasm",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder() -> (tempfile::TempDir, Folder) {
        let dir = tempfile::tempdir().unwrap();
        let site = dir.path().join("site");
        std::fs::create_dir_all(site.join("sub dir")).unwrap();
        std::fs::write(site.join("index.html"), "home").unwrap();
        std::fs::write(site.join("sub dir/index.html"), "sub").unwrap();
        std::fs::write(site.join("a.css"), "a{}").unwrap();
        std::fs::write(site.join(".hidden"), "x").unwrap();
        std::fs::write(dir.path().join("secret"), "x").unwrap();
        std::os::unix::fs::symlink("../secret", site.join("out")).unwrap();
        std::os::unix::fs::symlink("a.css", site.join("in.css")).unwrap();
        let folder = Folder::open(&site).unwrap();
        (dir, folder)
    }

    #[tokio::test]
    async fn pages_are_found_and_nothing_else() {
        let (_dir, folder) = folder();
        for (path, status, kind) in [
            ("/", 200, "text/html; charset=utf-8"),
            ("/index.html", 200, "text/html; charset=utf-8"),
            ("/a.css", 200, "text/css; charset=utf-8"),
            ("/in.css", 200, "text/css; charset=utf-8"),
            ("/sub%20dir/", 200, "text/html; charset=utf-8"),
            ("/sub%20dir", 301, "text/html; charset=utf-8"),
        ] {
            let page = folder.page(path).await;
            assert_eq!((page.status, page.content_type), (status, kind), "{path}");
        }
        for path in [
            "/../secret",
            "/%2e%2e/secret",
            "/..%2fsecret",
            "/out",
            "/.hidden",
            "/none",
            "/a.css/",
            "/%ff",
            "/%",
            "/%zz",
            "/a%00.css",
            "/\\..\\secret",
            "*",
            "http://x/",
            "/sub%20dir/../../secret",
            "/%252e%252e/secret",
        ] {
            assert_eq!(folder.page(path).await.status, 404, "{path}");
        }
    }
}
