//! How a server reads a request: a state machine over the inbox, without IO.

use std::{
    net::IpAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use commucat_transport_api::HostPort;

use crate::{
    buffer::Inbox,
    cipher::{BlockCipher, StreamCipher},
    credentials::{ServerKeys, UserEntry},
    error::CryptoError,
    keys::{IDENTITY_BYTES, Key, Salt},
    method::{Edition, Method, TAG_BYTES},
    replay::{SaltCache, Seen},
    stream::records::Opener,
    wire::{self, REQUEST_FIXED_BYTES, RequestFixed, RequestHead, WireError},
};

/// Bytes of a sealed AEAD-2017 length.
const LEGACY_LENGTH_BYTES: usize = 2 + TAG_BYTES;

/// Why a request is not served. To the network all of these look the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Reject {
    #[error("no key fits")]
    Unauthenticated,
    #[error("the salt came before")]
    Replayed,
    #[error("the salt cache is full")]
    CacheFull,
    #[error("the time is too far from ours")]
    Stale,
    #[error("a header cannot be read")]
    Header(#[source] WireError),
}

/// A request that is served.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) user: Arc<UserEntry>,
    pub(crate) address: HostPort,
    pub(crate) salt: Salt,
    /// Continues in the inbox, first with the payload that came in the header.
    pub(crate) opener: Opener,
}

/// What a request is judged by.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Judge<'a> {
    pub(crate) method: Method,
    pub(crate) keys: &'a ServerKeys,
    pub(crate) salts: &'a SaltCache,
    pub(crate) peer: Option<IpAddr>,
    pub(crate) now: Instant,
    pub(crate) unix_time: Duration,
}

/// How far a request was read.
#[derive(Debug, Default)]
pub(crate) enum RequestReader {
    /// Nothing verified yet.
    #[default]
    Start,
    /// The first record verified; this many bytes of plaintext follow in the second.
    Head { user: Arc<UserEntry>, salt: Salt, cipher: Box<StreamCipher>, length: usize },
    /// Gave its request away, or refused.
    Spent,
}

impl RequestReader {
    /// Reads on; `None` wants more bytes. While [`Self::Start`], no more than a few dozen bytes are ever wanted.
    pub(crate) fn step(&mut self, inbox: &mut Inbox, judge: &Judge<'_>) -> Result<Option<Request>, Reject> {
        if matches!(self, Self::Start) {
            let started = match judge.method.edition() {
                Edition::V2022 => start_2022(inbox, judge)?,
                Edition::V2017 => start_2017(inbox, judge)?,
            };
            let Some(started) = started else { return Ok(None) };
            *self = started;
        }
        let Self::Head { length, .. } = &*self else { return Err(Reject::Unauthenticated) };
        let length = *length;
        if inbox.len() < length + TAG_BYTES {
            return Ok(None);
        }
        let Self::Head { user, salt, mut cipher, .. } = std::mem::replace(self, Self::Spent) else {
            return Err(Reject::Unauthenticated);
        };
        let head = open_head(judge.method, &mut cipher, inbox, length)?;
        inbox.consume(head.payload_at);
        let opener = Opener::new(judge.method, *cipher).with_plain(length - head.payload_at);
        Ok(Some(Request { user, address: head.address, salt, opener }))
    }
}

fn open_head(
    method: Method,
    cipher: &mut StreamCipher,
    inbox: &mut Inbox,
    length: usize,
) -> Result<RequestHead, Reject> {
    let sealed = inbox.front(length + TAG_BYTES).ok_or(Reject::Unauthenticated)?;
    let plain = cipher.open_in_place(sealed).map_err(unverified)?;
    match method.edition() {
        Edition::V2022 => wire::decode_request_head(plain),
        Edition::V2017 => wire::decode_legacy_request(plain),
    }
    .map_err(Reject::Header)
}

fn start_2022(inbox: &mut Inbox, judge: &Judge<'_>) -> Result<Option<RequestReader>, Reject> {
    let salt_bytes = judge.method.key_bytes();
    let identity_bytes = if matches!(judge.keys, ServerKeys::Identity { .. }) { IDENTITY_BYTES } else { 0 };
    let total = salt_bytes + identity_bytes + REQUEST_FIXED_BYTES + TAG_BYTES;
    let Some(head) = inbox.front(total) else { return Ok(None) };
    let (salt, rest) = head.split_at(salt_bytes);
    let (identity, sealed) = rest.split_at(identity_bytes);
    let salt = Salt::from_slice(salt).ok_or(Reject::Unauthenticated)?;
    let (user, (cipher, fixed)) = match judge.keys {
        ServerKeys::Single(user) => (Arc::clone(user), open_fixed(judge.method, &user.key, &salt, sealed)),
        ServerKeys::Identity { ipsk, users, .. } => {
            let hash = open_identity(judge.method, ipsk, &salt, identity).map_err(unverified)?;
            let user = users.by_hash(&hash).ok_or(Reject::Unauthenticated)?;
            let opened = open_fixed(judge.method, &user.key, &salt, sealed);
            (user, opened)
        }
        ServerKeys::Trial(users) => users
            .try_each(judge.peer, |user| open_fixed(judge.method, &user.key, &salt, sealed))
            .map(|(user, opened)| (user, Some(opened)))
            .ok_or(Reject::Unauthenticated)?,
    }
    .transpose()?;
    let fixed = RequestFixed::decode(&fixed).map_err(Reject::Header)?;
    if !wire::is_fresh(fixed.time, judge.unix_time.as_secs()) {
        return Err(Reject::Stale);
    }
    unseen(&salt, judge)?;
    inbox.consume(total);
    Ok(Some(RequestReader::Head { user, salt, cipher: Box::new(cipher), length: fixed.length.into() }))
}

fn start_2017(inbox: &mut Inbox, judge: &Judge<'_>) -> Result<Option<RequestReader>, Reject> {
    let salt_bytes = judge.method.key_bytes();
    let total = salt_bytes + LEGACY_LENGTH_BYTES;
    let Some(head) = inbox.front(total) else { return Ok(None) };
    let (salt, sealed) = head.split_at(salt_bytes);
    let salt = Salt::from_slice(salt).ok_or(Reject::Unauthenticated)?;
    let (user, (cipher, length)) = match judge.keys {
        ServerKeys::Single(user) => (Arc::clone(user), open_length(judge.method, &user.key, &salt, sealed)),
        ServerKeys::Trial(users) => users
            .try_each(judge.peer, |user| open_length(judge.method, &user.key, &salt, sealed))
            .map(|(user, opened)| (user, Some(opened)))
            .ok_or(Reject::Unauthenticated)?,
        ServerKeys::Identity { .. } => return Err(Reject::Unauthenticated),
    }
    .transpose()?;
    if usize::from(length) > judge.method.max_chunk_bytes() {
        return Err(Reject::Header(WireError::ChunkLength(length)));
    }
    unseen(&salt, judge)?;
    inbox.consume(total);
    Ok(Some(RequestReader::Head { user, salt, cipher: Box::new(cipher), length: length.into() }))
}

fn open_identity(
    method: Method,
    ipsk: &Key,
    salt: &Salt,
    block: &[u8],
) -> Result<[u8; IDENTITY_BYTES], CryptoError> {
    let mut hash = *block.first_chunk().ok_or(CryptoError::Unverified)?;
    let subkey = ipsk.identity_subkey(method, salt.as_slice())?;
    BlockCipher::new(method, &subkey)?.decrypt(&mut hash)?;
    Ok(hash)
}

type Opened<T> = Option<(StreamCipher, T)>;

fn open_fixed(method: Method, key: &Key, salt: &Salt, sealed: &[u8]) -> Opened<[u8; REQUEST_FIXED_BYTES]> {
    let mut cipher = StreamCipher::new(method, key, salt.as_slice()).ok()?;
    let mut fixed = [0; REQUEST_FIXED_BYTES];
    cipher.open_into(sealed, &mut fixed).ok()?;
    Some((cipher, fixed))
}

fn open_length(method: Method, key: &Key, salt: &Salt, sealed: &[u8]) -> Opened<u16> {
    let mut cipher = StreamCipher::new(method, key, salt.as_slice()).ok()?;
    let mut length = [0; 2];
    cipher.open_into(sealed, &mut length).ok()?;
    Some((cipher, u16::from_be_bytes(length)))
}

/// Only now, after a record verified, may the salt enter the cache.
fn unseen(salt: &Salt, judge: &Judge<'_>) -> Result<(), Reject> {
    match judge.salts.check(salt.as_slice(), judge.now) {
        Seen::Fresh => Ok(()),
        Seen::Replayed => Err(Reject::Replayed),
        Seen::Full => Err(Reject::CacheFull),
    }
}

const fn unverified(_says_nothing: CryptoError) -> Reject {
    Reject::Unauthenticated
}

/// `(user, None)` is a user whose key did not fit.
trait Transpose<T> {
    fn transpose(self) -> Result<(Arc<UserEntry>, T), Reject>;
}

impl<T> Transpose<T> for (Arc<UserEntry>, Option<T>) {
    fn transpose(self) -> Result<(Arc<UserEntry>, T), Reject> {
        let (user, opened) = self;
        Ok((user, opened.ok_or(Reject::Unauthenticated)?))
    }
}
