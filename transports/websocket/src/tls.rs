//! TLS: a browser's hello on the client (BoringSSL), rustls on the server, and the certificate between them.

pub(crate) mod certificate;
pub(crate) mod client;
pub(crate) mod server;
