//! Events of the censor: the latest in memory, exact counts of all, and a line each in `events.jsonl`.

use std::{
    collections::{BTreeMap, VecDeque},
    path::Path,
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use commucat_censor::{Done, Event};
use serde::Serialize;

use super::{CaptureSummary, file::RecordFile};
use crate::LabError;

/// Events that are kept in memory; older ones are only counted, and stand in the file.
const EVENTS_KEPT_MAX: usize = 4096;

/// How often a policy did something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct EventTotal {
    /// The policy, or `judge`.
    pub policy: &'static str,
    /// What it did.
    pub action: Done,
    /// In how many lines.
    pub events: u64,
    /// To how many packets.
    pub packets: u64,
}

/// Events from a point on.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct EventView {
    /// The events, oldest first.
    pub events: Vec<Event>,
    /// The point at which to go on.
    pub next: u64,
    /// How many between were forgotten, because nobody asked for them in time.
    pub forgotten: u64,
}

/// The events of a lab, shared by the packet loop and whoever reads.
#[derive(Debug)]
pub(crate) struct EventLog {
    state: Mutex<State>,
    arrived: Condvar,
}

#[derive(Debug, Default)]
struct State {
    kept: VecDeque<Event>,
    /// The number of the event after the last.
    next: u64,
    totals: BTreeMap<(&'static str, Done), (u64, u64)>,
    file: Option<RecordFile>,
}

impl EventLog {
    /// A log without a file, or with one in this folder of at most `limit` bytes.
    pub(crate) fn new(folder: Option<&Path>, limit: u64) -> Result<Self, LabError> {
        let file = folder.map(|folder| RecordFile::create(folder, "events.jsonl", limit)).transpose()?;
        Ok(Self { state: Mutex::new(State { file, ..State::default() }), arrived: Condvar::new() })
    }

    pub(crate) fn add(&self, event: Event) {
        let mut state = self.lock();
        if let Some(file) = &mut state.file
            && let Ok(line) = serde_json::to_vec(&event)
        {
            file.append(&line, b"\n");
        }
        let total = state.totals.entry((event.policy, event.action)).or_default();
        total.0 += 1;
        total.1 += event.count;
        if state.kept.len() == EVENTS_KEPT_MAX {
            state.kept.pop_front();
        }
        state.kept.push_back(event);
        state.next += 1;
        drop(state);
        self.arrived.notify_all();
    }

    pub(crate) fn flush(&self) {
        if let Some(file) = &mut self.lock().file {
            file.flush();
        }
    }

    pub(crate) fn next(&self) -> u64 {
        self.lock().next
    }

    pub(crate) fn since(&self, from: u64) -> EventView {
        self.lock().since(from)
    }

    pub(crate) fn totals(&self) -> Vec<EventTotal> {
        let total = |(key, count): (&(&'static str, Done), &(u64, u64))| EventTotal {
            policy: key.0,
            action: key.1,
            events: count.0,
            packets: count.1,
        };
        self.lock().totals.iter().map(total).collect()
    }

    pub(crate) fn summary(&self) -> Option<CaptureSummary> {
        self.lock().file.as_ref().map(CaptureSummary::of)
    }

    /// The first event from `from` on that is wanted; waits for it at most this long.
    pub(crate) fn wait(&self, from: u64, limit: Duration, wanted: impl Fn(&Event) -> bool) -> Option<Event> {
        let deadline = Instant::now() + limit;
        let mut state = self.lock();
        let mut from = from;
        loop {
            if let Some(event) = state.kept_since(from).find(|event| wanted(event)) {
                return Some(event.clone());
            }
            from = state.next;
            let left = deadline.checked_duration_since(Instant::now())?;
            state = self.arrived.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn oldest(&self) -> u64 {
        self.next.saturating_sub(self.kept.len() as u64)
    }

    fn kept_since(&self, from: u64) -> impl Iterator<Item = &Event> {
        let skip = usize::try_from(from.saturating_sub(self.oldest())).unwrap_or(usize::MAX);
        self.kept.iter().skip(skip)
    }

    fn since(&self, from: u64) -> EventView {
        EventView {
            events: self.kept_since(from).cloned().collect(),
            next: self.next,
            forgotten: self.oldest().saturating_sub(from),
        }
    }
}
