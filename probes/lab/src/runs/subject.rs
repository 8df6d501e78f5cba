//! What is judged: a transport as a name and a way to make both of its ends.

use std::{fmt, net::SocketAddr, sync::Arc};

use commucat_net::SystemNet;
use commucat_transport_api::{
    Client, ConfigError, ConfigProblem, HostPort, Net as _, Registry, Secret, Server, Spec, TransportId,
    USER_SECRET_BYTES, User, UserTable,
};
use serde_json::Value;

/// Where the bridge of a run stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BridgePlace {
    /// The address at which it listens and clients find it.
    pub bridge: SocketAddr,
}

/// Both ends of a transport, made for one run: fresh keys, fresh memory of replays.
#[derive(Clone, Debug)]
pub struct Ends {
    /// The bridge's end.
    pub server: Arc<dyn Server>,
    /// The client's end.
    pub client: Arc<dyn Client>,
}

type Make = dyn Fn(&BridgePlace) -> Result<Ends, ConfigError> + Send + Sync;

/// A transport to be judged.
#[derive(Clone)]
pub struct Subject {
    name: String,
    port: u16,
    make: Arc<Make>,
}

impl Subject {
    /// A subject whose ends this function makes, once a run.
    pub fn new(
        name: impl Into<String>,
        port: u16,
        make: impl Fn(&BridgePlace) -> Result<Ends, ConfigError> + Send + Sync + 'static,
    ) -> Self {
        Self { name: name.into(), port, make: Arc::new(make) }
    }

    /// A transport of a registry, with fresh parameters and these laid over them, and one user.
    pub fn of(
        registry: &Arc<Registry>,
        name: impl Into<String>,
        id: TransportId,
        port: u16,
        over: Value,
    ) -> Self {
        let registry = Arc::clone(registry);
        Self::new(name, port, move |place| make(&registry, &id, &over, place))
    }

    /// Its name in reports.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The port at which its bridge listens.
    pub const fn port(&self) -> u16 {
        self.port
    }

    pub(super) fn ends(&self, place: &BridgePlace) -> Result<Ends, ConfigError> {
        (self.make)(place)
    }
}

impl fmt::Debug for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subject").field("name", &self.name).field("port", &self.port).finish_non_exhaustive()
    }
}

fn make(
    registry: &Registry,
    id: &TransportId,
    over: &Value,
    place: &BridgePlace,
) -> Result<Ends, ConfigError> {
    let transport = registry.get(id)?;
    let mut params = transport.generate_server_params()?;
    if let (Some(params), Some(over)) = (params.as_object_mut(), over.as_object()) {
        params.extend(over.clone());
    }
    let endpoint = HostPort::from(place.bridge);
    let user = user()?;
    let users = Arc::new(UserTable::new(vec![user.clone()]));
    let server = registry.server(&Spec::new(id.clone(), endpoint.clone(), params)?, &users)?;
    let client = registry.client(&server.client_spec(&endpoint, &user)?)?;
    Ok(Ends { server, client })
}

/// The one user of a bridge in the lab, with a secret of this run.
fn user() -> Result<User, ConfigError> {
    let mut secret = [0; USER_SECRET_BYTES];
    SystemNet::default()
        .fill_random(&mut secret)
        .map_err(|error| ConfigError::with_source(Some("user"), ConfigProblem::Missing, error))?;
    Ok(User { id: "lab".parse()?, secret: Secret::new(secret) })
}
