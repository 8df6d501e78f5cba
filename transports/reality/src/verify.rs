//! Who decides about certificates: the bridge's own, the site's own, or anybody's where only lengths matter.

use std::{
    error::Error as StdError,
    sync::{Arc, OnceLock},
};

use commucat_mimic::{CertificateVerifier, Presented, Trust, WebPki};

use crate::{
    auth::AuthKey,
    certificate::{self, ED25519_SCHEME, Hellos},
};

type Refused = Box<dyn StdError + Send + Sync>;

/// Why a certificate is not the bridge's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NotTheBridge {
    /// The bridge is known by its key, and the second signature is missing or wrong.
    #[error("the bridge does not hold the ML-DSA-65 key of the link")]
    MlDsa,
    /// The site, with a valid certificate.
    #[error(
        "the site itself answered: the link's public key, short id or server name is not this bridge's, or the clock \
         of this machine is off by minutes, or the bridge asks for a newer version; get a new link, and check the clock"
    )]
    Site,
    /// Nobody that we know.
    #[error("the certificate is neither the bridge's nor of a trusted site")]
    Stranger,
}

/// Takes the bridge's certificate, or else a real one for the name: that is the site itself.
#[derive(Debug)]
pub(crate) struct BridgeVerifier {
    /// Set while the hello is made.
    pub(crate) auth: Arc<OnceLock<AuthKey>>,
    pub(crate) ml_dsa_65: Option<Vec<u8>>,
    pub(crate) site: Arc<WebPki>,
}

impl BridgeVerifier {
    fn is_ours(&self, leaf: &[u8]) -> Option<&AuthKey> {
        self.auth.get().filter(|auth| certificate::is_ours(leaf, auth))
    }
}

impl CertificateVerifier for BridgeVerifier {
    fn verify(&self, presented: &Presented<'_>) -> Result<Trust, Refused> {
        let leaf = presented.chain.first().map_or(&[][..], Vec::as_slice);
        let Some(auth) = self.is_ours(leaf) else {
            return self.site.verify(presented).map_err(|_untrusted| NotTheBridge::Stranger.into());
        };
        let hellos = Hellos { client: presented.client_hello, server: presented.server_hello };
        match &self.ml_dsa_65 {
            Some(key) if !certificate::is_signed(leaf, auth, key, &hellos) => Err(NotTheBridge::MlDsa.into()),
            _ => Ok(Trust::Own),
        }
    }

    fn verify_signature(
        &self,
        leaf: &[u8],
        scheme: u16,
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), Refused> {
        if self.is_ours(leaf).is_none() {
            return self.site.verify_signature(leaf, scheme, message, signature);
        }
        let good = scheme == ED25519_SCHEME && certificate::verifies(leaf, message, signature);
        if good { Ok(()) } else { Err(NotTheBridge::Stranger.into()) }
    }

    fn takes_unoffered(&self, scheme: u16) -> bool {
        scheme == ED25519_SCHEME
    }
}

/// Takes every certificate: a look at a target asks for lengths, not for who it is.
#[derive(Debug)]
pub(crate) struct Anybody;

impl CertificateVerifier for Anybody {
    fn verify(&self, _presented: &Presented<'_>) -> Result<Trust, Refused> {
        Ok(Trust::Own)
    }

    fn verify_signature(
        &self,
        _leaf: &[u8],
        _scheme: u16,
        _message: &[u8],
        _signature: &[u8],
    ) -> Result<(), Refused> {
        Ok(())
    }

    fn takes_unoffered(&self, _scheme: u16) -> bool {
        true
    }
}
