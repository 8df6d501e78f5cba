//! The chain of policies and everything they share.

use std::{net::IpAddr, time::Duration};

use commucat_dissect::ip::PacketError;

use super::{
    Decision, Stats,
    outbox::Outbox,
    recorder::{Effect, Recorder, Subject, millis},
};
use crate::{
    event::{Done, Event, Side, Why},
    flow::Flow,
    geography::Geography,
    lists::Lists,
    policer::Policers,
    policy::{Action, Cx, Effects, Injection, Policy, Position, ProbeOutcome, ProbeRequest, Seen},
    random::Random,
    residual::{Held, Kill, Residuals},
};

/// Who is named in lines that no policy wrote.
pub(super) const NOBODY: &str = "judge";
/// The place of nobody in the chain.
const NO_PLACE: usize = usize::MAX;

/// A policy in the chain, with what is its own.
#[derive(Debug)]
pub(super) struct Post {
    pub(super) name: &'static str,
    pub(super) policy: Box<dyn Policy>,
    pub(super) in_path: bool,
    pub(super) random: Random,
    pub(super) wake_at: Option<Duration>,
}

#[derive(Debug)]
pub(super) struct Chain {
    pub(super) posts: Vec<Post>,
    geography: Geography,
    lists: Lists,
    pub(super) residuals: Residuals,
    pub(super) policers: Policers,
    pub(super) recorder: Recorder,
    pub(super) outbox: Outbox,
    pub(super) effects: Effects,
    pub(super) effects_lost: u64,
    pub(super) probes_made: u64,
}

/// What one policy made of a packet.
pub(super) enum Step {
    /// The next policy decides.
    On,
    /// The same, and the packet is held back that much longer.
    Wait(Duration),
    /// The chain ends here.
    End(Decision),
}

impl Chain {
    pub(super) fn new(
        policies: Vec<(&'static str, Box<dyn Policy>)>,
        geography: Geography,
        lists: Lists,
        seed: u64,
    ) -> Self {
        let post = |(place, (name, policy)): (usize, (&'static str, Box<dyn Policy>))| {
            let in_path = policy.position() == Position::InPath;
            Post { name, policy, in_path, random: Random::new(seed, place as u64 + 1), wake_at: None }
        };
        Self {
            posts: policies.into_iter().enumerate().map(post).collect(),
            geography,
            lists,
            residuals: Residuals::new(),
            policers: Policers::new(),
            recorder: Recorder::new(),
            outbox: Outbox::default(),
            effects: Effects::default(),
            effects_lost: 0,
            probes_made: 0,
        }
    }

    /// Asks the policies one after the other.
    pub(super) fn judge(&mut self, now: Duration, seen: &Seen<'_>, flow: &mut Flow) -> Decision {
        let held = self.residuals.held(now, flow);
        let mut wait = Duration::ZERO;
        for place in 0..self.posts.len() {
            match self.apply(now, place, &held, seen, Some(flow)) {
                Some(Step::End(decision)) => return decision,
                Some(_) => continue,
                None => {}
            }
            if flow.ignored_by >> place & 1 == 1 {
                continue;
            }
            let action = self.call(now, place, |policy, cx| policy.on_packet(cx, seen, flow));
            if !self.effects.is_empty() {
                self.carry_effects(now, place, Some(flow));
            }
            if matches!(action, Action::Pass) {
                continue;
            }
            match self.carry(now, place, action, seen, flow) {
                Step::On => {}
                Step::Wait(more) => wait = wait.saturating_add(more),
                Step::End(decision) => return decision,
            }
        }
        if wait.is_zero() { Decision::Forward } else { Decision::Hold(now.saturating_add(wait)) }
    }

    /// The same for a packet without a flow.
    pub(super) fn judge_stray(
        &mut self,
        now: Duration,
        seen: &Seen<'_>,
        (client, world): (IpAddr, IpAddr),
    ) -> Decision {
        let held = self.residuals.held_stray(now, client, world);
        for place in 0..self.posts.len() {
            match self.apply(now, place, &held, seen, None) {
                Some(Step::End(decision)) => return decision,
                Some(_) => continue,
                None => {}
            }
            let action = self.call(now, place, |policy, cx| policy.on_stray(cx, seen));
            if !self.effects.is_empty() {
                self.carry_effects(now, place, None);
            }
            if let Step::End(decision) = self.carry_stray(now, place, action, seen) {
                return decision;
            }
        }
        Decision::Forward
    }

    /// Lets a policy do something, in its own surroundings.
    pub(super) fn call<T>(
        &mut self,
        now: Duration,
        place: usize,
        ask: impl FnOnce(&mut dyn Policy, &mut Cx<'_>) -> T,
    ) -> T
    where
        T: OrPass,
    {
        let Some(post) = self.posts.get_mut(place) else { return T::pass() };
        let mut cx = Cx {
            now,
            random: &mut post.random,
            geography: &self.geography,
            lists: &self.lists,
            effects: &mut self.effects,
        };
        ask(post.policy.as_mut(), &mut cx)
    }

    pub(super) fn flow_over(&mut self, now: Duration, flow: &Flow) {
        self.residuals.flow_over(flow);
        for place in 0..self.posts.len() {
            self.call(now, place, |policy, cx| policy.on_flow_end(cx, flow));
            self.carry_effects(now, place, None);
        }
    }

    /// Sends what is due and wakes policies whose time has come.
    pub(super) fn advance(&mut self, now: Duration) {
        self.outbox.advance(now);
        for place in 0..self.posts.len() {
            let Some(post) = self.posts.get_mut(place) else { continue };
            if post.wake_at.is_some_and(|at| at <= now) {
                post.wake_at = None;
                self.call(now, place, |policy, cx| policy.on_tick(cx));
                self.carry_effects(now, place, None);
            }
        }
    }

    /// Forgets what expired. True when something is left that will expire.
    pub(super) fn sweep(&mut self, now: Duration) -> bool {
        self.residuals.sweep(now);
        self.recorder.sweep(now);
        self.recorder.is_waiting() || !self.residuals.is_empty()
    }

    pub(super) fn next_at(&self) -> Option<Duration> {
        self.posts.iter().filter_map(|post| post.wake_at).chain(self.outbox.next_at()).min()
    }

    pub(super) fn handle_probe(&mut self, now: Duration, outcome: &ProbeOutcome) {
        let Some((place, request)) = self.outbox.answered(outcome.id) else { return };
        self.call(now, place, |policy, cx| policy.on_probe(cx, &request, outcome));
        self.carry_effects(now, place, None);
    }

    pub(super) fn poll_inject(&mut self) -> Option<Injection> {
        self.outbox.poll_inject()
    }

    pub(super) fn poll_event(&mut self) -> Option<Event> {
        self.recorder.poll()
    }

    pub(super) fn poll_probe(&mut self) -> Option<ProbeRequest> {
        self.outbox.poll_probe()
    }

    pub(super) fn finish(&mut self) {
        self.recorder.finish();
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &'static str> + '_ {
        self.posts.iter().map(|post| post.name)
    }

    pub(super) const fn add_stats(&self, stats: &mut Stats) {
        stats.injected = self.outbox.injected;
        stats.events_lost = self.recorder.lost;
        stats.injections_lost = self.outbox.injections_lost;
        stats.probes_lost = self.outbox.probes_lost;
        stats.effects_lost = self.effects_lost;
    }

    pub(super) fn record_malformed(&mut self, now: Duration, from: Side, bytes: usize, error: PacketError) {
        let effect = Effect {
            now,
            policy: NOBODY,
            place: NO_PLACE,
            subject: Subject::Stray,
            action: Done::Malformed,
            packet: 0,
            bytes: bytes as u64,
            until: None,
        };
        self.recorder.effect(&effect, || {
            (format!("from {from:?}"), Why::new().and("error", error.to_string()).and("bytes", bytes))
        });
    }

    /// Applies what the policy at this place decreed earlier. `None` when nothing stands; the policy is then asked.
    fn apply(
        &mut self,
        now: Duration,
        place: usize,
        held: &[Held],
        seen: &Seen<'_>,
        flow: Option<&Flow>,
    ) -> Option<Step> {
        let mut resets = false;
        for one in held.iter().filter(|one| one.standing.policy == place) {
            if one.standing.kill.drops(seen.from()) {
                self.record_residual(now, place, one, seen, flow, Done::ResidualDrop);
                return Some(Step::End(Decision::Drop));
            }
            if let Kill::Reset(style) = one.standing.kill
                && seen.from_client()
                && !seen.payload().is_empty()
            {
                for injection in style.packets(seen, true) {
                    self.outbox.inject(now, injection);
                }
                self.record_residual(now, place, one, seen, flow, Done::ResidualReset);
                resets = true;
            }
        }
        resets.then_some(Step::On)
    }

    fn record_residual(
        &mut self,
        now: Duration,
        place: usize,
        held: &Held,
        seen: &Seen<'_>,
        flow: Option<&Flow>,
        action: Done,
    ) {
        let until = self.residuals.hit(now, seen.from(), held);
        let effect = Effect {
            now,
            policy: self.name(place),
            place,
            subject: flow.map_or(Subject::Target(held.target), |flow| Subject::Flow(flow.id())),
            action,
            packet: flow.map_or(0, |flow| flow.packets().sum()),
            bytes: flow.map_or(seen.len() as u64, |flow| flow.bytes().sum()),
            until: Some(until),
        };
        self.recorder.effect(&effect, || {
            let about = flow.map_or_else(|| held.target.to_string(), |flow| flow.key().to_string());
            (about, Why::new().and("sentence", held.target.to_string()))
        });
    }

    pub(super) fn name(&self, place: usize) -> &'static str {
        self.posts.get(place).map_or(NOBODY, |post| post.name)
    }

    /// A line about a flow.
    pub(super) fn line(&mut self, now: Duration, place: usize, flow: &Flow, action: Done, why: Why) -> Event {
        Event {
            t_ms: millis(now),
            policy: self.name(place),
            flow: flow.key().to_string(),
            packet: flow.packets().sum(),
            bytes: flow.bytes().sum(),
            action,
            why,
            until_ms: None,
            count: 1,
        }
    }
}

/// What a policy that is not there would say.
pub(super) trait OrPass {
    fn pass() -> Self;
}

impl OrPass for Action {
    fn pass() -> Self {
        Self::Pass
    }
}

impl OrPass for () {
    fn pass() -> Self {}
}
