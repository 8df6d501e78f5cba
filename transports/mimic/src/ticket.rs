//! Session tickets: what a returning browser shows (RFC 8446 §4.2.11, §4.6.1).

use std::{fmt, time::Duration};

use crate::{
    codec::{Reader, extension, vec8, vec16},
    schedule::{SecretBytes, Suite},
};

/// pre_shared_key.
pub(crate) const PRE_SHARED_KEY: u16 = 41;
/// The longest life of a ticket (RFC 8446 §4.6.1).
const MAX_LIFETIME: Duration = Duration::from_hours(24 * 7);

/// A ticket of a server, for one later connection to it. A browser uses a ticket once.
#[derive(Clone)]
pub struct Ticket {
    identity: Vec<u8>,
    psk: SecretBytes,
    suite: Suite,
    age_add: u32,
    lifetime: Duration,
    received: Duration,
}

impl Ticket {
    /// Reads a NewSessionTicket body that arrived at `now` (time since 1970). `None` when it cannot be read.
    pub(crate) fn read(body: &[u8], suite: Suite, resumption: &[u8], now: Duration) -> Option<Self> {
        let mut reader = Reader::new(body);
        let lifetime = Duration::from_secs(reader.u32()?.into()).min(MAX_LIFETIME);
        let age_add = reader.u32()?;
        let nonce = reader.vec8()?;
        let identity = reader.vec16()?.to_vec();
        reader.vec16()?;
        if !reader.is_empty() || identity.is_empty() {
            return None;
        }
        let psk = suite.expand(resumption, "resumption", nonce, suite.hash_bytes());
        Some(Self { identity, psk, suite, age_add, lifetime, received: now })
    }

    /// Whether the server may still take it at `now` (time since 1970).
    pub fn is_alive(&self, now: Duration) -> bool {
        now.checked_sub(self.received).is_some_and(|age| age < self.lifetime)
    }

    pub(crate) fn psk(&self) -> &[u8] {
        &self.psk
    }

    pub(crate) const fn suite(&self) -> Suite {
        self.suite
    }

    /// Appends the extension to the body of a hello with a binder of zeros, and says where the binders begin: what is
    /// hashed for the binder ends there.
    pub(crate) fn offer(&self, out: &mut Vec<u8>, now: Duration) -> Offered {
        let age = now.saturating_sub(self.received).as_millis();
        // Modulo 2^32, as the RFC says.
        let age = u32::try_from(age & u128::from(u32::MAX)).unwrap_or_default();
        write(out, &self.identity, age.wrapping_add(self.age_add), &vec![0; self.suite.hash_bytes()])
    }
}

impl fmt::Debug for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Ticket({} bytes, {:?})", self.identity.len(), self.suite)
    }
}

/// Where an offered ticket's binders stand.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Offered {
    /// Bytes from the end of the message at which the binders list begins.
    pub(crate) binders_from_end: usize,
}

/// Appends a pre_shared_key extension.
pub(crate) fn write(out: &mut Vec<u8>, identity: &[u8], obfuscated_age: u32, binder: &[u8]) -> Offered {
    extension(out, PRE_SHARED_KEY, |out| {
        vec16(out, |out| {
            vec16(out, |out| out.extend_from_slice(identity));
            out.extend_from_slice(&obfuscated_age.to_be_bytes());
        });
        vec16(out, |out| vec8(out, |out| out.extend_from_slice(binder)));
    });
    Offered { binders_from_end: 2 + 1 + binder.len() }
}
