//! A TLS client that takes any certificate and tells what it saw: for probes, never for users' data.

use std::{io, sync::Arc};

use rustls::{
    CertificateError, ClientConfig, ClientConnection, DigitallySignedStruct, Error, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::{CryptoProvider, WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature},
};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use serde::Serialize;

use crate::{BatteryError, facts::digest};

/// Level of a fatal alert: what TLS 1.3 means by any but `close_notify`.
const FATAL: u8 = 2;

/// What a finished handshake gave.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct SessionFacts {
    /// Whether it was finished.
    pub finished: bool,
    /// The application protocol that was chosen.
    pub alpn: Option<String>,
    /// The version, as on the wire.
    pub version: Option<u16>,
    /// The key exchange group, as on the wire.
    pub group: Option<u16>,
    /// Digest of the leaf certificate, in hexadecimal.
    pub leaf: Option<String>,
    /// Bytes of each certificate of the chain, leaf first.
    pub chain: Vec<usize>,
    /// The server said that it will send no more (`close_notify`) before it ended.
    pub close_notify: bool,
}

/// The first flight of an ordinary TLS client that asks for this name.
///
/// # Errors
/// [`BatteryError::BadServerName`] for what is no DNS name; [`BatteryError::Tls`] when the library cannot be set up.
pub fn client_hello(server_name: &str) -> Result<Vec<u8>, BatteryError> {
    Ok(Session::new(server_name, Vec::new())?.outgoing())
}

/// One TLS connection without its carrier.
pub(crate) struct Session {
    connection: ClientConnection,
    alert: Option<u8>,
    broken: bool,
    close_notify: bool,
}

impl Session {
    pub(crate) fn new(server_name: &str, alpn: Vec<Vec<u8>>) -> Result<Self, BatteryError> {
        let name = ServerName::try_from(server_name.to_owned()).map_err(
            |_no_name: rustls_pki_types::InvalidDnsNameError| {
                BatteryError::BadServerName(server_name.to_owned())
            },
        )?;
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(BatteryError::Tls)?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(AnyCertificate(provider)))
            .with_no_client_auth();
        config.alpn_protocols = alpn;
        config.enable_sni = true;
        config.resumption = rustls::client::Resumption::disabled();
        let connection = ClientConnection::new(Arc::new(config), name).map_err(BatteryError::Tls)?;
        Ok(Self { connection, alert: None, broken: false, close_notify: false })
    }

    /// What should go out now.
    pub(crate) fn outgoing(&mut self) -> Vec<u8> {
        let mut out = Vec::new();
        while self.connection.wants_write() {
            match self.connection.write_tls(&mut out) {
                Ok(0) | Err(_) => break,
                Ok(_written) => {}
            }
        }
        out
    }

    /// Takes bytes from the server; plaintext goes to `plain`.
    pub(crate) fn incoming(&mut self, mut bytes: &[u8], plain: &mut Vec<u8>, room: usize) {
        while !bytes.is_empty() && !self.broken {
            match self.connection.read_tls(&mut bytes) {
                Ok(0) | Err(_) => return,
                Ok(_read) => {}
            }
            match self.connection.process_new_packets() {
                Ok(state) => self.close_notify |= state.peer_has_closed(),
                Err(Error::AlertReceived(alert)) => {
                    self.alert = Some(alert.into());
                    self.broken = true;
                }
                Err(_broken) => self.broken = true,
            }
            self.drain(plain, room);
        }
    }

    fn drain(&mut self, plain: &mut Vec<u8>, room: usize) {
        let mut chunk = [0u8; 4096];
        while let Ok(count @ 1..) = io::Read::read(&mut self.connection.reader(), &mut chunk) {
            let keep = count.min(room.saturating_sub(plain.len()));
            plain.extend_from_slice(chunk.get(..keep).unwrap_or_default());
        }
    }

    /// Queues plaintext; it leaves with the next [`Self::outgoing`].
    pub(crate) fn send(&mut self, plain: &[u8]) {
        // The buffer of a fresh connection takes a request of any probe whole.
        io::Write::write_all(&mut self.connection.writer(), plain).ok();
    }

    pub(crate) const fn is_open(&self) -> bool {
        !self.broken
    }

    pub(crate) fn is_handshaking(&self) -> bool {
        self.connection.is_handshaking()
    }

    /// The alert that came sealed or in the clear.
    pub(crate) fn alert(&self) -> Option<(u8, u8)> {
        self.alert.map(|description| (FATAL, description))
    }

    pub(crate) fn facts(&self) -> SessionFacts {
        let certificates = self.connection.peer_certificates().unwrap_or_default();
        SessionFacts {
            finished: !self.connection.is_handshaking(),
            alpn: self.connection.alpn_protocol().map(|name| String::from_utf8_lossy(name).into_owned()),
            version: self.connection.protocol_version().map(u16::from),
            group: self.connection.negotiated_key_exchange_group().map(|group| group.name().into()),
            leaf: certificates.first().map(|leaf| digest(leaf)),
            chain: certificates.iter().map(|certificate| certificate.len()).collect(),
            close_notify: self.close_notify,
        }
    }
}

/// Takes every certificate whose key signed the handshake: probes look, they do not trust.
#[derive(Debug)]
struct AnyCertificate(Arc<CryptoProvider>);

impl AnyCertificate {
    fn algorithms(&self) -> &WebPkiSupportedAlgorithms {
        &self.0.signature_verification_algorithms
    }
}

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if end_entity.is_empty() {
            return Err(Error::InvalidCertificate(CertificateError::BadEncoding));
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        // A certificate that webpki cannot read (version 1, say) is still a certificate to look at.
        match verify_tls12_signature(message, cert, dss, self.algorithms()) {
            Err(Error::InvalidCertificate(CertificateError::BadSignature)) => {
                Err(Error::InvalidCertificate(CertificateError::BadSignature))
            }
            _ => Ok(HandshakeSignatureValid::assertion()),
        }
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        match verify_tls13_signature(message, cert, dss, self.algorithms()) {
            Err(Error::InvalidCertificate(CertificateError::BadSignature)) => {
                Err(Error::InvalidCertificate(CertificateError::BadSignature))
            }
            _ => Ok(HandshakeSignatureValid::assertion()),
        }
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms().supported_schemes()
    }
}
