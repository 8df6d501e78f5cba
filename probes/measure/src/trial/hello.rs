//! Hellos to send: whose fingerprint, which name.

use commucat_dissect::tls::{
    self, Defragment, Hello,
    build::{Extension, HelloSpec},
};
use commucat_verdict::observations::Fingerprint;

/// A hello, ready to be sent in one write.
#[derive(Clone, Debug)]
pub(crate) struct BuiltHello {
    pub(crate) bytes: Vec<u8>,
    pub(crate) name: Option<String>,
    pub(crate) ja4: String,
}

/// What to do about the encrypted_client_hello extension. Browsers send it always, with random content where they know
/// no key (GREASE); on the wire both look the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ech {
    /// As that client does.
    AsUsual,
    /// Left out.
    Without,
}

/// Builds a hello; `None` when the name is too long for one. Its key shares are random: the handshake cannot be
/// finished, which nothing here wants.
pub(crate) fn build(
    fingerprint: Fingerprint,
    name: Option<String>,
    ech: Ech,
    rng: &mut fastrand::Rng,
) -> Option<BuiltHello> {
    let mut spec = match fingerprint {
        Fingerprint::ChromeStale => HelloSpec::chrome_stale(),
        Fingerprint::Firefox => HelloSpec::firefox(),
        Fingerprint::CurlLike => HelloSpec::curl_like(),
        _ => HelloSpec::chrome_current(),
    };
    spec.server_name.clone_from(&name);
    if ech == Ech::Without {
        spec.extensions.retain(|extension| !matches!(extension, Extension::EchGrease { .. }));
    }
    let bytes = spec.record(rng.u64(..)).ok()?;
    let Hello::Complete(hello) = tls::client_hello(&bytes, Defragment::Records) else {
        return None;
    };
    let ja4 = hello.ja4(tls::Transport::Tcp);
    Some(BuiltHello { bytes, name, ja4 })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(built: &BuiltHello) -> Box<tls::ClientHello> {
        tls::client_hello(&built.bytes, Defragment::None).complete().unwrap()
    }

    #[test]
    fn hellos_differ_in_what_is_asked_and_nothing_else() {
        let mut rng = fastrand::Rng::with_seed(1);
        let mut make = |fingerprint, name: Option<&str>, ech| {
            build(fingerprint, name.map(str::to_owned), ech, &mut rng).unwrap()
        };
        let with = make(Fingerprint::ChromeCurrent, Some("a.example"), Ech::AsUsual);
        assert_eq!(parsed(&with).server_name(), Some("a.example"));
        assert!(parsed(&with).ech());
        let without = make(Fingerprint::ChromeCurrent, Some("a.example"), Ech::Without);
        assert!(!parsed(&without).ech());
        let nameless = make(Fingerprint::ChromeCurrent, None, Ech::AsUsual);
        assert_eq!(parsed(&nameless).server_name(), None);
        let again = make(Fingerprint::ChromeCurrent, Some("b.example"), Ech::AsUsual);
        assert_eq!(again.ja4, with.ja4, "the name does not change the fingerprint");
        let stale = make(Fingerprint::ChromeStale, Some("a.example"), Ech::AsUsual);
        assert_eq!(stale.ja4, "t13d1516h2_8daaf6152771_d8a2da3f94cd");
        let others = [Fingerprint::Firefox, Fingerprint::CurlLike]
            .map(|one| make(one, Some("a.example"), Ech::AsUsual));
        assert!(others.iter().all(|other| other.ja4 != with.ja4 && other.ja4 != stale.ja4));
    }
}
