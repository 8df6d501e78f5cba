//! Why a battery could not be run. An answer, also a refused connection, is no error.

/// Why a battery could not be run at all.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BatteryError {
    /// The name for the hello is none that TLS can say.
    #[error("`{0}` is no name that a TLS hello can carry: give a DNS name")]
    BadServerName(String),
    /// The TLS library could not be set up.
    #[error("the TLS client for the probes could not be set up")]
    Tls(#[source] rustls::Error),
    /// Nothing answered the very first connection.
    #[error("the server could not be reached ({0}): check address and port, then try again")]
    Unreachable(commucat_transport_api::Signal),
}
