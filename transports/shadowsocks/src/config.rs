//! The parameters of both ends, as they stand in a spec, and what they become.

use std::{sync::Arc, time::Duration};

use aws_lc_rs::rand;
use base64::{Engine as _, engine::general_purpose};
use commucat_transport_api::{ConfigError, ConfigProblem, Secret, Spec, User, UserTable};
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::{
    credentials::{self, ClientKeys, ServerKeys},
    error::CryptoError,
    keys::{self, Key},
    method::{Edition, Method},
    prefix::Prefix,
};

/// What `generate_server_params` chooses: the quickest method where the processor knows AES.
const DEFAULT_METHOD: Method = Method::Blake3Aes128Gcm;
/// Identity keys a client may carry, for a chain of relays.
const MAX_IDENTITY_KEYS: usize = 4;
/// A UDP session without a packet from its client ends after this many seconds, unless `udp_idle_s` says otherwise.
const DEFAULT_UDP_IDLE_SECONDS: u32 = 300;
/// Longest `udp_idle_s`: a day.
const MAX_UDP_IDLE_SECONDS: u32 = 86_400;
/// Between the keys of a 2022 client with identity headers.
const KEY_SEPARATOR: char = ':';

/// Which of TCP and UDP are served.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Mode {
    #[default]
    TcpAndUdp,
    TcpOnly,
    UdpOnly,
}

impl Mode {
    pub(crate) const fn tcp(self) -> bool {
        matches!(self, Self::TcpAndUdp | Self::TcpOnly)
    }

    pub(crate) const fn udp(self) -> bool {
        matches!(self, Self::TcpAndUdp | Self::UdpOnly)
    }

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::TcpAndUdp => "tcp_and_udp",
            Self::TcpOnly => "tcp_only",
            Self::UdpOnly => "udp_only",
        }
    }

    pub(crate) fn parse(name: &str) -> Result<Self, ConfigError> {
        [Self::TcpAndUdp, Self::TcpOnly, Self::UdpOnly]
            .into_iter()
            .find(|mode| mode.name() == name)
            .ok_or_else(|| bad("mode", "the mode is none of tcp_and_udp, tcp_only, udp_only"))
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ClientForm {
    method: String,
    #[serde(alias = "password")]
    key: Secret<String>,
    #[serde(default)]
    mode: Mode,
    #[serde(default)]
    prefix: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ServerForm {
    method: String,
    #[serde(default, alias = "password")]
    key: Option<Secret<String>>,
    #[serde(default)]
    single_user: bool,
    #[serde(default)]
    mode: Mode,
    #[serde(default)]
    prefix: Option<String>,
    #[serde(default)]
    udp_idle_s: Option<u32>,
}

/// A dialling end, valid.
#[derive(Debug)]
pub(crate) struct ClientConfig {
    pub(crate) keys: Arc<ClientKeys>,
    pub(crate) mode: Mode,
    /// As it was written: one credential, or several separated by colons.
    pub(crate) credential: Secret<String>,
}

impl ClientConfig {
    pub(crate) fn from_spec(spec: &Spec) -> Result<Self, ConfigError> {
        let form: ClientForm = spec.params()?;
        let method = parse_method(&form.method)?;
        let (identity, key) = parse_client_key(method, form.key.expose())?;
        let prefix = parse_prefix(form.prefix.as_deref(), method)?;
        let keys = Arc::new(ClientKeys { method, identity, key, prefix });
        Ok(Self { keys, mode: form.mode, credential: form.key })
    }
}

/// A listening end, valid.
#[derive(Debug)]
pub(crate) struct ServerConfig {
    pub(crate) method: Method,
    pub(crate) keys: Arc<ServerKeys>,
    pub(crate) mode: Mode,
    pub(crate) udp_idle: Duration,
    /// The server's own key or password, where it has one.
    credential: Option<Secret<String>>,
    prefix: Prefix,
}

impl ServerConfig {
    pub(crate) fn from_spec(spec: &Spec, users: &Arc<UserTable>) -> Result<Self, ConfigError> {
        let form: ServerForm = spec.params()?;
        let method = parse_method(&form.method)?;
        let prefix = parse_prefix(form.prefix.as_deref(), method)?;
        let udp_idle_s = form.udp_idle_s.unwrap_or(DEFAULT_UDP_IDLE_SECONDS);
        if !(1..=MAX_UDP_IDLE_SECONDS).contains(&udp_idle_s) {
            return Err(bad("udp_idle_s", "the time is not between 1 and 86400 seconds"));
        }
        let needs_key = form.single_user || method.has_identity_headers();
        let key = match &form.key {
            Some(key) if needs_key => Some(Key::from_credential(method, key.expose()).map_err(bad_key)?),
            Some(_) => {
                return Err(bad(
                    "key",
                    "this method gives every user a key of his own; set `single_user` for one key",
                ));
            }
            None if needs_key => return Err(ConfigError::new(Some("key"), ConfigProblem::Missing)),
            None => None,
        };
        let keys = match key {
            Some(key) if form.single_user => credentials::single(key),
            key => credentials::many(method, key, Arc::clone(users)).map_err(bad_key)?,
        };
        Ok(Self {
            method,
            keys: Arc::new(keys),
            mode: form.mode,
            udp_idle: Duration::from_secs(udp_idle_s.into()),
            credential: form.key,
            prefix,
        })
    }

    /// The parameters with which this user reaches us.
    pub(crate) fn client_params(&self, user: &User) -> Result<Value, ConfigError> {
        let own = || keys::user_credential(self.method, user);
        let key = match (&*self.keys, &self.credential) {
            (ServerKeys::Single(_), Some(key)) => key.clone(),
            (ServerKeys::Identity { .. }, Some(ipsk)) => {
                Secret::new(format!("{}{KEY_SEPARATOR}{}", ipsk.expose(), own().expose()))
            }
            (ServerKeys::Trial(_), _) => own(),
            (ServerKeys::Single(_) | ServerKeys::Identity { .. }, None) => {
                return Err(ConfigError::new(Some("key"), ConfigProblem::Missing));
            }
        };
        Ok(client_params(self.method, key.expose(), self.mode, &self.prefix))
    }
}

/// Parameters of a client, in their one written form.
pub(crate) fn client_params(method: Method, key: &str, mode: Mode, prefix: &Prefix) -> Value {
    let mut params = Map::new();
    params.insert("method".into(), method.name().into());
    params.insert("key".into(), key.into());
    if mode != Mode::default() {
        params.insert("mode".into(), mode.name().into());
    }
    if let Some(prefix) = prefix.to_text() {
        params.insert("prefix".into(), prefix.into());
    }
    Value::Object(params)
}

/// Parameters of a server with a fresh key.
pub(crate) fn generate_server_params() -> Result<Value, ConfigError> {
    let mut key = [0u8; 32];
    let key = key.get_mut(..DEFAULT_METHOD.key_bytes()).unwrap_or_default();
    rand::fill(key).map_err(|error| ConfigError::with_source(Some("key"), ConfigProblem::BadValue, error))?;
    let mut params = Map::new();
    params.insert("method".into(), DEFAULT_METHOD.name().into());
    params.insert("key".into(), general_purpose::STANDARD.encode(key).into());
    Ok(Value::Object(params))
}

pub(crate) fn parse_method(name: &str) -> Result<Method, ConfigError> {
    name.parse().map_err(|error: crate::method::UnknownMethod| {
        ConfigError::with_source(Some("method"), ConfigProblem::BadValue, error)
    })
}

fn parse_prefix(text: Option<&str>, method: Method) -> Result<Prefix, ConfigError> {
    text.map_or_else(|| Ok(Prefix::default()), |text| Prefix::parse(text, method))
}

fn parse_client_key(method: Method, text: &str) -> Result<(Vec<Key>, Key), ConfigError> {
    if method.edition() == Edition::V2017 {
        return Ok((Vec::new(), Key::from_credential(method, text).map_err(bad_key)?));
    }
    let mut keys: Vec<Key> = text
        .split(KEY_SEPARATOR)
        .map(|text| Key::from_base64(method, text))
        .collect::<Result<_, _>>()
        .map_err(bad_key)?;
    let key = keys.pop().ok_or_else(|| bad_key(CryptoError::KeyLength))?;
    if !keys.is_empty() && !method.has_identity_headers() {
        return Err(bad("key", "this method has no identity headers: give one key"));
    }
    if keys.len() > MAX_IDENTITY_KEYS {
        return Err(bad("key", "more than 4 identity keys"));
    }
    Ok((keys, key))
}

fn bad_key(error: CryptoError) -> ConfigError {
    ConfigError::with_source(Some("key"), ConfigProblem::BadValue, error)
}

fn bad(field: &'static str, reason: &'static str) -> ConfigError {
    ConfigError::with_source(Some(field), ConfigProblem::BadValue, reason)
}

#[cfg(test)]
mod tests {
    use std::error::Error as _;

    use serde_json::json;

    use super::*;
    use crate::ID;

    fn spec(params: Value) -> Spec {
        Spec::new(ID, "127.0.0.1:8388".parse().unwrap(), params).unwrap()
    }

    fn users() -> Arc<UserTable> {
        Arc::new(UserTable::new(vec![User { id: "anna".parse().unwrap(), secret: Secret::new([1; 32]) }]))
    }

    #[test]
    fn each_mistake_names_its_field() {
        let key = "AAAAAAAAAAAAAAAAAAAAAA==";
        let cases = [
            (json!({"method": "rc4-md5", "key": "x"}), "method"),
            (json!({"method": "aes-128-gcm", "key": ""}), "key"),
            (json!({"method": "2022-blake3-aes-256-gcm", "key": key}), "key"),
            (json!({"method": "2022-blake3-chacha20-poly1305", "key": format!("{key}:{key}")}), "key"),
            (json!({"method": "2022-blake3-aes-128-gcm", "key": key, "prefix": "GET%20"}), "prefix"),
        ];
        for (params, field) in cases {
            assert_eq!(ClientConfig::from_spec(&spec(params)).unwrap_err().field(), Some(field));
        }
        for (params, word) in [
            (json!({"method": "aes-128-gcm", "key": "x", "pasword": 1}), "pasword"),
            (json!({"method": "aes-128-gcm", "key": "x", "mode": "tcp"}), "tcp_only"),
            (json!({"key": "x"}), "method"),
        ] {
            let error = ClientConfig::from_spec(&spec(params)).unwrap_err();
            assert!(error.source().unwrap().to_string().contains(word), "{error:?}");
        }
    }

    #[test]
    fn a_server_key_is_asked_for_where_it_means_something() {
        let server = |params| ServerConfig::from_spec(&spec(params), &users());
        assert_eq!(
            server(json!({"method": "2022-blake3-aes-128-gcm"})).unwrap_err().problem(),
            ConfigProblem::Missing
        );
        assert!(server(json!({"method": "aes-256-gcm"})).is_ok());
        assert!(server(json!({"method": "aes-256-gcm", "key": "x", "single_user": true})).is_ok());
        assert_eq!(server(json!({"method": "aes-256-gcm", "key": "x"})).unwrap_err().field(), Some("key"));
        assert!(server(generate_server_params().unwrap()).is_ok());
    }

    #[test]
    fn what_a_server_hands_out_makes_a_client() {
        let user = users().snapshot()[0].clone();
        for params in [
            generate_server_params().unwrap(),
            json!({"method": "aes-256-gcm", "prefix": "POST%20"}),
            json!({"method": "2022-blake3-chacha20-poly1305"}),
            json!({"method": "chacha20-ietf-poly1305", "key": "secret", "single_user": true, "mode": "tcp_only"}),
        ] {
            let server = ServerConfig::from_spec(&spec(params), &users()).unwrap();
            let client = ClientConfig::from_spec(&spec(server.client_params(&user).unwrap())).unwrap();
            assert_eq!(client.keys.method, server.method);
            assert_eq!(client.mode, server.mode);
            assert_eq!(
                client.keys.identity.len(),
                usize::from(matches!(*server.keys, ServerKeys::Identity { .. }))
            );
        }
    }

    #[test]
    fn no_key_is_printed() {
        let params = json!({"method": "aes-256-gcm", "key": "hunter2", "single_user": true});
        let server = ServerConfig::from_spec(&spec(params.clone()), &users()).unwrap();
        let mut params = params;
        params.as_object_mut().unwrap().remove("single_user");
        let client = ClientConfig::from_spec(&spec(params)).unwrap();
        assert!(!format!("{server:?} {client:?}").contains("hunter2"));
    }
}
