//! Lets time pass in the simulated network: one task, and the wakers of those who wait.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Waker},
    time::Duration,
};

use tokio::{sync::Notify, time::Instant};

use super::{
    link::SimTime,
    world::{Wait, World},
};

/// A simulated network that somebody holds.
pub(super) struct Core {
    state: Mutex<State>,
    epoch: OnceLock<Instant>,
    driving: AtomicBool,
    /// The next happening may be earlier than the driver thinks, or the network is gone.
    changed: Arc<Notify>,
}

struct State {
    world: World,
    wakers: BTreeMap<Wait, Waker>,
}

impl Core {
    pub(super) fn new(seed: u64) -> Arc<Self> {
        let state = State { world: World::new(seed), wakers: BTreeMap::new() };
        Arc::new(Self {
            state: Mutex::new(state),
            epoch: OnceLock::new(),
            driving: AtomicBool::new(false),
            changed: Arc::new(Notify::new()),
        })
    }

    /// Time since the simulation was first used.
    pub(super) fn now(&self) -> SimTime {
        Instant::now().saturating_duration_since(self.epoch())
    }

    /// Does something to the network now, and wakes whom it concerns.
    pub(super) fn with<T>(self: &Arc<Self>, act: impl FnOnce(&mut World, SimTime) -> T) -> T {
        self.drive();
        let now = self.now();
        let (result, woken, sooner) = {
            let mut state = self.lock();
            state.world.handle_timeout(now);
            let before = state.world.poll_timeout();
            let result = act(&mut state.world, now);
            let after = state.world.poll_timeout();
            let sooner = after.is_some_and(|after| before.is_none_or(|before| after < before));
            (result, state.take_woken(), sooner)
        };
        woken.into_iter().for_each(Waker::wake);
        if sooner {
            self.changed.notify_one();
        }
        result
    }

    /// Looks or sets something that makes nothing happen; works outside a runtime too.
    pub(super) fn without_driver<T>(&self, act: impl FnOnce(&mut World) -> T) -> T {
        act(&mut self.lock().world)
    }

    /// As [`Self::with`]; when it gives nothing yet, the task is woken once `wait` is ready.
    pub(super) fn poll<T>(
        self: &Arc<Self>,
        wait: Wait,
        cx: &Context<'_>,
        act: impl FnOnce(&mut World, SimTime) -> Option<T>,
    ) -> Poll<T> {
        // Registered first: what becomes ready in between wakes the task for one poll too many, never too few.
        self.lock().wakers.insert(wait, cx.waker().clone());
        let Some(value) = self.with(act) else { return Poll::Pending };
        self.forget(wait);
        Poll::Ready(value)
    }

    /// Nobody waits for this any more.
    pub(super) fn forget(&self, wait: Wait) {
        self.lock().wakers.remove(&wait);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn epoch(&self) -> Instant {
        *self.epoch.get_or_init(Instant::now)
    }

    /// Starts the driver on first use.
    fn drive(self: &Arc<Self>) {
        if !self.driving.swap(true, Ordering::AcqRel) {
            let _epoch = self.epoch();
            let task = drive(Arc::downgrade(self), Arc::clone(&self.changed));
            drop(tokio::spawn(task));
        }
    }

    /// Lets happen what is due; when the next thing is.
    fn step(&self) -> Option<Instant> {
        let now = self.now();
        let (woken, next) = {
            let mut state = self.lock();
            state.world.handle_timeout(now);
            (state.take_woken(), state.world.poll_timeout())
        };
        woken.into_iter().for_each(Waker::wake);
        next.map(|at| self.epoch() + at)
    }
}

impl State {
    fn take_woken(&mut self) -> Vec<Waker> {
        let ready = self.world.take_ready();
        let wakers = &mut self.wakers;
        let take = |wait| match wakers.entry(wait) {
            Entry::Occupied(entry) => Some(entry.remove()),
            Entry::Vacant(_) => None,
        };
        ready.into_iter().filter_map(take).collect()
    }
}

impl Drop for Core {
    fn drop(&mut self) {
        self.changed.notify_one();
    }
}

impl fmt::Debug for Core {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Core").finish_non_exhaustive()
    }
}

/// Lets time pass until the network is dropped.
async fn drive(core: Weak<Core>, changed: Arc<Notify>) {
    /// How long to sleep when nothing is to happen; a change ends the sleep early.
    const IDLE: Duration = Duration::from_secs(365 * 24 * 3600);
    loop {
        let Some(next) = core.upgrade().map(|core| core.step()) else { return };
        tokio::select! {
            biased;
            () = changed.notified() => {}
            () = tokio::time::sleep_until(next.unwrap_or_else(|| Instant::now() + IDLE)) => {}
        }
    }
}
