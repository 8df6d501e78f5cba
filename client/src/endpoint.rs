//! One way to reach the bridge: a spec that was turned into a dialling end.

use std::sync::Arc;

use commucat_bundle::Bundle;
use commucat_transport_api::{ChannelKinds, Client, ConfigError, Host, Spec, TransportId};

/// Domain of the hash that names an endpoint in the state file.
const KEY_CONTEXT: &str = "commucat client state endpoint v1";

/// An endpoint that can be dialled.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Endpoint {
    /// What people see: the transport and its place in the link, never an address.
    pub label: String,
    /// Its transport.
    pub transport: TransportId,
    /// Names the endpoint in the state file: a hash over the whole spec, keys included, so that it tells nothing.
    pub key: String,
    /// The dialling end.
    pub client: Arc<dyn Client>,
    /// What it can carry.
    pub channels: ChannelKinds,
    /// The bridge's host; two endpoints with the same one control for each other.
    pub host: Option<Host>,
}

impl Endpoint {
    /// The endpoint that stands at `place` (from 1) in a link.
    ///
    /// # Errors
    /// What is wrong with the spec.
    pub fn from_spec(bundle: &Bundle, spec: &Spec, place: usize) -> Result<Self, ConfigError> {
        let mut channels = bundle.descriptor(&spec.transport)?.channels;
        // A carrier moves streams only.
        channels.datagram &= spec.via.is_none();
        let carriers = std::iter::successors(spec.via.as_deref(), |via| via.via.as_deref());
        let outermost = carriers.last().unwrap_or(spec);
        Ok(Self {
            label: format!("{} #{place}", spec.transport),
            transport: spec.transport.clone(),
            key: key_of(spec),
            client: bundle.client(spec)?,
            channels,
            host: Some(outermost.endpoint.host.clone()),
        })
    }

    /// An endpoint made by hand, for a transport that stands in no link.
    pub fn new(label: &str, transport: TransportId, client: Arc<dyn Client>, channels: ChannelKinds) -> Self {
        let key = blake3::Hasher::new_derive_key(KEY_CONTEXT).update(label.as_bytes()).finalize();
        Self { label: label.to_owned(), transport, key: short(&key), client, channels, host: None }
    }
}

fn key_of(spec: &Spec) -> String {
    // A spec is made of strings, numbers and JSON values, which always serialize.
    let json = serde_json::to_vec(spec).unwrap_or_default();
    short(&blake3::Hasher::new_derive_key(KEY_CONTEXT).update(&json).finalize())
}

/// 128 bits name an endpoint well enough.
fn short(hash: &blake3::Hash) -> String {
    hash.to_hex().chars().take(32).collect()
}
