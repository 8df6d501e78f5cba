//! Whether a certificate is the server's.

use std::{error::Error as StdError, fmt, time::Duration};

use rustls_pki_types::{CertificateDer, ServerName, SignatureVerificationAlgorithm, TrustAnchor, UnixTime};
use webpki::{EndEntityCert, KeyUsage, aws_lc_rs as algorithms};

use crate::Error;

/// What a server presented.
#[derive(Debug)]
#[non_exhaustive]
pub struct Presented<'a> {
    /// The chain, leaf first; never empty. DER.
    pub chain: &'a [Vec<u8>],
    /// The name that was asked for; `None` when there was none.
    pub name: Option<&'a str>,
    /// Time since 1970, as the caller believes it.
    pub now: Duration,
    /// The ClientHello message as sent.
    pub client_hello: &'a [u8],
    /// The ServerHello message as received.
    pub server_hello: &'a [u8],
}

/// What the verifier recognised; handed back in [`crate::Event::Connected`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Trust {
    /// A chain to a trusted root, for the name.
    WebPki,
    /// Something that the caller's verifier knows by itself.
    Own,
}

/// Decides about certificates.
pub trait CertificateVerifier: fmt::Debug + Send + Sync {
    /// Whether the chain is the server's.
    ///
    /// # Errors
    /// Why it is not.
    fn verify(&self, presented: &Presented<'_>) -> Result<Trust, Box<dyn StdError + Send + Sync>>;

    /// Whether `signature` over `message` is of the leaf's key.
    ///
    /// # Errors
    /// It is not, or the scheme is unknown.
    fn verify_signature(
        &self,
        leaf: &[u8],
        scheme: u16,
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), Box<dyn StdError + Send + Sync>> {
        let algorithm = algorithm(scheme).ok_or("a signature scheme that cannot be verified here")?;
        let leaf = CertificateDer::from_slice(leaf);
        let leaf = EndEntityCert::try_from(&leaf).map_err(Box::new)?;
        leaf.verify_signature(algorithm, message, signature).map_err(Box::new)?;
        Ok(())
    }

    /// Whether this scheme is taken although the hello does not offer it.
    fn takes_unoffered(&self, scheme: u16) -> bool {
        let _ = scheme;
        false
    }
}

/// Verification as browsers do it, without revocation: a chain to a root, for the name, in time.
#[derive(Debug)]
pub struct WebPki {
    roots: Vec<TrustAnchor<'static>>,
}

impl WebPki {
    /// With these roots.
    pub const fn new(roots: Vec<TrustAnchor<'static>>) -> Self {
        Self { roots }
    }

    /// With Mozilla's roots, built in.
    pub fn bundled() -> Self {
        Self::new(webpki_roots::TLS_SERVER_ROOTS.to_vec())
    }
}

impl CertificateVerifier for WebPki {
    fn verify(&self, presented: &Presented<'_>) -> Result<Trust, Box<dyn StdError + Send + Sync>> {
        let (leaf, rest) = presented.chain.split_first().ok_or("an empty chain")?;
        let name = presented.name.ok_or("no name to verify")?;
        let name = ServerName::try_from(name).map_err(Box::new)?;
        let leaf = CertificateDer::from_slice(leaf);
        let leaf = EndEntityCert::try_from(&leaf).map_err(Box::new)?;
        let intermediates: Vec<CertificateDer<'_>> =
            rest.iter().map(|certificate| CertificateDer::from_slice(certificate)).collect();
        leaf.verify_for_usage(
            webpki::ALL_VERIFICATION_ALGS,
            &self.roots,
            &intermediates,
            UnixTime::since_unix_epoch(presented.now),
            KeyUsage::server_auth(),
            None,
            None,
        )
        .map_err(Box::new)?;
        leaf.verify_is_valid_for_subject_name(&name).map_err(Box::new)?;
        Ok(Trust::WebPki)
    }
}

/// Checks a CertificateVerify (RFC 8446 §4.4.3) over the transcript hash.
pub(crate) fn handshake_signature(
    verifier: &dyn CertificateVerifier,
    leaf: &[u8],
    scheme: u16,
    transcript_hash: &[u8],
    signature: &[u8],
) -> Result<(), Error> {
    const CONTEXT: &[u8] = b"TLS 1.3, server CertificateVerify\0";
    let message = [&[0x20; 64], CONTEXT, transcript_hash].concat();
    verifier
        .verify_signature(leaf, scheme, &message, signature)
        .map_err(|_source| Error::BadSignature("CertificateVerify"))
}

/// The algorithm of a scheme that TLS 1.3 allows in CertificateVerify (RFC 8446 §4.2.3: no PKCS #1, no SHA-1).
fn algorithm(scheme: u16) -> Option<&'static dyn SignatureVerificationAlgorithm> {
    Some(match scheme {
        0x0403 => algorithms::ECDSA_P256_SHA256,
        0x0503 => algorithms::ECDSA_P384_SHA384,
        0x0603 => algorithms::ECDSA_P521_SHA512,
        0x0804 => algorithms::RSA_PSS_2048_8192_SHA256_LEGACY_KEY,
        0x0805 => algorithms::RSA_PSS_2048_8192_SHA384_LEGACY_KEY,
        0x0806 => algorithms::RSA_PSS_2048_8192_SHA512_LEGACY_KEY,
        0x0807 => algorithms::ED25519,
        _ => return None,
    })
}
