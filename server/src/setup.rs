//! A bridge from nothing: state directory, keys, configuration, database, first user. The second time everything is
//! there and is used as it is.

mod defaults;
mod public;

use std::{
    net::{IpAddr, SocketAddr},
    path::PathBuf,
};

use commucat_bundle::Bundle;
use commucat_storage::{Storage, StoredUser};
use commucat_transport_api::{ConfigError, Host, Net, TransportId, User};

use crate::{
    config::{BridgeConfig, ConfigFileError},
    state::{StateDir, StateError, StateLock, check_private},
    storage::{OpenStorageError, open_storage},
    users::{UserError, Users},
};

/// What the first user is called when nobody says.
pub const DEFAULT_USER: &str = "me";

/// What an operator may say at setup.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct SetupOptions {
    /// The state directory, when not the default one.
    pub state: Option<PathBuf>,
    /// The host that clients dial.
    pub public: Option<Host>,
    /// What links call the bridge.
    pub name: Option<String>,
    /// The address that endpoints listen on; all addresses when `None`. Only the first setup asks.
    pub listen: Option<IpAddr>,
    /// The port of the web endpoint; 0 takes any free one. Only the first setup asks.
    pub web_port: Option<u16>,
    /// Where the admin pages are; port 0 takes a free one at each start. Only the first setup asks.
    pub admin_bind: Option<SocketAddr>,
    /// What the first user is called.
    pub user: Option<String>,
    /// Who does this, for the journal.
    pub actor: String,
}

impl SetupOptions {
    /// Nothing said, on behalf of `actor`.
    pub fn new(actor: impl Into<String>) -> Self {
        Self { actor: actor.into(), ..Self::default() }
    }
}

/// Everything that [`Bridge::start`](crate::Bridge::start) needs.
#[derive(Debug)]
#[non_exhaustive]
pub struct Prepared {
    /// The state directory.
    pub state: StateDir,
    /// Keep it as long as the bridge runs.
    pub lock: StateLock,
    /// The configuration, with the public host filled in where it could be found.
    pub config: BridgeConfig,
    /// The database.
    pub storage: Storage,
    /// The user whose link should be shown: the first one, who may be new.
    pub user: User,
    /// Whether the configuration was made just now.
    pub created: bool,
    /// What the operator should know.
    pub warnings: Vec<SetupWarning>,
}

/// Something that works but may not be what the operator wants.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SetupWarning {
    /// The address that was found is one of a private network.
    #[error(
        "the address {0} is private: only this network can reach it. If this machine has a public address or name, \
         give it with --public; behind a router, forward the ports"
    )]
    PrivateAddress(Host),
    /// No address was found.
    #[error("no network address found: links will not work until you give one with --public")]
    NoAddress,
    /// Ports below 1024 could not be used.
    #[error("port 443 is {0}; the web endpoint uses port {1}, which looks less ordinary")]
    NotPort443(&'static str, u16),
    /// The admin pages have another port than usual.
    #[error("the usual port of the admin pages is taken; they are at {0}")]
    AdminElsewhere(SocketAddr),
}

/// Why setup failed. Nothing half-made was left.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SetupError {
    /// The state directory cannot be used.
    #[error(transparent)]
    State(#[from] StateError),
    /// The configuration cannot be read.
    #[error("{0}")]
    Config(ConfigFileError),
    /// The database cannot be opened.
    #[error(transparent)]
    Storage(#[from] OpenStorageError),
    /// The first user cannot be made.
    #[error("the first user cannot be made")]
    User(#[from] UserError),
    /// A transport cannot make its keys.
    #[error("the transport {transport} cannot make its keys")]
    Keys {
        /// Which.
        transport: TransportId,
        /// Why.
        #[source]
        source: ConfigError,
    },
    /// No transport of this build can listen.
    #[error("this build has no transport that can listen")]
    NoTransport,
    /// No port could be listened on.
    #[error("no free port found: every port that was tried is taken or forbidden")]
    NoPort,
    /// The system has no randomness.
    #[error("the system gives no random numbers")]
    Random(#[source] std::io::Error),
    /// The configuration has no text form.
    #[error("the configuration cannot be written")]
    Write(#[source] toml::ser::Error),
}

/// Makes what is missing and opens what is there. `env` is the process's environment.
///
/// # Errors
/// [`SetupError`]; what this call had made is taken away again.
pub async fn prepare(
    options: SetupOptions,
    bundle: &Bundle,
    net: &dyn Net,
    env: impl Iterator<Item = (String, String)>,
) -> Result<Prepared, SetupError> {
    let state = StateDir::open(options.state.as_deref())?;
    let made = make(&options, &state, bundle, net, env).await;
    if made.is_err() {
        state.undo();
    }
    let (lock, config, storage, user, created, mut warnings) = made?;
    let mut config = config;
    if let Some(public) = options.public {
        config.server.public = Some(public);
    }
    if config.public_host().is_none() {
        config.server.public = public::guess(&mut warnings);
    }
    Ok(Prepared { state, lock, config, storage, user, created, warnings })
}

type Made = (StateLock, BridgeConfig, Storage, User, bool, Vec<SetupWarning>);

async fn make(
    options: &SetupOptions,
    state: &StateDir,
    bundle: &Bundle,
    net: &dyn Net,
    env: impl Iterator<Item = (String, String)>,
) -> Result<Made, SetupError> {
    let lock = state.lock()?;
    state.check_room()?;
    let path = state.config_path();
    let created = !path.exists();
    let mut warnings = Vec::new();
    if created {
        let text = defaults::config(options, bundle, net, &mut warnings).await?;
        state.write_file("bridge.toml", text.as_bytes())?;
    }
    let database_is_new = !state.database_path().exists();
    let opened = open(options, state, env).await;
    if created && opened.is_err() {
        // The keys in it are in nobody's hands yet.
        std::fs::remove_file(&path).ok();
        if database_is_new {
            state.remove_database();
        }
    }
    let (config, storage, user) = opened?;
    Ok((lock, config, storage, user, created, warnings))
}

async fn open(
    options: &SetupOptions,
    state: &StateDir,
    env: impl Iterator<Item = (String, String)>,
) -> Result<(BridgeConfig, Storage, User), SetupError> {
    let path = state.config_path();
    check_private(&path)?;
    let config = BridgeConfig::load(Some(&path), env).map_err(SetupError::Config)?;
    let storage = open_storage(&config, state).await?;
    let user = first_user(options, &storage).await?;
    Ok((config, storage, user))
}

/// The address under which this machine is probably reached, for links when nothing says another; what is doubtful
/// about it comes as a warning.
pub fn guess_public() -> (Option<Host>, Option<SetupWarning>) {
    let mut warnings = Vec::new();
    let host = public::guess(&mut warnings);
    (host, warnings.pop())
}

/// The user that was asked for, else the oldest enabled one; made when there is none.
async fn first_user(options: &SetupOptions, storage: &Storage) -> Result<User, UserError> {
    let users = Users::new(storage.clone(), options.actor.clone());
    let known = users.list().await?;
    let wanted = |user: &&StoredUser| options.user.as_ref().is_none_or(|name| user.user.id.as_str() == name);
    let oldest =
        known.iter().filter(|user| !user.disabled).filter(wanted).min_by_key(|user| user.created_at_ms);
    match oldest {
        Some(user) => Ok(user.user.clone()),
        None => users.add(options.user.as_deref().unwrap_or(DEFAULT_USER), "").await,
    }
}
