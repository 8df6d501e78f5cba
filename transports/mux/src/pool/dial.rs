//! One dial of a carrier, shared by all who wait for it.

use std::{
    collections::VecDeque,
    error::Error,
    fmt,
    future::Future,
    sync::{Arc, Weak},
    time::{Duration, Instant},
};

use commucat_transport_api::{
    BoxError, BoxFuture, BoxStream, ConfigError, Cx, DialError, Failure, Phase, Signal,
};
use futures_util::future::{FutureExt as _, Shared};

use super::{Carrier, Inner};
use crate::{
    config::Config,
    dice::Dice,
    error::Refusal,
    session::{Session, dialled},
};

/// A dial under way.
pub(super) type Dial = Shared<BoxFuture<'static, Result<Session, Arc<DialError>>>>;
/// What gives a fresh connection.
pub(super) type Connecting = BoxFuture<'static, Result<BoxStream, DialError>>;

/// Makes a dial, which begins when it is first polled, after that pause.
pub(super) fn dial(
    pool: &Arc<Inner>,
    cx: &Cx,
    connecting: Connecting,
    pause: Option<Duration>,
    replaces: Option<Session>,
) -> Dial {
    let (pool, cx) = (Arc::downgrade(pool), cx.clone());
    let work = async move {
        if let Some(pause) = pause {
            cx.net.sleep_until(cx.net.now() + pause).await;
        }
        within_budget(&pool, &cx).await?;
        let io = connecting.await?;
        let pool = pool.upgrade().ok_or_else(abandoned)?;
        let session = pool.take_up(&cx, io);
        // Make before break.
        if let Some(old) = replaces {
            old.drain();
        }
        Ok(session)
    };
    let shared: BoxFuture<'static, Result<Session, Arc<DialError>>> =
        Box::pin(work.map(|done| done.map_err(Arc::new)));
    shared.shared()
}

/// Waits until the policy allows a dial, and counts it.
async fn within_budget(pool: &Weak<Inner>, cx: &Cx) -> Result<(), DialError> {
    let began = cx.net.now();
    loop {
        let now = cx.net.now();
        let Some(at) = pool.upgrade().ok_or_else(abandoned)?.take_dial(now) else { return Ok(()) };
        if at > cx.deadline {
            let failure = Failure::new(Phase::Connect, Signal::Other, now.saturating_duration_since(began));
            let refusal = Refusal::DialBudget(at.saturating_duration_since(now));
            return Err(DialError::Network { failure, source: Some(refusal.into()) });
        }
        cx.net.sleep_until(at).await;
    }
}

/// Nobody holds the pool any more.
fn abandoned() -> DialError {
    let failure = Failure::new(Phase::Connect, Signal::Other, Duration::ZERO);
    DialError::Network { failure, source: Some(Refusal::GoingAway.into()) }
}

impl Inner {
    /// Counts a dial now; when the budget is used up, says when the next one may begin.
    pub(super) fn take_dial(&self, now: Instant) -> Option<Instant> {
        let mut state = self.state();
        let wait = next_dial(&mut state.dials, now, self.policy.max_dials, self.policy.dials_within);
        if wait.is_none() {
            state.dials.push_back(now);
        }
        wait
    }

    /// Makes a carrier of a fresh connection.
    fn take_up(&self, cx: &Cx, io: BoxStream) -> Session {
        let chance = Arc::clone(&cx.net);
        let mut dice = Dice::new(Box::new(move |bytes| chance.fill_random(bytes).is_ok()));
        let policy = &self.policy;
        let config = Config { idle_close: Some(dice.time(&policy.idle)), ..policy.session };
        let (session, driver) = dialled(io, Arc::clone(&cx.net), config);
        (self.spawn)(Box::pin(driver));
        let width = policy.volume.end.saturating_sub(policy.volume.start);
        self.state().carriers.push(Carrier {
            session: session.clone(),
            replace_at: cx.net.now() + dice.time(&policy.lifetime),
            replace_after: policy.volume.start + dice.below(width),
            suspected: None,
        });
        session
    }
}

/// When the next dial may begin, if not now.
pub(super) fn next_dial(
    dials: &mut VecDeque<Instant>,
    now: Instant,
    most: usize,
    within: Duration,
) -> Option<Instant> {
    while dials.front().is_some_and(|first| *first + within <= now) {
        dials.pop_front();
    }
    if dials.len() < most.max(1) { None } else { dials.front().map(|first| *first + within) }
}

/// The cause of a dial that failed, for one of those who waited for it.
pub(super) fn one_of_many(shared: &Arc<DialError>) -> DialError {
    let source = Cause(Arc::clone(shared));
    match &**shared {
        DialError::Network { failure, source: None } => DialError::network(failure.clone()),
        DialError::Network { failure, source: Some(_) } => {
            DialError::Network { failure: failure.clone(), source: Some(Box::new(source)) }
        }
        DialError::Config(error) => {
            DialError::Config(ConfigError::with_source(error.field(), error.problem(), source))
        }
        _ => DialError::UnsupportedTarget,
    }
}

/// What is below a shared error. Prints as that does, and goes on as that does.
struct Cause(Arc<DialError>);

impl Cause {
    fn below(&self) -> Option<&(dyn Error + 'static)> {
        self.0.source()
    }
}

impl fmt::Debug for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.below() {
            Some(below) => fmt::Display::fmt(below, f),
            None => fmt::Display::fmt(&self.0, f),
        }
    }
}

impl Error for Cause {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.below().and_then(Error::source)
    }
}

/// Runs a dial that nobody waits for.
pub(super) async fn alone(dial: impl Future<Output = Result<Session, Arc<DialError>>>) {
    // Whoever needs a carrier next dials again, and hears why it fails.
    let _outcome: Result<Session, BoxError> = dial.await.map_err(|error| one_of_many(&error).into());
}
