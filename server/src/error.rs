//! Why a bridge did not start, said so that the reader knows what to do.

use std::{fmt, io, net::SocketAddr};

use commucat_storage::StorageError;
use commucat_transport_api::{ConfigError, HostPort, ListenError, TransportId};

use crate::config::ConfigFileError;

/// Why a bridge did not start, or did not take its new configuration.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The configuration cannot work.
    #[error("{0}")]
    Config(ConfigFileError),
    /// An endpoint's transport does not take its parameters.
    #[error("endpoints[{at}] ({transport})")]
    Endpoint {
        /// Which of `[[endpoints]]`, from 0.
        at: usize,
        /// Its transport.
        transport: TransportId,
        /// What is wrong.
        #[source]
        source: ConfigError,
    },
    /// An endpoint cannot listen.
    #[error("endpoints[{at}] ({transport}): {reason}")]
    Listen {
        /// Which of `[[endpoints]]`, from 0.
        at: usize,
        /// Its transport.
        transport: TransportId,
        /// What to do about it.
        reason: BindReason,
        /// What the system said.
        #[source]
        source: ListenError,
    },
    /// A socket of the bridge's own cannot listen.
    #[error("{key}: {reason}")]
    OwnSocket {
        /// The key that says where.
        key: &'static str,
        /// What to do about it.
        reason: BindReason,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The database failed.
    #[error("the storage failed")]
    Storage(#[from] StorageError),
    /// The system has no randomness.
    #[error("the system gives no random numbers")]
    Random(#[source] io::Error),
    /// The bridge is stopping.
    #[error("the bridge is stopping")]
    Stopping,
}

/// Why a port cannot be listened on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BindReason {
    port: u16,
    kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Taken,
    Denied,
    NoSuchAddress,
    Other,
}

impl BindReason {
    pub(crate) fn of(error: &ListenError, endpoint: &HostPort) -> Self {
        let io = match error {
            ListenError::Bind { source, .. } | ListenError::Accept(source) => Some(source),
            _ => None,
        };
        Self { port: endpoint.port, kind: io.map_or(Kind::Other, kind) }
    }

    pub(crate) fn of_io(error: &io::Error, bind: SocketAddr) -> Self {
        Self { port: bind.port(), kind: kind(error) }
    }

    /// Whether another program has the port.
    pub const fn is_taken(&self) -> bool {
        matches!(self.kind, Kind::Taken)
    }
}

fn kind(error: &io::Error) -> Kind {
    match error.kind() {
        io::ErrorKind::AddrInUse => Kind::Taken,
        io::ErrorKind::PermissionDenied => Kind::Denied,
        io::ErrorKind::AddrNotAvailable => Kind::NoSuchAddress,
        _ => Kind::Other,
    }
}

impl fmt::Display for BindReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let port = self.port;
        match self.kind {
            Kind::Taken => write!(
                f,
                "port {port} is taken by another program: stop that program (`ss -ltnup 'sport = :{port}'` names it) \
                 or choose another port"
            ),
            Kind::Denied => write!(
                f,
                "port {port} may not be used by this user: ports below 1024 need root or CAP_NET_BIND_SERVICE, or \
                 choose a port from 1024"
            ),
            Kind::NoSuchAddress => {
                f.write_str("this machine does not have that address: use 0.0.0.0 or [::] for all of them")
            }
            Kind::Other => write!(f, "cannot listen on port {port}"),
        }
    }
}
