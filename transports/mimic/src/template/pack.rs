//! A pack: templates as they are handed out, with a version and a signature.
//!
//! A pack is one JSON document; its signature is Ed25519 over the document's bytes, in a file of its own. Whoever
//! builds or operates the program decides whose key is trusted: there is no key in here.

use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};
use serde::{Deserialize, Serialize};

use super::{Template, TemplateError};

/// Bytes of a pack.
const MAX_PACK_BYTES: usize = 1 << 20;
/// Templates of a pack.
const MAX_TEMPLATES: usize = 64;
/// The form of packs that this program reads.
const FORMAT: u32 = 1;

/// Templates with a version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pack {
    /// The form of the document; 1 here.
    pub format: u32,
    /// Counts up with each release; a smaller one must not replace a greater.
    pub version: u64,
    /// The templates.
    pub templates: Vec<Template>,
}

/// What is wrong with a pack.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PackError {
    /// The signature is not of that key over these bytes.
    #[error("the signature of the template pack is not of the trusted key")]
    Signature,
    /// Over the limit.
    #[error("the template pack is over {MAX_PACK_BYTES} bytes or {MAX_TEMPLATES} templates")]
    TooLong,
    /// Not a pack.
    #[error("it is not a template pack: {0}")]
    Json(#[source] serde_json::Error),
    /// A form that this program does not know.
    #[error("the template pack has form {0}; this program reads form {FORMAT}")]
    Format(u32),
    /// It would replace a newer one.
    #[error("the template pack has version {found}; version {known} is known already")]
    Older {
        /// The pack's version.
        found: u64,
        /// The version in use.
        known: u64,
    },
    /// One of its templates cannot be used.
    #[error("template {name} of the pack: {source}")]
    Template {
        /// Its name.
        name: String,
        /// Why.
        source: TemplateError,
    },
}

impl Pack {
    /// Reads a pack that `key` (Ed25519, 32 bytes) signed and that is no older than version `known`.
    ///
    /// # Errors
    /// The signature is checked before anything is read.
    pub fn verified(
        document: &[u8],
        signature: &[u8],
        key: &[u8; 32],
        known: u64,
    ) -> Result<Self, PackError> {
        if document.len() > MAX_PACK_BYTES {
            return Err(PackError::TooLong);
        }
        UnparsedPublicKey::new(&ED25519, key)
            .verify(document, signature)
            .map_err(|aws_lc_rs::error::Unspecified| PackError::Signature)?;
        let pack: Self = serde_json::from_slice(document).map_err(PackError::Json)?;
        pack.check(known)?;
        Ok(pack)
    }

    /// The template of that name.
    pub fn get(&self, name: &str) -> Option<&Template> {
        self.templates.iter().find(|template| template.name == name)
    }

    fn check(&self, known: u64) -> Result<(), PackError> {
        if self.format != FORMAT {
            return Err(PackError::Format(self.format));
        }
        if self.version < known {
            return Err(PackError::Older { found: self.version, known });
        }
        if self.templates.len() > MAX_TEMPLATES {
            return Err(PackError::TooLong);
        }
        for template in &self.templates {
            template
                .validate()
                .map_err(|source| PackError::Template { name: template.name.clone(), source })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};

    use super::*;

    fn signed(pack: &Pack) -> (Vec<u8>, Vec<u8>, [u8; 32]) {
        let pair = Ed25519KeyPair::from_seed_unchecked(&[7; 32]).unwrap();
        let document = serde_json::to_vec(pack).unwrap();
        let signature = pair.sign(&document).as_ref().to_vec();
        (document, signature, pair.public_key().as_ref().try_into().unwrap())
    }

    fn pack() -> Pack {
        let templates = vec![Template::chromium_156().unwrap(), Template::firefox_153().unwrap()];
        Pack { format: FORMAT, version: 5, templates }
    }

    #[test]
    fn a_signed_pack_is_read() {
        let (document, signature, key) = signed(&pack());
        let read = Pack::verified(&document, &signature, &key, 5).unwrap();
        assert_eq!(read, pack());
        assert_eq!(read.get("firefox-153").unwrap().order, crate::Order::Fixed);
    }

    #[test]
    fn anything_else_is_refused() {
        let (mut document, signature, key) = signed(&pack());
        assert!(matches!(Pack::verified(&document, &signature, &key, 6), Err(PackError::Older { .. })));
        assert!(matches!(Pack::verified(&document, &signature, &[1; 32], 0), Err(PackError::Signature)));
        document[10] ^= 1;
        assert!(matches!(Pack::verified(&document, &signature, &key, 0), Err(PackError::Signature)));
        let (document, signature, key) = signed(&Pack { format: 2, ..pack() });
        assert!(matches!(Pack::verified(&document, &signature, &key, 0), Err(PackError::Format(2))));
    }
}
