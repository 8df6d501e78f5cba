//! The one trait, and what its two ends give.

use std::{fmt, net::SocketAddr, sync::Arc};

use crate::{
    AcceptError, BoxFuture, Channel, ConfigError, ConfigProblem, Cx, Descriptor, DialError, HostPort,
    ListenError, Opened, ProbeReport, Secret, Spec, Target, User, UserId, UserTable,
};

/// A transport: turns specs into clients and servers. Holds no connection itself.
pub trait PluggableTransport: fmt::Debug + Send + Sync + 'static {
    /// What it is called and can carry.
    fn descriptor(&self) -> &Descriptor;

    /// Reads a link of one of its schemes into a client spec.
    ///
    /// # Errors
    /// [`ConfigProblem::UnknownScheme`] for a link of somebody else; otherwise what is wrong with it.
    fn parse_link(&self, link: &str) -> Result<Spec, ConfigError> {
        let _ = link;
        Err(ConfigError::new(None, ConfigProblem::UnknownScheme))
    }

    /// The dialling end, fully validated.
    ///
    /// # Errors
    /// What is wrong with the spec. No packet has left.
    fn client(&self, spec: &Spec) -> Result<Arc<dyn Client>, ConfigError>;

    /// The listening end, fully validated, for these users. A transport without users ignores the table.
    ///
    /// # Errors
    /// What is wrong with the spec; [`ConfigProblem::RoleUnsupported`] where there is no such end.
    fn server(&self, spec: &Spec, users: &Arc<UserTable>) -> Result<Arc<dyn Server>, ConfigError> {
        let _ = (spec, users);
        Err(ConfigError::new(None, ConfigProblem::RoleUnsupported))
    }

    /// Server parameters with fresh keys, for a bridge that is set up from nothing. Merged over what the operator wrote.
    ///
    /// # Errors
    /// [`ConfigProblem::RoleUnsupported`] where there is no listening end; or the system has no randomness.
    fn generate_server_params(&self) -> Result<serde_json::Value, ConfigError> {
        Err(ConfigError::new(None, ConfigProblem::RoleUnsupported))
    }
}

/// The dialling end of one configured transport. Cheap to share.
pub trait Client: fmt::Debug + Send + Sync + 'static {
    /// Opens a channel. Dropping the future leaves nothing behind.
    ///
    /// Where the protocol can, the dial proves that the bridge accepts us before it returns; where proof would cost
    /// a round trip (Shadowsocks), a rejection shows as end of stream or silence on the channel.
    fn dial<'a>(&'a self, cx: &'a Cx, target: &'a Target) -> BoxFuture<'a, Result<Opened, DialError>>;

    /// Measures this endpoint step by step: evidence, never a verdict.
    fn probe<'a>(&'a self, cx: &'a Cx) -> BoxFuture<'a, ProbeReport>;

    /// The share link, in the transport's own scheme, when it has one. Holds secrets.
    fn link(&self, name: &str) -> Option<Secret<String>> {
        let _ = name;
        None
    }
}

/// The listening end of one configured transport.
pub trait Server: fmt::Debug + Send + Sync + 'static {
    /// Starts to listen at the spec's endpoint.
    fn listen<'a>(&'a self, cx: &'a Cx) -> BoxFuture<'a, Result<Box<dyn Listener>, ListenError>>;

    /// What this user needs in order to reach us at `public`.
    ///
    /// # Errors
    /// The protocol cannot express this user.
    fn client_spec(&self, public: &HostPort, user: &User) -> Result<Spec, ConfigError>;
}

/// A listening transport.
pub trait Listener: fmt::Debug + Send {
    /// Where it listens, when it is a socket.
    fn local_addr(&self) -> Option<SocketAddr>;

    /// The next connection, before any of its bytes were looked at. Cancel-safe.
    fn accept(&mut self) -> BoxFuture<'_, Result<Box<dyn Incoming>, ListenError>>;
}

/// A connection that has yet to prove itself.
pub trait Incoming: fmt::Debug + Send {
    /// Who it is, when that is an address.
    fn peer(&self) -> Option<SocketAddr>;

    /// Resolves once the connection is known to be a stranger's, from when on [`Self::handshake`] does nothing but let
    /// the cover service serve him, for as long as that takes. A bridge that limits the time of handshakes ends that
    /// limit then: the site that is imitated would not cut a long download either. Never resolves where the transport
    /// does not say.
    fn became_stranger(&self) -> BoxFuture<'static, ()> {
        Box::pin(std::future::pending())
    }

    /// Does the slow and hostile part: run it in a task of its own. A stranger gets the cover service in here, so
    /// this can take as long as the cover service lets it.
    fn handshake(self: Box<Self>) -> BoxFuture<'static, Result<Accepted, AcceptError>>;
}

/// A connection whose user is known.
#[derive(Debug)]
#[non_exhaustive]
pub struct Accepted {
    /// What it carries.
    pub channel: Channel,
    /// Where it should go.
    pub target: Target,
    /// Whose it is; `None` where the transport has no users.
    pub user: Option<UserId>,
}

impl Accepted {
    /// An accepted channel of nobody in particular.
    pub const fn new(channel: Channel, target: Target) -> Self {
        Self { channel, target, user: None }
    }

    /// The same with its user.
    #[must_use]
    pub fn with_user(mut self, user: Option<UserId>) -> Self {
        self.user = user;
        self
    }
}
