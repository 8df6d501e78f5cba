//! Key shares: X25519, P-256, P-384 and the hybrid X25519MLKEM768.

use std::fmt;

use aws_lc_rs::{
    agreement::{self, ECDH_P256, ECDH_P384, PrivateKey, UnparsedPublicKey, X25519},
    kem::{Ciphertext, DecapsulationKey, EncapsulationKey, ML_KEM_768},
};
use zeroize::Zeroizing;

use crate::{Error, Random, random::array};

pub(crate) const SECP256R1: u16 = 0x0017;
pub(crate) const SECP384R1: u16 = 0x0018;
pub(crate) const GROUP_X25519: u16 = 0x001d;
/// X25519MLKEM768 (draft-ietf-tls-ecdhe-mlkem): the ML-KEM part comes first in shares and in the secret.
pub(crate) const X25519_MLKEM768: u16 = 0x11ec;

/// Bytes of an X25519 key.
const X25519_BYTES: usize = 32;
/// Bytes of an ML-KEM-768 encapsulation key (FIPS 203).
const ML_KEM_768_KEY_BYTES: usize = 1184;
/// Bytes of an ML-KEM-768 ciphertext (FIPS 203).
const ML_KEM_768_CIPHERTEXT_BYTES: usize = 1088;

/// Whether a share of that group can be made.
pub(crate) const fn can_make(group: u16) -> bool {
    matches!(group, SECP256R1 | SECP384R1 | GROUP_X25519 | X25519_MLKEM768)
}

/// The private half of one share.
pub(crate) struct Share {
    group: u16,
    curve: PrivateKey,
    kem: Option<DecapsulationKey>,
    public: Vec<u8>,
}

impl Share {
    /// Makes a share. With `x25519`, its X25519 part is that key instead of a fresh one.
    pub(crate) fn generate(
        group: u16,
        random: &mut dyn Random,
        x25519: Option<&[u8; X25519_BYTES]>,
    ) -> Result<Self, Error> {
        let failed = |_unspecified| Error::Crypto("making a key share");
        let curve = match group {
            SECP256R1 => PrivateKey::generate(&ECDH_P256).map_err(failed)?,
            SECP384R1 => PrivateKey::generate(&ECDH_P384).map_err(failed)?,
            GROUP_X25519 | X25519_MLKEM768 => {
                let drawn = Zeroizing::new(array::<X25519_BYTES>(random)?);
                PrivateKey::from_private_key(&X25519, x25519.unwrap_or(&drawn))
                    .map_err(|_source| Error::Crypto("making an X25519 key"))?
            }
            _ => return Err(Error::Crypto("a group that cannot be made")),
        };
        let mut public = Vec::new();
        let mut kem = None;
        if group == X25519_MLKEM768 {
            // aws-lc draws this key itself: its randomness is the system's.
            let key = DecapsulationKey::generate(&ML_KEM_768).map_err(failed)?;
            let encapsulation = key.encapsulation_key().and_then(|key| key.key_bytes()).map_err(failed)?;
            public.extend_from_slice(encapsulation.as_ref());
            kem = Some(key);
        }
        public.extend_from_slice(curve.compute_public_key().map_err(failed)?.as_ref());
        Ok(Self { group, curve, kem, public })
    }

    pub(crate) const fn group(&self) -> u16 {
        self.group
    }

    /// What goes into the hello.
    pub(crate) fn public(&self) -> &[u8] {
        &self.public
    }

    /// The secret shared with a server whose share is `peer`.
    pub(crate) fn agree(&self, peer: &[u8]) -> Result<Zeroizing<Vec<u8>>, Error> {
        let Some(kem) = &self.kem else {
            return diffie_hellman(&self.curve, peer);
        };
        let (ciphertext, point) = peer
            .split_at_checked(ML_KEM_768_CIPHERTEXT_BYTES)
            .ok_or(Error::Illegal("a hybrid key share that is too short"))?;
        let inner = kem
            .decapsulate(Ciphertext::from(ciphertext))
            .map_err(|_source| Error::Illegal("a hybrid key share that does not open"))?;
        let mut secret = Zeroizing::new(inner.as_ref().to_vec());
        secret.extend_from_slice(&diffie_hellman(&self.curve, point)?);
        Ok(secret)
    }

    /// The secret that its X25519 key shares with `peer`; `None` where it has no such key.
    pub(crate) fn agree_x25519(
        &self,
        peer: &[u8; X25519_BYTES],
    ) -> Option<Result<Zeroizing<Vec<u8>>, Error>> {
        matches!(self.group, GROUP_X25519 | X25519_MLKEM768).then(|| diffie_hellman(&self.curve, peer))
    }
}

/// The answering end of a share.
pub(crate) struct Server {
    /// What goes into the ServerHello.
    pub(crate) public: Vec<u8>,
    pub(crate) secret: Zeroizing<Vec<u8>>,
}

impl Server {
    /// Answers a client's X25519 or hybrid share.
    pub(crate) fn answer(group: u16, theirs: &[u8], random: &mut dyn Random) -> Result<Self, Error> {
        let own = Share::generate(GROUP_X25519, random, None)?;
        match group {
            GROUP_X25519 => Ok(Self { public: own.public.clone(), secret: own.agree(theirs)? }),
            X25519_MLKEM768 => {
                let (encapsulation, point) = theirs
                    .split_at_checked(ML_KEM_768_KEY_BYTES)
                    .ok_or(Error::Illegal("a hybrid key share that is too short"))?;
                let (ciphertext, inner) = EncapsulationKey::new(&ML_KEM_768, encapsulation)
                    .map_err(|_rejected| Error::Illegal("an ML-KEM key that is none"))?
                    .encapsulate()
                    .map_err(|_unspecified| Error::Illegal("an ML-KEM key that does not work"))?;
                let mut secret = Zeroizing::new(inner.as_ref().to_vec());
                secret.extend_from_slice(&own.agree(point)?);
                Ok(Self { public: [ciphertext.as_ref(), own.public()].concat(), secret })
            }
            _ => Err(Error::Crypto("a group that cannot be answered")),
        }
    }
}

fn diffie_hellman(own: &PrivateKey, peer: &[u8]) -> Result<Zeroizing<Vec<u8>>, Error> {
    let peer = UnparsedPublicKey::new(own.algorithm(), peer);
    agreement::agree(own, peer, Error::Illegal("a key share that is no point"), |secret| {
        Ok(Zeroizing::new(secret.to_vec()))
    })
}

impl fmt::Debug for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Share({:04x})", self.group)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::NoRandomness;

    fn seven(bytes: &mut [u8]) -> Result<(), NoRandomness> {
        bytes.fill(7);
        Ok(())
    }

    #[test]
    fn both_ends_agree_in_every_group() {
        for group in [SECP256R1, SECP384R1, GROUP_X25519] {
            let ours = Share::generate(group, &mut seven, None).unwrap();
            let theirs = Share::generate(group, &mut seven, Some(&[9; 32])).unwrap();
            assert_eq!(ours.agree(theirs.public()).unwrap(), theirs.agree(ours.public()).unwrap());
            assert!(ours.agree(&[0; 31]).is_err());
        }
    }

    #[test]
    fn the_hybrid_is_mlkem_then_x25519() {
        let ours = Share::generate(X25519_MLKEM768, &mut seven, None).unwrap();
        assert_eq!(ours.public().len(), 1216);
        let (encapsulation, point) = ours.public().split_at(1184);
        let (ciphertext, inner) =
            EncapsulationKey::new(&ML_KEM_768, encapsulation).unwrap().encapsulate().unwrap();
        let theirs = Share::generate(GROUP_X25519, &mut seven, Some(&[9; 32])).unwrap();
        let peer = [ciphertext.as_ref(), theirs.public()].concat();
        let expected = [inner.as_ref(), theirs.agree(point).unwrap().as_slice()].concat();
        assert_eq!(*ours.agree(&peer).unwrap(), expected);
        assert!(ours.agree(&peer[..1119]).is_err());
    }
}
