//! The certificate authority of one lab. It exists in memory, for the life of that lab.

use std::{collections::BTreeMap, net::IpAddr, sync::Arc};

use commucat_transport_api::Secret;
use rcgen::{
    BasicConstraints, Certificate, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose,
    IsCa, Issuer, KeyPair, KeyUsagePurpose, SanType,
};
use rustls::{
    RootCertStore, ServerConfig,
    crypto::aws_lc_rs,
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};
use rustls_pki_types::{CertificateDer, PrivatePkcs8KeyDer};

use super::ServiceError;

/// An authority that only the places of this lab trust.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    der: CertificateDer<'static>,
    pem: String,
}

impl std::fmt::Debug for Authority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Authority").finish_non_exhaustive()
    }
}

impl Authority {
    /// Makes a new one.
    ///
    /// # Errors
    /// The cryptographic library refused.
    pub fn new() -> Result<Self, ServiceError> {
        let key = KeyPair::generate().map_err(ServiceError::Certificate)?;
        let mut params = CertificateParams::default();
        params.distinguished_name = named("CommuCat lab authority");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let certificate = params.self_signed(&key).map_err(ServiceError::Certificate)?;
        let (der, pem) = (certificate.der().clone(), certificate.pem());
        Ok(Self { issuer: Issuer::new(params, key), der, pem })
    }

    /// Its certificate, as programs take it in `SSL_CERT_FILE` or `--cacert`.
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// A store that trusts it and nobody else.
    ///
    /// # Errors
    /// The certificate that was made is not one the TLS library accepts.
    pub fn roots(&self) -> Result<RootCertStore, ServiceError> {
        let mut roots = RootCertStore::empty();
        roots.add(self.der.clone()).map_err(ServiceError::Tls)?;
        Ok(roots)
    }

    /// What a server at one address needs to answer for these names. A client that names none of them, or nothing at
    /// all, is shown the first.
    ///
    /// # Errors
    /// A name is no host name, or the cryptographic library refused.
    pub fn server_config(&self, names: &[&str], address: IpAddr) -> Result<ServerConfig, ServiceError> {
        let mut by_name = BTreeMap::new();
        let mut first = None;
        for name in names {
            let certified = Arc::new(self.issue(name, address)?);
            first.get_or_insert_with(|| Arc::clone(&certified));
            by_name.insert(name.to_ascii_lowercase(), certified);
        }
        let mut config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(ServiceError::Tls)?
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(ByName { by_name, first }));
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(config)
    }

    /// One certificate for several names and an address, as text: for a server that takes PEM.
    ///
    /// # Errors
    /// A name is no host name, or the cryptographic library refused.
    pub fn issue_pem(&self, names: &[String], address: IpAddr) -> Result<PemIdentity, ServiceError> {
        let (leaf, key) = self.sign(names, address)?;
        let chain = format!("{}{}", leaf.pem(), self.pem);
        Ok(PemIdentity { chain, key: Secret::new(key.serialize_pem()) })
    }

    fn issue(&self, name: &str, address: IpAddr) -> Result<CertifiedKey, ServiceError> {
        let (leaf, key) = self.sign(&[name.to_owned()], address)?;
        let chain = vec![leaf.der().clone(), self.der.clone()];
        let key = PrivatePkcs8KeyDer::from(key.serialize_der()).into();
        CertifiedKey::from_der(chain, key, &aws_lc_rs::default_provider()).map_err(ServiceError::Tls)
    }

    fn sign(&self, names: &[String], address: IpAddr) -> Result<(Certificate, KeyPair), ServiceError> {
        let key = KeyPair::generate().map_err(ServiceError::Certificate)?;
        let mut params = CertificateParams::new(names).map_err(ServiceError::Certificate)?;
        params.subject_alt_names.push(SanType::IpAddress(address));
        params.distinguished_name = named(names.first().map_or("lab", String::as_str));
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        let leaf = params.signed_by(&key, &self.issuer).map_err(ServiceError::Certificate)?;
        Ok((leaf, key))
    }
}

/// A certificate with what proves it, and its key.
#[derive(Debug)]
pub struct PemIdentity {
    /// The server's own certificate, then the authority's.
    pub chain: String,
    /// The private key.
    pub key: Secret<String>,
}

fn named(common_name: &str) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, common_name);
    name
}

#[derive(Debug)]
struct ByName {
    by_name: BTreeMap<String, Arc<CertifiedKey>>,
    first: Option<Arc<CertifiedKey>>,
}

impl ResolvesServerCert for ByName {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let named = hello.server_name().and_then(|name| self.by_name.get(&name.to_ascii_lowercase()));
        named.or(self.first.as_ref()).map(Arc::clone)
    }
}
