//! The published shape of values that the transport contract and this crate read from text. These types only carry
//! the schema; each pattern admits what the reader of the real type admits, but that it looks at an IPv6 address only
//! roughly: the grammar of one is too much for a pattern.

use serde_json::Value;
use utoipa::ToSchema;

/// The name of a transport.
#[derive(Debug, ToSchema)]
#[schema(as = TransportId, pattern = "^[a-z0-9-]{1,32}$", example = "websocket")]
#[allow(dead_code, reason = "gives the published schema its shape")]
pub struct TransportIdSchema(String);

/// A host and a port: `example.org:443`, `192.0.2.7:443`, `[2001:db8::1]:443`.
#[derive(Debug, ToSchema)]
#[schema(
    as = HostPort,
    pattern = r"^([A-Za-z0-9._-]{1,255}|\[[0-9A-Fa-f:.]{2,45}\]):([0-9]{1,4}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5])$",
    example = "192.0.2.7:443"
)]
#[allow(dead_code, reason = "gives the published schema its shape")]
pub struct HostPortSchema(String);

/// A version of the program, with an optional pre-release or build mark that is left aside.
#[derive(Debug, ToSchema)]
#[schema(
    as = Version,
    pattern = r"^[0-9]{1,4}\.[0-9]{1,4}\.[0-9]{1,4}([+-][0-9A-Za-z.+-]{0,32})?$",
    example = "0.1.0"
)]
#[allow(dead_code, reason = "gives the published schema its shape")]
pub struct VersionSchema(String);

/// Something a client can do.
#[derive(Debug, ToSchema)]
#[schema(as = Capability, pattern = "^[a-z0-9-]{1,32}$", example = "chain")]
#[allow(dead_code, reason = "gives the published schema its shape")]
pub struct CapabilitySchema(String);

/// One end of one transport, as the transport contract has it.
#[derive(Debug, ToSchema)]
#[schema(as = Spec)]
#[allow(dead_code, reason = "gives the published schema its shape")]
pub struct SpecSchema {
    /// Which transport.
    transport: TransportIdSchema,
    /// Where the bridge is.
    endpoint: HostPortSchema,
    /// The transport's own parameters; it alone knows their shape.
    #[schema(required = false)]
    params: Value,
    /// The transport that carries this one's streams; absent on the plain network.
    #[schema(no_recursion, nullable = false)]
    via: Option<Box<Self>>,
}
