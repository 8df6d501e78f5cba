//! What the bridge answers, and how a client reads it: leniently.

use std::fmt;

use commucat_transport_api::{Spec, TransportId};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::{
    Version,
    schema::{SpecSchema, TransportIdSchema, VersionSchema},
};

/// The version of the answer. It moves only when a client of an older version could misread the answer.
pub const ASSIST_VERSION: u32 = 1;
/// Longest answer that a client reads, in bytes.
pub const MAX_RESPONSE_BYTES: usize = 256 * 1024;
/// Most endpoints in an answer.
pub const MAX_ANSWERED_ENDPOINTS: usize = 16;

/// What a client should use now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(from = "Form")]
pub struct AssistResponse {
    /// The version of the answer: 1.
    #[schema(example = 1)]
    pub version: u32,
    /// When the answer was put together, in milliseconds since 1970-01-01 UTC by the bridge's clock.
    pub generated_at_ms: u64,
    /// How long the answer stays useful, in seconds: until the first of its checks grows too old.
    #[schema(example = 120)]
    pub valid_for_s: u64,
    /// The bridge's clock as it sends this, in milliseconds since 1970-01-01 UTC. The difference to the client's own
    /// clock is its skew, to within the time of the call.
    pub server_time_ms: u64,
    /// The oldest client version that the bridge still serves.
    #[schema(value_type = VersionSchema)]
    pub min_client_version: Version,
    /// What works now, best first. Empty when nothing the client can use passed its check.
    #[schema(max_items = 16)]
    pub endpoints: Vec<AssistEndpoint>,
    /// Endpoints of the answer that this program cannot read; a newer one could.
    #[serde(skip)]
    pub unreadable: usize,
}

/// A way to the bridge that worked when the bridge last tried it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AssistEndpoint {
    /// What the client needs in order to dial. Holds the user's keys.
    #[schema(value_type = SpecSchema)]
    pub spec: Spec,
    /// Which to try first: the lowest.
    pub priority: u16,
    /// How long ago the bridge dialled this endpoint itself, in seconds. Never more than `max_age_s`.
    pub checked_age_s: u64,
    /// The age at which a check no longer counts and the endpoint leaves the answer, in seconds.
    pub max_age_s: u64,
    /// What that dial showed.
    pub check: CheckResult,
    /// What an observer of the network sees.
    pub obfuscation: Obfuscation,
}

/// What the bridge's dial of its own endpoint showed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CheckResult {
    /// Always true in an answer: an endpoint that failed is not in it.
    pub ok: bool,
    /// Time from the first packet to the answer of a request through the endpoint, in milliseconds. The bridge
    /// dials from where it stands, so this says that the endpoint works, not how fast the client's path is.
    pub connect_ms: u64,
}

/// What the transport says about itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Obfuscation {
    /// What a censor sees, for people: the outermost transport's own words.
    pub summary: String,
    /// The transports of the spec, innermost first; more than one when it runs over a carrier.
    #[schema(value_type = Vec<TransportIdSchema>, example = json!(["shadowsocks", "websocket"]))]
    pub layers: Vec<TransportId>,
    /// Whether it carries byte streams.
    pub stream: bool,
    /// Whether it carries datagrams.
    pub datagram: bool,
}

/// Why bytes are no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ResponseError {
    /// More than [`MAX_RESPONSE_BYTES`].
    #[error("the answer is longer than {MAX_RESPONSE_BYTES} bytes")]
    TooLong,
    /// It is no such JSON.
    #[error("the answer is not what the assist call answers")]
    Json(#[source] serde_json::Error),
    /// Its meaning changed since this program was made.
    #[error("the answer has version {found}, this program reads up to {ASSIST_VERSION}: update commucat")]
    Version {
        /// The version it says.
        found: u32,
    },
}

impl AssistResponse {
    /// Reads an answer. Skips unknown fields, and endpoints that cannot be read.
    ///
    /// # Errors
    /// As [`ResponseError`] tells.
    pub fn parse(body: &[u8]) -> Result<Self, ResponseError> {
        if body.len() > MAX_RESPONSE_BYTES {
            return Err(ResponseError::TooLong);
        }
        let response: Self = serde_json::from_slice(body).map_err(ResponseError::Json)?;
        if response.version > ASSIST_VERSION {
            return Err(ResponseError::Version { found: response.version });
        }
        Ok(response)
    }
}

/// Shows no spec: its parameters are keys.
impl fmt::Debug for AssistEndpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AssistEndpoint")
            .field("layers", &self.obfuscation.layers)
            .field("priority", &self.priority)
            .field("checked_age_s", &self.checked_age_s)
            .field("max_age_s", &self.max_age_s)
            .field("check", &self.check)
            .finish_non_exhaustive()
    }
}

#[derive(Deserialize)]
struct Form {
    version: u32,
    generated_at_ms: u64,
    valid_for_s: u64,
    server_time_ms: u64,
    #[serde(default)]
    min_client_version: Version,
    endpoints: Vec<Value>,
}

impl From<Form> for AssistResponse {
    fn from(form: Form) -> Self {
        let sent = form.endpoints.len();
        let readable = form.endpoints.into_iter().filter_map(|value| AssistEndpoint::deserialize(value).ok());
        let endpoints: Vec<AssistEndpoint> = readable.take(MAX_ANSWERED_ENDPOINTS).collect();
        Self {
            version: form.version,
            generated_at_ms: form.generated_at_ms,
            valid_for_s: form.valid_for_s,
            server_time_ms: form.server_time_ms,
            min_client_version: form.min_client_version,
            unreadable: sent.saturating_sub(endpoints.len()),
            endpoints,
        }
    }
}
