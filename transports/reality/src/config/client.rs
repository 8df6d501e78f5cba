//! The dialling end.

use commucat_mimic::Template;
use commucat_transport_api::{ConfigError, ConfigProblem, Host, Secret, Spec};
use serde::Deserialize;

use super::text::{bad, decode_key, parse_short_id, parse_uuid};
use crate::{
    auth::SHORT_ID_BYTES,
    hellos::Browsers,
    spider::Plan,
    vless::{Flow, UUID_BYTES},
};

/// Bytes of an ML-DSA-65 public key (FIPS 204).
const ML_DSA_65_PUBLIC_BYTES: usize = 1952;

/// Most connections that one client keeps for all its streams: censors count handshakes, and six are too many.
pub(super) const MAX_CARRIERS: u8 = 3;

/// Which browser the hello is of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub(crate) enum Fingerprint {
    #[default]
    #[serde(rename = "chrome", alias = "chromium", alias = "chromium-156")]
    Chromium,
    #[serde(rename = "firefox", alias = "firefox-153")]
    Firefox,
}

impl Fingerprint {
    /// As links write it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Chromium => "chrome",
            Self::Firefox => "firefox",
        }
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ClientForm {
    /// The name in the hello: one of the bridge's `server_names`.
    server_name: String,
    public_key: String,
    #[serde(default)]
    short_id: String,
    /// A UUID.
    user: Secret<String>,
    #[serde(default)]
    fingerprint: Fingerprint,
    #[serde(default)]
    mldsa65_verify: Option<String>,
    /// What is visited of the site when that answers instead of the bridge.
    #[serde(default)]
    spider: String,
    #[serde(default)]
    flow: Flow,
    /// Streams share this many connections; 0 gives each its own.
    #[serde(default)]
    carriers: u8,
}

/// A dialling end, valid.
#[derive(Debug)]
pub(crate) struct ClientConfig {
    pub(crate) server_name: String,
    pub(crate) public_key: [u8; 32],
    pub(crate) short_id: [u8; SHORT_ID_BYTES],
    pub(crate) user: Secret<[u8; UUID_BYTES]>,
    pub(crate) fingerprint: Fingerprint,
    pub(crate) template: Template,
    pub(crate) ml_dsa_65: Option<Vec<u8>>,
    pub(crate) spider: Plan,
    pub(crate) flow: Flow,
    /// Connections that all streams share; 0 gives each its own.
    pub(crate) carriers: u8,
}

impl ClientConfig {
    pub(crate) fn from_spec(spec: &Spec, browsers: &Browsers) -> Result<Self, ConfigError> {
        let form: ClientForm = spec.params()?;
        match Host::parse(&form.server_name) {
            Ok(Host::Name(_)) => {}
            _ => return Err(bad("server_name", "a host name is expected")),
        }
        let template = browsers
            .of(form.fingerprint)
            .map_err(|error| ConfigError::with_source(Some("fingerprint"), ConfigProblem::BadValue, error))?;
        let ml_dsa_65 = form
            .mldsa65_verify
            .as_deref()
            .map(|text| decode_key::<ML_DSA_65_PUBLIC_BYTES>("mldsa65_verify", text).map(Vec::from))
            .transpose()?;
        Ok(Self {
            public_key: decode_key("public_key", &form.public_key)?,
            short_id: parse_short_id(&form.short_id)?,
            user: Secret::new(parse_uuid(form.user.expose())?),
            fingerprint: form.fingerprint,
            template,
            spider: Plan::parse(&form.spider)?,
            server_name: form.server_name,
            carriers: check_carriers(form.carriers, form.flow)?,
            flow: form.flow,
            ml_dsa_65,
        })
    }
}

/// A mux and a Vision flow exclude each other: the mux pads by itself, and nothing in it can go below TLS.
pub(super) fn check_carriers(carriers: u8, flow: Flow) -> Result<u8, ConfigError> {
    if carriers > MAX_CARRIERS {
        return Err(bad("carriers", "0 to 3 are expected"));
    }
    if carriers > 0 && flow.is_vision() {
        return Err(bad(
            "carriers",
            "a flow has one connection a stream: set carriers to 0, or leave the flow out",
        ));
    }
    Ok(carriers)
}

/// What the parameters of a client are written from.
#[derive(Debug)]
pub(crate) struct ClientFields<'a> {
    pub(crate) server_name: &'a str,
    pub(crate) public_key: &'a str,
    pub(crate) short_id: &'a str,
    pub(crate) user: &'a str,
    pub(crate) fingerprint: Fingerprint,
    pub(crate) mldsa65_verify: Option<&'a str>,
    pub(crate) spider: &'a str,
    pub(crate) flow: Flow,
    pub(crate) carriers: u8,
}

impl ClientFields<'_> {
    /// The parameters, as they stand in a spec. Hold a secret.
    pub(crate) fn params(&self) -> serde_json::Value {
        let mut params = serde_json::json!({
            "server_name": self.server_name,
            "public_key": self.public_key,
            "short_id": self.short_id,
            "user": self.user,
            "fingerprint": self.fingerprint.name(),
        });
        let Some(object) = params.as_object_mut() else { return params };
        if let Some(verify) = self.mldsa65_verify {
            object.insert("mldsa65_verify".to_owned(), verify.into());
        }
        if !self.spider.is_empty() {
            object.insert("spider".to_owned(), self.spider.into());
        }
        if self.flow != Flow::Plain {
            object.insert("flow".to_owned(), self.flow.name().into());
        }
        if self.carriers > 0 {
            object.insert("carriers".to_owned(), self.carriers.into());
        }
        params
    }
}
