//! What a client asks, and how the bridge reads it: strictly, with the place of every mistake.

use std::fmt;

use commucat_transport_api::{Failure, HostPort, Phase, Signal, TransportId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    Version,
    schema::{CapabilitySchema, HostPortSchema, TransportIdSchema, VersionSchema},
};

/// Longest request body that a bridge reads, in bytes.
pub const MAX_REQUEST_BYTES: usize = 16 * 1024;
/// Most transports a request may name.
pub const MAX_WANTED_TRANSPORTS: usize = 16;
/// Most capabilities a request may name.
pub const MAX_CAPABILITIES: usize = 16;
/// Longest name of a capability, in bytes.
pub const MAX_CAPABILITY_BYTES: usize = 32;
/// The greatest number in a request: what every JSON implementation carries exactly (RFC 8259 §6).
pub const MAX_EXACT_NUMBER: u64 = (1 << 53) - 1;
/// Most endpoints a request may exclude.
pub const MAX_EXCLUDED: usize = 16;
/// The capability of a client that can run one transport over another one (a spec with `via`). A client without it
/// gets no such endpoints.
pub const CAPABILITY_CHAIN: &str = "chain";

/// What a client wants to know.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AssistRequest {
    /// The version of the client.
    #[schema(value_type = VersionSchema)]
    pub client_version: Version,
    /// What the client can do. Known: `chain` (it can run one transport over another). Others are ignored.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(value_type = Vec<CapabilitySchema>, max_items = 16)]
    pub capabilities: Vec<String>,
    /// The transports the client can dial; absent or empty means any.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(value_type = Vec<TransportIdSchema>, max_items = 16, example = json!(["websocket", "shadowsocks"]))]
    pub transports: Vec<TransportId>,
    /// The most endpoints the client wants, from 1 up; absent means all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 255)]
    pub count: Option<u8>,
    /// Endpoints that failed for this client. They are not in the answer.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(max_items = 16)]
    pub exclude: Vec<Excluded>,
}

/// An endpoint that failed for the client.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Excluded {
    /// Its transport, as in its spec.
    #[schema(value_type = TransportIdSchema)]
    pub transport: TransportId,
    /// Its address, as in its spec.
    #[schema(value_type = HostPortSchema)]
    pub endpoint: HostPort,
    /// How it failed. The bridge counts such reports by transport, phase and signal, without the user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evidence: Option<Evidence>,
}

/// The evidence of a failed dial.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Evidence {
    /// How far the dial came: `resolve`, `connect`, `handshake`, `authenticate`, `data`. Others count as `other`.
    #[schema(value_type = String, example = "handshake")]
    pub phase: EvidencePhase,
    /// What happened there: `timeout`, `refused`, `reset`, `unreachable`, `local_network_down`, `name_not_found`,
    /// `dns_poisoned`, `tls_alert`, `wrong_certificate`, `http_status`, `unexpected_eof`, `unexpected_bytes`,
    /// `auth_rejected`, `unknown_user`, `clock_skew`, `version_too_old`, `bridge_full`, `target_unreachable`,
    /// `throttled`. Others count as `other`.
    #[schema(value_type = String, example = "reset")]
    pub signal: EvidenceSignal,
    /// Time since the dial began, in milliseconds.
    #[schema(maximum = 9007199254740991_i64)]
    pub elapsed_ms: u64,
    /// Bytes the client had sent on the carrier.
    #[serde(default)]
    #[schema(maximum = 9007199254740991_i64)]
    pub sent: u64,
    /// Bytes the client had received on the carrier.
    #[serde(default)]
    #[schema(maximum = 9007199254740991_i64)]
    pub received: u64,
}

/// How far a dial came. A name that the bridge does not know counts as `other`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
#[allow(missing_docs, reason = "the names are those of the transport contract's `Phase`")]
pub enum EvidencePhase {
    Resolve,
    Connect,
    Handshake,
    Authenticate,
    Data,
    #[serde(other)]
    Other,
}

/// What happened to a dial. A name that the bridge does not know counts as `other`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
#[allow(missing_docs, reason = "the names are those of the transport contract's `Signal`")]
pub enum EvidenceSignal {
    Timeout,
    Refused,
    Reset,
    Unreachable,
    LocalNetworkDown,
    NameNotFound,
    DnsPoisoned,
    TlsAlert,
    WrongCertificate,
    HttpStatus,
    UnexpectedEof,
    UnexpectedBytes,
    AuthRejected,
    UnknownUser,
    ClockSkew,
    VersionTooOld,
    BridgeFull,
    TargetUnreachable,
    Throttled,
    #[serde(other)]
    Other,
}

/// What is wrong with a request, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestError {
    /// The line, from 1; 0 when the place is not known.
    pub line: usize,
    /// The column, from 1; 0 when the place is not known.
    pub column: usize,
    /// The field, as a path (`exclude[0].endpoint`), when the JSON could be read that far.
    pub field: Option<String>,
    /// What is wrong.
    pub reason: String,
}

impl AssistRequest {
    /// Reads a request body.
    ///
    /// # Errors
    /// With line and column for what is no JSON, and with the field for what is no such request.
    pub fn parse(body: &[u8]) -> Result<Self, RequestError> {
        let mut json = serde_json::Deserializer::from_slice(body);
        let request: Self = serde_path_to_error::deserialize(&mut json).map_err(|error| {
            // Where the text breaks off or is no JSON, the place says more than a half-read path.
            let path = error.inner().is_data().then(|| error.path().to_string());
            RequestError::json(error.inner(), path.filter(|path| path != "."))
        })?;
        json.end().map_err(|error| RequestError::json(&error, None))?;
        request.check()?;
        Ok(request)
    }

    fn check(&self) -> Result<(), RequestError> {
        let at_most = |field: &str, length: usize, most: usize| match length {
            length if length > most => Err(RequestError::field(field, format!("more than {most} entries"))),
            _ => Ok(()),
        };
        at_most("capabilities", self.capabilities.len(), MAX_CAPABILITIES)?;
        at_most("transports", self.transports.len(), MAX_WANTED_TRANSPORTS)?;
        at_most("exclude", self.exclude.len(), MAX_EXCLUDED)?;
        if !self.capabilities.iter().all(|name| is_capability(name)) {
            let reason = format!("a name is 1 to {MAX_CAPABILITY_BYTES} bytes of a-z, 0-9 and -");
            return Err(RequestError::field("capabilities", reason));
        }
        let evidence = self.exclude.iter().filter_map(|excluded| excluded.evidence);
        if evidence.flat_map(|e| [e.elapsed_ms, e.sent, e.received]).any(|number| number > MAX_EXACT_NUMBER) {
            return Err(RequestError::field("exclude", format!("a number over {MAX_EXACT_NUMBER}")));
        }
        if self.count == Some(0) {
            return Err(RequestError::field("count", "must be at least 1".to_owned()));
        }
        Ok(())
    }

    /// Whether the client can do that.
    pub fn can(&self, capability: &str) -> bool {
        self.capabilities.iter().any(|name| name == capability)
    }
}

fn is_capability(name: &str) -> bool {
    let ok = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    (1..=MAX_CAPABILITY_BYTES).contains(&name.len()) && name.bytes().all(ok)
}

impl RequestError {
    fn json(error: &serde_json::Error, field: Option<String>) -> Self {
        let text = error.to_string();
        // serde_json ends its text with the place, which stands in fields of its own here.
        let reason =
            text.rsplit_once(" at line ").map_or(text.as_str(), |(reason, _place)| reason).to_owned();
        Self { line: error.line(), column: error.column(), field, reason }
    }

    fn field(field: &str, reason: String) -> Self {
        Self { line: 0, column: 0, field: Some(field.to_owned()), reason }
    }
}

impl fmt::Display for RequestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(field) = &self.field {
            write!(f, "`{field}`: ")?;
        }
        f.write_str(&self.reason)?;
        if self.line > 0 {
            write!(f, " (line {}, column {})", self.line, self.column)?;
        }
        Ok(())
    }
}

impl std::error::Error for RequestError {}

impl From<&Failure> for Evidence {
    fn from(failure: &Failure) -> Self {
        Self {
            phase: failure.phase.into(),
            signal: (&failure.signal).into(),
            elapsed_ms: u64::try_from(failure.elapsed.as_millis()).unwrap_or(u64::MAX).min(MAX_EXACT_NUMBER),
            sent: failure.sent.min(MAX_EXACT_NUMBER),
            received: failure.received.min(MAX_EXACT_NUMBER),
        }
    }
}

impl From<Phase> for EvidencePhase {
    fn from(phase: Phase) -> Self {
        match phase {
            Phase::Resolve => Self::Resolve,
            Phase::Connect => Self::Connect,
            Phase::Handshake => Self::Handshake,
            Phase::Authenticate => Self::Authenticate,
            Phase::Data => Self::Data,
            _ => Self::Other,
        }
    }
}

impl From<&Signal> for EvidenceSignal {
    fn from(signal: &Signal) -> Self {
        match signal {
            Signal::Timeout => Self::Timeout,
            Signal::Refused => Self::Refused,
            Signal::Reset => Self::Reset,
            Signal::Unreachable => Self::Unreachable,
            Signal::LocalNetworkDown => Self::LocalNetworkDown,
            Signal::NameNotFound => Self::NameNotFound,
            Signal::DnsPoisoned => Self::DnsPoisoned,
            Signal::TlsAlert(_) => Self::TlsAlert,
            Signal::WrongCertificate => Self::WrongCertificate,
            Signal::HttpStatus(_) => Self::HttpStatus,
            Signal::UnexpectedEof => Self::UnexpectedEof,
            Signal::UnexpectedBytes => Self::UnexpectedBytes,
            Signal::AuthRejected => Self::AuthRejected,
            Signal::UnknownUser => Self::UnknownUser,
            Signal::ClockSkew(_) => Self::ClockSkew,
            Signal::VersionTooOld => Self::VersionTooOld,
            Signal::BridgeFull => Self::BridgeFull,
            Signal::TargetUnreachable => Self::TargetUnreachable,
            Signal::Throttled => Self::Throttled,
            _ => Self::Other,
        }
    }
}
