//! Where the certificate of a control server comes from.

use std::{
    fs::{self, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    sync::Arc,
};

use commucat_transport_api::Secret;
use rcgen::{CertificateParams, KeyPair};
use rustls::sign::CertifiedKey;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _};
use serde::Deserialize;

use crate::{ControlError, Pin};

/// Where the certificate comes from.
#[derive(Clone, Debug, Deserialize)]
#[serde(tag = "from", rename_all = "snake_case", deny_unknown_fields)]
pub enum Certificate {
    /// Made at start and forgotten at the end: the pin changes each time.
    SelfSigned {
        /// Names in it.
        #[serde(default = "default_names")]
        names: Vec<String>,
    },
    /// Made at the first start and kept in this file (chain and key, readable by its owner only): the pin stays.
    Kept {
        /// The file.
        file: PathBuf,
        /// Names in it, when it is made.
        #[serde(default = "default_names")]
        names: Vec<String>,
    },
    /// Two PEM files.
    Files {
        /// The chain, the server's own certificate first.
        chain: PathBuf,
        /// Its private key.
        key: PathBuf,
    },
    /// PEM text.
    Pem {
        /// The chain, the server's own certificate first.
        chain: String,
        /// Its private key.
        key: Secret<String>,
    },
}

impl Default for Certificate {
    fn default() -> Self {
        Self::SelfSigned { names: default_names() }
    }
}

/// A certificate that can serve.
#[derive(Clone, Debug)]
pub(crate) struct Identity {
    pub(crate) key: Arc<CertifiedKey>,
    pub(crate) pin: Pin,
}

/// Reads or makes the certificate. Blocks on files.
pub(crate) fn load(
    from: &Certificate,
    provider: &rustls::crypto::CryptoProvider,
) -> Result<Identity, ControlError> {
    match from {
        Certificate::SelfSigned { names } => {
            let made = make(names)?;
            identity(made.chain.as_bytes(), made.key.expose().as_bytes(), provider)
        }
        Certificate::Kept { file, names } => {
            let kept = keep(file, names)?;
            identity(kept.expose(), kept.expose(), provider)
        }
        Certificate::Files { chain, key } => {
            let key = Secret::new(read(key)?);
            identity(&read(chain)?, key.expose(), provider)
        }
        Certificate::Pem { chain, key } => identity(chain.as_bytes(), key.expose().as_bytes(), provider),
    }
}

fn default_names() -> Vec<String> {
    vec!["control.invalid".to_owned()]
}

struct Made {
    chain: String,
    key: Secret<String>,
}

fn make(names: &[String]) -> Result<Made, ControlError> {
    let params = CertificateParams::new(names).map_err(ControlError::MakeCertificate)?;
    let key = KeyPair::generate().map_err(ControlError::MakeCertificate)?;
    let certificate = params.self_signed(&key).map_err(ControlError::MakeCertificate)?;
    Ok(Made { chain: certificate.pem(), key: Secret::new(key.serialize_pem()) })
}

/// The kept file, made when there is none.
fn keep(file: &Path, names: &[String]) -> Result<Secret<Vec<u8>>, ControlError> {
    match fs::read(file) {
        Ok(kept) => return Ok(Secret::new(kept)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(source) => return Err(ControlError::CertificateFile { path: file.to_owned(), source }),
    }
    let made = make(names)?;
    let text = Secret::new(format!("{}{}", made.chain, made.key.expose()).into_bytes());
    let failed = |source| ControlError::CertificateFile { path: file.to_owned(), source };
    let mut opened =
        OpenOptions::new().write(true).create_new(true).mode(0o600).open(file).map_err(failed)?;
    opened.write_all(text.expose()).and_then(|()| opened.sync_all()).map_err(failed)?;
    Ok(text)
}

fn read(file: &Path) -> Result<Vec<u8>, ControlError> {
    fs::read(file).map_err(|source| ControlError::CertificateFile { path: file.to_owned(), source })
}

fn identity(
    chain: &[u8],
    key: &[u8],
    provider: &rustls::crypto::CryptoProvider,
) -> Result<Identity, ControlError> {
    let bad = |what| move |source| ControlError::BadPem { what, source };
    let chain: Vec<CertificateDer<'static>> =
        CertificateDer::pem_slice_iter(chain).collect::<Result<_, _>>().map_err(bad("certificate chain"))?;
    let key = PrivateKeyDer::from_pem_slice(key).map_err(bad("private key"))?;
    let none = || bad("certificate chain")(rustls_pki_types::pem::Error::NoItemsFound);
    let pin = Pin::of(chain.first().ok_or_else(none)?).map_err(ControlError::BadPin)?;
    let key = CertifiedKey::from_der(chain, key, provider).map_err(ControlError::BadCertificate)?;
    Ok(Identity { key: Arc::new(key), pin })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn provider() -> rustls::crypto::CryptoProvider {
        rustls::crypto::aws_lc_rs::default_provider()
    }

    #[test]
    fn a_kept_certificate_keeps_its_pin_and_is_private() {
        let scratch = tempfile::tempdir().unwrap();
        let file = scratch.path().join("control.pem");
        let from = Certificate::Kept { file: file.clone(), names: default_names() };
        let first = load(&from, &provider()).unwrap().pin;
        assert_eq!(load(&from, &provider()).unwrap().pin, first);
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn self_signed_ones_differ() {
        let from = Certificate::default();
        assert_ne!(load(&from, &provider()).unwrap().pin, load(&from, &provider()).unwrap().pin);
    }

    #[test]
    fn files_and_text_give_the_same_pin() {
        let scratch = tempfile::tempdir().unwrap();
        let made = make(&["a.example".to_owned()]).unwrap();
        let (chain, key) = (scratch.path().join("chain"), scratch.path().join("key"));
        fs::write(&chain, &made.chain).unwrap();
        fs::write(&key, made.key.expose()).unwrap();
        let files = load(&Certificate::Files { chain, key }, &provider()).unwrap().pin;
        let text = load(&Certificate::Pem { chain: made.chain, key: made.key }, &provider()).unwrap().pin;
        assert_eq!(files, text);
    }

    #[test]
    fn a_key_of_another_certificate_is_refused() {
        let (one, other) = (make(&default_names()).unwrap(), make(&default_names()).unwrap());
        let mixed = Certificate::Pem { chain: one.chain, key: other.key };
        assert!(matches!(load(&mixed, &provider()), Err(ControlError::BadCertificate(_))));
    }

    #[test]
    fn no_pem_is_an_error() {
        let nothing =
            Certificate::Pem { chain: "nothing".to_owned(), key: Secret::new("nothing".to_owned()) };
        assert!(matches!(load(&nothing, &provider()), Err(ControlError::BadPem { .. })));
        let nowhere = Certificate::Files { chain: "/nonexistent/a".into(), key: "/nonexistent/b".into() };
        assert!(matches!(load(&nowhere, &provider()), Err(ControlError::CertificateFile { .. })));
    }
}
