//! The bridge dials itself: every endpoint, through the client code a user would run, again and again.
//!
//! A check is a dial to [`Target::Bridge`](commucat_transport_api::Target::Bridge) and a `GET /livez` over the
//! channel, which must answer 200. So it proves the listener, the handshake, the user table and the API behind it.
//! It does not prove that a client's own network lets the endpoint through.

mod dial;

use std::{
    collections::BTreeMap,
    fmt,
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use commucat_transport_api::{Client, Cx, Net};
pub use dial::CheckFailure;
use futures_util::{FutureExt as _, StreamExt as _};
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

use crate::EndpointKey;

/// Most endpoints that are checked.
pub const MAX_CHECK_TARGETS: usize = 64;
/// Checks that run at once.
const CHECKS_AT_ONCE: usize = 4;
/// The pause between rounds varies by this share, so that the dials have no beat that could be seen from outside.
const JITTER_PERCENT: u32 = 20;

/// How often, how long, and how long it counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CheckPlan {
    /// The pause between two rounds.
    pub interval: Duration,
    /// How long one check may take.
    pub timeout: Duration,
    /// The age at which a check no longer counts. More than `interval` and `timeout` together, or endpoints flicker.
    pub max_age: Duration,
}

impl Default for CheckPlan {
    fn default() -> Self {
        Self {
            interval: Duration::from_secs(60),
            timeout: Duration::from_secs(10),
            max_age: Duration::from_secs(180),
        }
    }
}

/// An endpoint to check, through the client of the bridge's own health user.
#[derive(Clone)]
pub struct CheckTarget {
    /// How the bridge calls the endpoint.
    pub key: EndpointKey,
    /// The dialling end.
    pub client: Arc<dyn Client>,
}

impl fmt::Debug for CheckTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CheckTarget").field("key", &self.key).finish_non_exhaustive()
    }
}

/// More than [`MAX_CHECK_TARGETS`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("more than {MAX_CHECK_TARGETS} endpoints cannot be checked")]
pub struct TooManyTargets;

/// What the last check of an endpoint showed.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct CheckOutcome {
    /// When it ended.
    pub checked_at: Instant,
    /// When it ended, in milliseconds since 1970-01-01 UTC.
    pub checked_at_ms: u64,
    /// How long it took.
    pub took: Duration,
    /// Whether the endpoint works, or why not.
    pub result: Result<(), CheckFailure>,
}

/// A check that passed and still counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fresh {
    /// How long ago it ended.
    pub age: Duration,
    /// How long it took.
    pub took: Duration,
}

/// Checks endpoints and remembers what came of it.
#[derive(Debug)]
pub struct SelfCheck {
    net: Arc<dyn Net>,
    plan: CheckPlan,
    state: RwLock<State>,
    changed: Notify,
    rounds: watch::Sender<u64>,
    passed: AtomicU64,
    failed: AtomicU64,
}

#[derive(Debug, Default)]
struct State {
    targets: Vec<CheckTarget>,
    outcomes: BTreeMap<EndpointKey, CheckOutcome>,
}

impl SelfCheck {
    /// A checker without endpoints.
    pub fn new(net: Arc<dyn Net>, plan: CheckPlan) -> Self {
        Self {
            net,
            plan,
            state: RwLock::default(),
            changed: Notify::new(),
            rounds: watch::Sender::new(0),
            passed: AtomicU64::new(0),
            failed: AtomicU64::new(0),
        }
    }

    /// How often, how long, and how long it counts.
    pub const fn plan(&self) -> &CheckPlan {
        &self.plan
    }

    /// Says which endpoints to check. What is known of an endpoint is kept only when it is the very same client;
    /// the running loop checks the others at once.
    ///
    /// # Errors
    /// [`TooManyTargets`]; nothing changed then.
    pub fn set_targets(&self, targets: Vec<CheckTarget>) -> Result<(), TooManyTargets> {
        if targets.len() > MAX_CHECK_TARGETS {
            return Err(TooManyTargets);
        }
        {
            let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
            let before = std::mem::replace(&mut state.targets, targets);
            let State { targets, outcomes } = &mut *state;
            outcomes.retain(|key, _outcome| {
                let find = |list: &[CheckTarget]| {
                    list.iter().find(|target| &target.key == key).map(|target| Arc::clone(&target.client))
                };
                find(targets).zip(find(&before)).is_some_and(|(now, then)| Arc::ptr_eq(&now, &then))
            });
        }
        self.changed.notify_one();
        Ok(())
    }

    /// Checks everything in rounds until the token is cancelled. Dials that run then are dropped.
    pub async fn run(&self, cancel: CancellationToken) {
        let work = async {
            loop {
                // The round that begins now covers every change so far.
                let _changed_before = self.changed.notified().now_or_never();
                self.check_all().await;
                let pause = self.jittered(self.plan.interval);
                let next = self.net.sleep_until(self.net.now() + pause);
                tokio::select! {
                    () = next => {}
                    () = self.changed.notified() => {}
                }
            }
        };
        tokio::select! {
            () = cancel.cancelled() => {}
            () = work => {}
        }
    }

    /// Checks every endpoint once, some at a time.
    pub async fn check_all(&self) {
        let targets = self.state.read().unwrap_or_else(PoisonError::into_inner).targets.clone();
        let mut checks = futures_util::stream::iter(targets)
            .map(|target| async move {
                let outcome = self.check_one(&target).await;
                (target, outcome)
            })
            .buffer_unordered(CHECKS_AT_ONCE);
        while let Some((target, outcome)) = checks.next().await {
            self.remember(&target, &outcome);
        }
        self.rounds.send_modify(|rounds| *rounds = rounds.wrapping_add(1));
    }

    /// The last check of this endpoint, when it passed and still counts.
    pub fn fresh(&self, key: &str) -> Option<Fresh> {
        let now = self.net.now();
        let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
        let outcome = state.outcomes.get(key)?;
        let age = now.saturating_duration_since(outcome.checked_at);
        (outcome.result.is_ok() && age <= self.plan.max_age).then_some(Fresh { age, took: outcome.took })
    }

    /// The last check of every endpoint, passed or not, of whatever age.
    pub fn outcomes(&self) -> Vec<(EndpointKey, CheckOutcome)> {
        let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
        state.outcomes.iter().map(|(key, outcome)| (Arc::clone(key), outcome.clone())).collect()
    }

    /// Counts the rounds that ended; whoever wants to store outcomes waits for it to change.
    pub fn rounds(&self) -> watch::Receiver<u64> {
        self.rounds.subscribe()
    }

    /// Checks that passed since the start.
    pub fn passed(&self) -> u64 {
        self.passed.load(Ordering::Relaxed)
    }

    /// Checks that failed since the start.
    pub fn failed(&self) -> u64 {
        self.failed.load(Ordering::Relaxed)
    }

    async fn check_one(&self, target: &CheckTarget) -> CheckOutcome {
        let begun = self.net.now();
        let cx = Cx::new(Arc::clone(&self.net), self.plan.timeout);
        let result = dial::check(&cx, target.client.as_ref()).await;
        let checked_at = self.net.now();
        CheckOutcome {
            checked_at,
            checked_at_ms: crate::answer::unix_ms(self.net.as_ref()),
            took: checked_at.saturating_duration_since(begun),
            result,
        }
    }

    fn remember(&self, target: &CheckTarget, outcome: &CheckOutcome) {
        match &outcome.result {
            Ok(()) => self.passed.fetch_add(1, Ordering::Relaxed),
            Err(_) => self.failed.fetch_add(1, Ordering::Relaxed),
        };
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        let current = |now: &CheckTarget| now.key == target.key && Arc::ptr_eq(&now.client, &target.client);
        if !state.targets.iter().any(current) {
            return;
        }
        let before = state.outcomes.insert(Arc::clone(&target.key), outcome.clone());
        report(&target.key, before.as_ref(), outcome);
    }

    fn jittered(&self, pause: Duration) -> Duration {
        let mut random = [0; 4];
        // Without randomness the pause is what the plan says.
        if self.net.fill_random(&mut random).is_err() {
            return pause;
        }
        let percent = u32::from_le_bytes(random) % (2 * JITTER_PERCENT + 1);
        pause * (100 - JITTER_PERCENT + percent) / 100
    }
}

/// Says when an endpoint begins or ceases to work, not every round.
fn report(key: &EndpointKey, before: Option<&CheckOutcome>, now: &CheckOutcome) {
    let worked = before.map(|outcome| outcome.result.is_ok());
    let took_ms = u64::try_from(now.took.as_millis()).unwrap_or(u64::MAX);
    match &now.result {
        Ok(()) if worked != Some(true) => tracing::info!(endpoint = %key, took_ms, "the endpoint works"),
        Err(failure) if worked != Some(false) => {
            tracing::warn!(endpoint = %key, took_ms, %failure, "the endpoint does not work");
        }
        Ok(()) | Err(_) => {}
    }
}
