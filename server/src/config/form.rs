//! What a config file may say, section by section, exactly as it is written. The meaning (defaults, ranges) is in
//! `build.rs`; `docs/src/configuration.md` explains every key, and a test holds it to this list.

use std::path::PathBuf;

use commucat_transport_api::{Host, HostPort, Secret, TransportId};
use serde::{Deserialize, Deserializer, de::Error as _};

/// The whole file.
#[derive(Default, Deserialize)]
#[cfg_attr(test, derive(serde::Serialize))]
#[serde(deny_unknown_fields, default)]
pub(super) struct FileForm {
    pub(super) server: ServerForm,
    pub(super) endpoints: Vec<EndpointForm>,
    pub(super) storage: StorageForm,
    pub(super) admin: AdminForm,
    pub(super) egress: EgressForm,
    pub(super) limits: LimitsForm,
    pub(super) rate: RateForm,
    pub(super) assist: AssistForm,
    pub(super) log: LogForm,
}

#[derive(Default, Deserialize)]
#[cfg_attr(test, derive(serde::Serialize))]
#[serde(deny_unknown_fields, default)]
pub(super) struct ServerForm {
    pub(super) name: Option<String>,
    pub(super) domain: Option<HostForm>,
    pub(super) public: Option<HostForm>,
    pub(super) bind: Option<HostPort>,
    pub(super) tls_cert: Option<PathBuf>,
    pub(super) tls_key: Option<PathBuf>,
    pub(super) max_connections: Option<u32>,
    pub(super) drain_seconds: Option<u32>,
    pub(super) admin_bind: Option<HostPort>,
    pub(super) api_bind: Option<HostPort>,
}

#[derive(Deserialize)]
#[cfg_attr(test, derive(serde::Serialize))]
#[serde(deny_unknown_fields)]
pub(super) struct EndpointForm {
    pub(super) transport: TransportId,
    #[serde(default)]
    pub(super) listen: Option<HostPort>,
    #[serde(default)]
    pub(super) public: Option<HostPort>,
    #[serde(default)]
    pub(super) params: serde_json::Value,
    #[serde(default)]
    pub(super) via: Option<Box<CarrierForm>>,
}

#[derive(Deserialize)]
#[cfg_attr(test, derive(serde::Serialize))]
#[serde(deny_unknown_fields)]
pub(super) struct CarrierForm {
    pub(super) transport: TransportId,
    #[serde(default)]
    pub(super) listen: Option<HostPort>,
    #[serde(default)]
    pub(super) params: serde_json::Value,
    #[serde(default)]
    pub(super) via: Option<Box<Self>>,
}

#[derive(Default, Deserialize)]
#[cfg_attr(test, derive(serde::Serialize))]
#[serde(deny_unknown_fields, default)]
pub(super) struct StorageForm {
    #[cfg_attr(test, serde(serialize_with = "as_null"))]
    pub(super) dsn: Option<Secret<String>>,
    #[cfg_attr(test, serde(serialize_with = "as_null"))]
    pub(super) postgres_dsn: Option<Secret<String>>,
    pub(super) dsn_file: Option<PathBuf>,
}

#[derive(Default, Deserialize)]
#[cfg_attr(test, derive(serde::Serialize))]
#[serde(deny_unknown_fields, default)]
pub(super) struct AdminForm {
    #[cfg_attr(test, serde(serialize_with = "as_null"))]
    pub(super) token: Option<Secret<String>>,
    pub(super) token_file: Option<PathBuf>,
}

#[derive(Default, Deserialize)]
#[cfg_attr(test, derive(serde::Serialize))]
#[serde(deny_unknown_fields, default)]
pub(super) struct EgressForm {
    pub(super) allow_private: Option<bool>,
    pub(super) blocked_ports: Option<Vec<u16>>,
}

#[derive(Default, Deserialize)]
#[cfg_attr(test, derive(serde::Serialize))]
#[serde(deny_unknown_fields, default)]
pub(super) struct LimitsForm {
    pub(super) max_handshakes: Option<u32>,
    pub(super) max_visitors: Option<u32>,
    pub(super) handshake_seconds: Option<u32>,
    pub(super) max_connections_per_user: Option<u32>,
    pub(super) connect_seconds: Option<u32>,
    pub(super) idle_seconds: Option<u32>,
    pub(super) udp_associations: Option<u32>,
    pub(super) udp_idle_seconds: Option<u32>,
}

#[derive(Default, Deserialize)]
#[cfg_attr(test, derive(serde::Serialize))]
#[serde(deny_unknown_fields, default)]
pub(super) struct RateForm {
    pub(super) connect: ZoneForm,
    pub(super) http: ZoneForm,
    pub(super) strangers: ZoneForm,
}

#[derive(Default, Deserialize)]
#[cfg_attr(test, derive(serde::Serialize))]
#[serde(deny_unknown_fields, default)]
pub(super) struct ZoneForm {
    pub(super) per_minute: Option<u32>,
    pub(super) burst: Option<u32>,
}

#[derive(Default, Deserialize)]
#[cfg_attr(test, derive(serde::Serialize))]
#[serde(deny_unknown_fields, default)]
pub(super) struct AssistForm {
    pub(super) enabled: Option<bool>,
    pub(super) self_check_seconds: Option<u32>,
}

#[derive(Default, Deserialize)]
#[cfg_attr(test, derive(serde::Serialize))]
#[serde(deny_unknown_fields, default)]
pub(super) struct LogForm {
    pub(super) level: Option<String>,
    pub(super) format: Option<LogFormat>,
    pub(super) reveal_addresses: Option<bool>,
}

/// How log lines are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[cfg_attr(test, derive(serde::Serialize))]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// A host without a port.
pub(super) struct HostForm(pub(super) Host);

impl<'de> Deserialize<'de> for HostForm {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        if text
            .rsplit_once(':')
            .is_some_and(|(host, port)| !host.contains(':') && port.parse::<u16>().is_ok())
        {
            return Err(D::Error::custom("write the host without a port"));
        }
        Host::parse(&text).map(Self).map_err(D::Error::custom)
    }
}

#[cfg(test)]
impl serde::Serialize for HostForm {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

#[cfg(test)]
fn as_null<S: serde::Serializer>(_secret: &Option<Secret<String>>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_unit()
}

/// Every key of the file, for the test that holds the documentation to it.
#[cfg(test)]
pub(super) fn every_key() -> Vec<String> {
    let listen: HostPort = "0.0.0.0:1".parse().unwrap();
    let transport: TransportId = "x".parse().unwrap();
    let mut form = FileForm::default();
    let via = CarrierForm {
        transport: transport.clone(),
        listen: None,
        params: serde_json::Value::Null,
        via: None,
    };
    form.endpoints.push(EndpointForm {
        transport,
        listen: Some(listen),
        public: None,
        params: serde_json::Value::Null,
        via: Some(Box::new(via)),
    });
    let mut keys = Vec::new();
    collect("", &serde_json::to_value(&form).unwrap(), &mut keys);
    keys
}

#[cfg(test)]
fn collect(prefix: &str, value: &serde_json::Value, keys: &mut Vec<String>) {
    match value {
        serde_json::Value::Object(map) => {
            for (key, value) in map {
                let path = if prefix.is_empty() { key.clone() } else { format!("{prefix}.{key}") };
                collect(&path, value, keys);
            }
        }
        serde_json::Value::Array(items) => {
            items.iter().for_each(|item| collect(&format!("{prefix}[]"), item, keys))
        }
        _ => keys.push(prefix.to_owned()),
    }
}
