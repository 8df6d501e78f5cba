//! One direction between two hosts: decides when a packet arrives, or that it does not. Pure: time and chance are
//! arguments, and nothing is kept but how long the line is busy.

use std::time::Duration;

use super::{
    LinkPolicy,
    policy::{DATAGRAM_HEADER_BYTES, STREAM_HEADER_BYTES},
    rng::SimRng,
};

/// Time since the simulation began.
pub(super) type SimTime = Duration;

/// What becomes of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fate {
    /// It arrives, at this time since the simulation began.
    Arrives(Duration),
    /// The path loses it.
    Lost,
    /// Too many bytes wait for the line already.
    QueueFull,
    /// It is longer than the path's MTU and may not be cut.
    TooLong,
    /// The link is cut.
    Cut,
}

/// One direction between two hosts.
#[derive(Debug)]
pub(super) struct Link {
    policy: LinkPolicy,
    cut: bool,
    /// When the last byte that was given to the line has left.
    free_at: SimTime,
    rng: SimRng,
}

impl Link {
    pub(super) const fn new(policy: LinkPolicy, rng: SimRng) -> Self {
        Self { policy, cut: false, free_at: SimTime::ZERO, rng }
    }

    pub(super) const fn policy(&self) -> &LinkPolicy {
        &self.policy
    }

    pub(super) const fn set_policy(&mut self, policy: LinkPolicy) {
        self.policy = policy;
    }

    pub(super) const fn set_cut(&mut self, cut: bool) {
        self.cut = cut;
    }

    pub(super) const fn is_cut(&self) -> bool {
        self.cut
    }

    /// Sends a stream segment of this many payload bytes. It waits for the line however long that takes: the
    /// window of its stream bounds what can wait.
    pub(super) fn send_segment(&mut self, now: SimTime, payload: usize) -> Fate {
        if self.cut {
            return Fate::Cut;
        }
        self.send_packet(now, payload + STREAM_HEADER_BYTES)
    }

    /// Sends a datagram of this many payload bytes, in fragments where it is longer than the MTU.
    pub(super) fn send_datagram(&mut self, now: SimTime, payload: usize) -> Fate {
        if self.cut {
            return Fate::Cut;
        }
        let mut left = payload + DATAGRAM_HEADER_BYTES;
        if left > self.policy.mtu_bytes && !self.policy.fragment {
            return Fate::TooLong;
        }
        if self.waiting_bytes(now) + left > self.policy.queue_bytes && self.policy.rate.is_some() {
            return Fate::QueueFull;
        }
        let mut fate = Fate::Arrives(now);
        while left > 0 {
            let length = left.min(self.policy.mtu_bytes);
            left -= length;
            // Every fragment passes the line, also those behind a lost one.
            fate = match (fate, self.send_packet(now, length)) {
                (Fate::Arrives(so_far), Fate::Arrives(at)) => Fate::Arrives(so_far.max(at)),
                _ => Fate::Lost,
            };
        }
        fate
    }

    fn send_packet(&mut self, now: SimTime, length: usize) -> Fate {
        self.free_at = self.free_at.max(now) + self.line_time(length);
        // All three are drawn for every packet: see `SimRng::chance`.
        let lost = self.rng.chance(self.policy.loss_ppm);
        let held = self.rng.chance(self.policy.reorder_ppm);
        let jitter = self.rng.up_to(self.policy.jitter);
        if lost {
            return Fate::Lost;
        }
        let hold = if held { self.policy.reorder_hold } else { Duration::ZERO };
        Fate::Arrives(self.free_at + self.policy.delay + jitter + hold)
    }

    fn line_time(&self, length: usize) -> Duration {
        let Some(rate) = self.policy.rate else { return Duration::ZERO };
        let nanos = length as u128 * 1_000_000_000 / u128::from(rate);
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }

    fn waiting_bytes(&self, now: SimTime) -> usize {
        let Some(rate) = self.policy.rate else { return 0 };
        let bytes = self.free_at.saturating_sub(now).as_nanos() * u128::from(rate) / 1_000_000_000;
        usize::try_from(bytes).unwrap_or(usize::MAX)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn link(policy: LinkPolicy) -> Link {
        Link::new(policy, SimRng::new(1, "test"))
    }

    #[test]
    fn a_plain_link_takes_exactly_its_delay() {
        let mut link = link(LinkPolicy::with_delay(ms(40)));
        assert_eq!(link.send_segment(ms(7), 1400), Fate::Arrives(ms(47)));
        assert_eq!(link.send_datagram(ms(8), 60_000), Fate::Arrives(ms(48)));
    }

    #[test]
    fn the_rate_paces_and_the_queue_is_bounded() {
        let mut link = link(LinkPolicy::default().rate(1000).queue_limit(1500));
        assert_eq!(link.send_datagram(ms(0), 972), Fate::Arrives(ms(1000)));
        assert_eq!(link.send_datagram(ms(0), 472), Fate::Arrives(ms(1500)));
        assert_eq!(link.send_datagram(ms(0), 0), Fate::QueueFull);
        assert_eq!(link.send_segment(ms(0), 460), Fate::Arrives(ms(2000)), "a stream waits instead");
        assert_eq!(link.send_datagram(ms(2000), 972), Fate::Arrives(ms(3000)), "the line is free again");
    }

    #[test]
    fn long_datagrams_are_cut_or_dropped() {
        let policy = LinkPolicy::default().mtu(1000);
        assert_eq!(link(policy.without_fragments()).send_datagram(ms(0), 1000), Fate::TooLong);
        assert_eq!(link(policy.without_fragments()).send_datagram(ms(0), 972), Fate::Arrives(ms(0)));
        let arrived = |length| {
            let mut link = link(policy.loss_percent(10));
            (0..1000).filter(|_| matches!(link.send_datagram(ms(0), length), Fate::Arrives(_))).count()
        };
        assert!((860..940).contains(&arrived(900)));
        assert!((300..400).contains(&arrived(9972)), "ten fragments: 0.9 to the tenth");
    }

    #[test]
    fn a_cut_link_loses_everything_until_it_is_restored() {
        let mut link = link(LinkPolicy::default());
        link.set_cut(true);
        assert_eq!((link.send_segment(ms(0), 1), link.send_datagram(ms(0), 1)), (Fate::Cut, Fate::Cut));
        link.set_cut(false);
        assert_eq!(link.send_segment(ms(1), 1), Fate::Arrives(ms(1)));
    }

    #[test]
    fn held_packets_are_overtaken() {
        let mut link = link(LinkPolicy::with_delay(ms(10)).reorder_percent(50, ms(5)));
        let arrivals: Vec<_> = (0..20).map(|at| link.send_datagram(ms(at), 10)).collect();
        assert!(arrivals.windows(2).any(|pair| match pair {
            [Fate::Arrives(first), Fate::Arrives(second)] => first > second,
            _ => false,
        }));
    }

    proptest! {
        #[test]
        fn nothing_arrives_early_and_the_rate_holds(
            seed: u64,
            delay in 0u64..200,
            jitter in 0u64..50,
            loss in 0u32..100,
            rate in prop::option::of(100u64..10_000_000),
            packets in prop::collection::vec((0u64..20, 0usize..5000, any::<bool>()), 1..60),
        ) {
            let mut policy = LinkPolicy::with_delay(ms(delay)).jitter(ms(jitter)).loss_percent(loss);
            policy.rate = rate;
            let mut link = Link::new(policy, SimRng::new(seed, "test"));
            let (mut now, mut carried) = (Duration::ZERO, 0u64);
            for (wait, length, datagram) in packets {
                now += ms(wait);
                let fate = if datagram { link.send_datagram(now, length) } else { link.send_segment(now, length) };
                if let Fate::Arrives(at) = fate {
                    carried += length as u64;
                    prop_assert!(at >= now + ms(delay));
                    if let Some(rate) = rate {
                        let least = Duration::from_nanos(carried * 999_999_999 / rate);
                        prop_assert!(at >= least.saturating_sub(Duration::from_micros(100)) , "{at:?} {least:?}");
                    } else {
                        prop_assert!(at <= now + ms(delay) + ms(jitter));
                    }
                }
            }
        }
    }
}
