//! The client's TLS: BoringSSL set up as Chrome 156 sets it up for a WebSocket.
//!
//! Same as Chrome: GREASE (ciphers, groups, extensions, versions, signature algorithms), permuted extensions, cipher,
//! group and signature lists, X25519MLKEM768 first, ALPN `http/1.1` alone and so no ALPS, OCSP, SCT, brotli certificate
//! compression, ECH GREASE. Different: the `trust_anchors` extension (51764, since Chrome 154) is missing, because
//! the `boring` crate has no call for it; and sessions are not resumed, so every hello is a fresh one.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use boring::{
    error::ErrorStack,
    ssl::{
        CertificateCompressionAlgorithm, CertificateCompressor, ErrorCode, Ssl, SslAlert, SslContext,
        SslContextBuilder, SslMethod, SslMode, SslRef, SslSignatureAlgorithm as Scheme, SslVerifyError,
        SslVerifyMode, SslVersion,
    },
};
use commucat_transport_api::{Host, Signal};
use rustls::client::{WebPkiServerVerifier, danger::ServerCertVerifier};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use subtle::ConstantTimeEq;

use crate::{carrier::Carrier, coalesce::Coalesced};

/// Chrome's TLS 1.2 suites in its order; those of TLS 1.3 stand before them by themselves.
const CIPHERS: &str = "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:\
                       ECDHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305:\
                       ECDHE-RSA-AES128-SHA:ECDHE-RSA-AES256-SHA:AES128-GCM-SHA256:AES256-GCM-SHA384:AES128-SHA:\
                       AES256-SHA";
const GROUPS: &str = "X25519MLKEM768:X25519:P-256:P-384";
const SIGNATURES: [Scheme; 11] = [
    Scheme::ML_DSA_44,
    Scheme::ML_DSA_65,
    Scheme::ML_DSA_87,
    Scheme::ECDSA_SECP256R1_SHA256,
    Scheme::RSA_PSS_RSAE_SHA256,
    Scheme::RSA_PKCS1_SHA256,
    Scheme::ECDSA_SECP384R1_SHA384,
    Scheme::RSA_PSS_RSAE_SHA384,
    Scheme::RSA_PKCS1_SHA384,
    Scheme::RSA_PSS_RSAE_SHA512,
    Scheme::RSA_PKCS1_SHA512,
];
/// `http/1.1` with its length byte: a WebSocket of HTTP/1.1 needs it alone.
const ALPN: &[u8] = b"\x08http/1.1";
/// Longest certificate message after decompression, in bytes.
const MAX_CERTIFICATES_BYTES: u64 = 64 * 1024;
/// BoringSSL's reason codes of received alerts begin here (`SSL_AD_REASON_OFFSET`).
const ALERT_REASON_BASE: i32 = 1000;

/// How the server's certificate is judged.
enum Trust {
    /// By its SHA-256 alone.
    Pin([u8; 32]),
    /// By the roots that browsers trust, for this name.
    Roots(Arc<WebPkiServerVerifier>, ServerName<'static>),
}

/// The client's TLS, ready to dial.
pub(crate) struct ClientTls {
    context: SslContext,
    sni: Option<String>,
    trust: Arc<Trust>,
}

/// What went wrong.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TlsError {
    #[error("TLS could not be set up")]
    Setup(#[from] ErrorStack),
    #[error("the name for the certificate is no DNS name or address")]
    Name,
    #[error("no trusted roots")]
    Roots(#[source] rustls::client::VerifierBuilderError),
    #[error("the certificate is not the bridge's")]
    WrongCertificate,
    #[error("TLS alert {0}")]
    Alert(u8),
    #[error("the stream failed during the TLS handshake")]
    Io(#[source] io::Error),
    #[error("the TLS handshake failed")]
    Protocol(#[source] Option<ErrorStack>),
}

impl TlsError {
    /// As evidence.
    pub(crate) fn signal(&self) -> Signal {
        match self {
            Self::WrongCertificate => Signal::WrongCertificate,
            Self::Alert(alert) => Signal::TlsAlert(*alert),
            Self::Io(error) => Signal::from_io(error),
            Self::Protocol(_) => Signal::UnexpectedBytes,
            Self::Setup(_) | Self::Name | Self::Roots(_) => Signal::Other,
        }
    }
}

impl ClientTls {
    /// Sets everything up. `name` goes into the hello when it is a name; without a pin the certificate must be for it.
    pub(crate) fn new(name: Option<&Host>, pin: Option<[u8; 32]>) -> Result<Self, TlsError> {
        let sni = match name {
            Some(Host::Name(name)) => Some(name.to_string()),
            _ => None,
        };
        let trust = match (pin, name) {
            (Some(pin), _) => Trust::Pin(pin),
            (None, None) => return Err(TlsError::Name),
            (None, Some(name)) => {
                let name = ServerName::try_from(name.to_string()).map_err(|_not_a_name| TlsError::Name)?;
                Trust::Roots(web_roots()?, name)
            }
        };
        Ok(Self { context: chrome_context()?, sni, trust: Arc::new(trust) })
    }

    /// Shakes hands over a connected stream. `now` is Unix time, for the certificate.
    pub(crate) async fn connect(&self, io: Coalesced, now: Duration) -> Result<Carrier, TlsError> {
        let mut ssl = Ssl::new(&self.context)?;
        if let Some(sni) = &self.sni {
            ssl.set_hostname(sni)?;
        }
        ssl.set_enable_ech_grease(true);
        let refused = Arc::new(AtomicBool::new(false));
        let (trust, flag) = (Arc::clone(&self.trust), Arc::clone(&refused));
        ssl.set_custom_verify_callback(SslVerifyMode::PEER, move |ssl| {
            if trust.accepts(ssl, now) {
                return Ok(());
            }
            flag.store(true, Ordering::Relaxed);
            Err(SslVerifyError::Invalid(SslAlert::UNKNOWN_CA))
        });
        let connected = tokio_boring::SslStreamBuilder::new(ssl, io).connect().await;
        connected.map(Carrier::boring).map_err(|error| {
            if refused.load(Ordering::Relaxed) { TlsError::WrongCertificate } else { reason(&error) }
        })
    }
}

impl std::fmt::Debug for ClientTls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ClientTls")
    }
}

impl Trust {
    fn accepts(&self, ssl: &SslRef, now: Duration) -> bool {
        let Some(leaf) = ssl.peer_certificate().and_then(|leaf| leaf.to_der().ok()) else { return false };
        match self {
            Self::Pin(pin) => boring::sha::sha256(&leaf).ct_eq(pin).into(),
            Self::Roots(verifier, name) => {
                let others: Vec<CertificateDer<'_>> = ssl
                    .peer_cert_chain()
                    .into_iter()
                    .flatten()
                    .skip(1)
                    .filter_map(|certificate| certificate.to_der().ok())
                    .map(CertificateDer::from)
                    .collect();
                let leaf = CertificateDer::from(leaf);
                verifier
                    .verify_server_cert(&leaf, &others, name, &[], UnixTime::since_unix_epoch(now))
                    .is_ok()
            }
        }
    }
}

fn web_roots() -> Result<Arc<WebPkiServerVerifier>, TlsError> {
    let roots = rustls::RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider).build().map_err(TlsError::Roots)
}

fn chrome_context() -> Result<SslContext, ErrorStack> {
    let mut context = SslContextBuilder::new(SslMethod::tls())?;
    context.set_mode(SslMode::ACCEPT_MOVING_WRITE_BUFFER | SslMode::ENABLE_PARTIAL_WRITE);
    context.set_min_proto_version(Some(SslVersion::TLS1_2))?;
    context.set_max_proto_version(Some(SslVersion::TLS1_3))?;
    context.set_grease_enabled(true);
    context.set_permute_extensions(true);
    context.set_strict_cipher_list(CIPHERS)?;
    context.set_curves_list(GROUPS)?;
    context.set_verify_algorithm_prefs(&SIGNATURES)?;
    context.set_alpn_protos(ALPN)?;
    context.enable_ocsp_stapling();
    context.enable_signed_cert_timestamps();
    context.add_certificate_compression_algorithm(Brotli)?;
    Ok(context.build())
}

fn reason(error: &tokio_boring::HandshakeError<Coalesced>) -> TlsError {
    if let Some(io) = error.as_io_error() {
        return TlsError::Io(io::Error::new(io.kind(), io.to_string()));
    }
    if error.code() == Some(ErrorCode::SYSCALL) || error.code() == Some(ErrorCode::ZERO_RETURN) {
        return TlsError::Io(io::ErrorKind::UnexpectedEof.into());
    }
    let stack = std::error::Error::source(error)
        .and_then(|source| source.downcast_ref::<boring::ssl::Error>())
        .and_then(boring::ssl::Error::ssl_error)
        .cloned();
    let codes = stack.iter().flat_map(ErrorStack::errors).map(boring::error::Error::reason_code);
    let alert = codes.filter_map(|code| u8::try_from(code - ALERT_REASON_BASE).ok()).next();
    alert.map_or(TlsError::Protocol(stack), TlsError::Alert)
}

/// Reads certificates that a server compressed with brotli (RFC 8879).
struct Brotli;

impl CertificateCompressor for Brotli {
    const ALGORITHM: CertificateCompressionAlgorithm = CertificateCompressionAlgorithm::BROTLI;
    const CAN_COMPRESS: bool = false;
    const CAN_DECOMPRESS: bool = true;

    fn decompress<W: io::Write>(&self, input: &[u8], output: &mut W) -> io::Result<()> {
        let decoder = brotli_decompressor::Decompressor::new(input, 4096);
        io::copy(&mut io::Read::take(decoder, MAX_CERTIFICATES_BYTES), output).map(|_length| ())
    }
}
