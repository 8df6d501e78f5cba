//! Who asks: the user of the tunnel, or the bearer of a token.
//!
//! A request that came through a transport carries its user as [`TunnelUser`], put there by the bridge after the
//! transport authenticated it. Any other request needs `Authorization: Bearer TOKEN`. The token is derived from the
//! user's secret, so it needs no table of its own and ends with the secret.

use std::{
    collections::HashMap,
    fmt,
    net::{IpAddr, SocketAddr},
    sync::{Arc, PoisonError, RwLock},
};

use axum::http::{HeaderMap, header};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use commucat_transport_api::{Secret, USER_SECRET_BYTES, User, UserId, UserTable};
use subtle::ConstantTimeEq as _;

const TOKEN_BYTES: usize = 32;
const TOKEN_LABEL: &str = "commucat api token v1";
const INDEX_LABEL: &str = "commucat api token index v1";

/// The user whose channel a request came through. The bridge puts it into the request's extensions; nothing a peer
/// sends can.
#[derive(Clone, Debug)]
pub struct TunnelUser(pub UserId);

/// The address a request came from, for the rate zone of strangers. The bridge puts it into the request's extensions.
#[derive(Clone, Copy)]
pub struct PeerAddress(pub SocketAddr);

impl fmt::Debug for PeerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PeerAddress([redacted])")
    }
}

/// What a user shows to the API outside a tunnel: 32 bytes, written as base64url without padding.
#[derive(Clone, Debug)]
pub struct ApiToken(Secret<[u8; TOKEN_BYTES]>);

/// A text is no token. Does not repeat it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a token is 43 characters of base64url")]
pub struct TokenError;

impl ApiToken {
    /// The token of the user with this secret.
    pub fn of(secret: &Secret<[u8; USER_SECRET_BYTES]>) -> Self {
        Self(Secret::new(blake3::derive_key(TOKEN_LABEL, secret.expose())))
    }

    /// Reads a token.
    ///
    /// # Errors
    /// It is none.
    pub fn parse(text: &str) -> Result<Self, TokenError> {
        let mut bytes = [0; TOKEN_BYTES];
        match URL_SAFE_NO_PAD.decode_slice(text, &mut bytes) {
            Ok(TOKEN_BYTES) => Ok(Self(Secret::new(bytes))),
            Ok(_) | Err(_) => Err(TokenError),
        }
    }

    /// The token as it stands after `Bearer`.
    pub fn to_text(&self) -> Secret<String> {
        Secret::new(URL_SAFE_NO_PAD.encode(self.0.expose()))
    }

    /// Where the token stands in the index. A hash: how long a look-up takes tells nothing of the token.
    fn place(&self) -> [u8; TOKEN_BYTES] {
        blake3::derive_key(INDEX_LABEL, self.0.expose())
    }
}

/// Who may ask, by name and by token; follows the user table.
#[derive(Debug)]
pub(crate) struct Users {
    index: RwLock<Arc<Index>>,
}

#[derive(Default)]
struct Index {
    generation: u64,
    by_id: HashMap<UserId, User>,
    by_place: HashMap<[u8; TOKEN_BYTES], (ApiToken, UserId)>,
}

impl fmt::Debug for Index {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Index").field("users", &self.by_id.len()).finish_non_exhaustive()
    }
}

impl Users {
    pub(crate) fn new() -> Self {
        Self { index: RwLock::default() }
    }

    pub(crate) fn by_id(&self, table: &UserTable, id: &UserId) -> Option<User> {
        self.current(table).by_id.get(id).cloned()
    }

    pub(crate) fn by_token(&self, table: &UserTable, token: &ApiToken) -> Option<User> {
        let index = self.current(table);
        let (known, id) = index.by_place.get(&token.place())?;
        let same: bool = known.0.expose().ct_eq(token.0.expose()).into();
        if !same {
            return None;
        }
        index.by_id.get(id).cloned()
    }

    fn current(&self, table: &UserTable) -> Arc<Index> {
        let generation = table.generation();
        let index = Arc::clone(&self.index.read().unwrap_or_else(PoisonError::into_inner));
        if index.generation == generation {
            return index;
        }
        let fresh = Arc::new(Index::of(generation, &table.snapshot()));
        *self.index.write().unwrap_or_else(PoisonError::into_inner) = Arc::clone(&fresh);
        fresh
    }
}

impl Index {
    fn of(generation: u64, users: &[User]) -> Self {
        let tokens = users.iter().map(|user| (ApiToken::of(&user.secret), user.id.clone()));
        Self {
            generation,
            by_id: users.iter().map(|user| (user.id.clone(), user.clone())).collect(),
            by_place: tokens.map(|(token, id)| (token.place(), (token, id))).collect(),
        }
    }
}

/// The token of an `Authorization: Bearer` header, when there is exactly one that reads as a token.
pub(crate) fn bearer(headers: &HeaderMap) -> Option<ApiToken> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let value = values.next()?.to_str().ok()?;
    if values.next().is_some() {
        return None;
    }
    let (scheme, token) = value.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("bearer") {
        return None;
    }
    ApiToken::parse(token.trim()).ok()
}

/// Strangers of one network share a rate zone: a household's IPv4 /24 neighbours, or an IPv6 /56 as providers hand
/// them out.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum AddressClass {
    V4([u8; 3]),
    V6([u8; 7]),
    /// The bridge did not say.
    Unknown,
}

impl From<Option<&PeerAddress>> for AddressClass {
    fn from(peer: Option<&PeerAddress>) -> Self {
        match peer.map(|peer| peer.0.ip().to_canonical()) {
            Some(IpAddr::V4(ip)) => {
                let [a, b, c, _host] = ip.octets();
                Self::V4([a, b, c])
            }
            Some(IpAddr::V6(ip)) => {
                let [a, b, c, d, e, f, g, ..] = ip.octets();
                Self::V6([a, b, c, d, e, f, g])
            }
            None => Self::Unknown,
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn user(name: &str, byte: u8) -> User {
        User { id: name.parse().unwrap(), secret: Secret::new([byte; 32]) }
    }

    #[test]
    fn tokens_find_their_user_and_follow_the_table() {
        let table = UserTable::new(vec![user("alice", 1), user("bob", 2)]);
        let users = Users::new();
        let token = ApiToken::of(&Secret::new([2; 32]));
        assert_eq!(users.by_token(&table, &token).unwrap().id.as_str(), "bob");
        assert!(users.by_token(&table, &ApiToken::of(&Secret::new([3; 32]))).is_none());
        assert!(users.by_id(&table, &"alice".parse().unwrap()).is_some());

        table.replace(vec![user("alice", 1), user("bob", 9)]);
        assert!(users.by_token(&table, &token).is_none(), "the secret was rotated");
        table.replace(vec![]);
        assert!(users.by_id(&table, &"alice".parse().unwrap()).is_none());
    }

    #[test]
    fn tokens_round_trip_and_do_not_print() {
        let token = ApiToken::of(&Secret::new([7; 32]));
        let text = token.to_text();
        assert_eq!(text.expose().len(), 43);
        assert_eq!(ApiToken::parse(text.expose()).unwrap().to_text().expose(), text.expose());
        assert!(!format!("{token:?}").contains(text.expose().as_str()));
        for bad in ["", "short", &format!("{}A", text.expose()), &"!".repeat(43)] {
            assert!(ApiToken::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn only_one_well_formed_header_counts() {
        let token = ApiToken::of(&Secret::new([7; 32]));
        let good = HeaderValue::from_str(&format!("bEARER {}", token.to_text().expose())).unwrap();
        let mut headers = HeaderMap::new();
        assert!(bearer(&headers).is_none());
        headers.insert(header::AUTHORIZATION, good.clone());
        assert!(bearer(&headers).is_some());
        headers.append(header::AUTHORIZATION, good);
        assert!(bearer(&headers).is_none(), "two are none");
        headers.insert(header::AUTHORIZATION, HeaderValue::from_static("Basic YTpi"));
        assert!(bearer(&headers).is_none());
    }

    #[test]
    fn neighbours_share_a_class() {
        let class = |text: &str| AddressClass::from(Some(&PeerAddress(text.parse().unwrap())));
        assert!(class("192.0.2.1:1") == class("192.0.2.250:9"));
        assert!(class("192.0.2.1:1") != class("192.0.3.1:1"));
        assert!(class("[::ffff:192.0.2.1]:1") == class("192.0.2.9:1"), "a mapped address is its IPv4 one");
        assert!(class("[2001:db8:0:100::1]:1") == class("[2001:db8:0:1ff::2]:1"));
        assert!(class("[2001:db8:0:100::1]:1") != class("[2001:db8:0:200::1]:1"));
        assert!(AddressClass::from(None) == AddressClass::Unknown);
    }
}
