//! Whether a template can be a hello that we can finish.

use std::collections::HashSet;

use super::{Code, Extension, Template, U16};
use crate::shares;

/// Extensions that a template may hold.
const MAX_EXTENSIONS: usize = 64;
/// Entries of any list of a template.
const MAX_ENTRIES: usize = 128;
/// Bytes of one constant body or ECH payload.
const MAX_BODY_BYTES: usize = 4096;

/// What is wrong with a template.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TemplateError {
    /// The JSON is wrong.
    #[error("it is not a template: {0}")]
    Json(#[source] serde_json::Error),
    /// Something that TLS 1.3 needs is missing.
    #[error("it lacks {0}")]
    Lacks(&'static str),
    /// An extension stands there twice.
    #[error("extension {0} stands there twice")]
    Twice(U16),
    /// A list is empty or too long.
    #[error("its {0} are none or too many")]
    Length(&'static str),
    /// A key share of a group that we cannot make.
    #[error("a share of group {0} cannot be made here")]
    Share(U16),
    /// A certificate compression that we cannot undo.
    #[error("certificates compressed with method {0} cannot be read here")]
    Compression(U16),
    /// A share of a group that is not offered.
    #[error("group {0} has a share and is not among the groups")]
    NotOffered(U16),
}

impl Template {
    /// Whether this can be a hello.
    ///
    /// # Errors
    /// The first thing that cannot.
    pub fn validate(&self) -> Result<(), TemplateError> {
        bounded("cipher suites", self.cipher_suites.len(), MAX_ENTRIES)?;
        bounded("extensions", self.extensions.len(), MAX_EXTENSIONS)?;
        if !self.cipher_suites.iter().any(|code| matches!(code, Code::Known(0x1301..=0x1303))) {
            return Err(TemplateError::Lacks("a cipher suite of TLS 1.3"));
        }
        let mut seen = HashSet::new();
        for extension in &self.extensions {
            extension.check()?;
            if let Some(number) = extension.number()
                && !seen.insert(number)
            {
                return Err(TemplateError::Twice(U16(number)));
            }
        }
        for (number, name) in [
            (10, "supported_groups"),
            (13, "signature_algorithms"),
            (43, "supported_versions"),
            (51, "key_share"),
        ] {
            if !seen.contains(&number) {
                return Err(TemplateError::Lacks(name));
            }
        }
        self.shares_are_offered()
    }

    fn shares_are_offered(&self) -> Result<(), TemplateError> {
        let groups = self.extensions.iter().find_map(|extension| match extension {
            Extension::SupportedGroups { groups } => Some(groups.as_slice()),
            _ => None,
        });
        let shares = self.extensions.iter().find_map(|extension| match extension {
            Extension::KeyShare { shares, .. } => Some(shares.as_slice()),
            _ => None,
        });
        for share in shares.unwrap_or_default() {
            let Code::Known(number) = share else { continue };
            if !groups.unwrap_or_default().contains(share) {
                return Err(TemplateError::NotOffered(U16(*number)));
            }
        }
        Ok(())
    }
}

impl Extension {
    /// Its number, where that is constant.
    pub(crate) const fn number(&self) -> Option<u16> {
        Some(match self {
            Self::GreaseFirst | Self::GreaseLast => return None,
            Self::ServerName => 0,
            Self::Raw { number, .. } | Self::ApplicationSettings { number, .. } => number.0,
            Self::SupportedGroups { .. } => 10,
            Self::SignatureAlgorithms { .. } => 13,
            Self::Alpn { .. } => 16,
            Self::CompressCertificate { .. } => 27,
            Self::RecordSizeLimit { .. } => 28,
            Self::SupportedVersions { .. } => 43,
            Self::KeyShare { .. } => 51,
            Self::EchGrease { .. } => 0xfe0d,
        })
    }

    fn check(&self) -> Result<(), TemplateError> {
        match self {
            Self::Raw { body, .. } if body.0.len() > MAX_BODY_BYTES => {
                Err(TemplateError::Length("constant bytes"))
            }
            Self::SupportedGroups { groups } => bounded("groups", groups.len(), MAX_ENTRIES),
            Self::SignatureAlgorithms { schemes } => bounded("signature schemes", schemes.len(), MAX_ENTRIES),
            Self::Alpn { protocols } | Self::ApplicationSettings { protocols, .. } => {
                let fit = protocols.iter().all(|protocol| matches!(protocol.len(), 1..=255));
                bounded("protocols", if fit { protocols.len() } else { 0 }, MAX_ENTRIES)
            }
            Self::CompressCertificate { algorithms } => {
                bounded("certificate compressions", algorithms.len(), MAX_ENTRIES)?;
                let unknown = algorithms.iter().find(|number| !matches!(number.0, 1..=3));
                unknown.map_or(Ok(()), |number| Err(TemplateError::Compression(*number)))
            }
            Self::SupportedVersions { versions } => {
                bounded("versions", versions.len(), MAX_ENTRIES)?;
                let tls13 = versions.contains(&Code::Known(0x0304));
                if tls13 { Ok(()) } else { Err(TemplateError::Lacks("TLS 1.3 among its versions")) }
            }
            Self::KeyShare { shares, .. } => {
                bounded("key shares", shares.len(), MAX_ENTRIES)?;
                let unknown = shares.iter().find_map(|share| match share {
                    Code::Known(number) if !shares::can_make(*number) => Some(U16(*number)),
                    _ => None,
                });
                unknown.map_or(Ok(()), |number| Err(TemplateError::Share(number)))
            }
            Self::EchGrease { payload_lengths, aeads } => {
                let fit = payload_lengths.iter().all(|&length| usize::from(length) <= MAX_BODY_BYTES);
                bounded("ECH lengths", if fit { payload_lengths.len() } else { 0 }, MAX_ENTRIES)?;
                bounded("ECH ciphers", aeads.len(), MAX_ENTRIES)
            }
            _ => Ok(()),
        }
    }
}

const fn bounded(what: &'static str, count: usize, most: usize) -> Result<(), TemplateError> {
    if count == 0 || count > most { Err(TemplateError::Length(what)) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_templates_are_valid() {
        assert_eq!(Template::chromium_156().unwrap().name, "chromium-156");
        assert_eq!(Template::firefox_153().unwrap().name, "firefox-153");
    }

    #[test]
    fn what_cannot_be_a_hello_is_refused() {
        let change = |edit: &dyn Fn(&mut Template)| {
            let mut template = Template::chromium_156().unwrap();
            edit(&mut template);
            template.validate().unwrap_err().to_string()
        };
        assert!(change(&|t| t.cipher_suites.clear()).contains("cipher suites"));
        assert!(change(&|t| t.extensions.push(Extension::ServerName)).contains("0000 stands there twice"));
        assert!(change(&|t| t.extensions.retain(|e| e.number() != Some(51))).contains("lacks key_share"));
        let share = |number| Extension::KeyShare { shares: vec![Code::Known(number)], one_x25519: false };
        let replace = |number| {
            change(&|t| {
                t.extensions.retain(|e| e.number() != Some(51));
                t.extensions.push(share(number));
            })
        };
        assert!(replace(0x0100).contains("group 0100"));
        assert!(replace(0x0019).contains("0019"));
    }
}
