//! The server's parameters.

use std::{fmt, path::PathBuf, time::Duration};

use commucat_transport_api::{ConfigError, ConfigProblem, HostPort, Secret, Spec};
use serde::{Deserialize, Serialize};

use super::{
    Auth, ClientParams, Ping, Tls, bad, missing,
    text::{decode_key, path},
};
use crate::{
    gate::Terms,
    wire::{
        token::{BridgeKeys, KEY_BYTES, MIN_VERSION},
        upgrade::Mode,
    },
};

/// Clock difference that is forgiven when nothing else is said, in seconds.
const DEFAULT_TOLERANCE_S: u64 = 120;
/// Largest clock difference that can be forgiven, in seconds: the replay cache must remember twice as long.
const MAX_TOLERANCE_S: u64 = 600;

/// As they stand in a spec.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct ServerParams {
    pub(crate) auth: Auth,
    /// The bridge key, base64url.
    pub(crate) key: Option<String>,
    pub(crate) path: String,
    /// What the clients of [`super::ClientParams`] are told to speak; the server takes both.
    pub(crate) mode: Mode,
    pub(crate) tls: Tls,
    /// Certificate chain and key, PEM files. Read when the server is built.
    pub(crate) cert_file: Option<PathBuf>,
    pub(crate) key_file: Option<PathBuf>,
    /// The same inline: the self-signed pair that was made with the bridge. Files go before it.
    pub(crate) cert_pem: Option<String>,
    pub(crate) key_pem: Option<String>,
    pub(crate) cover: Option<CoverParams>,
    pub(crate) tolerance_s: u64,
    /// The oldest token version that is let in: an operator raises it to retire old clients.
    pub(crate) min_client_version: u8,
    pub(crate) ping: Option<Ping>,
    /// Laid over what clients are told: how they reach us through a CDN, say.
    pub(crate) client: Option<serde_json::Map<String, serde_json::Value>>,
}

impl Default for ServerParams {
    fn default() -> Self {
        Self {
            auth: Auth::Token,
            key: None,
            path: "/".to_owned(),
            mode: Mode::Ws,
            tls: Tls::On,
            cert_file: None,
            key_file: None,
            cert_pem: None,
            key_pem: None,
            cover: None,
            tolerance_s: DEFAULT_TOLERANCE_S,
            min_client_version: MIN_VERSION,
            ping: None,
            client: None,
        }
    }
}

impl fmt::Debug for ServerParams {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerParams")
            .field("auth", &self.auth)
            .field("mode", &self.mode)
            .finish_non_exhaustive()
    }
}

/// What strangers see.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum CoverParams {
    /// A folder of static files.
    Folder(PathBuf),
    /// A web server that is asked for every answer: `http://host:port`.
    Origin(String),
}

/// The certificate and its key.
pub(crate) enum Identity {
    Files { cert: PathBuf, key: PathBuf },
    Inline { cert: String, key: Secret<String> },
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Files { .. } => "Files",
            Self::Inline { .. } => "Inline",
        })
    }
}

/// A validated server, but for what its files hold.
#[derive(Debug)]
pub(crate) struct ServerConfig {
    pub(crate) endpoint: HostPort,
    /// `None` with `auth: "none"`.
    pub(crate) keys: Option<BridgeKeys>,
    /// The key itself, for [`crate::server`]'s `client_spec` and as the seed of the built-in site.
    pub(crate) key: Secret<[u8; KEY_BYTES]>,
    pub(crate) path: Secret<String>,
    pub(crate) mode: Mode,
    /// `None` without TLS.
    pub(crate) identity: Option<Identity>,
    pub(crate) cover: Option<CoverParams>,
    pub(crate) terms: Terms,
    pub(crate) ping: Ping,
    pub(crate) client: serde_json::Map<String, serde_json::Value>,
}

impl ServerConfig {
    /// Whether the certificate is the bridge's own, which clients must know by its hash.
    pub(crate) const fn is_self_signed(&self) -> bool {
        matches!(self.identity, Some(Identity::Inline { .. }))
    }

    /// Validates a spec.
    pub(crate) fn from_spec(spec: &Spec) -> Result<Self, ConfigError> {
        let params: ServerParams = spec.params()?;
        let key = match (&params.key, params.auth) {
            (Some(key), _) => decode_key(key, "key")?,
            (None, Auth::None) => *blake3::hash(params.path.as_bytes()).as_bytes(),
            (None, Auth::Token) => return Err(missing("key")),
        };
        if !(1..=MAX_TOLERANCE_S).contains(&params.tolerance_s) {
            return Err(bad("tolerance_s"));
        }
        if spec.endpoint.host.ip().is_none() {
            // Names are for clients; a listener has an address.
            return Err(bad("endpoint"));
        }
        Ok(Self {
            endpoint: spec.endpoint.clone(),
            keys: (params.auth == Auth::Token).then(|| BridgeKeys::derive(&key)),
            key: Secret::new(key),
            path: Secret::new(path(&params.path)?),
            mode: params.mode,
            identity: identity(&params)?,
            cover: params.cover,
            terms: Terms {
                tolerance: Duration::from_secs(params.tolerance_s),
                min_version: params.min_client_version,
            },
            ping: params.ping.unwrap_or(Ping::SERVER).check()?,
            client: overrides(params.client.unwrap_or_default())?,
        })
    }
}

fn identity(params: &ServerParams) -> Result<Option<Identity>, ConfigError> {
    if params.tls == Tls::Off {
        return Ok(None);
    }
    if params.cert_file.is_some() || params.key_file.is_some() {
        let cert = params.cert_file.clone().ok_or_else(|| missing("cert_file"))?;
        let key = params.key_file.clone().ok_or_else(|| missing("key_file"))?;
        return Ok(Some(Identity::Files { cert, key }));
    }
    let cert = params.cert_pem.clone().ok_or_else(|| missing("cert_file"))?;
    let key = Secret::new(params.key_pem.clone().ok_or_else(|| missing("key_pem"))?);
    Ok(Some(Identity::Inline { cert, key }))
}

/// The overrides must be client parameters.
fn overrides(
    client: serde_json::Map<String, serde_json::Value>,
) -> Result<serde_json::Map<String, serde_json::Value>, ConfigError> {
    ClientParams::deserialize(serde_json::Value::Object(client.clone()))
        .map_err(|error| ConfigError::with_source(Some("client"), ConfigProblem::BadValue, error))?;
    Ok(client)
}
