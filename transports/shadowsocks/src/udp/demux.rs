//! One UDP port, many sessions: opens each packet, finds its session, and tells of new ones. Driven by `accept`.
//!
//! 2022 sessions are found by their number, so a client may change its address; AEAD-2017 has none, so there the
//! address is the session.

use std::{
    collections::HashMap,
    fmt, io,
    net::SocketAddr,
    sync::Arc,
    task::{Context, Poll, ready},
    time::{Duration, Instant},
};

use aws_lc_rs::aead::LessSafeKey;
use commucat_transport_api::{BoxFuture, HostPort, Net, UserTable};
use tokio::io::ReadBuf;

use super::{
    MAX_UDP_PAYLOAD_BYTES,
    client::is_transient,
    opener::{self, AesPacket, PacketId},
    port::SharedPort,
    sealer::{PacketSealer, x_chacha},
    session::{ServerDatagrams, Session},
    window::Window,
};
use crate::{
    buffer::Lent,
    cipher::BlockCipher,
    credentials::{ServerKeys, UserEntry, UserIndex},
    error::CryptoError,
    keys::IDENTITY_BYTES,
    method::{Edition, Method},
    wire::{self, WireError},
};

/// Sessions of one port. Beyond it the one that was silent longest ends.
const MAX_SESSIONS: usize = 4096;
/// Packet numbers are remembered for this long after a session ended: twice the time for which a packet is fresh.
const REMEMBER: Duration = Duration::from_secs(60);
/// Longest time between two looks for idle sessions.
const MAX_SWEEP: Duration = Duration::from_secs(15);
/// Packets that are served before others get a turn.
const PACKETS_PER_TURN: usize = 256;
/// Keys that strangers may make us try each second where users are told apart by trial.
const TRIALS_PER_SECOND: f64 = 20_000.0;

/// The receiving side of a server's UDP port.
pub(crate) struct Demux {
    pub(crate) port: Arc<SharedPort>,
    method: Method,
    /// A session without a packet from its client for this long ends.
    idle: Duration,
    keys: Arc<ServerKeys>,
    users: Arc<UserTable>,
    net: Arc<dyn Net>,
    /// The server's own key ready for separate headers, where one key serves all.
    single: Option<BlockCipher>,
    sessions: HashMap<SessionKey, Entry>,
    sweep: BoxFuture<'static, ()>,
    trials: f64,
    trials_at: Instant,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum SessionKey {
    Numbered { user: [u8; IDENTITY_BYTES], session: [u8; 8] },
    Address(SocketAddr),
}

/// A session, or what must be remembered of one whose channel has closed: its window.
struct Entry {
    user: Arc<UserEntry>,
    generation: u64,
    body: Option<LessSafeKey>,
    window: Window,
    last: Instant,
    session: Arc<Session>,
}

/// A session that just began.
#[derive(Debug)]
pub(crate) struct NewSession {
    pub(crate) channel: ServerDatagrams,
    pub(crate) user: Arc<UserEntry>,
    pub(crate) client: SocketAddr,
}

/// A packet that verified.
struct Opened<'a> {
    key: SessionKey,
    user: Arc<UserEntry>,
    id: Option<PacketId>,
    /// A body key that was derived for it, to be kept with the session.
    derived: Option<LessSafeKey>,
    address: HostPort,
    payload: &'a [u8],
}

/// Why a packet is dropped. Strangers hear nothing.
#[derive(Debug, thiserror::Error)]
enum Dropped {
    #[error("it does not verify")]
    Crypto(#[from] CryptoError),
    #[error("its header cannot be read")]
    Wire(#[from] WireError),
    #[error("no user has sent it")]
    Stranger,
    #[error("it came before or its time is too far from ours")]
    Replayed,
    #[error("too many strangers send")]
    Busy,
}

impl Demux {
    pub(crate) fn new(
        port: Arc<SharedPort>,
        method: Method,
        idle: Duration,
        keys: Arc<ServerKeys>,
        users: Arc<UserTable>,
        net: Arc<dyn Net>,
    ) -> Result<Self, CryptoError> {
        let single = match &*keys {
            ServerKeys::Single(user) if method.has_identity_headers() => {
                Some(BlockCipher::new(method, &user.key)?)
            }
            _ => None,
        };
        let (sweep, trials_at) = (net.sleep_until(net.now() + idle.min(MAX_SWEEP)), net.now());
        let (sessions, trials) = (HashMap::new(), TRIALS_PER_SECOND);
        Ok(Self { port, method, idle, keys, users, net, single, sessions, sweep, trials, trials_at })
    }

    /// Serves packets until one begins a session.
    pub(crate) fn poll_new(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<NewSession>> {
        while self.sweep.as_mut().poll(cx).is_ready() {
            let now = self.net.now();
            self.sweep = self.net.sleep_until(now + self.idle.min(MAX_SWEEP));
            self.forget_idle(now);
        }
        let mut lent = Lent::take();
        for _ in 0..PACKETS_PER_TURN {
            let mut packet = ReadBuf::new(lent.bytes().get_mut(..MAX_UDP_PAYLOAD_BYTES).unwrap_or_default());
            let from = match ready!(self.port.port().poll_recv_from(cx, &mut packet)) {
                Ok(from) => from,
                Err(error) if is_transient(&error) => continue,
                Err(error) => return Poll::Ready(Err(error)),
            };
            match self.packet(packet.filled_mut(), from) {
                Ok(None) => {}
                Ok(Some(new)) => return Poll::Ready(Ok(new)),
                Err(reason) => tracing::trace!(%reason, "a packet was dropped"),
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    fn packet(&mut self, packet: &mut [u8], from: SocketAddr) -> Result<Option<NewSession>, Dropped> {
        let now = self.net.now();
        let opened = self.open(packet, from, now)?;
        let generation = self.keys.generation();
        if let Some(entry) = self.sessions.get_mut(&opened.key) {
            if entry.generation != generation {
                if !self.keys.knows(&entry.user) {
                    entry.session.close();
                    self.sessions.remove(&opened.key);
                    return Err(Dropped::Stranger);
                }
                entry.generation = generation;
            }
            if opened.id.is_some_and(|id| !entry.window.accept(id.number)) {
                return Err(Dropped::Replayed);
            }
            entry.last = now;
            if entry.session.deliver(from, opened.address.clone(), opened.payload) {
                return Ok(None);
            }
        }
        if self.users.is_full() {
            return Err(Dropped::Busy);
        }
        self.begin(opened, from, generation, now).map(Some)
    }

    /// Begins a session, or begins it again when its channel was closed but its client goes on.
    fn begin(
        &mut self,
        opened: Opened<'_>,
        from: SocketAddr,
        generation: u64,
        now: Instant,
    ) -> Result<NewSession, Dropped> {
        self.make_room();
        let session = Arc::new(Session::new(from));
        session.deliver(from, opened.address, opened.payload);
        let client_session = match opened.key {
            SessionKey::Numbered { session, .. } => session,
            SessionKey::Address(_) => [0; 8],
        };
        let user = Arc::clone(&opened.user);
        let entry = self.sessions.entry(opened.key).or_insert_with(|| {
            let mut window = Window::default();
            if let Some(id) = opened.id {
                window.accept(id.number);
            }
            let session = Arc::clone(&session);
            Entry { user: opened.user, generation, body: opened.derived, window, last: now, session }
        });
        entry.session = Arc::clone(&session);
        let mut server_session = client_session;
        while server_session == client_session {
            self.net.fill_random(&mut server_session).map_err(|_no_randomness: io::Error| Dropped::Busy)?;
        }
        let sealer = PacketSealer::server(self.method, &user.key, server_session)?;
        let channel = ServerDatagrams {
            session,
            port: Arc::clone(&self.port),
            net: Arc::clone(&self.net),
            edition: self.method.edition(),
            client_session,
            sealer,
            scratch: Vec::new(),
        };
        Ok(NewSession { channel, user, client: from })
    }

    fn open<'a>(
        &mut self,
        packet: &'a mut [u8],
        from: SocketAddr,
        now: Instant,
    ) -> Result<Opened<'a>, Dropped> {
        match (self.method.edition(), self.method.has_identity_headers()) {
            (Edition::V2022, true) => self.open_aes(packet),
            (Edition::V2022, false) => self.open_x_chacha(packet, from, now),
            (Edition::V2017, _) => self.open_legacy(packet, from, now),
        }
    }

    fn open_aes<'a>(&self, packet: &'a mut [u8]) -> Result<Opened<'a>, Dropped> {
        let (packet, user, hash) = match (&*self.keys, &self.single) {
            (ServerKeys::Identity { block, users, .. }, _) => {
                let mut packet = AesPacket::new(block, packet)?;
                let hash = packet.take_identity(block)?;
                (packet, users.by_hash(&hash).ok_or(Dropped::Stranger)?, hash)
            }
            (ServerKeys::Single(user), Some(block)) => {
                (AesPacket::new(block, packet)?, Arc::clone(user), [0; IDENTITY_BYTES])
            }
            (ServerKeys::Single(_) | ServerKeys::Trial(_), _) => return Err(Dropped::Stranger),
        };
        let id = packet.id;
        let key = SessionKey::Numbered { user: hash, session: id.session };
        let known = self.sessions.get(&key);
        if known.is_some_and(|entry| !entry.window.admits(id.number)) {
            return Err(Dropped::Replayed);
        }
        let (body, derived) = match known.and_then(|entry| entry.body.as_ref()) {
            Some(body) => (packet.open(body)?, None),
            None => {
                let body_key = opener::session_key(self.method, &user.key, id.session)?;
                (packet.open(&body_key)?, Some(body_key))
            }
        };
        self.fresh(key, user, id, derived, body)
    }

    fn open_x_chacha<'a>(
        &mut self,
        packet: &'a mut [u8],
        from: SocketAddr,
        now: Instant,
    ) -> Result<Opened<'a>, Dropped> {
        let keys = Arc::clone(&self.keys);
        let (user, id, body) = match &*keys {
            ServerKeys::Single(user) => {
                let (id, body) = opener::open_x_chacha(&x_chacha(&user.key)?, packet)?;
                (Arc::clone(user), id, body)
            }
            ServerKeys::Trial(users) => {
                let fits = |user: &UserEntry| {
                    let cipher = x_chacha(&user.key).ok()?;
                    opener::open_x_chacha(&cipher, &mut packet.to_vec()).ok()?;
                    Some(cipher)
                };
                let (user, cipher) = self.find_user(users, from, now, fits)?;
                let (id, body) = opener::open_x_chacha(&cipher, packet)?;
                (user, id, body)
            }
            ServerKeys::Identity { .. } => return Err(Dropped::Stranger),
        };
        let key = SessionKey::Numbered { user: user.key.identity_hash(), session: id.session };
        if self.sessions.get(&key).is_some_and(|entry| !entry.window.admits(id.number)) {
            return Err(Dropped::Replayed);
        }
        self.fresh(key, user, id, None, body)
    }

    fn fresh<'a>(
        &self,
        key: SessionKey,
        user: Arc<UserEntry>,
        id: PacketId,
        derived: Option<LessSafeKey>,
        body: &'a [u8],
    ) -> Result<Opened<'a>, Dropped> {
        let head = wire::decode_client_packet(body)?;
        if !wire::is_fresh(head.time, self.net.unix_time().as_secs()) {
            return Err(Dropped::Replayed);
        }
        let payload = body.get(head.payload_at..).unwrap_or_default();
        Ok(Opened { key, user, id: Some(id), derived, address: head.address, payload })
    }

    fn open_legacy<'a>(
        &mut self,
        packet: &'a mut [u8],
        from: SocketAddr,
        now: Instant,
    ) -> Result<Opened<'a>, Dropped> {
        let keys = Arc::clone(&self.keys);
        let key = SessionKey::Address(from);
        let user = match (&*keys, self.sessions.get(&key)) {
            (ServerKeys::Single(user), _) => Arc::clone(user),
            (_, Some(entry)) => Arc::clone(&entry.user),
            (ServerKeys::Trial(users), None) => {
                let method = self.method;
                let fits = |user: &UserEntry| {
                    opener::open_legacy(method, &user.key, &mut packet.to_vec()).ok().map(|_body| ())
                };
                self.find_user(users, from, now, fits)?.0
            }
            (ServerKeys::Identity { .. }, None) => return Err(Dropped::Stranger),
        };
        let body = opener::open_legacy(self.method, &user.key, packet)?;
        let (address, payload_at) = wire::legacy_packet(body)?;
        let payload = body.get(payload_at..).unwrap_or_default();
        Ok(Opened { key, user, id: None, derived: None, address, payload })
    }

    /// Whose packet it is: who last came from the address, else everybody, as far as the budget for strangers goes.
    fn find_user<T>(
        &mut self,
        users: &UserIndex,
        from: SocketAddr,
        now: Instant,
        mut fits: impl FnMut(&UserEntry) -> Option<T>,
    ) -> Result<(Arc<UserEntry>, T), Dropped> {
        let peer = Some(from.ip());
        if let Some(found) = users.try_hinted(peer, &mut fits) {
            return Ok(found);
        }
        let cost = users.trial_cost();
        self.spend_trials(cost, now)?;
        let found = users.try_all(peer, fits).ok_or(Dropped::Stranger)?;
        self.trials += count(cost);
        Ok(found)
    }

    /// Strangers share a budget of tries; who turns out to be a user gives his back.
    fn spend_trials(&mut self, cost: usize, now: Instant) -> Result<(), Dropped> {
        let elapsed = now.saturating_duration_since(self.trials_at).as_secs_f64();
        self.trials_at = now;
        self.trials = (self.trials + elapsed * TRIALS_PER_SECOND).min(TRIALS_PER_SECOND);
        if self.trials < count(cost) {
            return Err(Dropped::Busy);
        }
        self.trials -= count(cost);
        Ok(())
    }

    fn make_room(&mut self) {
        if self.sessions.len() < MAX_SESSIONS {
            return;
        }
        let longest_silent =
            self.sessions.iter().min_by_key(|(_key, entry)| entry.last).map(|(key, _entry)| *key);
        if let Some(entry) = longest_silent.and_then(|key| self.sessions.remove(&key)) {
            entry.session.close();
        }
    }

    fn forget_idle(&mut self, now: Instant) {
        self.sessions.retain(|_key, entry| {
            let silent = now.saturating_duration_since(entry.last);
            if silent >= self.idle {
                entry.session.close();
            }
            silent < self.idle.max(REMEMBER)
        });
    }
}

/// Sessions end with their port.
impl Drop for Demux {
    fn drop(&mut self) {
        self.sessions
            .values()
            .filter(|entry| !entry.session.is_closed())
            .for_each(|entry| entry.session.close());
    }
}

impl fmt::Debug for Demux {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Demux")
            .field("method", &self.method)
            .field("sessions", &self.sessions.len())
            .finish_non_exhaustive()
    }
}

fn count(users: usize) -> f64 {
    u32::try_from(users).map_or(f64::INFINITY, f64::from)
}
