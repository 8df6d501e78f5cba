//! Why the client could not start.

use std::{io, net::SocketAddr};

use commucat_transport_api::ConfigError;

/// Why the client could not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// The link names no endpoint.
    #[error("the link names no endpoint")]
    NoEndpoint,
    /// No endpoint of the link can be used; this is what is wrong with the first.
    #[error("endpoint {place} of the link ({transport}) cannot be used")]
    Endpoint {
        /// Its place in the link, from 1.
        place: usize,
        /// Its transport.
        transport: String,
        /// What is wrong with it.
        #[source]
        source: ConfigError,
    },
    /// The port would be open to other machines without a password.
    #[error("{address} is open to other machines: set a user name and a password, or allow it without")]
    OpenToOthers {
        /// The address asked for.
        address: SocketAddr,
    },
    /// The system refused the socket.
    #[error("cannot listen on {address}")]
    Listen {
        /// The address asked for.
        address: SocketAddr,
        /// The system's reason.
        #[source]
        source: io::Error,
    },
}
