//! Token buckets: what is above the rate vanishes. A policer is named by what it counts, so policies need not keep it.

use std::{net::IpAddr, time::Duration};

use crate::{bounded::Bounded, event::Side};

/// Policers that are remembered. One that was not used until it refilled is the same as a new one, so forgetting the
/// least used costs a victim one burst more at most.
const POLICERS_MAX: usize = 16 * 1024;

const BITS_PER_BYTE: u64 = 8;
const NANOS_PER_SECOND: u128 = 1_000_000_000;

/// Whose packets share a bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Share {
    /// Both directions of the flow with that number.
    Flow(u64),
    /// What one side sends in the flow with that number.
    Direction(u64, Side),
    /// All flows with this address.
    Address(IpAddr),
}

/// A token bucket: who shares it, how fast it fills, how much it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Policer {
    /// Whose packets count.
    pub share: Share,
    /// Bits a second, of IP packets.
    pub rate: u64,
    /// Bytes that may pass at once after a pause.
    pub burst: u64,
}

impl Policer {
    /// A policer of that many bits a second with a burst of that many bytes.
    pub const fn new(share: Share, rate: u64, burst: u64) -> Self {
        Self { share, rate, burst }
    }
}

/// The fill of every policer, by policy.
#[derive(Debug)]
pub(crate) struct Policers {
    fills: Bounded<(usize, Share), Fill>,
}

#[derive(Clone, Copy, Debug)]
struct Fill {
    /// Billionths of a byte, so that no slow rate is rounded away.
    tokens: u128,
    at: Duration,
}

impl Policers {
    pub(crate) fn new() -> Self {
        Self { fills: Bounded::new(POLICERS_MAX) }
    }

    /// Whether a packet of that many bytes passes now. The burst and rate are taken from the call: a policy may change
    /// them in mid-flow.
    pub(crate) fn admits(&mut self, now: Duration, policy: usize, policer: &Policer, bytes: usize) -> bool {
        let full = u128::from(policer.burst) * NANOS_PER_SECOND;
        let cost = bytes as u128 * NANOS_PER_SECOND;
        let key = (policy, policer.share);
        if self.fills.peek(&key).is_none() {
            self.fills.insert(key, Fill { tokens: full, at: now });
        }
        let Some(fill) = self.fills.get(&key) else { return true };
        let gained = now.saturating_sub(fill.at).as_nanos() * u128::from(policer.rate / BITS_PER_BYTE);
        fill.tokens = (fill.tokens + gained).min(full);
        fill.at = fill.at.max(now);
        match fill.tokens.checked_sub(cost) {
            Some(rest) => {
                fill.tokens = rest;
                true
            }
            None => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bytes that pass within ten seconds when far more is offered.
    fn passed(policers: &mut Policers, policer: Policer, packet: usize) -> usize {
        (0..20_000)
            .filter(|step| policers.admits(Duration::from_micros(500 * step), 0, &policer, packet))
            .count()
            * packet
    }

    #[test]
    fn the_rate_is_kept_for_every_size_of_packet() {
        for packet in [40, 576, 1500] {
            let policer = Policer::new(Share::Flow(1), 140_000, 8_000);
            let bytes = passed(&mut Policers::new(), policer, packet);
            let expected = 10 * 140_000 / 8 + 8_000;
            assert!(bytes.abs_diff(expected) <= packet + 10, "{packet}: {bytes} of {expected}");
        }
    }

    #[test]
    fn who_shares_a_bucket() {
        let mut policers = Policers::new();
        let take = |policers: &mut Policers, policy, share| {
            policers.admits(Duration::ZERO, policy, &Policer::new(share, 8, 1000), 1000)
        };
        assert!(take(&mut policers, 0, Share::Direction(1, Side::Client)));
        assert!(take(&mut policers, 0, Share::Direction(1, Side::World)));
        assert!(take(&mut policers, 0, Share::Direction(2, Side::Client)));
        assert!(take(&mut policers, 1, Share::Direction(1, Side::Client)));
        assert!(!take(&mut policers, 0, Share::Direction(1, Side::Client)));
    }

    #[test]
    fn a_packet_larger_than_the_bucket_never_passes_and_an_empty_rate_never_refills() {
        let mut policers = Policers::new();
        let policer = Policer::new(Share::Flow(1), 0, 100);
        assert!(!policers.admits(Duration::ZERO, 0, &policer, 101));
        assert!(policers.admits(Duration::ZERO, 0, &policer, 100));
        assert!(!policers.admits(Duration::from_secs(3600), 0, &policer, 1));
    }

    #[test]
    fn a_pause_saves_up_one_burst_and_no_more() {
        let mut policers = Policers::new();
        let policer = Policer::new(Share::Flow(1), 8_000, 3000);
        policers.admits(Duration::ZERO, 0, &policer, 3000);
        let later = Duration::from_secs(3600);
        let passed = (0..10).filter(|_| policers.admits(later, 0, &policer, 1000)).count();
        assert_eq!(passed, 3);
    }
}
