//! The key schedule of TLS 1.3 (RFC 8446 §7.1).

use std::fmt;

use aws_lc_rs::{
    aead::{self, AES_128_GCM, AES_256_GCM, CHACHA20_POLY1305},
    digest::{self, SHA256, SHA384},
    hmac::{self, HMAC_SHA256, HMAC_SHA384},
};
use zeroize::Zeroizing;

use crate::{Error, codec::vec8};

/// A secret of the schedule.
pub(crate) type SecretBytes = Zeroizing<Vec<u8>>;

/// A cipher suite of TLS 1.3.
#[derive(Clone, Copy)]
pub(crate) struct Suite {
    pub(crate) number: u16,
    pub(crate) aead: &'static aead::Algorithm,
    pub(crate) hash: &'static digest::Algorithm,
    hmac: hmac::Algorithm,
}

impl Suite {
    /// The suite of that number, if it is one of TLS 1.3's that is spoken here.
    pub(crate) fn of(number: u16) -> Option<Self> {
        let (aead, hash, hmac) = match number {
            0x1301 => (&AES_128_GCM, &SHA256, HMAC_SHA256),
            0x1302 => (&AES_256_GCM, &SHA384, HMAC_SHA384),
            0x1303 => (&CHACHA20_POLY1305, &SHA256, HMAC_SHA256),
            _ => return None,
        };
        Some(Self { number, aead, hash, hmac })
    }

    pub(crate) fn hash_bytes(&self) -> usize {
        self.hash.output_len()
    }

    fn mac(&self, key: &[u8], message: &[u8]) -> SecretBytes {
        Zeroizing::new(hmac::sign(&hmac::Key::new(self.hmac, key), message).as_ref().to_vec())
    }

    /// HKDF-Expand-Label.
    pub(crate) fn expand(&self, secret: &[u8], label: &str, context: &[u8], length: usize) -> SecretBytes {
        let mut info = Vec::with_capacity(64);
        info.extend_from_slice(&u16::try_from(length).unwrap_or(u16::MAX).to_be_bytes());
        vec8(&mut info, |out| {
            out.extend_from_slice(b"tls13 ");
            out.extend_from_slice(label.as_bytes());
        });
        vec8(&mut info, |out| out.extend_from_slice(context));
        let mut output = Zeroizing::new(Vec::with_capacity(length + self.hash_bytes()));
        let mut block = Zeroizing::new(Vec::new());
        for counter in 1..=u8::MAX {
            if output.len() >= length {
                break;
            }
            let message = Zeroizing::new([block.as_slice(), &info, &[counter]].concat());
            block = self.mac(secret, &message);
            output.extend_from_slice(&block);
        }
        output.truncate(length);
        output
    }

    /// Derive-Secret over a transcript hash.
    pub(crate) fn derive(&self, secret: &[u8], label: &str, transcript_hash: &[u8]) -> SecretBytes {
        self.expand(secret, label, transcript_hash, self.hash_bytes())
    }

    /// The verify_data of Finished, or a binder, by its base key (RFC 8446 §4.4.4).
    pub(crate) fn finished(&self, base: &[u8], transcript_hash: &[u8]) -> SecretBytes {
        let key = self.expand(base, "finished", &[], self.hash_bytes());
        self.mac(&key, transcript_hash)
    }

    pub(crate) fn digest(&self, message: &[u8]) -> digest::Digest {
        digest::digest(self.hash, message)
    }

    /// The early secret of a pre-shared key; of zeros without one.
    pub(crate) fn early_secret(&self, psk: Option<&[u8]>) -> SecretBytes {
        let zeros = vec![0; self.hash_bytes()];
        self.mac(&zeros, psk.unwrap_or(&zeros))
    }

    /// The binder of a resumption ticket over a hello without its binders (RFC 8446 §4.2.11.2).
    pub(crate) fn resumption_binder(&self, psk: &[u8], transcript_hash: &[u8]) -> SecretBytes {
        let early = self.early_secret(Some(psk));
        let key = self.derive(&early, "res binder", self.digest(&[]).as_ref());
        self.finished(&key, transcript_hash)
    }

    /// The next secret of the chain: derives from the last and mixes `input` in.
    fn next(&self, secret: &[u8], input: Option<&[u8]>) -> SecretBytes {
        let salt = self.derive(secret, "derived", self.digest(&[]).as_ref());
        let zeros = vec![0; self.hash_bytes()];
        self.mac(&salt, input.unwrap_or(&zeros))
    }
}

impl fmt::Debug for Suite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Suite({:04x})", self.number)
    }
}

/// The secrets of a handshake.
pub(crate) struct Handshake {
    pub(crate) suite: Suite,
    secret: SecretBytes,
    pub(crate) client: SecretBytes,
    pub(crate) server: SecretBytes,
}

impl Handshake {
    /// From the shared secret and the hash up to ServerHello.
    pub(crate) fn new(suite: Suite, psk: Option<&[u8]>, shared: &[u8], hash: &[u8]) -> Self {
        let early = suite.early_secret(psk);
        let secret = suite.next(&early, Some(shared));
        let client = suite.derive(&secret, "c hs traffic", hash);
        let server = suite.derive(&secret, "s hs traffic", hash);
        Self { suite, secret, client, server }
    }

    /// The application secrets, with the hash up to the server's Finished.
    pub(crate) fn application(&self, hash: &[u8]) -> Application {
        let master = self.suite.next(&self.secret, None);
        Application {
            client: self.suite.derive(&master, "c ap traffic", hash),
            server: self.suite.derive(&master, "s ap traffic", hash),
            master,
        }
    }
}

/// The secrets of an open connection.
pub(crate) struct Application {
    master: SecretBytes,
    pub(crate) client: SecretBytes,
    pub(crate) server: SecretBytes,
}

impl Application {
    /// The resumption secret, with the hash up to the client's Finished.
    pub(crate) fn resumption(&self, suite: Suite, hash: &[u8]) -> SecretBytes {
        suite.derive(&self.master, "res master", hash)
    }
}

/// The running hash over handshake messages.
#[derive(Clone)]
pub(crate) struct Transcript(digest::Context);

impl Transcript {
    pub(crate) fn new(suite: Suite, first: &[u8]) -> Self {
        let mut context = digest::Context::new(suite.hash);
        context.update(first);
        Self(context)
    }

    /// After a HelloRetryRequest the first hello is replaced by its hash (RFC 8446 §4.4.1).
    pub(crate) fn after_retry(suite: Suite, first: &[u8]) -> Result<Self, Error> {
        let hash = suite.digest(first);
        let length =
            u8::try_from(suite.hash_bytes()).map_err(|_source| Error::Crypto("a hash of that length"))?;
        let mut context = digest::Context::new(suite.hash);
        context.update(&[254, 0, 0, length]);
        context.update(hash.as_ref());
        Ok(Self(context))
    }

    pub(crate) fn add(&mut self, message: &[u8]) {
        self.0.update(message);
    }

    pub(crate) fn hash(&self) -> digest::Digest {
        self.0.clone().finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(text: &str) -> Vec<u8> {
        let digit = |byte: u8| u8::try_from(char::from(byte).to_digit(16).unwrap()).unwrap();
        text.as_bytes().as_chunks::<2>().0.iter().map(|[high, low]| digit(*high) << 4 | digit(*low)).collect()
    }

    /// RFC 8448 §3: the secrets of the simple 1-RTT handshake.
    #[test]
    fn the_secrets_of_rfc_8448() {
        let suite = Suite::of(0x1301).unwrap();
        let early = suite.early_secret(None);
        assert_eq!(*early, hex("33ad0a1c607ec03b09e6cd9893680ce210adf300aa1f2660e1b22e10f170f92a"));
        let shared = hex("8bd4054fb55b9d63fdfbacf9f04b9f0d35e6d63f537563efd46272900f89492d");
        let hash = hex("860c06edc07858ee8e78f0e7428c58edd6b43f2ca3e6e95f02ed063cf0e1cad8");
        let handshake = Handshake::new(suite, None, &shared, &hash);
        assert_eq!(
            *handshake.client,
            hex("b3eddb126e067f35a780b3abf45e2d8f3b1a950738f52e9600746a0e27a55a21")
        );
        assert_eq!(
            *handshake.server,
            hex("b67b7d690cc16c4e75e54213cb2d37b4e9c912bcded9105d42befd59d391ad38")
        );
        let key = suite.expand(&handshake.server, "key", &[], 16);
        let iv = suite.expand(&handshake.server, "iv", &[], 12);
        assert_eq!(*key, hex("3fce516009c21727d0f2e4e86ee403bc"));
        assert_eq!(*iv, hex("5d313eb2671276ee13000b30"));
    }
}
