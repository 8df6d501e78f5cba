//! The listening end.

use std::{path::PathBuf, time::Duration};

use aws_lc_rs::{
    agreement::{PrivateKey, X25519},
    rand,
    signature::{KeyPair as _, ML_DSA_65_SIGNING, PqdsaKeyPair},
};
use commucat_transport_api::{ConfigError, ConfigProblem, HostPort, Secret, Spec, User};
use serde::Deserialize;

use super::{
    ClientFields, DialLimits, FallbackLimit, Fingerprint,
    client::{MAX_CARRIERS, check_carriers},
    encode_key, render_uuid,
    text::{bad, decode_key, parse_short_id},
};
use crate::{
    auth::SHORT_ID_BYTES,
    hellos::Browsers,
    spider::Plan,
    vless::{self, Flow},
};

/// Seconds that a client's clock may be off, unless `max_time_diff_s` says otherwise. Replays are remembered as long.
const DEFAULT_MAX_TIME_DIFF_SECONDS: u32 = 120;
/// Longest `max_time_diff_s`: a day.
const MAX_TIME_DIFF_SECONDS: u32 = 86_400;
/// Names and short ids of one bridge.
const MAX_ENTRIES: usize = 256;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ServerForm {
    /// `host:port` of the site that is imitated.
    target: HostPort,
    server_names: Vec<String>,
    private_key: Secret<String>,
    short_ids: Vec<String>,
    #[serde(default)]
    max_time_diff_s: Option<u32>,
    #[serde(default)]
    min_client_version: Option<String>,
    #[serde(default)]
    mldsa65_seed: Option<Secret<String>>,
    /// What our own clients are told to visit of the site when that answers them.
    #[serde(default)]
    spider: String,
    /// Templates of the hello that looks at the target, and whose signature they have.
    #[serde(default)]
    hello_pack: Option<PathBuf>,
    #[serde(default)]
    hello_pack_key: Option<String>,
    #[serde(default)]
    target_dials: DialLimits,
    #[serde(default)]
    fallback_limit: FallbackLimit,
    /// The browser that our own clients are told to be.
    #[serde(default)]
    fingerprint: Fingerprint,
    /// The flow that our own clients are told to use. Every user may use either.
    #[serde(default)]
    flow: Flow,
    /// How many connections our own clients are told to share; 3 unless there is a flow.
    #[serde(default)]
    carriers: Option<u8>,
}

/// A listening end, valid.
#[derive(Debug)]
pub(crate) struct ServerConfig {
    pub(crate) target: HostPort,
    pub(crate) server_names: Vec<String>,
    pub(crate) private_key: PrivateKey,
    pub(crate) short_ids: Vec<[u8; SHORT_ID_BYTES]>,
    pub(crate) max_time_diff: Duration,
    pub(crate) min_version: [u8; 3],
    pub(crate) ml_dsa_65: Option<PqdsaKeyPair>,
    spider: Plan,
    pub(crate) browsers: Browsers,
    pub(crate) dials: DialLimits,
    pub(crate) fallback_limit: FallbackLimit,
    public_key: String,
    first_short_id: String,
    fingerprint: Fingerprint,
    flow: Flow,
    carriers: u8,
}

impl ServerConfig {
    pub(crate) fn from_spec(spec: &Spec, browsers: &Browsers) -> Result<Self, ConfigError> {
        let form: ServerForm = spec.params()?;
        let private = Secret::new(decode_key::<32>("private_key", form.private_key.expose())?);
        let private_key = PrivateKey::from_private_key(&X25519, private.expose())
            .map_err(|error| ConfigError::with_source(Some("private_key"), ConfigProblem::BadValue, error))?;
        let public = private_key.compute_public_key().map_err(no_key)?;
        if form.server_names.is_empty() || form.server_names.len() > MAX_ENTRIES {
            return Err(bad("server_names", "one to 256 names of the target are expected"));
        }
        if form.short_ids.is_empty() || form.short_ids.len() > MAX_ENTRIES {
            return Err(bad("short_ids", "one to 256 short ids are expected; \"\" is one"));
        }
        if form.target.port == 0 {
            return Err(bad("target", "host:port of a site with TLS 1.3 is expected"));
        }
        let seconds = form.max_time_diff_s.unwrap_or(DEFAULT_MAX_TIME_DIFF_SECONDS);
        if !(1..=MAX_TIME_DIFF_SECONDS).contains(&seconds) {
            return Err(bad("max_time_diff_s", "1 to 86400 seconds are expected"));
        }
        let usual = if form.flow.is_vision() { 0 } else { MAX_CARRIERS };
        Ok(Self {
            target: form.target,
            short_ids: form.short_ids.iter().map(|id| parse_short_id(id)).collect::<Result<_, _>>()?,
            first_short_id: form.short_ids.first().cloned().unwrap_or_default(),
            server_names: form.server_names,
            public_key: encode_key(public.as_ref()),
            private_key,
            max_time_diff: Duration::from_secs(seconds.into()),
            min_version: form.min_client_version.as_deref().map_or(Ok([0; 3]), parse_version)?,
            ml_dsa_65: form.mldsa65_seed.map(|seed| ml_dsa_65(&seed)).transpose()?,
            browsers: match (&form.hello_pack, &form.hello_pack_key) {
                (Some(pack), Some(key)) => Browsers::read(pack, key)?,
                (None, None) => browsers.clone(),
                (Some(_), None) => {
                    return Err(bad("hello_pack_key", "the key that signed the pack is missing"));
                }
                (None, Some(_)) => return Err(bad("hello_pack", "the pack that this key signed is missing")),
            },
            spider: Plan::parse(&form.spider)?,
            dials: form.target_dials.checked()?,
            fallback_limit: form.fallback_limit.checked()?,
            fingerprint: form.fingerprint,
            flow: form.flow,
            carriers: check_carriers(form.carriers.unwrap_or(usual), form.flow)?,
        })
    }

    /// What that user's client needs.
    pub(crate) fn client_params(&self, user: &User) -> Result<serde_json::Value, ConfigError> {
        let name = self.server_names.first().ok_or_else(|| bad("server_names", "there is none"))?;
        let uuid = Secret::new(render_uuid(&vless::uuid_of(user.secret.expose())));
        let verify = self.ml_dsa_65.as_ref().map(|key| encode_key(key.public_key().as_ref()));
        let fields = ClientFields {
            server_name: name,
            public_key: &self.public_key,
            short_id: &self.first_short_id,
            user: uuid.expose(),
            fingerprint: self.fingerprint,
            mldsa65_verify: verify.as_deref(),
            spider: self.spider.text(),
            flow: self.flow,
            carriers: self.carriers,
        };
        Ok(fields.params())
    }
}

fn ml_dsa_65(seed: &Secret<String>) -> Result<PqdsaKeyPair, ConfigError> {
    let seed = Secret::new(decode_key::<32>("mldsa65_seed", seed.expose())?);
    PqdsaKeyPair::from_seed(&ML_DSA_65_SIGNING, seed.expose())
        .map_err(|error| ConfigError::with_source(Some("mldsa65_seed"), ConfigProblem::BadValue, error))
}

/// `26.3.27`
fn parse_version(text: &str) -> Result<[u8; 3], ConfigError> {
    let mut version = [0; 3];
    let mut parts = text.split('.');
    for slot in &mut version {
        *slot = parts
            .next()
            .and_then(|part| part.parse().ok())
            .ok_or_else(|| bad("min_client_version", "three numbers are expected: 26.3.27"))?;
    }
    Ok(version)
}

/// Fresh keys and a short id. The target and its names are the operator's to choose.
pub(crate) fn generate_server_params() -> Result<serde_json::Value, ConfigError> {
    let key = PrivateKey::generate(&X25519).map_err(no_key)?;
    let private: aws_lc_rs::encoding::Curve25519SeedBin<'_> =
        aws_lc_rs::encoding::AsBigEndian::as_be_bytes(&key).map_err(no_key)?;
    let mut short_id = [0; SHORT_ID_BYTES];
    rand::fill(&mut short_id).map_err(no_key)?;
    let short_id: String = short_id.iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(serde_json::json!({ "private_key": encode_key(private.as_ref()), "short_ids": [short_id] }))
}

fn no_key(error: aws_lc_rs::error::Unspecified) -> ConfigError {
    ConfigError::with_source(Some("private_key"), ConfigProblem::BadValue, error)
}
