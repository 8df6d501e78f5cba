//! What leaves the judge beside the packets it judged: forged packets, some of them later, and calls of the prober.

use std::{
    cmp::Ordering,
    collections::{BinaryHeap, VecDeque},
    time::Duration,
};

use crate::policy::{Injection, ProbeRequest};

/// Forged packets that wait to be polled or for their time.
const INJECTIONS_MAX: usize = 4096;
/// Calls of the prober that wait to be polled or for their outcome.
const PROBES_MAX: usize = 256;

#[derive(Debug, Default)]
pub(super) struct Outbox {
    ready: VecDeque<Injection>,
    later: BinaryHeap<Later>,
    numbered: u64,
    probes: VecDeque<ProbeRequest>,
    /// Calls without an outcome yet, with the place of the policy that made them.
    asked: VecDeque<(usize, ProbeRequest)>,
    pub(super) injected: u64,
    pub(super) injections_lost: u64,
    pub(super) probes_lost: u64,
}

/// Earliest first, and in the order they were made.
#[derive(Debug, PartialEq, Eq)]
struct Later {
    at: Duration,
    number: u64,
    injection: Injection,
}

impl Ord for Later {
    fn cmp(&self, other: &Self) -> Ordering {
        (other.at, other.number).cmp(&(self.at, self.number))
    }
}

impl PartialOrd for Later {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Outbox {
    pub(super) fn inject(&mut self, now: Duration, injection: Injection) {
        if self.ready.len() + self.later.len() >= INJECTIONS_MAX {
            self.injections_lost += 1;
            return;
        }
        self.injected += 1;
        if injection.after.is_zero() {
            self.ready.push_back(injection);
            return;
        }
        self.numbered += 1;
        let at = now.saturating_add(injection.after);
        self.later.push(Later { at, number: self.numbered, injection });
    }

    /// Moves out what is due.
    pub(super) fn advance(&mut self, now: Duration) {
        while self.later.peek().is_some_and(|next| next.at <= now) {
            self.ready.extend(self.later.pop().map(|next| next.injection));
        }
    }

    pub(super) fn next_at(&self) -> Option<Duration> {
        self.later.peek().map(|next| next.at)
    }

    pub(super) fn poll_inject(&mut self) -> Option<Injection> {
        self.ready.pop_front()
    }

    /// Calls the prober. False when too many calls wait.
    pub(super) fn probe(&mut self, place: usize, request: ProbeRequest) -> bool {
        if self.probes.len() >= PROBES_MAX {
            self.probes_lost += 1;
            return false;
        }
        if self.asked.len() >= PROBES_MAX {
            self.asked.pop_front();
        }
        self.asked.push_back((place, request.clone()));
        self.probes.push_back(request);
        true
    }

    pub(super) fn poll_probe(&mut self) -> Option<ProbeRequest> {
        self.probes.pop_front()
    }

    /// The call with that number, and who made it. It is answered once.
    pub(super) fn answered(&mut self, id: u64) -> Option<(usize, ProbeRequest)> {
        let place = self.asked.iter().position(|(_place, request)| request.id == id)?;
        self.asked.remove(place)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Side;

    #[test]
    fn later_packets_leave_in_time_and_in_order() {
        let ms = Duration::from_millis;
        let mut outbox = Outbox::default();
        for (name, after) in [(1, 5), (2, 0), (3, 5), (4, 1)] {
            outbox.inject(ms(100), Injection::later(Side::Client, vec![name], ms(after)));
        }
        let polled = |outbox: &mut Outbox| {
            std::iter::from_fn(|| outbox.poll_inject()).flat_map(|one| one.packet).collect::<Vec<u8>>()
        };
        assert_eq!(polled(&mut outbox), [2]);
        assert_eq!(outbox.next_at(), Some(ms(101)));
        outbox.advance(ms(104));
        assert_eq!(polled(&mut outbox), [4]);
        outbox.advance(ms(105));
        assert_eq!(polled(&mut outbox), [1, 3]);
        assert_eq!(outbox.next_at(), None);
    }

    #[test]
    fn what_nobody_takes_is_bounded_and_counted() {
        let mut outbox = Outbox::default();
        (0..INJECTIONS_MAX + 7)
            .for_each(|_| outbox.inject(Duration::ZERO, Injection::now(Side::World, Vec::new())));
        assert_eq!((outbox.injected, outbox.injections_lost), (INJECTIONS_MAX as u64, 7));
    }
}
