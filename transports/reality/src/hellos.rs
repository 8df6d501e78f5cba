//! Which hellos our clients send: those that are built in, or a pack's, which an operator signed.

use std::{fs::File, io::Read as _, path::Path, sync::Arc};

use commucat_mimic::{BUILT_IN_VERSION, Hellos, MAX_PACK_BYTES, Pack, Template, TemplateError};
use commucat_transport_api::{ConfigError, ConfigProblem};

use crate::config::{Fingerprint, decode_key};

/// Bytes of an Ed25519 signature, and most bytes of a file that holds one as text.
const SIGNATURE_BYTES: usize = 64;
const MAX_SIGNATURE_FILE_BYTES: usize = 256;

/// The hellos in use.
#[derive(Clone, Debug, Default)]
pub(crate) struct Browsers(Option<Arc<Hellos>>);

impl Browsers {
    /// Those of a pack. Its signature stands in a file beside it, whose name ends in `.sig`.
    pub(crate) fn read(pack: &Path, key: &str) -> Result<Self, ConfigError> {
        let key = decode_key::<32>("hello_pack_key", key)?;
        let document = file(pack, MAX_PACK_BYTES)?;
        let mut beside = pack.as_os_str().to_owned();
        beside.push(".sig");
        let signature = file(Path::new(&beside), MAX_SIGNATURE_FILE_BYTES)?;
        let signature = signature_in(&signature)?;
        let pack = Pack::verified(&document, &signature, &key, BUILT_IN_VERSION).map_err(bad)?;
        Ok(Self(Some(Arc::new(Hellos::of_pack(&pack).map_err(bad)?))))
    }

    pub(crate) fn of(&self, fingerprint: Fingerprint) -> Result<Template, TemplateError> {
        match (&self.0, fingerprint) {
            (Some(hellos), Fingerprint::Chromium) => Ok(hellos.chromium().clone()),
            (Some(hellos), Fingerprint::Firefox) => Ok(hellos.firefox().clone()),
            (None, Fingerprint::Chromium) => Template::chromium_156(),
            (None, Fingerprint::Firefox) => Template::firefox_153(),
        }
    }
}

/// All of a file that is no longer than that.
fn file(path: &Path, most: usize) -> Result<Vec<u8>, ConfigError> {
    let read = || {
        let mut bytes = Vec::new();
        File::open(path)?.take(most as u64 + 1).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    let bytes =
        read().map_err(|error: std::io::Error| bad(format!("cannot read {}: {error}", path.display())))?;
    if bytes.len() > most {
        return Err(bad(format!("{} has more than {most} bytes", path.display())));
    }
    Ok(bytes)
}

/// A signature as it is, or in base64url.
fn signature_in(file: &[u8]) -> Result<Vec<u8>, ConfigError> {
    if file.len() == SIGNATURE_BYTES {
        return Ok(file.to_vec());
    }
    let text = String::from_utf8_lossy(file);
    decode_key::<SIGNATURE_BYTES>("hello_pack", text.trim()).map(Vec::from).map_err(|_no_signature| {
        bad("the file beside it, .sig, holds no signature; `commucat reality pack sign` makes one")
    })
}

fn bad(why: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> ConfigError {
    ConfigError::with_source(Some("hello_pack"), ConfigProblem::BadValue, why)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::encode_key;

    /// Writes a pack and its signature: where, and the key.
    fn written(dir: &Path, version: u64, as_text: bool) -> (std::path::PathBuf, String) {
        let mut newer = Template::firefox_153().unwrap();
        newer.name = "firefox-199".to_owned();
        let document = serde_json::to_vec(&Pack::new(version, vec![newer])).unwrap();
        let (signature, key) = Pack::sign(&document, &[3; 32]).unwrap();
        let path = dir.join("pack.json");
        std::fs::write(&path, document).unwrap();
        let signature =
            if as_text { format!("{}\n", encode_key(&signature)).into_bytes() } else { signature };
        std::fs::write(dir.join("pack.json.sig"), signature).unwrap();
        (path, encode_key(&key))
    }

    #[test]
    fn a_pack_replaces_what_is_built_in() {
        let dir = tempfile::tempdir().unwrap();
        for as_text in [true, false] {
            let (path, key) = written(dir.path(), BUILT_IN_VERSION + 1, as_text);
            let browsers = Browsers::read(&path, &key).unwrap();
            assert_eq!(browsers.of(Fingerprint::Firefox).unwrap().name, "firefox-199");
            assert_eq!(browsers.of(Fingerprint::Chromium).unwrap().name, "chromium-156");
        }
        assert_eq!(Browsers::default().of(Fingerprint::Firefox).unwrap().name, "firefox-153");
    }

    #[test]
    fn what_is_wrong_with_a_pack_is_said() {
        let dir = tempfile::tempdir().unwrap();
        let (path, key) = written(dir.path(), BUILT_IN_VERSION, true);
        let why = |path: &Path, key: &str| {
            let error = Browsers::read(path, key).unwrap_err();
            let why = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
            (error.field().unwrap(), why)
        };
        let (field, said) = why(&path, &key);
        assert!(field == "hello_pack" && said.contains("not newer"), "{said}");
        assert!(why(&path, &encode_key(&[1; 32])).1.contains("signature"));
        assert_eq!(why(&path, "short").0, "hello_pack_key");
        std::fs::write(dir.path().join("pack.json.sig"), "nothing").unwrap();
        assert!(why(&path, &key).1.contains("pack sign"));
        std::fs::remove_file(dir.path().join("pack.json.sig")).unwrap();
        assert!(why(&path, &key).1.contains("pack.json.sig"));
        std::fs::write(&path, vec![b' '; MAX_PACK_BYTES + 1]).unwrap();
        assert!(why(&path, &key).1.contains("more than"));
    }
}
