//! What a browser's hello looks like, as data.
//!
//! A template is JSON (see `templates/`). Numbers are hexadecimal strings, as RFCs and captures write them; `"grease"`
//! stands for a value drawn anew for each connection.

mod hellos;
mod hex;
mod pack;
mod validate;

use serde::{Deserialize, Serialize};

pub use self::{
    hellos::{BUILT_IN_VERSION, Hellos},
    hex::{Bytes, Code, U16},
    pack::{MAX_PACK_BYTES, Pack, PackError},
    validate::TemplateError,
};

/// Chromium 156 on Linux, built in so that there is a template without any file.
const CHROMIUM_156: &str = include_str!("../templates/chromium-156.json");
/// Firefox ESR 153 on Linux.
const FIREFOX_153: &str = include_str!("../templates/firefox-153.json");

/// One browser's hello.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Template {
    /// A short name: `chromium-156`.
    pub name: String,
    /// Which build it was read from, and how.
    pub origin: String,
    /// The cipher suites, in order.
    pub cipher_suites: Vec<Code>,
    /// How extensions are ordered.
    pub order: Order,
    /// The extensions; in order, when the order is fixed. `pre_shared_key` is added last when a ticket is used.
    pub extensions: Vec<Extension>,
}

/// How a browser orders its extensions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Order {
    /// Always as listed.
    Fixed,
    /// Permuted anew for each connection, except GREASE at both ends.
    Permuted,
}

/// One extension of a hello.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
#[non_exhaustive]
pub enum Extension {
    /// A GREASE extension without a body, first of all.
    GreaseFirst,
    /// A GREASE extension with one zero byte, last of all (before `pre_shared_key`).
    GreaseLast,
    /// server_name (0), absent when the connection has no name.
    ServerName,
    /// Constant bytes.
    Raw {
        /// The extension's number.
        #[serde(rename = "type")]
        number: U16,
        /// Its body.
        body: Bytes,
    },
    /// supported_groups (10).
    SupportedGroups {
        /// In order.
        groups: Vec<Code>,
    },
    /// signature_algorithms (13).
    SignatureAlgorithms {
        /// In order.
        schemes: Vec<Code>,
    },
    /// application_layer_protocol_negotiation (16).
    Alpn {
        /// In order.
        protocols: Vec<String>,
    },
    /// ALPS: settings of an application protocol, for those of `protocols` that ALPN offers too.
    ApplicationSettings {
        /// The extension's number; it changed once.
        #[serde(rename = "type")]
        number: U16,
        /// The protocols.
        protocols: Vec<String>,
    },
    /// compress_certificate (27).
    CompressCertificate {
        /// RFC 8879 numbers: 1 zlib, 2 brotli, 3 zstd.
        algorithms: Vec<U16>,
    },
    /// supported_versions (43).
    SupportedVersions {
        /// In order.
        versions: Vec<Code>,
    },
    /// key_share (51).
    KeyShare {
        /// The groups that get a share, in order.
        shares: Vec<Code>,
        /// Whether the X25519 part of the hybrid share is the stand-alone X25519 share, too.
        #[serde(default)]
        one_x25519: bool,
    },
    /// record_size_limit (28, RFC 8449).
    RecordSizeLimit {
        /// Bytes of plaintext with the content type.
        limit: U16,
    },
    /// encrypted_client_hello (65037) without a configuration: GREASE.
    EchGrease {
        /// The lengths of payload, one drawn uniformly.
        payload_lengths: Vec<u16>,
        /// HPKE AEAD numbers, one drawn uniformly.
        aeads: Vec<U16>,
    },
}

impl Template {
    /// Reads and checks a template.
    ///
    /// # Errors
    /// Where the JSON is wrong, or what of it cannot be a hello.
    pub fn from_json(json: &str) -> Result<Self, TemplateError> {
        let template: Self = serde_json::from_str(json).map_err(TemplateError::Json)?;
        template.validate()?;
        Ok(template)
    }

    /// Chromium 156 on Linux.
    ///
    /// # Errors
    /// Never: a test reads it.
    pub fn chromium_156() -> Result<Self, TemplateError> {
        Self::from_json(CHROMIUM_156)
    }

    /// Firefox ESR 153 on Linux.
    ///
    /// # Errors
    /// Never: a test reads it.
    pub fn firefox_153() -> Result<Self, TemplateError> {
        Self::from_json(FIREFOX_153)
    }

    /// The same with these application protocols: what the browser's hello for WebSocket needs, which offers
    /// `http/1.1` alone. ALPS goes when none of its protocols is left.
    #[must_use]
    pub fn with_alpn(mut self, wanted: &[&str]) -> Self {
        for extension in &mut self.extensions {
            match extension {
                Extension::Alpn { protocols } => {
                    *protocols = wanted.iter().map(|&protocol| protocol.to_owned()).collect();
                }
                Extension::ApplicationSettings { protocols, .. } => {
                    protocols.retain(|protocol| wanted.contains(&protocol.as_str()));
                }
                _ => {}
            }
        }
        self.extensions.retain(
            |extension| !matches!(extension, Extension::ApplicationSettings { protocols, .. } if protocols.is_empty()),
        );
        self
    }

    /// The same without any application protocol.
    #[must_use]
    pub fn without_alpn(mut self) -> Self {
        self.extensions.retain(|extension| {
            !matches!(extension, Extension::Alpn { .. } | Extension::ApplicationSettings { .. })
        });
        self
    }

    /// The certificate compressions that the hello offers.
    pub(crate) fn compressions(&self) -> &[U16] {
        self.extensions
            .iter()
            .find_map(|extension| match extension {
                Extension::CompressCertificate { algorithms } => Some(algorithms.as_slice()),
                _ => None,
            })
            .unwrap_or_default()
    }

    /// The most plaintext, content type included, that the peer may put in a record.
    pub(crate) fn offers_record_size_limit(&self) -> bool {
        self.extensions.iter().any(|extension| matches!(extension, Extension::RecordSizeLimit { .. }))
    }
}
