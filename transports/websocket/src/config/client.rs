//! The client's parameters.

use std::fmt;

use commucat_transport_api::{ConfigError, Host, HostPort, Secret, Spec};
use serde::{Deserialize, Serialize};

use super::{
    Auth, Ping, Tls, bad, missing,
    text::{authority, decode_key, default_authority, path},
};
use crate::wire::{
    token::{BridgeKeys, MAX_EARLY_BYTES, UserKey},
    upgrade::Mode,
};

/// As they stand in a spec. Every field but the keys can be left out.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct ClientParams {
    #[serde(skip_serializing_if = "is_default")]
    pub(crate) auth: Auth,
    /// The bridge key, base64url.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) key: Option<String>,
    /// The user's key on this transport, base64url.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) user_key: Option<String>,
    pub(crate) path: String,
    pub(crate) mode: Mode,
    pub(crate) tls: Tls,
    /// The name in the TLS hello and in the certificate; empty: send none. Left out: the host of `host`, else the
    /// endpoint's, when that is a name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) sni: Option<String>,
    /// The `Host` header, when it is not the endpoint.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) host: Option<String>,
    /// SHA-256 of the bridge's certificate, base64url; then nothing else of it is checked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) pin: Option<String>,
    /// First payload that rides in the upgrade request, in bytes, at most 2048. The dial then returns before the
    /// bridge has answered.
    #[serde(skip_serializing_if = "is_default")]
    pub(crate) early_data: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) ping: Option<Ping>,
    /// With `auth: "none"`: the peer is ours and knows an empty message as an end of stream.
    #[serde(skip_serializing_if = "is_default")]
    pub(crate) half_close: bool,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

impl Default for ClientParams {
    fn default() -> Self {
        Self {
            auth: Auth::Token,
            key: None,
            user_key: None,
            path: "/".to_owned(),
            mode: Mode::Ws,
            tls: Tls::On,
            sni: None,
            host: None,
            pin: None,
            early_data: 0,
            ping: None,
            half_close: false,
        }
    }
}

impl fmt::Debug for ClientParams {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientParams")
            .field("auth", &self.auth)
            .field("mode", &self.mode)
            .finish_non_exhaustive()
    }
}

/// What proves a user to a bridge.
#[derive(Clone, Debug)]
pub(crate) struct Credentials {
    pub(crate) bridge: BridgeKeys,
    pub(crate) user: UserKey,
}

/// A client that can only fail on the network.
#[derive(Debug)]
pub(crate) struct ClientConfig {
    pub(crate) endpoint: HostPort,
    /// `None` with `auth: "none"`.
    pub(crate) credentials: Option<Credentials>,
    pub(crate) path: Secret<String>,
    pub(crate) mode: Mode,
    pub(crate) tls: Tls,
    pub(crate) sni: Option<Host>,
    pub(crate) authority: String,
    pub(crate) pin: Option<[u8; 32]>,
    pub(crate) early_bytes: usize,
    pub(crate) ping: Ping,
    pub(crate) half_close: bool,
    /// For the link.
    pub(crate) params: ClientParams,
}

impl ClientConfig {
    /// Validates a spec.
    pub(crate) fn from_spec(spec: &Spec) -> Result<Self, ConfigError> {
        let params: ClientParams = spec.params()?;
        let secure = params.tls == Tls::On;
        let authority = match &params.host {
            Some(host) => authority(host)?,
            None => default_authority(&spec.endpoint, secure),
        };
        let early_bytes = usize::from(params.early_data);
        if early_bytes > MAX_EARLY_BYTES {
            return Err(bad("early_data"));
        }
        if spec.endpoint.port == 0 {
            return Err(bad("endpoint"));
        }
        let pin = params.pin.as_deref().map(|pin| decode_key(pin, "pin")).transpose()?;
        Ok(Self {
            endpoint: spec.endpoint.clone(),
            credentials: credentials(&params)?,
            path: Secret::new(path(&params.path)?),
            mode: params.mode,
            tls: params.tls,
            sni: sni(&params, &spec.endpoint, pin.is_some())?,
            authority,
            pin,
            early_bytes,
            ping: params.ping.unwrap_or(Ping::CLIENT).check()?,
            half_close: params.half_close,
            params,
        })
    }
}

fn credentials(params: &ClientParams) -> Result<Option<Credentials>, ConfigError> {
    if params.auth == Auth::None {
        return Ok(None);
    }
    let key = params.key.as_deref().ok_or_else(|| missing("key"))?;
    let user_key = params.user_key.as_deref().ok_or_else(|| missing("user_key"))?;
    Ok(Some(Credentials {
        bridge: BridgeKeys::derive(&decode_key(key, "key")?),
        user: UserKey::from_bytes(decode_key(user_key, "user_key")?),
    }))
}

/// The name for the hello. Without a pin there must be something to check the certificate against.
fn sni(params: &ClientParams, endpoint: &HostPort, pinned: bool) -> Result<Option<Host>, ConfigError> {
    let name = match (&params.sni, &params.host) {
        (Some(sni), _) if sni.is_empty() => None,
        (Some(sni), _) => Some(Host::parse(sni).map_err(|_not_a_host| bad("sni"))?),
        (None, Some(host)) => {
            let host_port: Result<HostPort, _> = host.parse();
            let host = host_port
                .map_or_else(|_no_port| Host::parse(host.trim_matches(['[', ']'])), |parsed| Ok(parsed.host));
            Some(host.map_err(|_not_a_host| bad("host"))?)
        }
        (None, None) => Some(endpoint.host.clone()),
    };
    if name.is_none() && !pinned && params.tls == Tls::On {
        return Err(bad("sni"));
    }
    Ok(name)
}
