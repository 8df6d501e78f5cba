//! Certificates by their pin: any certificate is accepted and remembered, and the caller compares.
//!
//! Nothing secret ever goes over these connections, and a certificate that is not our server's is the observation.

use std::sync::Mutex;

use commucat_control::Pin;
use rustls::{
    DigitallySignedStruct, Error, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::WebPkiSupportedAlgorithms,
    pki_types::{CertificateDer, ServerName, UnixTime},
};

use super::locked;

/// Accepts any certificate (its key must sign the handshake) and remembers it.
#[derive(Debug)]
pub(crate) struct PinVerifier {
    seen: Mutex<Option<CertificateDer<'static>>>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl Default for PinVerifier {
    fn default() -> Self {
        let algorithms = rustls::crypto::aws_lc_rs::default_provider().signature_verification_algorithms;
        Self { seen: Mutex::new(None), algorithms }
    }
}

impl PinVerifier {
    /// The certificate of the last handshake.
    pub(crate) fn seen(&self) -> Option<CertificateDer<'static>> {
        locked(&self.seen).clone()
    }
}

/// The pin of a certificate; `None` when it does not parse.
pub(crate) fn pin_of(certificate: &CertificateDer<'_>) -> Option<Pin> {
    Pin::of(certificate).ok()
}

impl ServerCertVerifier for PinVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        *locked(&self.seen) = Some(end_entity.clone().into_owned());
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        rustls::crypto::verify_tls12_signature(message, certificate, signature, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        rustls::crypto::verify_tls13_signature(message, certificate, signature, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
