//! The keys and the certificate of a run: made new each time, the same for every product.

use std::path::PathBuf;

use anyhow::Context;
use aws_lc_rs::{
    agreement::{PrivateKey, X25519},
    digest,
    encoding::{AsBigEndian, Curve25519SeedBin},
    rand,
};
use base64::{
    Engine,
    prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD},
};
use rcgen::{CertificateParams, KeyPair, PKCS_ECDSA_P256_SHA256};
use tempfile::TempDir;

use crate::cells::Row;

/// The name in the certificates, and the name of the site that REALITY imitates.
pub const SERVER_NAME: &str = "bench.commucat.invalid";
/// The path of the WebSocket upgrade.
pub const WS_PATH: &str = "/bench";

/// The VLESS flow of a row; empty where there is none.
#[must_use]
pub const fn flow(row: Row) -> &'static str {
    match row {
        Row::Vision => "xtls-rprx-vision",
        Row::Shadowsocks | Row::WebSocket | Row::Reality => "",
    }
}

/// Secrets of one run. They protect nothing and go with the run.
#[derive(Debug)]
#[non_exhaustive]
pub struct Credentials {
    /// The Shadowsocks 2022 key: 16 bytes, base64.
    pub shadowsocks_key: String,
    /// The key of our WebSocket bridge: 32 bytes, base64url.
    pub bridge_key: String,
    /// The static X25519 key of a REALITY server, base64url.
    pub reality_private: String,
    /// Its public half, base64url.
    pub reality_public: String,
    /// The short id of REALITY: 16 hexadecimal digits.
    pub short_id: String,
    /// The VLESS user id.
    pub uuid: String,
    /// The certificate chain, PEM.
    pub certificate: PathBuf,
    /// The private key, PEM.
    pub private_key: PathBuf,
    /// SHA-256 over the certificate's DER form, lower-case hex.
    pub certificate_sha256: String,
    _dir: TempDir,
}

impl Credentials {
    /// Makes new ones; the files live as long as the value.
    ///
    /// # Errors
    /// When no random numbers or no directory can be had.
    pub fn generate() -> anyhow::Result<Self> {
        let dir = tempfile::Builder::new().prefix("commucat-bench-keys-").tempdir()?;
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).context("making a key")?;
        let certificate = CertificateParams::new([SERVER_NAME.to_owned()])?.self_signed(&key)?;
        let (certificate_path, key_path) = (dir.path().join("cert.pem"), dir.path().join("key.pem"));
        std::fs::write(&certificate_path, certificate.pem())?;
        std::fs::write(&key_path, key.serialize_pem())?;
        let reality = PrivateKey::generate(&X25519).ok().context("making an X25519 key")?;
        let seed: Curve25519SeedBin<'_> = reality.as_be_bytes().ok().context("an X25519 key has bytes")?;
        let public = reality.compute_public_key().ok().context("an X25519 key has a public half")?;
        Ok(Self {
            reality_private: BASE64_URL_SAFE_NO_PAD.encode(seed.as_ref()),
            reality_public: BASE64_URL_SAFE_NO_PAD.encode(public.as_ref()),
            short_id: hex(&random::<8>()?),
            shadowsocks_key: BASE64_STANDARD.encode(random::<16>()?),
            bridge_key: BASE64_URL_SAFE_NO_PAD.encode(random::<32>()?),
            uuid: uuid(random()?),
            certificate: certificate_path,
            private_key: key_path,
            certificate_sha256: hex(digest::digest(&digest::SHA256, certificate.der()).as_ref()),
            _dir: dir,
        })
    }
}

/// Lower-case hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn random<const N: usize>() -> anyhow::Result<[u8; N]> {
    let mut bytes = [0; N];
    rand::fill(&mut bytes).ok().context("no random numbers")?;
    Ok(bytes)
}

/// RFC 9562, version 4.
fn uuid(bytes: [u8; 16]) -> String {
    let bits =
        (u128::from_be_bytes(bytes) & !(0xF000 << 64) & !(0xC000 << 48)) | (0x4000 << 64) | (0x8000 << 48);
    let field = |shift: u32, digits: u32| (bits >> shift) & ((1 << (4 * digits)) - 1);
    format!(
        "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
        field(96, 8),
        field(80, 4),
        field(64, 4),
        field(48, 4),
        field(0, 12)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uuids_carry_version_and_variant() {
        assert_eq!(uuid([0xFF; 16]), "ffffffff-ffff-4fff-bfff-ffffffffffff");
        assert_eq!(uuid([0; 16]), "00000000-0000-4000-8000-000000000000");
    }

    #[test]
    fn credentials_are_new_and_well_formed() {
        let (a, b) = (Credentials::generate().unwrap(), Credentials::generate().unwrap());
        assert_ne!(a.shadowsocks_key, b.shadowsocks_key);
        assert_ne!(a.uuid, b.uuid);
        assert_eq!(BASE64_STANDARD.decode(&a.shadowsocks_key).unwrap().len(), 16);
        let key = |text: &str| BASE64_URL_SAFE_NO_PAD.decode(text).unwrap();
        assert_eq!(
            (key(&a.reality_private).len(), key(&a.reality_public).len(), a.short_id.len()),
            (32, 32, 16)
        );
        assert_ne!(a.reality_private, a.reality_public);
        assert_eq!(a.certificate_sha256.len(), 64);
        assert!(std::fs::read_to_string(&a.certificate).unwrap().starts_with("-----BEGIN CERTIFICATE-----"));
    }
}
