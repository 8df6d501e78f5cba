//! The certificate of a connection: fixed DER around an Ed25519 key, whose signature is a MAC that only the two ends
//! can make. With ML-DSA-65 it has one extension more, a signature that only the bridge can make.

use aws_lc_rs::signature::{ED25519, ML_DSA_65, PqdsaKeyPair, UnparsedPublicKey};
use subtle::ConstantTimeEq as _;

use crate::auth::AuthKey;

/// Ed25519 in CertificateVerify.
pub(crate) const ED25519_SCHEME: u16 = 0x0807;
/// Bytes of an ML-DSA-65 signature (FIPS 204).
const ML_DSA_65_SIGNATURE_BYTES: usize = 3309;
const MAC_BYTES: usize = 64;
const KEY_BYTES: usize = 32;

/// Version 3, serial 0, Ed25519, no issuer, the year 1 as both dates, no subject, and the head of the key.
const BEFORE_KEY: &[u8] = b"\xa0\x03\x02\x01\x02\x02\x01\x00\x30\x05\x06\x03\x2b\x65\x70\x30\x00\
    \x30\x22\x18\x0f00010101000000Z\x18\x0f00010101000000Z\x30\x00\
    \x30\x2a\x30\x05\x06\x03\x2b\x65\x70\x03\x21\x00";
/// The head of an Ed25519 key (RFC 8410 §4).
const KEY_HEAD: &[u8] = b"\x30\x2a\x30\x05\x06\x03\x2b\x65\x70\x03\x21\x00";
/// The algorithm Ed25519 and the head of a signature of 64 bytes.
const BEFORE_MAC: &[u8] = b"\x30\x05\x06\x03\x2b\x65\x70\x03\x41\x00";
const HEAD: &[u8] = b"\x30\x81\xaf\x30\x63";
const HEAD_WITH_ML_DSA: &[u8] = b"\x30\x82\x0d\xb1\x30\x82\x0d\x63";
/// Extensions, one of them, its name 0.0 and the head of its value.
const BEFORE_ML_DSA: &[u8] = b"\xa3\x82\x0c\xfc\x30\x82\x0c\xf8\x30\x82\x0c\xf4\x06\x01\x00\x04\x82\x0c\xed";

/// Bytes of the certificate.
pub(crate) const CERTIFICATE_BYTES: usize = 178;
/// Bytes of the certificate with ML-DSA-65.
pub(crate) const ML_DSA_CERTIFICATE_BYTES: usize = 3509;

/// What a connection's certificate is bound to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Hellos<'a> {
    pub(crate) client: &'a [u8],
    pub(crate) server: &'a [u8],
}

/// Writes the certificate; `None` when the signature cannot be made.
pub(crate) fn forge(
    auth: &AuthKey,
    public: &[u8],
    ml_dsa: Option<&PqdsaKeyPair>,
    hellos: &Hellos<'_>,
) -> Option<Vec<u8>> {
    let mut der = Vec::with_capacity(ML_DSA_CERTIFICATE_BYTES);
    der.extend_from_slice(if ml_dsa.is_some() { HEAD_WITH_ML_DSA } else { HEAD });
    der.extend_from_slice(BEFORE_KEY);
    der.extend_from_slice(public);
    if let Some(key) = ml_dsa {
        der.extend_from_slice(BEFORE_ML_DSA);
        let mut signature = vec![0; ML_DSA_65_SIGNATURE_BYTES];
        let message = auth.mac(&[public, hellos.client, hellos.server]);
        let length = key.sign(message.as_ref(), &mut signature).ok()?;
        der.extend_from_slice(signature.get(..length)?);
    }
    der.extend_from_slice(BEFORE_MAC);
    der.extend_from_slice(auth.mac(&[public]).as_ref());
    Some(der)
}

/// The first Ed25519 key of a certificate. What stands around it differs between bridges: Xray and ours write no names,
/// shoes writes the site's.
pub(crate) fn public_key(der: &[u8]) -> Option<&[u8; KEY_BYTES]> {
    let at = der.windows(KEY_HEAD.len()).position(|part| part == KEY_HEAD)?;
    der.get(at + KEY_HEAD.len()..)?.first_chunk()
}

/// Whether the bridge made this certificate for this connection. The MAC says it, whatever the rest is: nobody else can make
/// one, and the connection is signed with the key that it is made of.
pub(crate) fn is_ours(der: &[u8], auth: &AuthKey) -> bool {
    let Some((rest, mac)) = der.split_last_chunk::<MAC_BYTES>() else { return false };
    let Some(public) = public_key(rest).filter(|_key| rest.ends_with(BEFORE_MAC)) else { return false };
    auth.mac(&[public]).as_ref().ct_eq(mac).into()
}

/// Whether the certificate holds the bridge's ML-DSA-65 signature over this connection.
pub(crate) fn is_signed(der: &[u8], auth: &AuthKey, verify: &[u8], hellos: &Hellos<'_>) -> bool {
    let signature = || {
        let rest = der.strip_prefix(HEAD_WITH_ML_DSA)?.strip_prefix(BEFORE_KEY)?;
        let (public, rest) = rest.split_first_chunk::<KEY_BYTES>()?;
        Some((public, rest.strip_prefix(BEFORE_ML_DSA)?.get(..ML_DSA_65_SIGNATURE_BYTES)?))
    };
    let Some((public, signature)) = signature() else { return false };
    let message = auth.mac(&[public, hellos.client, hellos.server]);
    UnparsedPublicKey::new(&ML_DSA_65, verify).verify(message.as_ref(), signature).is_ok()
}

/// Whether `signature` over `message` is of the certificate's key.
pub(crate) fn verifies(der: &[u8], message: &[u8], signature: &[u8]) -> bool {
    public_key(der)
        .is_some_and(|key| UnparsedPublicKey::new(&ED25519, key).verify(message, signature).is_ok())
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::signature::{KeyPair as _, ML_DSA_65_SIGNING};

    use super::*;

    const HELLOS: Hellos<'_> = Hellos { client: b"client", server: b"server" };

    fn auth() -> AuthKey {
        AuthKey::derive(&[1; 32], &[2; 32]).unwrap()
    }

    /// Lengths and places as Xray's source has them: 178 bytes with the key at 72 and the MAC at 114.
    #[test]
    fn the_plain_certificate_has_its_known_places() {
        let der = forge(&auth(), &[9; 32], None, &HELLOS).unwrap();
        assert_eq!(der.len(), CERTIFICATE_BYTES);
        assert_eq!(der[72..104], [9; 32]);
        assert_eq!(der[114..], *auth().mac(&[&[9; 32]]).as_ref());
        assert!(is_ours(&der, &auth()));
        assert!(!is_ours(&der, &AuthKey::derive(&[3; 32], &[2; 32]).unwrap()));
        assert!(!is_signed(&der, &auth(), &[0; 1952], &HELLOS));
        assert!(!is_ours(&der[..100], &auth()) && !is_ours(&[], &auth()));
    }

    #[test]
    fn the_signed_certificate_has_its_known_places() {
        let key = PqdsaKeyPair::from_seed(&ML_DSA_65_SIGNING, &[5; 32]).unwrap();
        let der = forge(&auth(), &[9; 32], Some(&key), &HELLOS).unwrap();
        assert_eq!(der.len(), ML_DSA_CERTIFICATE_BYTES);
        assert_eq!(der[75..107], [9; 32]);
        assert_eq!(der[3445..], *auth().mac(&[&[9; 32]]).as_ref());
        let verify = key.public_key().as_ref();
        assert!(is_ours(&der, &auth()) && is_signed(&der, &auth(), verify, &HELLOS));
        assert!(!is_signed(&der, &auth(), verify, &Hellos { client: b"another", ..HELLOS }));
        assert_eq!(der[126..3435].len(), ML_DSA_65_SIGNATURE_BYTES);
    }

    struct Mac([u8; KEY_BYTES]);

    impl rcgen::PublicKeyData for Mac {
        fn der_bytes(&self) -> &[u8] {
            &self.0
        }

        fn algorithm(&self) -> &'static rcgen::SignatureAlgorithm {
            &rcgen::PKCS_ED25519
        }
    }

    impl rcgen::SigningKey for Mac {
        fn sign(&self, _message: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
            Ok(auth().mac(&[&self.0]).as_ref().to_vec())
        }
    }

    #[test]
    fn names_and_dates_are_the_bridge_s_to_choose() {
        let params = rcgen::CertificateParams::new(vec!["www.example.com".to_owned()]).unwrap();
        let certificate = params.self_signed(&Mac([9; KEY_BYTES])).unwrap();
        let der = certificate.der();
        assert!(der.len() > CERTIFICATE_BYTES && is_ours(der, &auth()));
        assert_eq!(public_key(der), Some(&[9; KEY_BYTES]));
        assert!(!is_ours(der, &AuthKey::derive(&[3; 32], &[2; 32]).unwrap()));
        let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
        assert!(!is_ours(params.self_signed(&key).unwrap().der(), &auth()), "an honest signature is no MAC");
    }
}
