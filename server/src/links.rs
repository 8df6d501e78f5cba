//! The link a user gets: every endpoint of the bridge as that user's client needs it.

use std::sync::Arc;

use commucat_bundle::Bundle;
use commucat_proto::link::Link;
use commucat_transport_api::{ConfigError, Host, HostPort, Server, User, UserTable};

use crate::{config::BridgeConfig, endpoint::public_address};

/// Why no link can be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientLinkError {
    /// Nothing says under which address clients reach the bridge.
    #[error(
        "where do clients reach this bridge? set server.public (or server.domain), or give --public HOST"
    )]
    NoPublicAddress,
    /// The endpoint listens on a port that the system chose and clients cannot know.
    #[error("endpoints[{at}] has no fixed port: set its listen or public")]
    NoPort {
        /// Which of `[[endpoints]]`, from 0.
        at: usize,
    },
    /// A transport cannot make a client's parameters for this user.
    #[error("endpoints[{at}]")]
    Endpoint {
        /// Which of `[[endpoints]]`, from 0.
        at: usize,
        /// What is wrong.
        #[source]
        source: ConfigError,
    },
}

/// The link of a user from the configuration alone, whether a bridge runs or not. `public` goes before what the
/// configuration says.
///
/// # Errors
/// [`ClientLinkError`].
pub fn client_link(
    config: &BridgeConfig,
    bundle: &Bundle,
    user: &User,
    public: Option<&Host>,
) -> Result<Link, ClientLinkError> {
    let host = public.cloned().or_else(|| config.public_host());
    let users = Arc::new(UserTable::default());
    let mut servers = Vec::new();
    for (at, endpoint) in config.resolved_endpoints(bundle).iter().enumerate() {
        let server = bundle
            .server(&endpoint.spec, &users)
            .map_err(|source| ClientLinkError::Endpoint { at, source })?;
        servers.push((
            server,
            public_address(endpoint.public.as_ref(), endpoint.spec.endpoint.port, host.as_ref()),
        ));
    }
    assemble(config, servers, user)
}

/// A link over these servers, each with the address clients reach it at.
pub(crate) fn assemble(
    config: &BridgeConfig,
    servers: impl IntoIterator<Item = (Arc<dyn Server>, Option<HostPort>)>,
    user: &User,
) -> Result<Link, ClientLinkError> {
    let mut specs = Vec::new();
    for (at, (server, public)) in servers.into_iter().enumerate() {
        let public = public.ok_or(ClientLinkError::NoPublicAddress)?;
        if public.port == 0 {
            return Err(ClientLinkError::NoPort { at });
        }
        let spec =
            server.client_spec(&public, user).map_err(|source| ClientLinkError::Endpoint { at, source })?;
        specs.push(spec);
    }
    Ok(Link::new(&config.server.name, specs, config.assist.enabled))
}
