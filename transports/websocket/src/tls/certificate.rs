//! The self-signed certificate of a bridge that has no domain: what a small device at home has.

use std::time::{Duration, SystemTime};

use boring::rand::rand_bytes;
use commucat_transport_api::{ConfigError, ConfigProblem};
use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair};

/// Names that devices of a home network give themselves.
const DEVICES: [&str; 8] =
    ["nas", "homeserver", "mediabox", "router", "storage", "cloud", "backup", "gateway"];
const DAY: Duration = Duration::from_secs(24 * 3600);
/// Length of validity, in days: what such devices give themselves.
const VALID_DAYS: u32 = 3650;

/// A certificate and its key, PEM.
pub(crate) struct Generated {
    pub(crate) cert_pem: String,
    pub(crate) key_pem: String,
}

/// Makes a fresh pair.
pub(crate) fn generate() -> Result<Generated, ConfigError> {
    let mut random = [0; 4];
    rand_bytes(&mut random).map_err(unusable)?;
    let [device, age, low, high] = random;
    let device = DEVICES.get(usize::from(device) % DEVICES.len()).copied().unwrap_or("nas");
    let name = format!("{device}-{low:02x}{high:02x}.local");
    let mut params = CertificateParams::new(vec![name.clone()]).map_err(unusable)?;
    let mut subject = DistinguishedName::new();
    subject.push(DnType::CommonName, name);
    params.distinguished_name = subject;
    // Not made today, and valid for ten years.
    let from = SystemTime::now().checked_sub(DAY * u32::from(age)).unwrap_or(SystemTime::UNIX_EPOCH);
    params.not_before = from.into();
    params.not_after = (from + DAY * VALID_DAYS).into();
    let key = KeyPair::generate().map_err(unusable)?;
    let certificate = params.self_signed(&key).map_err(unusable)?;
    Ok(Generated { cert_pem: certificate.pem(), key_pem: key.serialize_pem() })
}

fn unusable(error: impl std::error::Error + Send + Sync + 'static) -> ConfigError {
    ConfigError::with_source(Some("cert_pem"), ConfigProblem::BadValue, error)
}
