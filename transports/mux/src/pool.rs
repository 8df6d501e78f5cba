//! A few long-lived carriers that all streams to one bridge share.

mod dial;
mod policy;

use std::{
    collections::VecDeque,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use commucat_transport_api::{
    BoxFuture, BoxStream, Channel, Cx, DialError, Failure, MuxSession as _, Opened, Phase, Signal, Target,
};
use futures_util::future::WeakShared;

use self::dial::{Connecting, Dial, alone, dial, next_dial, one_of_many};
pub use self::policy::CarrierPolicy;
use crate::{dice::Dice, error::Refusal, frame::OpenTarget, session::Session};

/// Carriers that are tried for one stream before its open fails: each one ended just then.
const MAX_TRIES: usize = 4;

/// The part of [`Config::max_streams`](crate::Config::max_streams) that the pool uses, in quarters: the other end may not have seen the last ends yet.
const ROOM_QUARTERS: usize = 3;

/// What runs a driver until it ends, beside everything else.
pub type Spawn = fn(BoxFuture<'static, ()>);

/// The carriers to one bridge. Clones are the same pool. When all of them are dropped, each carrier ends in order with its
/// last stream.
#[derive(Clone)]
pub struct Carriers(Arc<Inner>);

pub(crate) struct Inner {
    policy: CarrierPolicy,
    spawn: Spawn,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    carriers: Vec<Carrier>,
    /// The dial under way, while anybody waits for it.
    dial: Option<WeakDial>,
    /// When the dials began that still count.
    dials: VecDeque<Instant>,
}

type WeakDial = WeakShared<BoxFuture<'static, Result<Session, Arc<DialError>>>>;

struct Carrier {
    session: Session,
    replace_at: Instant,
    /// Bytes after which it is replaced.
    replace_after: u64,
    /// When it did not answer.
    suspected: Option<Instant>,
}

/// Where a stream goes.
enum Choice {
    Ready(Session),
    /// After it has said that it lives.
    Silent(Session),
    /// Onto a carrier that is yet to be dialled.
    Fresh,
    /// Nowhere: all the carriers there may be are full.
    Nowhere,
}

impl Carriers {
    /// A pool without carriers. `spawn` runs each carrier's driver.
    pub fn new(policy: CarrierPolicy, spawn: Spawn) -> Self {
        Self(Arc::new(Inner { policy, spawn, state: Mutex::default() }))
    }

    /// Opens a stream or a datagram association on one of the carriers. `connect` dials a fresh connection to the bridge's
    /// other end, authenticated and ready for frames; it is called only when one is needed. All who need one at a time wait
    /// for one dial, which goes on for the next when they leave.
    ///
    /// # Errors
    /// [`DialError::UnsupportedTarget`] for a target that is neither; what the dial said, to all who waited for it; or a
    /// [`Refusal`] as the source of a [`DialError::Network`]: [`Refusal::DialBudget`] when the policy allows no fresh
    /// connection before the deadline, [`Refusal::TooManyStreams`] when all carriers are full.
    pub async fn open(
        &self,
        cx: &Cx,
        target: &Target,
        connect: impl Fn() -> BoxFuture<'static, Result<BoxStream, DialError>> + Send + Sync,
    ) -> Result<Opened, DialError> {
        let mut last = DialError::UnsupportedTarget;
        if OpenTarget::new(target).is_none() {
            return Err(last);
        }
        for _try in 0..MAX_TRIES {
            let session = match self.0.choose(cx.net.now()) {
                Choice::Ready(session) => session,
                Choice::Silent(session) => {
                    if !self.0.answers(cx, &session).await {
                        continue;
                    }
                    session
                }
                Choice::Fresh => self.fresh(cx, &connect).await?,
                Choice::Nowhere => return Err(full()),
            };
            match session.open_now(target) {
                Ok(channel) => {
                    self.look_ahead(cx, &session, &connect);
                    return Ok(opened(channel, &session));
                }
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    /// The carriers that live, those that drain included.
    pub fn carriers(&self) -> Vec<Session> {
        let mut state = self.0.state();
        state.bury();
        state.carriers.iter().map(|carrier| carrier.session.clone()).collect()
    }

    /// Ends every carrier with its last stream. Streams that are opened later get fresh ones.
    pub fn drain(&self) {
        for session in self.carriers() {
            session.drain();
        }
    }

    /// Waits for the dial under way, or begins one.
    async fn fresh(
        &self,
        cx: &Cx,
        connect: &(impl Fn() -> Connecting + Send + Sync),
    ) -> Result<Session, DialError> {
        let began = cx.net.now();
        let mut begun = false;
        let dial = self.0.join_or(|| {
            begun = true;
            dial(&self.0, cx, connect(), None, None)
        });
        if begun {
            // A handshake that was seen counts, whoever waits for it: let the next one have its carrier.
            (self.0.spawn)(Box::pin(alone(dial.clone())));
        }
        match cx.until_deadline(dial).await {
            Some(done) => done.map_err(|error| one_of_many(&error)),
            None => {
                let elapsed = cx.net.now().saturating_duration_since(began);
                Err(DialError::network(Failure::new(Phase::Connect, Signal::Timeout, elapsed)))
            }
        }
    }

    /// Dials the carrier that will be needed next, if any, while nobody waits for it.
    fn look_ahead(&self, cx: &Cx, used: &Session, connect: &(impl Fn() -> Connecting + Send + Sync)) {
        let Some(replaces) = self.0.wants_another(cx.net.now(), used) else { return };
        let chance = Arc::clone(&cx.net);
        let mut dice = Dice::new(Box::new(move |bytes| chance.fill_random(bytes).is_ok()));
        let pause = dice.time(&self.0.policy.jitter);
        let dial = self.0.join_or(|| dial(&self.0, cx, connect(), Some(pause), replaces));
        (self.0.spawn)(Box::pin(alone(dial)));
    }
}

fn full() -> DialError {
    let failure = Failure::new(Phase::Connect, Signal::Other, Duration::ZERO);
    DialError::Network { failure, source: Some(Refusal::TooManyStreams.into()) }
}

fn opened(channel: Channel, session: &Session) -> Opened {
    Opened::new(channel).with_path(session.path())
}

impl Inner {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The fullest carrier that still has room by the policy, so that others fall idle and end; else the emptiest.
    fn choose(&self, now: Instant) -> Choice {
        let enough = self.policy.streams_before_another;
        let mut state = self.state();
        state.bury();
        let room = (self.policy.session.max_streams * ROOM_QUARTERS / 4).max(1);
        let usable = state.carriers.iter().filter(|carrier| carrier.is_usable());
        let mut alive = 0;
        let roomy = usable.inspect(|_carrier| alive += 1).filter(|carrier| carrier.session.streams() < room);
        let best = roomy.min_by_key(|carrier| {
            let streams = carrier.session.streams();
            if streams < enough { (false, enough - streams) } else { (true, streams) }
        });
        let Some(carrier) = best else {
            return if alive < self.policy.max_carriers.max(1) { Choice::Fresh } else { Choice::Nowhere };
        };
        let session = carrier.session.clone();
        if self.is_quiet(&session, now) { Choice::Silent(session) } else { Choice::Ready(session) }
    }

    /// Whether a silent carrier says that it lives. If not, no carrier that has been silent gets streams until it is heard
    /// again: what took one from the network took its neighbours too.
    async fn answers(&self, cx: &Cx, session: &Session) -> bool {
        let deadline = cx.deadline.min(cx.net.now() + self.policy.check_within);
        if session.check(deadline).await.is_ok() {
            return true;
        }
        let now = cx.net.now();
        let mut state = self.state();
        for carrier in state.carriers.iter_mut().filter(|carrier| self.is_quiet(&carrier.session, now)) {
            carrier.suspected = Some(now);
            if carrier.session.streams() == 0 {
                carrier.session.drain();
            }
        }
        false
    }

    fn is_quiet(&self, session: &Session, now: Instant) -> bool {
        session.heard() + self.policy.check_after < now
    }

    /// The dial under way; when there is none, this one.
    fn join_or(&self, make: impl FnOnce() -> Dial) -> Dial {
        if let Some(running) = self.state().running() {
            return running;
        }
        // Made without the lock: it asks the pool's owner for a connection.
        let fresh = make();
        let mut state = self.state();
        let dial = state.running().unwrap_or(fresh);
        state.dial = dial.downgrade();
        dial
    }

    /// Whether to dial another carrier now that a stream went onto this one, and whom it replaces.
    fn wants_another(&self, now: Instant, used: &Session) -> Option<Option<Session>> {
        let policy = &self.policy;
        let mut state = self.state();
        state.bury();
        if state.running().is_some()
            || next_dial(&mut state.dials, now, policy.max_dials, policy.dials_within).is_some()
        {
            return None;
        }
        let all = state.carriers.len();
        let old = state.carriers.iter().find(|carrier| carrier.session.is(used) && carrier.is_old(now));
        if let Some(old) = old.filter(|_old| all <= policy.max_carriers) {
            return Some(Some(old.session.clone()));
        }
        let mut usable = state.carriers.iter().filter(|carrier| carrier.is_usable());
        let full = usable.all(|carrier| carrier.session.streams() >= policy.streams_before_another);
        (full && all < policy.max_carriers).then_some(None)
    }
}

impl State {
    /// The dial under way.
    fn running(&self) -> Option<Dial> {
        self.dial.as_ref().and_then(WeakShared::upgrade).filter(|dial| dial.peek().is_none())
    }

    /// Forgets carriers that ended.
    fn bury(&mut self) {
        self.carriers.retain(|carrier| !carrier.session.has_ended());
    }
}

impl Carrier {
    fn is_usable(&self) -> bool {
        self.session.is_healthy() && self.suspected.is_none_or(|at| self.session.heard() > at)
    }

    fn is_old(&self, now: Instant) -> bool {
        let (sent, received) = self.session.moved();
        !self.session.is_going_away() && (now >= self.replace_at || sent + received >= self.replace_after)
    }
}

impl fmt::Debug for Carriers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Carriers").field("carriers", &self.0.state().carriers.len()).finish_non_exhaustive()
    }
}
