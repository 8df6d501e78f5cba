//! A pack: templates as they are handed out, with a version and a signature.
//!
//! A pack is one JSON document; its signature is Ed25519 over the document's bytes, in a file of its own. Whoever
//! operates the program decides whose key is trusted: there is no key in here, as nobody holds one for all.

use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use serde::{Deserialize, Serialize};

use super::{Template, TemplateError};

/// Most bytes of a pack.
pub const MAX_PACK_BYTES: usize = 1 << 20;
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
    /// It would replace the same or a newer one.
    #[error(
        "the template pack has version {found}, which is not newer than version {known}, which is in use"
    )]
    NotNewer {
        /// The pack's version.
        found: u64,
        /// The version in use.
        known: u64,
    },
    /// None of its templates is of a browser that we can be.
    #[error("the template pack has no template named chromium-NUMBER or firefox-NUMBER")]
    NoBrowser,
    /// The seed is none.
    #[error("a signing key has 32 bytes")]
    SigningKey,
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
    /// Templates as a pack of that version.
    pub const fn new(version: u64, templates: Vec<Template>) -> Self {
        Self { format: FORMAT, version, templates }
    }

    /// Reads a pack that nobody vouches for: to look at, or to sign.
    ///
    /// # Errors
    /// It is none, or one of its templates cannot be a hello.
    pub fn unverified(document: &[u8]) -> Result<Self, PackError> {
        if document.len() > MAX_PACK_BYTES {
            return Err(PackError::TooLong);
        }
        let pack: Self = serde_json::from_slice(document).map_err(PackError::Json)?;
        pack.check()?;
        Ok(pack)
    }

    /// Signs a document, which must be a pack, with an Ed25519 seed of 32 bytes: the signature, and the key that checks it.
    ///
    /// # Errors
    /// It is no pack, or the seed none.
    pub fn sign(document: &[u8], seed: &[u8]) -> Result<(Vec<u8>, [u8; 32]), PackError> {
        Self::unverified(document)?;
        let (pair, public) = signer(seed)?;
        Ok((pair.sign(document).as_ref().to_vec(), public))
    }

    /// The key that checks what an Ed25519 seed of 32 bytes signs.
    ///
    /// # Errors
    /// The seed is none.
    pub fn public_key(seed: &[u8]) -> Result<[u8; 32], PackError> {
        signer(seed).map(|(_, public)| public)
    }

    /// Reads a pack that `key` (Ed25519, 32 bytes) signed and that is newer than version `known`.
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
        let pack = Self::unverified(document)?;
        if pack.version <= known {
            return Err(PackError::NotNewer { found: pack.version, known });
        }
        Ok(pack)
    }

    /// The template of that name.
    pub fn get(&self, name: &str) -> Option<&Template> {
        self.templates.iter().find(|template| template.name == name)
    }

    fn check(&self) -> Result<(), PackError> {
        if self.format != FORMAT {
            return Err(PackError::Format(self.format));
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

fn signer(seed: &[u8]) -> Result<(Ed25519KeyPair, [u8; 32]), PackError> {
    let pair = Ed25519KeyPair::from_seed_unchecked(seed)
        .map_err(|_rejected: aws_lc_rs::error::KeyRejected| PackError::SigningKey)?;
    let public = pair.public_key().as_ref().try_into().map_err(|_length| PackError::SigningKey)?;
    Ok((pair, public))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signed(pack: &Pack) -> (Vec<u8>, Vec<u8>, [u8; 32]) {
        let (pair, public) = signer(&[7; 32]).unwrap();
        let document = serde_json::to_vec(pack).unwrap();
        let signature = pair.sign(&document).as_ref().to_vec();
        (document, signature, public)
    }

    fn pack() -> Pack {
        let templates = vec![Template::chromium_156().unwrap(), Template::firefox_153().unwrap()];
        Pack { format: FORMAT, version: 5, templates }
    }

    #[test]
    fn a_signed_pack_is_read() {
        let (document, signature, key) = signed(&pack());
        assert_eq!(Pack::sign(&document, &[7; 32]).unwrap(), (signature.clone(), key));
        assert_eq!(Pack::public_key(&[7; 32]).unwrap(), key);
        let read = Pack::verified(&document, &signature, &key, 4).unwrap();
        assert_eq!(read, pack());
        assert_eq!(read.get("firefox-153").unwrap().order, crate::Order::Fixed);
    }

    #[test]
    fn anything_else_is_refused() {
        let (mut document, signature, key) = signed(&pack());
        for known in [5, 6] {
            let refused = Pack::verified(&document, &signature, &key, known);
            assert!(matches!(refused, Err(PackError::NotNewer { .. })));
        }
        assert!(matches!(Pack::sign(b"{}", &[7; 32]), Err(PackError::Json(_))));
        assert!(matches!(Pack::sign(&document, &[7; 31]), Err(PackError::SigningKey)));
        assert!(matches!(Pack::verified(&document, &signature, &[1; 32], 0), Err(PackError::Signature)));
        document[10] ^= 1;
        assert!(matches!(Pack::verified(&document, &signature, &key, 0), Err(PackError::Signature)));
        let (document, signature, key) = signed(&Pack { format: 2, ..pack() });
        assert!(matches!(Pack::verified(&document, &signature, &key, 0), Err(PackError::Format(2))));
    }
}
