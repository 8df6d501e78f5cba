//! Carries out what policies say.

use std::time::Duration;

use super::{
    Decision,
    chain::{Chain, Step},
    recorder::{Effect, Subject, millis, until_millis},
};
use crate::{
    event::{Done, Event, Side, Why},
    flow::Flow,
    hello::Reassembly,
    policer::{Policer, Share},
    policy::{Action, Condemned, Effects, Injection, Note, ProbeKind, ProbeRequest, Seen},
    residual::{Kill, Scope, Sentence, Standing, Target},
};

/// Marks on one flow.
const TAGS_MAX: usize = 32;

impl Chain {
    pub(super) fn carry(
        &mut self,
        now: Duration,
        place: usize,
        action: Action,
        seen: &Seen<'_>,
        flow: &mut Flow,
    ) -> Step {
        let in_path = self.posts.get(place).is_some_and(|post| post.in_path);
        match action {
            Action::Pass => Step::On,
            Action::Drop(why) => {
                self.effect(now, place, flow, Done::Drop, || why);
                vanish_if(in_path)
            }
            Action::Inject { packets, also_drop, why } => {
                let drops = also_drop && in_path;
                let why = why.and("packets", packets.len()).and("dropped", drops);
                self.inject(now, packets);
                let line = self.line(now, place, flow, Done::Inject, why);
                self.recorder.line(line);
                vanish_if(drops)
            }
            Action::Kill(sentence) => self.kill(now, place, sentence, seen, flow),
            Action::Delay(by, why) if in_path => {
                self.effect(now, place, flow, Done::Delay, || why);
                Step::Wait(by)
            }
            Action::Delay(..) => Step::On,
            Action::Police(policer) => self.police(now, place, &policer, seen, flow),
            Action::Tag(tag) => {
                if !flow.has_tag(tag) && flow.tags.len() < TAGS_MAX {
                    flow.tags.push(tag);
                    let line = self.line(now, place, flow, Done::Tag, Why::new().and("tag", tag));
                    self.recorder.line(line);
                }
                Step::On
            }
            Action::Probe(kind, why) => {
                self.probe(now, place, kind, why, flow);
                Step::On
            }
        }
    }

    /// For a packet without a flow only dropping, injecting and delaying have a meaning.
    pub(super) fn carry_stray(
        &mut self,
        now: Duration,
        place: usize,
        action: Action,
        seen: &Seen<'_>,
    ) -> Step {
        let in_path = self.posts.get(place).is_some_and(|post| post.in_path);
        let about = || format!("{} > {}", seen.packet().source, seen.packet().destination);
        let effect = |done| Effect {
            now,
            policy: self.name(place),
            place,
            subject: Subject::Stray,
            action: done,
            packet: 0,
            bytes: seen.len() as u64,
            until: None,
        };
        match action {
            Action::Drop(why) if in_path => {
                let effect = effect(Done::Drop);
                self.recorder.effect(&effect, || (about(), why));
                Step::End(Decision::Drop)
            }
            Action::Inject { packets, also_drop, why } => {
                let effect = effect(Done::Inject);
                self.recorder.effect(&effect, || (about(), why));
                self.inject(now, packets);
                vanish_if(also_drop && in_path)
            }
            Action::Delay(by, why) if in_path => {
                let effect = effect(Done::Delay);
                self.recorder.effect(&effect, || (about(), why));
                Step::End(Decision::Hold(now.saturating_add(by)))
            }
            Action::Pass
            | Action::Drop(_)
            | Action::Delay(..)
            | Action::Kill(_)
            | Action::Police(_)
            | Action::Tag(_)
            | Action::Probe(..) => Step::On,
        }
    }

    /// Carries out what a call left in its surroundings.
    pub(super) fn carry_effects(&mut self, now: Duration, place: usize, flow: Option<&mut Flow>) {
        if self.effects.is_empty() {
            return;
        }
        let Effects { condemned, injections, notes, wake_at, ignore, lost } =
            std::mem::take(&mut self.effects);
        self.effects_lost += lost;
        self.inject(now, injections);
        if let (Some(at), Some(post)) = (wake_at, self.posts.get_mut(place)) {
            post.wake_at = Some(post.wake_at.map_or(at, |set| set.min(at)));
        }
        if let (true, Some(flow)) = (ignore, flow) {
            flow.ignored_by |=
                1_u64.checked_shl(u32::try_from(place).unwrap_or(u32::MAX)).unwrap_or_default();
        }
        for Note { about, why } in notes {
            let line = self.bare_line(now, place, about, Done::Note, why, None);
            self.recorder.line(line);
        }
        for Condemned { target, sentence } in condemned {
            let Sentence { kill, ttl, refresh, inject, why, .. } = sentence;
            let until = self.pass(now, place, target, kill, ttl, refresh);
            self.inject(now, inject);
            let why = why.and("kill", kill.name());
            let line = self.bare_line(now, place, target.to_string(), Done::Kill, why, until);
            self.recorder.line(line);
        }
    }

    fn kill(
        &mut self,
        now: Duration,
        place: usize,
        sentence: Sentence,
        seen: &Seen<'_>,
        flow: &Flow,
    ) -> Step {
        let in_path = self.posts.get(place).is_some_and(|post| post.in_path);
        let Sentence { scope, kill, ttl, refresh, inject, trigger_passes, why } = sentence;
        let target = Target::of(scope, flow);
        let until = self.pass(now, place, target, kill, ttl, refresh);
        self.inject(now, inject);
        if let Kill::Reset(style) = kill {
            self.inject(now, style.packets(seen, true));
        }
        let why = why.and("kill", kill.name()).and("scope", scope_name(scope));
        let mut line = self.line(now, place, flow, Done::Kill, why);
        line.until_ms = until_millis(until);
        self.recorder.line(line);
        if kill.drops(seen.from()) && in_path && !trigger_passes {
            return Step::End(Decision::Drop);
        }
        Step::End(Decision::Forward)
    }

    /// Lets the sentence stand, unless it was for one packet only, or the box cannot drop. Answers until when.
    fn pass(
        &mut self,
        now: Duration,
        place: usize,
        target: Target,
        kill: Kill,
        ttl: Duration,
        refresh: bool,
    ) -> Option<Duration> {
        let in_path = self.posts.get(place).is_some_and(|post| post.in_path);
        let possible = in_path || matches!(kill, Kill::Reset(_));
        if ttl.is_zero() || !possible {
            return None;
        }
        let until = now.saturating_add(ttl);
        self.residuals.pass(target, Standing { policy: place, kill, ttl, refresh, until });
        Some(until)
    }

    fn police(
        &mut self,
        now: Duration,
        place: usize,
        policer: &Policer,
        seen: &Seen<'_>,
        flow: &Flow,
    ) -> Step {
        let in_path = self.posts.get(place).is_some_and(|post| post.in_path);
        if !in_path || self.policers.admits(now, place, policer, seen.len()) {
            return Step::On;
        }
        let share = match policer.share {
            Share::Flow(_) => "flow",
            Share::Direction(_, Side::Client) => "client to world",
            Share::Direction(_, Side::World) => "world to client",
            Share::Address(_) => "address",
        };
        self.effect(now, place, flow, Done::Police, || {
            Why::new()
                .and("bits_per_second", policer.rate)
                .and("burst_bytes", policer.burst)
                .and("share", share)
        });
        Step::End(Decision::Drop)
    }

    fn probe(&mut self, now: Duration, place: usize, kind: ProbeKind, why: Why, flow: &Flow) {
        self.probes_made += 1;
        let hello = flow.hello(Reassembly::TcpTls);
        let request = ProbeRequest {
            id: self.probes_made,
            kind,
            protocol: flow.protocol(),
            target: flow.world(),
            first_flight: flow.prefix(Side::Client).to_vec(),
            server_name: hello.and_then(|hello| hello.server_name()).map(str::to_owned),
        };
        let taken = self.outbox.probe(place, request);
        let why = why.and("probe", kind.name()).and("called", taken);
        let line = self.line(now, place, flow, Done::Probe, why);
        self.recorder.line(line);
    }

    fn inject(&mut self, now: Duration, packets: Vec<Injection>) {
        for injection in packets {
            self.outbox.inject(now, injection);
        }
    }

    fn effect(&mut self, now: Duration, place: usize, flow: &Flow, action: Done, why: impl FnOnce() -> Why) {
        let effect = Effect {
            now,
            policy: self.name(place),
            place,
            subject: Subject::Flow(flow.id()),
            action,
            packet: flow.packets().sum(),
            bytes: flow.bytes().sum(),
            until: None,
        };
        self.recorder.effect(&effect, || (flow.key().to_string(), why()));
    }

    fn bare_line(
        &self,
        now: Duration,
        place: usize,
        about: String,
        action: Done,
        why: Why,
        until: Option<Duration>,
    ) -> Event {
        Event {
            t_ms: millis(now),
            policy: self.name(place),
            flow: about,
            packet: 0,
            bytes: 0,
            action,
            why,
            until_ms: until_millis(until),
            count: 1,
        }
    }
}

const fn vanish_if(drops: bool) -> Step {
    if drops { Step::End(Decision::Drop) } else { Step::On }
}

const fn scope_name(scope: Scope) -> &'static str {
    match scope {
        Scope::Flow => "flow",
        Scope::FourTuple => "4-tuple",
        Scope::ThreeTuple => "3-tuple",
        Scope::Service => "service",
        Scope::Address => "address",
        Scope::Client => "client",
    }
}
