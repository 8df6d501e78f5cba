//! What the bridge tells this crate about itself.

use std::{fmt, sync::Arc};

use commucat_proto::assist::Version;
use commucat_transport_api::{Descriptor, HostPort, Server, UserTable};

/// How the bridge calls an endpoint: stable while it runs, the same for [`ServedEndpoint`] and
/// [`CheckTarget`](crate::CheckTarget).
pub type EndpointKey = Arc<str>;

/// An endpoint that the bridge serves.
#[derive(Clone)]
pub struct ServedEndpoint {
    /// How the bridge calls it.
    pub key: EndpointKey,
    /// Which to try first: the lowest.
    pub priority: u16,
    /// Its listening end, which makes the client specs.
    pub server: Arc<dyn Server>,
    /// Where clients reach it.
    pub public: HostPort,
    /// Its transport, then its carriers, innermost first. An endpoint without any is in no answer.
    pub layers: Vec<Descriptor>,
}

impl fmt::Debug for ServedEndpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServedEndpoint")
            .field("key", &self.key)
            .field("priority", &self.priority)
            .finish_non_exhaustive()
    }
}

/// The bridge, as this crate sees it. Asked anew for every call, so that a reload needs no restart.
pub trait AssistSource: fmt::Debug + Send + Sync + 'static {
    /// What it serves.
    fn endpoints(&self) -> Vec<ServedEndpoint>;
    /// Whom it serves. A user who is not in the table gets no answer.
    fn users(&self) -> Arc<UserTable>;
    /// The oldest client it still serves.
    fn min_client_version(&self) -> Version;
}
