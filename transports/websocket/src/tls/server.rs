//! The server's TLS: rustls with the operator's certificate, or the bridge's own.

use std::{io, sync::Arc};

use commucat_transport_api::{ConfigError, ConfigProblem};
use rustls::{ServerConfig, crypto::aws_lc_rs};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use tokio::io::AsyncWriteExt as _;
use tokio_rustls::TlsAcceptor;

use crate::{carrier::Carrier, coalesce::Coalesced, config::Identity};

/// Most bytes that TLS holds unsent for one connection: one full frame.
const BUFFER_LIMIT_BYTES: usize = 72 * 1024;

/// The server's TLS, ready to accept.
#[derive(Clone)]
pub(crate) struct ServerTls {
    acceptor: TlsAcceptor,
    leaf: CertificateDer<'static>,
}

impl ServerTls {
    /// Reads certificate and key. A new server reads changed files anew.
    pub(crate) fn new(identity: &Identity) -> Result<Self, ConfigError> {
        let (cert_field, key_field, cert, key) = match identity {
            Identity::Files { cert, key } => {
                ("cert_file", "key_file", read(cert, "cert_file")?, read(key, "key_file")?)
            }
            Identity::Inline { cert, key } => {
                ("cert_pem", "key_pem", cert.clone().into_bytes(), key.expose().clone().into_bytes())
            }
        };
        let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(&cert)
            .collect::<Result<_, _>>()
            .map_err(|error| bad(cert_field, error))?;
        let leaf = chain.first().cloned();
        let leaf = leaf.ok_or_else(|| bad(cert_field, "the file holds no certificate"))?;
        let key = PrivateKeyDer::from_pem_slice(&key).map_err(|error| bad(key_field, error))?;
        let mut config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| bad("tls", error))?
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .map_err(|error| bad(key_field, error))?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        config.ticketer = aws_lc_rs::Ticketer::new().map_err(|error| bad("tls", error))?;
        Ok(Self { acceptor: TlsAcceptor::from(Arc::new(config)), leaf })
    }

    /// The first certificate of the chain.
    pub(crate) fn leaf(&self) -> &[u8] {
        &self.leaf
    }

    /// Shakes hands with whoever connected. A peer that speaks no TLS gets an alert.
    pub(crate) async fn accept(&self, io: Coalesced) -> io::Result<Carrier> {
        let accept = self.acceptor.accept_with(io, |tls| tls.set_buffer_limit(Some(BUFFER_LIMIT_BYTES)));
        let tls = match accept.into_fallible().await {
            Ok(tls) => tls,
            Err((error, mut io)) => {
                // The alert waits in the write buffer. Whether it still goes out changes nothing.
                drop(io.shutdown().await);
                return Err(error);
            }
        };
        Ok(Carrier::rustls(tls))
    }
}

impl std::fmt::Debug for ServerTls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ServerTls")
    }
}

fn read(path: &std::path::Path, field: &'static str) -> Result<Vec<u8>, ConfigError> {
    std::fs::read(path).map_err(|error| bad(field, error))
}

fn bad(field: &'static str, error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> ConfigError {
    ConfigError::with_source(Some(field), ConfigProblem::BadValue, error)
}
