//! What is known of each endpoint: a state machine without clock or IO.
//!
//! An endpoint is *untested*, *proven* (a handshake or a first byte showed that it works), *suspect* (it was overtaken,
//! fell silent or ended flows early) or *resting* (an attempt failed; it is left alone for a while that grows).

use std::time::{Duration, Instant};

use commucat_transport_api::{Failure, Phase, Retry, Signal};
use serde::Serialize;

use super::policy::{self, Candidate, MAX_STRIKES, STRIKE_PAUSE, STRIKE_WINDOW, SUSPECT_TTL};

/// Flows that ended before their first byte, in a row, until their endpoint is suspect. One alone is usually a
/// target that closed.
const MAX_EARLY_ENDS: u32 = 3;
/// Weight of a new sample in the usual dial time: one in this many.
const SMOOTHING: u32 = 4;

/// How an endpoint is seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum EndpointState {
    /// Nobody tried it yet.
    Untested,
    /// It worked when it was last used.
    Proven,
    /// Something is wrong with it; it is used when nothing better is there.
    Suspect,
    /// It failed and is left alone for a while.
    Resting,
}

/// What changed with an event, for logs and for a background check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Change {
    pub(crate) from: EndpointState,
    pub(crate) to: EndpointState,
}

/// One endpoint.
#[derive(Clone, Debug, Default)]
pub(crate) struct Health {
    proven: bool,
    has_worked: bool,
    suspect_until: Option<Instant>,
    resting_until: Option<Instant>,
    refused: bool,
    failures: u32,
    early_ends: u32,
    strikes: u32,
    last_strike: Option<Instant>,
    last_attempt: Option<Instant>,
    usual_dial: Option<Duration>,
}

impl Health {
    pub(crate) fn state(&self, now: Instant) -> EndpointState {
        if self.resting_until.is_some_and(|until| now < until) {
            EndpointState::Resting
        } else if self.suspect_until.is_some_and(|until| now < until) {
            EndpointState::Suspect
        } else if self.proven {
            EndpointState::Proven
        } else {
            EndpointState::Untested
        }
    }

    pub(crate) const fn resting_until(&self) -> Option<Instant> {
        self.resting_until
    }

    pub(crate) const fn last_attempt(&self) -> Option<Instant> {
        self.last_attempt
    }

    /// Whether it rests because it does not want us.
    pub(crate) fn refused(&self, now: Instant) -> bool {
        self.refused && self.state(now) == EndpointState::Resting
    }

    fn works(&mut self) {
        self.proven = true;
        self.has_worked = true;
        self.failures = 0;
        self.early_ends = 0;
        self.refused = false;
        self.resting_until = None;
        if self.strikes < MAX_STRIKES {
            self.suspect_until = None;
        }
    }

    fn suspect(&mut self, now: Instant) {
        self.suspect_until = Some(now + SUSPECT_TTL);
    }
}

/// All endpoints of a manager.
#[derive(Debug)]
pub(crate) struct Table {
    endpoints: Vec<Health>,
    winner: Option<usize>,
    seed: u32,
}

impl Table {
    pub(crate) fn new(count: usize, winner: Option<usize>, seed: u32) -> Self {
        let winner = winner.filter(|at| *at < count);
        Self { endpoints: vec![Health::default(); count], winner, seed: seed | 1 }
    }

    /// Endpoints that were learnt later.
    pub(crate) fn grow(&mut self, count: usize) {
        self.endpoints.resize_with(count.max(self.endpoints.len()), Health::default);
    }

    pub(crate) fn candidates(&self, now: Instant, usable: impl Fn(usize) -> bool) -> Vec<Candidate> {
        policy::order(now, &self.endpoints, self.winner, usable)
    }

    pub(crate) fn state(&self, now: Instant, at: usize) -> EndpointState {
        self.endpoints.get(at).map_or(EndpointState::Untested, |health| health.state(now))
    }

    pub(crate) const fn winner(&self) -> Option<usize> {
        self.winner
    }

    pub(crate) fn stagger(&self, at: usize) -> Duration {
        policy::stagger(self.endpoints.get(at).and_then(|health| health.usual_dial))
    }

    /// A dial begins.
    pub(crate) fn handle_started(&mut self, now: Instant, at: usize) {
        if let Some(health) = self.endpoints.get_mut(at) {
            health.last_attempt = Some(now);
        }
    }

    /// A dial gave a channel. That it works, only its first byte proves.
    pub(crate) fn handle_dialled(&mut self, at: usize, took: Duration) {
        if let Some(health) = self.endpoints.get_mut(at) {
            let usual = health.usual_dial.unwrap_or(took);
            health.usual_dial = Some((usual * (SMOOTHING - 1) + took) / SMOOTHING);
        }
    }

    /// How long a dial through it usually takes.
    pub(crate) fn usual_dial(&self, at: usize) -> Option<Duration> {
        self.endpoints.get(at).and_then(|health| health.usual_dial)
    }

    /// Whether it ever worked in this run.
    pub(crate) fn has_worked(&self, at: usize) -> bool {
        self.endpoints.get(at).is_some_and(|health| health.has_worked)
    }

    /// The first byte came back through it.
    pub(crate) fn handle_first_byte(&mut self, now: Instant, at: usize) -> Option<Change> {
        let changed = self.change(now, at, Health::works);
        let proven = |table: &Self, at| table.state(now, at) == EndpointState::Proven;
        if proven(self, at) && !self.winner.is_some_and(|winner| proven(self, winner)) {
            self.winner = Some(at);
        }
        changed
    }

    /// An attempt failed.
    pub(crate) fn handle_failure(&mut self, now: Instant, at: usize, failure: &Failure) -> Option<Change> {
        match failure.signal {
            // The bridge answered: it works.
            Signal::TargetUnreachable => return self.change(now, at, Health::works),
            // Not the endpoint's fault.
            Signal::LocalNetworkDown => return None,
            _ => {}
        }
        let random = self.random();
        self.forget_winner(at);
        self.change(now, at, |health| {
            health.failures = health.failures.saturating_add(1);
            health.proven = false;
            health.refused = failure.retry() == Retry::Never;
            health.resting_until = Some(now + policy::rest(health.failures, failure, random));
        })
    }

    /// An endpoint that was started later won.
    pub(crate) fn handle_overtaken(&mut self, now: Instant, at: usize) -> Option<Change> {
        self.forget_winner(at);
        self.change(now, at, |health| health.suspect(now))
    }

    /// Bytes went out through it and for too long nothing came back.
    pub(crate) fn handle_silence(&mut self, now: Instant, at: usize) -> Option<Change> {
        self.forget_winner(at);
        self.change(now, at, |health| {
            health.suspect(now);
            match health.last_strike.map(|last| now.saturating_duration_since(last)) {
                // Many flows fall silent together; that is one silence.
                Some(ago) if ago < STRIKE_PAUSE => return,
                Some(ago) if ago < STRIKE_WINDOW => health.strikes = health.strikes.saturating_add(1),
                _ => health.strikes = 1,
            }
            health.last_strike = Some(now);
        })
    }

    /// A flow ended before its first byte came back.
    pub(crate) fn handle_early_end(&mut self, now: Instant, at: usize) -> Option<Change> {
        let suspect = {
            let health = self.endpoints.get_mut(at)?;
            health.early_ends = health.early_ends.saturating_add(1);
            health.early_ends >= MAX_EARLY_ENDS
        };
        if !suspect {
            return None;
        }
        self.forget_winner(at);
        self.change(now, at, |health| health.suspect(now))
    }

    /// A background check ended.
    pub(crate) fn handle_checked(
        &mut self,
        now: Instant,
        at: usize,
        failure: Option<&Failure>,
    ) -> Option<Change> {
        match failure {
            Some(failure) => self.handle_failure(now, at, failure),
            None => self.change(now, at, |health| {
                let recent = health
                    .last_strike
                    .is_some_and(|last| now.saturating_duration_since(last) < STRIKE_WINDOW);
                health.strikes = if recent { health.strikes } else { 0 };
                health.works();
            }),
        }
    }

    fn change(&mut self, now: Instant, at: usize, with: impl FnOnce(&mut Health)) -> Option<Change> {
        let health = self.endpoints.get_mut(at)?;
        let from = health.state(now);
        with(health);
        let to = health.state(now);
        (from != to).then_some(Change { from, to })
    }

    fn forget_winner(&mut self, at: usize) {
        if self.winner == Some(at) {
            self.winner = None;
        }
    }

    /// Xorshift: jitter needs no more.
    fn random(&mut self) -> u32 {
        self.seed ^= self.seed << 13;
        self.seed ^= self.seed >> 17;
        self.seed ^= self.seed << 5;
        self.seed
    }
}

/// What silence is, as evidence.
pub(crate) const fn silence(for_how_long: Duration, sent: u64) -> Failure {
    Failure::new(Phase::Data, Signal::Timeout, for_how_long).with_bytes(sent, 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn table(count: usize) -> (Table, Instant) {
        (Table::new(count, None, 7), Instant::now())
    }

    fn order(table: &Table, now: Instant) -> Vec<usize> {
        table.candidates(now, |_| true).into_iter().map(|candidate| candidate.at).collect()
    }

    fn refused() -> Failure {
        Failure::new(Phase::Connect, Signal::Refused, MS)
    }

    #[test]
    fn a_winner_is_remembered_until_it_fails() {
        let (mut table, now) = table(3);
        assert_eq!(order(&table, now), [0, 1, 2], "at first the order of the link");
        table.handle_dialled(1, 40 * MS);
        table.handle_first_byte(now, 1);
        assert_eq!(order(&table, now), [1, 0, 2]);
        table.handle_failure(now, 1, &refused());
        assert_eq!(order(&table, now), [0, 2, 1], "it rests, and stays the last resort");
        assert_eq!(table.state(now, 1), EndpointState::Resting);
        assert_eq!(table.state(now + Duration::from_secs(3), 1), EndpointState::Untested, "a rest ends");
    }

    #[test]
    fn silence_makes_suspect_and_a_check_clears_it() {
        let (mut table, now) = table(2);
        table.handle_first_byte(now, 0);
        let change = table.handle_silence(now, 0).unwrap();
        assert_eq!(change, Change { from: EndpointState::Proven, to: EndpointState::Suspect });
        assert_eq!(order(&table, now), [1, 0]);
        assert!(table.candidates(now, |_| true)[1].doubtful);
        assert_eq!(table.handle_checked(now, 0, None).unwrap().to, EndpointState::Proven);
    }

    #[test]
    fn an_endpoint_whose_flows_freeze_again_and_again_stays_suspect() {
        let (mut table, mut now) = table(2);
        table.handle_silence(now, 0);
        table.handle_silence(now, 0);
        for _ in 1..MAX_STRIKES {
            table.handle_checked(now, 0, None);
            assert_eq!(table.state(now, 0), EndpointState::Proven);
            now += STRIKE_PAUSE;
            table.handle_silence(now, 0);
        }
        table.handle_checked(now, 0, None);
        assert_eq!(table.state(now, 0), EndpointState::Suspect);
        let later = now + STRIKE_WINDOW + SUSPECT_TTL;
        assert_ne!(table.state(later, 0), EndpointState::Suspect, "suspicion has an end");
    }

    #[test]
    fn one_early_end_is_the_targets_and_three_are_the_endpoints() {
        let (mut table, now) = table(1);
        assert_eq!(table.handle_early_end(now, 0), None);
        table.handle_first_byte(now, 0);
        assert_eq!(table.handle_early_end(now, 0), None);
        assert_eq!(table.handle_early_end(now, 0), None);
        assert_eq!(table.handle_early_end(now, 0).unwrap().to, EndpointState::Suspect);
    }

    #[test]
    fn a_refusal_is_not_tried_again_at_once_but_later_for_want_of_another() {
        let (mut table, now) = table(1);
        table.handle_started(now, 0);
        table.handle_failure(now, 0, &Failure::new(Phase::Authenticate, Signal::UnknownUser, MS));
        assert!(order(&table, now).is_empty());
        let later = now + policy::REFUSED_PAUSE;
        assert_eq!(table.state(later, 0), EndpointState::Resting);
        assert_eq!(order(&table, later), [0]);
    }

    #[test]
    fn a_dead_target_or_a_dead_uplink_is_not_the_endpoints_fault() {
        let (mut table, now) = table(1);
        let failure = |signal| Failure::new(Phase::Connect, signal, MS);
        assert_eq!(table.handle_failure(now, 0, &failure(Signal::LocalNetworkDown)), None);
        assert_eq!(
            table.handle_failure(now, 0, &failure(Signal::TargetUnreachable)).unwrap().to,
            EndpointState::Proven
        );
    }

    #[test]
    fn an_overtaken_winner_loses_its_place() {
        let (mut table, now) = table(2);
        table.handle_first_byte(now, 0);
        table.handle_overtaken(now, 0);
        table.handle_first_byte(now, 1);
        assert_eq!(order(&table, now), [1, 0]);
        // Flows that still run through the old one do not take the place back.
        table.handle_first_byte(now, 0);
        assert_eq!(table.winner(), Some(1));
    }
}
