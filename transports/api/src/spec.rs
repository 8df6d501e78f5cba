//! A transport's configuration as it travels: in links, in config files, in assist answers.

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{ConfigError, ConfigProblem, HostPort, TransportId};

/// One end of one transport, not yet validated. [`crate::PluggableTransport`] turns it into something that runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spec {
    /// Which transport.
    pub transport: TransportId,
    /// Client: where the bridge is. Server: where to listen.
    pub endpoint: HostPort,
    /// The transport's own parameters; it alone knows their shape. May hold secrets: never log a spec.
    #[serde(default, skip_serializing_if = "serde_json::Value::is_null")]
    pub params: serde_json::Value,
    /// The transport that carries this one's streams; `None` is the plain network.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub via: Option<Box<Self>>,
}

impl Spec {
    /// A spec without a carrier.
    ///
    /// # Errors
    /// [`ConfigProblem::BadValue`] when `params` has no JSON form.
    pub fn new(
        transport: TransportId,
        endpoint: HostPort,
        params: impl Serialize,
    ) -> Result<Self, ConfigError> {
        let params = serde_json::to_value(params)
            .map_err(|error| ConfigError::with_source(Some("params"), ConfigProblem::BadValue, error))?;
        Ok(Self { transport, endpoint, params, via: None })
    }

    /// The parameters in the transport's own type; absent parameters read as an empty object.
    ///
    /// # Errors
    /// [`ConfigProblem::BadValue`] with serde's reason, which names the field.
    pub fn params<T: DeserializeOwned>(&self) -> Result<T, ConfigError> {
        let empty = serde_json::Value::Object(serde_json::Map::new());
        let params = if self.params.is_null() { &empty } else { &self.params };
        T::deserialize(params)
            .map_err(|error| ConfigError::with_source(Some("params"), ConfigProblem::BadValue, error))
    }
}
