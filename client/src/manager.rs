//! The connection manager: gives every new connection a channel through the endpoint that works best now.
//!
//! Several endpoints are raced with a stagger, the winner is remembered, failures rest, silence makes suspect. What to
//! do is decided in pure files (`health`, `policy`, `race`, `budget`); this one dials, listens to the clock of the
//! [`Net`] and tells them what happened.

mod budget;
mod check;
mod flows;
mod health;
mod policy;
mod race;
mod report;

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock},
    time::{Duration, Instant},
};

use commucat_transport_api::{
    BoxFuture, BoxStream, Cx, DatagramChannel, DialError, Failure, Net, Opened, Phase, Signal, Target,
};
use commucat_verdict::Diagnosis;
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use tokio::sync::watch;

use self::{
    budget::Budget,
    check::Checks,
    flows::{Flows, Heard, Watcher},
    health::{Change, Table},
    race::{Event, Race},
    report::Causes,
};
pub use self::{check::CHECK_BUDGET, health::EndpointState};
use crate::{endpoint::Endpoint, state::ClientState, status::Status};

/// Time a connection has until some endpoint gave it a channel.
pub const DIAL_BUDGET: Duration = Duration::from_secs(15);
/// How often silence is looked for and the status is renewed.
pub const TICK: Duration = Duration::from_millis(500);
/// Silence, in ticks, after which an endpoint is suspect: 4 seconds.
const SILENCE_TICKS: u64 = 8;
/// Most endpoints of one manager, those learnt from the bridge included.
pub const MAX_ENDPOINTS: usize = 64;

/// Gives connections their channels. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Manager(Arc<Inner>);

struct Inner {
    net: Arc<dyn Net>,
    endpoints: RwLock<Vec<Arc<Entry>>>,
    core: Mutex<Core>,
    flows: Arc<Flows>,
    checks: Checks,
    causes: Causes,
    memory: Mutex<Memory>,
    status: watch::Sender<Status>,
}

/// An endpoint and when it was last heard.
#[derive(Debug)]
struct Entry {
    endpoint: Endpoint,
    heard: Heard,
}

#[derive(Debug)]
struct Core {
    table: Table,
    budget: Budget,
    /// Why the winner won.
    why: String,
    clock_ahead_s: Option<i64>,
}

#[derive(Debug)]
struct Memory {
    state: ClientState,
    dirty: bool,
}

/// Why no endpoint gave a channel.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{}", diagnosis.sentence)]
#[non_exhaustive]
pub struct DialFailed {
    /// The evidence of the endpoint that speaks for all.
    pub failure: Option<Failure>,
    /// What it means: the same that `doctor` would say from this evidence.
    pub diagnosis: Box<Diagnosis>,
    /// No endpoint can carry that kind of channel.
    pub unsupported: bool,
}

impl Manager {
    /// A manager of these endpoints, best first, with what is remembered of them.
    pub fn new(net: Arc<dyn Net>, endpoints: Vec<Endpoint>, remembered: ClientState) -> Self {
        let winner =
            endpoints.iter().position(|endpoint| remembered.last_winner.as_deref() == Some(&endpoint.key));
        let now = net.now();
        let mut seed = [0; 4];
        // Jitter without randomness is no jitter, and nothing worse.
        net.fill_random(&mut seed).ok();
        let why = if winner.is_some() { "it worked last time" } else { "it stands first in the link" };
        let core = Core {
            table: Table::new(endpoints.len(), winner, u32::from_le_bytes(seed)),
            budget: Budget::full(now),
            why: why.to_owned(),
            clock_ahead_s: None,
        };
        let endpoints = endpoints.into_iter().take(MAX_ENDPOINTS).map(Entry::new).collect();
        let manager = Self(Arc::new(Inner {
            net,
            endpoints: RwLock::new(endpoints),
            core: Mutex::new(core),
            flows: Arc::default(),
            checks: Checks::default(),
            causes: Causes::default(),
            memory: Mutex::new(Memory { state: remembered, dirty: false }),
            status: watch::channel(Status::default()).0,
        }));
        manager.renew_status(0, 0);
        manager
    }

    /// The network that endpoints are dialled over.
    pub fn net(&self) -> &Arc<dyn Net> {
        &self.0.net
    }

    /// What it is doing, renewed every [`TICK`].
    pub fn status(&self) -> watch::Receiver<Status> {
        self.0.status.subscribe()
    }

    /// The endpoints, best first.
    pub fn endpoints(&self) -> Vec<Endpoint> {
        self.entries().iter().map(|entry| entry.endpoint.clone()).collect()
    }

    /// Adds an endpoint that was learnt later; `false` when it is known or there are too many.
    pub fn add(&self, endpoint: Endpoint) -> bool {
        let mut entries = self.0.endpoints.write().unwrap_or_else(PoisonError::into_inner);
        if entries.len() >= MAX_ENDPOINTS || entries.iter().any(|entry| entry.endpoint.key == endpoint.key) {
            return false;
        }
        entries.push(Entry::new(endpoint));
        self.core().table.grow(entries.len());
        true
    }

    /// Notes how far this machine's clock is ahead of the bridge's, in seconds.
    pub fn note_clock(&self, ahead_s: i64) {
        self.core().clock_ahead_s = Some(ahead_s);
    }

    /// Opens a byte stream to a target.
    ///
    /// # Errors
    /// [`DialFailed`] names the cause.
    pub async fn stream(&self, target: &Target) -> Result<BoxStream, DialFailed> {
        let (at, opened) = self.dial(target, |endpoint| endpoint.channels.stream).await?;
        let stream = opened.channel.into_stream().map_err(|_other_channel| self.unsupported())?;
        let heard = self.heard(at);
        Ok(self.0.flows.follow_stream(stream, at, heard, self.watcher()))
    }

    /// Opens a datagram association.
    ///
    /// # Errors
    /// [`DialFailed`] names the cause; `unsupported` when no endpoint carries datagrams.
    pub async fn datagrams(&self) -> Result<Box<dyn DatagramChannel>, DialFailed> {
        let (at, opened) = self.dial(&Target::Datagrams, |endpoint| endpoint.channels.datagram).await?;
        let datagrams = opened.channel.into_datagrams().map_err(|_other_channel| self.unsupported())?;
        let heard = self.heard(at);
        Ok(self.0.flows.follow_datagrams(datagrams, at, heard, self.watcher()))
    }

    /// Looks for silence and renews the status, until dropped.
    pub async fn run(&self) {
        let mut last = (0, 0);
        let mut before = (0, 0);
        loop {
            self.0.net.sleep_until(self.0.net.now() + TICK).await;
            for silence in self.0.flows.tick(SILENCE_TICKS) {
                self.on_silence(silence);
            }
            // Rates over two ticks, so that a second of traffic reads as what it was.
            let now = self.0.flows.totals();
            self.renew_status(now.0.saturating_sub(before.0), now.1.saturating_sub(before.1));
            before = last;
            last = now;
        }
    }

    /// What should be remembered, when it changed since it was last asked for.
    pub fn changed_state(&self) -> Option<ClientState> {
        let mut memory = self.memory();
        let winner = self.core().table.winner();
        let key = winner.and_then(|at| self.entry(at)).map(|entry| entry.endpoint.key.clone());
        if key.is_some() && memory.state.last_winner != key {
            memory.state.last_winner = key;
            memory.dirty = true;
        }
        std::mem::take(&mut memory.dirty).then(|| memory.state.clone())
    }

    async fn dial(
        &self,
        target: &Target,
        fits: impl Fn(&Endpoint) -> bool,
    ) -> Result<(usize, Opened), DialFailed> {
        let entries = self.entries();
        if !entries.iter().any(|entry| fits(&entry.endpoint)) {
            return Err(self.unsupported());
        }
        let now = self.0.net.now();
        let usable = |at: usize| entries.get(at).is_some_and(|entry| fits(&entry.endpoint));
        let candidates = self.core().table.candidates(now, usable);
        if candidates.is_empty() {
            return Err(self.refused_before(&entries));
        }
        let cx = Cx::new(Arc::clone(&self.0.net), DIAL_BUDGET);
        Attempt {
            manager: self,
            entries: &entries,
            target,
            cx: &cx,
            race: Race::new(now, candidates),
            last: None,
        }
        .run()
        .await
    }

    fn core(&self) -> MutexGuard<'_, Core> {
        self.0.core.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.0.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn entries(&self) -> Vec<Arc<Entry>> {
        self.0.endpoints.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn entry(&self, at: usize) -> Option<Arc<Entry>> {
        self.0.endpoints.read().unwrap_or_else(PoisonError::into_inner).get(at).cloned()
    }

    fn heard(&self, at: usize) -> Heard {
        self.entry(at).map(|entry| Arc::clone(&entry.heard)).unwrap_or_default()
    }

    fn watcher(&self) -> Arc<dyn Watcher> {
        Arc::new(self.clone())
    }

    fn unix_s(&self) -> u64 {
        self.0.net.unix_time().as_secs()
    }
}

impl Entry {
    fn new(endpoint: Endpoint) -> Arc<Self> {
        Arc::new(Self { endpoint, heard: Heard::default() })
    }
}

type Dials<'a> = FuturesUnordered<BoxFuture<'a, (usize, Duration, Result<Opened, DialError>)>>;

/// One connection on its way to a channel.
struct Attempt<'a> {
    manager: &'a Manager,
    entries: &'a [Arc<Entry>],
    target: &'a Target,
    cx: &'a Cx,
    race: Race,
    /// The failure that speaks for all when nobody wins.
    last: Option<(usize, Failure)>,
}

impl<'a> Attempt<'a> {
    async fn run(mut self) -> Result<(usize, Opened), DialFailed> {
        let net = &self.cx.net;
        let mut dials = Dials::new();
        let mut opened: BTreeMap<usize, Opened> = BTreeMap::new();
        loop {
            self.tick(net.now());
            while let Some(event) = self.race.poll_event() {
                match event {
                    Event::Start(at) => self.start(at, &mut dials),
                    Event::Won { at, overtaken } => {
                        self.manager.on_overtaken(&overtaken);
                        // The race only names winners that told of success.
                        return opened.remove(&at).map(|channel| (at, channel)).ok_or_else(|| self.lost());
                    }
                    Event::Lost => return Err(self.lost()),
                }
            }
            let wake = self.race.poll_timeout().unwrap_or(self.cx.deadline).min(self.cx.deadline);
            tokio::select! {
                Some((at, took, result)) = dials.next() => {
                    if let Some(failed) = self.ended(at, took, result, &mut opened) {
                        return Err(failed);
                    }
                }
                () = net.sleep_until(wake) => if net.now() >= self.cx.deadline { return Err(self.timed_out()) },
            }
        }
    }

    fn tick(&mut self, now: Instant) {
        let mut core = self.manager.core();
        let Core { table, budget, .. } = &mut *core;
        self.race.handle_timeout(now, budget, |at| table.stagger(at));
    }

    fn start(&self, at: usize, dials: &mut Dials<'a>) {
        let Some(entry) = self.entries.get(at) else { return };
        let (cx, target) = (self.cx, self.target);
        let began = cx.net.now();
        self.manager.core().table.handle_started(began, at);
        dials.push(Box::pin(async move {
            let result = cx.until_deadline(entry.endpoint.client.dial(cx, target)).await;
            let took = cx.net.now().saturating_duration_since(began);
            let timeout = || DialError::network(Failure::new(Phase::Connect, Signal::Timeout, took));
            (at, took, result.unwrap_or_else(|| Err(timeout())))
        }));
    }

    /// A dial ended. `Some` ends the connection: the target itself is at fault, and no other endpoint would help.
    fn ended(
        &mut self,
        at: usize,
        took: Duration,
        result: Result<Opened, DialError>,
        opened: &mut BTreeMap<usize, Opened>,
    ) -> Option<DialFailed> {
        let now = self.cx.net.now();
        let error = match result {
            Ok(channel) => {
                opened.insert(at, channel);
                self.manager.core().table.handle_dialled(at, took);
                self.race.handle_success(now, at);
                return None;
            }
            Err(error) => error,
        };
        match error.failure() {
            Some(failure) if failure.signal == Signal::TargetUnreachable => {
                self.manager.on_failure(at, failure);
                return Some(self.manager.failed(Some((at, failure.clone()))));
            }
            Some(failure) => {
                self.manager.on_failure(at, failure);
                self.remember(at, failure.clone());
            }
            None => tracing::debug!(endpoint = at, %error, "an endpoint cannot carry this channel"),
        }
        self.race.handle_failure(now, at);
        None
    }

    /// The failure that came furthest tells most.
    fn remember(&mut self, at: usize, failure: Failure) {
        if self.last.as_ref().is_none_or(|(_, earlier)| earlier.phase <= failure.phase) {
            self.last = Some((at, failure));
        }
    }

    fn lost(&mut self) -> DialFailed {
        self.manager.failed(self.last.take())
    }

    fn timed_out(&mut self) -> DialFailed {
        let last = self
            .last
            .take()
            .unwrap_or_else(|| (0, Failure::new(Phase::Connect, Signal::Timeout, DIAL_BUDGET)));
        self.manager.failed(Some(last))
    }
}

impl Manager {
    fn on_failure(&self, at: usize, failure: &Failure) {
        let change = self.core().table.handle_failure(self.0.net.now(), at, failure);
        if let Some(entry) = self.entry(at)
            && failure.signal != Signal::TargetUnreachable
        {
            let mut memory = self.memory();
            memory.state.failed(&entry.endpoint.key, self.unix_s());
            memory.dirty = true;
            drop(memory);
            self.surface(at, failure);
        }
        self.tell(at, change);
    }

    fn on_overtaken(&self, overtaken: &[usize]) {
        for at in overtaken {
            let change = self.core().table.handle_overtaken(self.0.net.now(), *at);
            self.tell(*at, change);
            self.check(*at);
        }
    }

    fn on_silence(&self, silence: flows::Silence) {
        let change = self.core().table.handle_silence(self.0.net.now(), silence.at);
        self.tell(silence.at, change);
        let lasted = TICK * u32::try_from(silence.ticks).unwrap_or(u32::MAX);
        self.surface(silence.at, &health::silence(lasted, silence.sent));
        self.check(silence.at);
    }

    fn remember_success(&self, at: usize, dial_ms: Option<u64>) {
        if let Some(entry) = self.entry(at) {
            let mut memory = self.memory();
            memory.state.worked(&entry.endpoint.key, self.unix_s(), dial_ms);
            memory.dirty = true;
        }
    }

    fn tell(&self, at: usize, change: Option<Change>) {
        let (Some(change), Some(entry)) = (change, self.entry(at)) else { return };
        let label = &*entry.endpoint.label;
        tracing::info!(endpoint = label, from = ?change.from, to = ?change.to, "an endpoint changed");
    }
}

impl Watcher for Manager {
    fn first_byte(&self, at: usize) {
        let change = {
            let mut core = self.core();
            let before = core.table.winner();
            let change = core.table.handle_first_byte(self.0.net.now(), at);
            let usual = core.table.usual_dial(at);
            if before != core.table.winner() {
                core.why = usual.map_or_else(
                    || "it answered".to_owned(),
                    |usual| format!("it answered; a dial takes {} ms", usual.as_millis()),
                );
            }
            (change, usual.and_then(|usual| u64::try_from(usual.as_millis()).ok()))
        };
        let (change, dial_ms) = change;
        if change.is_some() {
            self.remember_success(at, dial_ms);
        }
        self.tell(at, change);
    }

    fn early_end(&self, at: usize) {
        let change = self.core().table.handle_early_end(self.0.net.now(), at);
        if change.is_some() {
            self.check(at);
        }
        self.tell(at, change);
    }
}

impl fmt::Debug for Inner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Manager").field("endpoints", &self.endpoints).finish_non_exhaustive()
    }
}
