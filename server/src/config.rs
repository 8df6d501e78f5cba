//! The bridge's configuration: TOML or YAML, with environment variables over it.
//!
//! Reading happens in steps, each in a file of its own: text → located tree (`read`), environment over it (`env`),
//! tree → form (`de`, `form`), form → meaning (`build`), meaning → does it hold together (`check`). Whatever step
//! finds something wrong, the error names file, line, column and the whole key path. Relative paths in a file are
//! relative to the directory the process runs in.

mod build;
mod check;
mod de;
mod env;
mod error;
mod form;
pub(crate) mod node;
mod read;
mod source;
pub(crate) mod suggest;
mod tls;

use std::{
    io::Read as _,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use commucat_transport_api::{Host, HostPort, Secret, Spec};

pub(crate) use self::check::reasons;
pub use self::{
    build::{DEFAULT_ADMIN_BIND, MAX_ENDPOINTS, MAX_NAME_BYTES},
    env::EnvWarning,
    error::{ConfigFileError, Issue, Issues},
    form::LogFormat,
    node::{Origin, Position},
    read::ConfigFormat,
};
use self::{form::FileForm, source::Source};

/// Longest config file that is read, in bytes.
pub const MAX_CONFIG_BYTES: u64 = 1024 * 1024;

/// Everything an operator may decide. Made by [`BridgeConfig::load`] or [`BridgeConfig::parse`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct BridgeConfig {
    /// `[server]`.
    pub server: ServerConfig,
    /// `[[endpoints]]`, in the order in which links list them.
    pub endpoints: Vec<EndpointConfig>,
    /// `[storage]`.
    pub storage: StorageConfig,
    /// `[admin]`.
    pub admin: AdminConfig,
    /// `[egress]`.
    pub egress: EgressConfig,
    /// `[limits]`.
    pub limits: LimitsConfig,
    /// `[rate]`.
    pub rate: RateConfig,
    /// `[assist]`.
    pub assist: AssistConfig,
    /// `[log]`.
    pub log: LogConfig,
    source: Source,
}

/// `[server]`: the bridge as a whole.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ServerConfig {
    /// What links call the bridge; may be empty.
    pub name: String,
    /// The domain of the bridge, which its certificate is for.
    pub domain: Option<Arc<str>>,
    /// The host that clients dial; the domain where it is `None`.
    pub public: Option<Host>,
    /// Certificate and key for endpoints that speak TLS and name none of their own.
    pub tls: Option<TlsFiles>,
    /// Most connections with a known user at once, over all endpoints.
    pub max_connections: u32,
    /// How long a stopping bridge waits for open connections.
    pub drain: Duration,
    /// Where `/livez`, `/readyz` and `/metrics` are served.
    pub admin_bind: Option<SocketAddr>,
    /// Where the assist API is served over plain HTTP, for a reverse proxy on the same machine.
    pub api_bind: Option<SocketAddr>,
}

/// A certificate chain and its key, both PEM files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// The chain, the bridge's own certificate first.
    pub cert: PathBuf,
    /// The key.
    pub key: PathBuf,
}

/// One of `[[endpoints]]`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct EndpointConfig {
    /// The listening end. May hold keys: never log it.
    pub spec: Spec,
    /// Where clients reach it, when that is not the public host with the port it listens on.
    pub public: Option<HostPort>,
}

/// `[storage]`.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct StorageConfig {
    /// Which database; `None` is SQLite in the state directory. May hold a password.
    pub dsn: Option<Secret<String>>,
}

/// `[admin]`.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct AdminConfig {
    /// When set, `/metrics` wants it as a bearer token.
    pub token: Option<Secret<String>>,
}

/// `[egress]`: what users may reach through the bridge.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct EgressConfig {
    /// Whether addresses of this machine and of private networks may be reached.
    pub allow_private: bool,
    /// Ports that may not be reached on any host.
    pub blocked_ports: Vec<u16>,
}

/// `[limits]`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LimitsConfig {
    /// Most handshakes at once over all endpoints; the oldest makes room for a new one.
    pub max_handshakes: u32,
    /// Most strangers at once whom a cover service has for as long as it lets them stay; the oldest makes room.
    pub max_visitors: u32,
    /// Longest life of a connection that has not proved its user and of which the transport does not say that it is a
    /// stranger's.
    pub handshake: Duration,
    /// Most connections of one user at once.
    pub max_connections_per_user: u32,
    /// Longest wait for a target, name lookup included.
    pub connect: Duration,
    /// A stream that moves no byte for this long is closed.
    pub idle: Duration,
    /// Most datagram associations at once.
    pub udp_associations: u32,
    /// A datagram association that moves nothing for this long is closed.
    pub udp_idle: Duration,
}

/// `[rate]`: each zone counts per user, but for strangers.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RateConfig {
    /// New connections.
    pub connect: Zone,
    /// Requests to the bridge's HTTP API.
    pub http: Zone,
    /// Requests to it from outside a tunnel, for each network they come from.
    pub strangers: Zone,
}

/// A rate with its burst.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Zone {
    /// Sustained events a minute.
    pub per_minute: u32,
    /// Events that may come at once.
    pub burst: u32,
}

/// `[assist]`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct AssistConfig {
    /// Whether the bridge answers `POST /api/p2p/assist`.
    pub enabled: bool,
    /// Time between two checks of the bridge's own endpoints.
    pub self_check: Duration,
}

/// `[log]`, for the program that holds the subscriber.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LogConfig {
    /// A level, or a filter such as `info,commucat_server=debug`.
    pub level: String,
    /// How lines are written.
    pub format: LogFormat,
    /// Whether user addresses may appear at debug level.
    pub reveal_addresses: bool,
}

impl BridgeConfig {
    /// Reads a config file (by its ending: `.toml`, `.yaml`, `.yml`) and puts the environment over it. Without a
    /// file there is only the environment. Variables of ours that have no effect are logged as warnings.
    ///
    /// # Errors
    /// [`ConfigFileError`] names file, line, column and key of each problem.
    pub fn load(
        path: Option<&Path>,
        env: impl Iterator<Item = (String, String)>,
    ) -> Result<Self, ConfigFileError> {
        let (text, format) = match path {
            Some(path) => (read_file(path)?, format_of(path)?),
            None => (String::new(), ConfigFormat::Toml),
        };
        let (config, warnings) = Self::parse(&text, format, path, env)?;
        for warning in warnings {
            tracing::warn!(variable = warning.name, reason = warning.message, "environment variable ignored");
        }
        Ok(config)
    }

    /// The same from a text; `file` is only named in errors. Gives the warnings instead of logging them.
    ///
    /// # Errors
    /// As [`BridgeConfig::load`].
    pub fn parse(
        text: &str,
        format: ConfigFormat,
        file: Option<&Path>,
        env: impl Iterator<Item = (String, String)>,
    ) -> Result<(Self, Vec<EnvWarning>), ConfigFileError> {
        let (source, mut root) = Source::parse(text, format, file)?;
        let warnings = env::apply(&mut root, env);
        let mut not_built = Vec::new();
        env::take_not_built(&mut root, &mut not_built);
        let source = source.with_root(root);
        let mut issues = source.collector();
        env::report_not_built(not_built, &mut issues);
        let form = match de::from_node::<FileForm>(source.root()) {
            Ok(form) => form,
            Err(error) => {
                let origin = error.origin.unwrap_or_default();
                issues.push(origin, error.key().to_string(), error.message);
                return Err(issues.into_error());
            }
        };
        issues.finish()?;
        let config = build::build(form, &source)?;
        Ok((config, warnings))
    }

    /// The host that clients dial, when the config says one.
    pub fn public_host(&self) -> Option<Host> {
        self.server.public.clone().or_else(|| self.server.domain.clone().map(Host::Name))
    }
}

fn format_of(path: &Path) -> Result<ConfigFormat, ConfigFileError> {
    match path.extension().and_then(|ending| ending.to_str()) {
        Some("toml") => Ok(ConfigFormat::Toml),
        Some("yaml" | "yml") => Ok(ConfigFormat::Yaml),
        _ => Err(ConfigFileError::Format { path: path.to_owned() }),
    }
}

fn read_file(path: &Path) -> Result<String, ConfigFileError> {
    let read = || {
        let mut text = String::new();
        let read = std::fs::File::open(path)?.take(MAX_CONFIG_BYTES + 1).read_to_string(&mut text)?;
        if u64::try_from(read).unwrap_or(u64::MAX) > MAX_CONFIG_BYTES {
            return Err(std::io::Error::new(std::io::ErrorKind::FileTooLarge, "larger than 1 MiB"));
        }
        Ok(text)
    };
    read().map_err(|source| ConfigFileError::Read { path: path.to_owned(), source })
}

#[cfg(test)]
mod tests;
