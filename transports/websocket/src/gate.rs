//! Who gets in. Pure: a request head, the time and the users in, a judgement out.
//!
//! The path and the token of every upgrade request are both looked at, whatever came of the other, so that time tells a
//! stranger nothing about which one was wrong.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use base64::{
    Engine, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use commucat_transport_api::{Target, UserId, UserTable};
use subtle::ConstantTimeEq;

use crate::{
    users::{Replays, UserIndex},
    wire::{
        head::RequestHead,
        request,
        token::{self, BridgeKeys, MAX_EARLY_BYTES, MAX_SEALED_BYTES},
        upgrade::Mode,
        verdict::{self, ID_BYTES, Reason},
    },
};

/// Reads base64url with and without padding.
const BASE64URL: GeneralPurpose = GeneralPurpose::new(
    &alphabet::URL_SAFE,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);
/// Longest `Sec-WebSocket-Protocol` value that is decoded, in bytes.
const MAX_PROTOCOL_BYTES: usize = MAX_SEALED_BYTES.div_ceil(3) * 4;

/// Somebody who may come in.
#[derive(Debug)]
pub(crate) struct Admitted {
    pub(crate) mode: Mode,
    /// `Sec-WebSocket-Key`, to be answered.
    pub(crate) key: Option<String>,
    /// `Sec-WebSocket-Protocol`, to be echoed.
    pub(crate) protocol: Option<String>,
    pub(crate) user: Option<UserId>,
    pub(crate) target: Target,
    /// The first payload.
    pub(crate) early: Vec<u8>,
}

/// What becomes of a request.
#[derive(Debug)]
pub(crate) enum Judgement {
    /// Answer 101.
    Admit(Box<Admitted>),
    /// Answer as the cover site does.
    Cover {
        /// The id to show, when it says something; else a random one.
        id: Option<[u8; ID_BYTES]>,
        /// The same token came before.
        replayed: bool,
    },
}

impl Judgement {
    const STRANGER: Self = Self::Cover { id: None, replayed: false };
}

/// What the judgement rests on.
#[derive(Debug)]
pub(crate) struct Gate {
    path: String,
    /// `None` with `auth: "none"`.
    tokens: Option<Tokens>,
}

#[derive(Debug)]
struct Tokens {
    keys: BridgeKeys,
    users: UserIndex,
    replays: Replays,
    terms: Terms,
}

/// What a good token must keep to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Terms {
    /// How far a client's clock may be off.
    pub(crate) tolerance: Duration,
    /// The oldest token version that is let in.
    pub(crate) min_version: u8,
}

/// The time of a judgement, on both clocks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Now {
    pub(crate) monotonic: Instant,
    pub(crate) unix: Duration,
}

impl Gate {
    pub(crate) fn new(path: &str, keys: Option<BridgeKeys>, users: &Arc<UserTable>, terms: Terms) -> Self {
        let tokens = keys.map(|keys| Tokens {
            keys,
            users: UserIndex::new(Arc::clone(users)),
            // A token may be as old as the tolerance and as young: it is valid for twice as long.
            replays: Replays::new(terms.tolerance * 2 + Duration::from_secs(2)),
            terms,
        });
        Self { path: path.to_owned(), tokens }
    }

    /// Judges a request.
    pub(crate) fn judge(&self, head: &RequestHead, now: Now) -> Judgement {
        if !head.asks_upgrade() {
            return Judgement::STRANGER;
        }
        let path_right: bool = head.path().as_bytes().ct_eq(self.path.as_bytes()).into();
        let protocol = text(head, "Sec-WebSocket-Protocol").filter(|value| value.len() <= MAX_PROTOCOL_BYTES);
        let decoded = protocol.as_deref().and_then(|text| BASE64URL.decode(text).ok());
        let upgrade = Upgrade::read(head);
        let judged = match &self.tokens {
            Some(tokens) => {
                tokens.judge(decoded.as_deref().unwrap_or_default(), now, path_right && upgrade.is_some())
            }
            None if path_right => Ok((None, Target::Bridge, early(decoded.as_deref()))),
            None => Err(Judgement::STRANGER),
        };
        match (judged, upgrade) {
            (Ok((user, target, early)), Some(Upgrade { mode, key })) if path_right => {
                // A list of subprotocols is not ours to choose from.
                let protocol = protocol.filter(|value| !value.contains(','));
                Judgement::Admit(Box::new(Admitted { mode, key, protocol, user, target, early }))
            }
            (Err(judgement), Some(_)) if path_right => judgement,
            _ => Judgement::STRANGER,
        }
    }
}

/// Early data of a peer without tokens. What is no base64 is some subprotocol, not data.
fn early(decoded: Option<&[u8]>) -> Vec<u8> {
    decoded.filter(|data| data.len() <= MAX_EARLY_BYTES).unwrap_or_default().to_vec()
}

impl Tokens {
    /// `in_earnest`: the rest of the request is right, so the salt is spent.
    fn judge(
        &self,
        token: &[u8],
        now: Now,
        in_earnest: bool,
    ) -> Result<(Option<UserId>, Target, Vec<u8>), Judgement> {
        let opened = token::open(&self.keys, token).ok_or(Judgement::STRANGER)?;
        if in_earnest && !self.replays.insert(opened.salt, now.monotonic) {
            return Err(Judgement::Cover { id: None, replayed: true });
        }
        let server_s = now.unix.as_secs();
        let refuse = |reason| Judgement::Cover {
            id: Some(verdict::seal(&self.keys, &opened.salt, reason, server_s)),
            replayed: false,
        };
        if opened.version < self.terms.min_version {
            return Err(refuse(Reason::VersionTooOld));
        }
        let user = self.users.find(&opened.user_hash).filter(|(_, key)| opened.is_by(key));
        let (user, _) = user.ok_or_else(|| refuse(Reason::UnknownUser))?;
        if opened.unix_s.abs_diff(server_s) > self.terms.tolerance.as_secs() {
            return Err(refuse(Reason::ClockSkew));
        }
        if self.users.is_full() {
            return Err(refuse(Reason::BridgeFull));
        }
        let mut body = opened.body();
        let target = request::decode(&mut body).ok_or_else(|| refuse(Reason::BadRequest))?;
        Ok((Some(user), target, body.to_vec()))
    }
}

struct Upgrade {
    mode: Mode,
    key: Option<String>,
}

impl Upgrade {
    /// A WebSocket upgrade has a key of 16 bytes and version 13; one without either is the `raw` kind.
    fn read(head: &RequestHead) -> Option<Self> {
        match (head.fields.get("Sec-WebSocket-Key"), head.fields.get("Sec-WebSocket-Version")) {
            (None, None) => Some(Self { mode: Mode::Raw, key: None }),
            (Some(key), Some(b"13")) if key.len() == 24 => {
                Some(Self { mode: Mode::Ws, key: Some(String::from_utf8(key.to_vec()).ok()?) })
            }
            _ => None,
        }
    }
}

fn text(head: &RequestHead, name: &str) -> Option<String> {
    head.fields.get(name).and_then(|value| String::from_utf8(value.to_vec()).ok())
}

#[cfg(test)]
mod tests;
