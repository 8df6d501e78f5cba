//! `POST /api/p2p/assist`: what a client should use now, as messages.
//!
//! A client sends an [`AssistRequest`] and gets an [`AssistResponse`]: the endpoints that the bridge serves and has
//! itself dialled not longer ago than it says, each with the client spec of the user who asks.
//!
//! The two directions are read with different strictness. A **request** field that the bridge does not know is an
//! error that names the field, so that no client believes in an effect that is not there. An **answer** is read
//! leniently: unknown fields are skipped, and so is an endpoint that this program cannot read, so that a newer bridge
//! may say more.
//!
//! What is not built (several paths at once, FEC, ICE, key bundles) has no field here.

mod request;
mod response;
mod schema;
mod version;

pub use request::{
    AssistRequest, CAPABILITY_CHAIN, Evidence, EvidencePhase, EvidenceSignal, Excluded, MAX_CAPABILITIES,
    MAX_CAPABILITY_BYTES, MAX_EXACT_NUMBER, MAX_EXCLUDED, MAX_REQUEST_BYTES, MAX_WANTED_TRANSPORTS,
    RequestError,
};
pub use response::{
    ASSIST_VERSION, AssistEndpoint, AssistResponse, CheckResult, MAX_ANSWERED_ENDPOINTS, MAX_RESPONSE_BYTES,
    Obfuscation, ResponseError,
};
pub use schema::{CapabilitySchema, HostPortSchema, SpecSchema, TransportIdSchema, VersionSchema};
pub use version::{Version, VersionError};

/// The path of the call.
pub const ASSIST_PATH: &str = "/api/p2p/assist";
