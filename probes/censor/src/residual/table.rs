//! The sentences that stand, by what they hold for.

use std::{net::IpAddr, time::Duration};

use super::{Kill, Scope, Target};
use crate::{bounded::Bounded, event::Side, flow::Flow};

/// Targets with a sentence at once. When one more comes, the one that was not hit for longest is pardoned.
pub(crate) const TARGETS_MAX: usize = 16 * 1024;

/// Every scope, in the order in which a flow is asked for.
const SCOPES: [Scope; 6] =
    [Scope::Flow, Scope::FourTuple, Scope::ThreeTuple, Scope::Service, Scope::Address, Scope::Client];

/// A sentence that stands.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Standing {
    /// The policy's place in the chain.
    pub(crate) policy: usize,
    pub(crate) kill: Kill,
    pub(crate) ttl: Duration,
    pub(crate) refresh: bool,
    pub(crate) until: Duration,
}

/// A sentence that holds for the packet at hand.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Held {
    pub(crate) target: Target,
    pub(crate) standing: Standing,
}

#[derive(Debug)]
pub(crate) struct Residuals {
    /// At most one sentence of each policy for a target.
    standing: Bounded<Target, Vec<Standing>>,
    /// How many targets there are of each scope: most packets need not ask.
    targets: [usize; SCOPES.len()],
}

impl Residuals {
    pub(crate) fn new() -> Self {
        Self { standing: Bounded::new(TARGETS_MAX), targets: [0; SCOPES.len()] }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.standing.is_empty()
    }

    /// Lets a sentence stand. An earlier one of the same policy for the same target is replaced.
    pub(crate) fn pass(&mut self, target: Target, standing: Standing) {
        if let Some(others) = self.standing.get(&target) {
            others.retain(|other| other.policy != standing.policy);
            others.push(standing);
            return;
        }
        self.count(&target, 1);
        if let Some((pardoned, _standing)) = self.standing.insert(target, vec![standing]) {
            self.count(&pardoned, -1);
        }
    }

    /// What holds for a packet of this flow, in the order of the chain. Nothing is allocated when nothing holds.
    pub(crate) fn held(&mut self, now: Duration, flow: &Flow) -> Vec<Held> {
        let mut held = Vec::new();
        for (scope, count) in SCOPES.into_iter().zip(self.targets) {
            if count > 0 {
                self.look(now, Target::of(scope, flow), &mut held);
            }
        }
        held.sort_by_key(|one| one.standing.policy);
        held
    }

    /// What holds for a packet without a flow.
    pub(crate) fn held_stray(&mut self, now: Duration, client: IpAddr, world: IpAddr) -> Vec<Held> {
        let mut held = Vec::new();
        if !self.standing.is_empty() {
            self.look(now, Target::Address(world), &mut held);
            self.look(now, Target::Client(client), &mut held);
        }
        held.sort_by_key(|one| one.standing.policy);
        held
    }

    /// A packet from that side was hit: a sentence that is refreshed begins anew. Answers until when it stands.
    pub(crate) fn hit(&mut self, now: Duration, from: Side, held: &Held) -> Duration {
        let Some(standing) = self.standing.get(&held.target) else { return held.standing.until };
        let mut same = standing.iter_mut().filter(|one| one.policy == held.standing.policy);
        match same.next() {
            Some(one) => {
                if one.refresh && from == Side::Client {
                    one.until = now.saturating_add(one.ttl);
                }
                one.until
            }
            None => held.standing.until,
        }
    }

    /// The flow is over, and what held for it alone.
    pub(crate) fn flow_over(&mut self, flow: &Flow) {
        let [of_flows, ..] = self.targets;
        if of_flows > 0 {
            self.remove(&Target::Flow(flow.id()));
        }
    }

    /// Forgets what expired.
    pub(crate) fn sweep(&mut self, now: Duration) {
        let mut next = self.standing.oldest();
        while let Some(target) = next {
            next = self.standing.newer(&target);
            if self.standing.peek(&target).is_some_and(|all| all.iter().all(|one| one.until <= now)) {
                self.remove(&target);
            }
        }
    }

    fn look(&mut self, now: Duration, target: Target, held: &mut Vec<Held>) {
        let Some(all) = self.standing.peek(&target) else { return };
        let before = held.len();
        held.extend(
            all.iter().filter(|one| one.until > now).map(|standing| Held { target, standing: *standing }),
        );
        if held.len() == before {
            self.remove(&target);
        }
    }

    fn remove(&mut self, target: &Target) {
        if self.standing.remove(target).is_some() {
            self.count(target, -1);
        }
    }

    fn count(&mut self, target: &Target, change: isize) {
        let place = match target {
            Target::Flow(_) => 0,
            Target::FourTuple(_) => 1,
            Target::ThreeTuple(..) => 2,
            Target::Service(..) => 3,
            Target::Address(_) => 4,
            Target::Client(_) => 5,
        };
        if let Some(count) = self.targets.get_mut(place) {
            *count = count.saturating_add_signed(change);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flow::{FlowKey, Protocol};

    const SECOND: Duration = Duration::from_secs(1);

    fn flow(id: u64, client_port: u16) -> Flow {
        let key = FlowKey::new(
            Protocol::Tcp,
            Side::Client,
            ([10, 73, 0, 2], client_port).into(),
            ([203, 0, 113, 10], 443).into(),
        );
        Flow::new(id, key, Side::Client, Duration::ZERO)
    }

    fn standing(policy: usize, refresh: bool) -> Standing {
        Standing { policy, kill: Kill::DropBoth, ttl: SECOND * 10, refresh, until: SECOND * 10 }
    }

    #[test]
    fn each_scope_holds_for_its_own_and_no_more() {
        let caught = |scope| {
            let mut residuals = Residuals::new();
            residuals.pass(Target::of(scope, &flow(1, 4000)), standing(0, false));
            let mut other_service = flow(4, 4000);
            other_service.key.world.set_port(80);
            let mut other_client = flow(5, 4000);
            other_client.key.client.set_ip([10, 73, 0, 3].into());
            [flow(1, 4000), flow(2, 4000), flow(3, 4001), other_service, other_client]
                .map(|flow| !residuals.held(SECOND, &flow).is_empty())
        };
        assert_eq!(caught(Scope::Flow), [true, false, false, false, false]);
        assert_eq!(caught(Scope::FourTuple), [true, true, false, false, false]);
        assert_eq!(caught(Scope::ThreeTuple), [true, true, true, false, false]);
        assert_eq!(caught(Scope::Service), [true, true, true, false, true]);
        assert_eq!(caught(Scope::Address), [true; 5]);
        assert_eq!(caught(Scope::Client), [true, true, true, true, false]);
    }

    #[test]
    fn a_sentence_expires_and_a_refreshed_one_begins_anew() {
        for (refresh, at_15) in [(false, 0), (true, 1)] {
            let mut residuals = Residuals::new();
            let flow = flow(1, 4000);
            residuals.pass(Target::of(Scope::ThreeTuple, &flow), standing(0, refresh));
            let held = residuals.held(SECOND * 9, &flow);
            residuals.hit(SECOND * 9, Side::Client, &held[0]);
            assert_eq!(residuals.held(SECOND * 15, &flow).len(), at_15);
            assert!(residuals.held(SECOND * 19, &flow).is_empty());
            assert!(residuals.is_empty());
        }
    }

    #[test]
    fn the_world_does_not_refresh() {
        let mut residuals = Residuals::new();
        let flow = flow(1, 4000);
        residuals.pass(Target::of(Scope::FourTuple, &flow), standing(0, true));
        let held = residuals.held(SECOND * 9, &flow);
        assert_eq!(residuals.hit(SECOND * 9, Side::World, &held[0]), SECOND * 10);
    }

    #[test]
    fn sentences_come_in_the_order_of_the_chain_and_one_for_each_policy() {
        let mut residuals = Residuals::new();
        let flow = flow(1, 4000);
        for policy in [2, 0, 1, 2] {
            residuals.pass(Target::of(Scope::ThreeTuple, &flow), standing(policy, false));
        }
        residuals.pass(Target::of(Scope::Address, &flow), standing(1, false));
        let order: Vec<usize> =
            residuals.held(SECOND, &flow).iter().map(|held| held.standing.policy).collect();
        assert_eq!(order, [0, 1, 1, 2]);
    }

    #[test]
    fn the_table_is_bounded_and_swept() {
        let mut residuals = Residuals::new();
        for id in 0..TARGETS_MAX as u64 + 100 {
            residuals.pass(Target::Flow(id), standing(0, false));
        }
        assert_eq!(residuals.standing.len(), TARGETS_MAX);
        assert_eq!(residuals.targets[0], TARGETS_MAX);
        residuals.sweep(SECOND * 10);
        assert!(residuals.is_empty());
        assert_eq!(residuals.targets, [0; 6]);
    }
}
