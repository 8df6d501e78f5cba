//! The optional user name and password of the local port.

use commucat_transport_api::Secret;
use subtle::ConstantTimeEq;

/// Longest user name or password, in bytes (RFC 1929 §2 has one length byte for each).
pub const MAX_CREDENTIAL_BYTES: usize = 255;

/// What a local program must present before it may use the port.
#[derive(Clone, Debug)]
pub struct Credentials {
    user: String,
    password: Secret<String>,
}

impl Credentials {
    /// Both parts; `None` when one is empty or longer than [`MAX_CREDENTIAL_BYTES`], or the name holds a colon
    /// (RFC 7617 §2 cannot carry it).
    pub fn new(user: &str, password: &str) -> Option<Self> {
        let fits = |text: &str| (1..=MAX_CREDENTIAL_BYTES).contains(&text.len());
        (fits(user) && fits(password) && !user.contains(':'))
            .then(|| Self { user: user.to_owned(), password: Secret::new(password.to_owned()) })
    }

    /// Reads `user:password`.
    pub fn parse(text: &str) -> Option<Self> {
        let (user, password) = text.split_once(':')?;
        Self::new(user, password)
    }

    /// Whether this is the pair, in time that does not depend on where it differs.
    pub(crate) fn matches(&self, user: &[u8], password: &[u8]) -> bool {
        let same = |a: &[u8], b: &[u8]| blake3::hash(a).as_bytes().ct_eq(blake3::hash(b).as_bytes());
        (same(self.user.as_bytes(), user) & same(self.password.expose().as_bytes(), password)).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_whole_pair_matches() {
        let credentials = Credentials::parse("ann:se:cret").unwrap();
        assert!(credentials.matches(b"ann", b"se:cret"));
        assert!(!credentials.matches(b"ann", b"se:cre"));
        assert!(!credentials.matches(b"an", b"se:cret"));
        assert!(!credentials.matches(b"", b""));
        assert!(!format!("{credentials:?}").contains("se:cret"));
    }

    #[test]
    fn pairs_that_cannot_be_sent_are_refused() {
        assert!(Credentials::parse("no-colon").is_none());
        assert!(Credentials::new("", "x").is_none());
        assert!(Credentials::new("a:b", "x").is_none());
        assert!(Credentials::new("a", &"x".repeat(256)).is_none());
    }
}
