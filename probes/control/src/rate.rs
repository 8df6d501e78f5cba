//! How many datagrams a second one address is answered.

use std::{
    collections::HashMap,
    net::IpAddr,
    time::{Duration, Instant},
};

use crate::{gate::peer_of, limits::RATE_ENTRIES_MAX};

/// A bucket is full again after this time.
const REFILL: Duration = Duration::from_secs(1);

/// A token bucket for each peer: a second's worth at once, then that many a second.
#[derive(Debug)]
pub(crate) struct Rate {
    per_second: u32,
    peers: HashMap<IpAddr, Bucket>,
    swept: Option<Instant>,
}

#[derive(Debug)]
struct Bucket {
    tokens: f64,
    at: Instant,
}

impl Rate {
    pub(crate) fn new(per_second: u32) -> Self {
        Self { per_second, peers: HashMap::new(), swept: None }
    }

    /// Whether this datagram may be answered now.
    pub(crate) fn allow(&mut self, now: Instant, address: IpAddr) -> bool {
        let peer = peer_of(address);
        if !self.peers.contains_key(&peer) && !self.make_room(now) {
            return false;
        }
        let full = f64::from(self.per_second);
        let bucket = self.peers.entry(peer).or_insert(Bucket { tokens: full, at: now });
        let passed = now.saturating_duration_since(bucket.at).as_secs_f64();
        bucket.tokens = passed.mul_add(full, bucket.tokens).min(full);
        bucket.at = now;
        if bucket.tokens < 1.0 {
            return false;
        }
        bucket.tokens -= 1.0;
        true
    }

    /// Forgets peers whose bucket is full again; at most once a [`REFILL`], so that a flood of new addresses does not
    /// cost a walk over the table for each datagram.
    fn make_room(&mut self, now: Instant) -> bool {
        if self.peers.len() < RATE_ENTRIES_MAX {
            return true;
        }
        if self.swept.is_some_and(|swept| now.saturating_duration_since(swept) < REFILL) {
            return false;
        }
        self.swept = Some(now);
        self.peers.retain(|_, bucket| now.saturating_duration_since(bucket.at) < REFILL);
        self.peers.len() < RATE_ENTRIES_MAX
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    #[test]
    fn a_peer_gets_its_rate_and_no_more() {
        let (mut rate, start) = (Rate::new(10), Instant::now());
        let peer = Ipv4Addr::new(192, 0, 2, 1).into();
        let answered = |rate: &mut Rate, at| (0..100).filter(|_| rate.allow(at, peer)).count();
        assert_eq!(answered(&mut rate, start), 10);
        assert_eq!(answered(&mut rate, start + Duration::from_millis(500)), 5);
        assert_eq!(answered(&mut rate, start + Duration::from_secs(60)), 10, "it does not save up");
        assert!(rate.allow(start, Ipv4Addr::new(192, 0, 2, 2).into()), "others are not touched");
    }

    #[test]
    fn the_table_is_bounded_and_recovers() {
        let (mut rate, start) = (Rate::new(10), Instant::now());
        let nth = |n: usize| IpAddr::from(Ipv4Addr::from(u32::try_from(n).unwrap()));
        for n in 0..RATE_ENTRIES_MAX {
            assert!(rate.allow(start, nth(n)));
        }
        assert!(!rate.allow(start, nth(RATE_ENTRIES_MAX)));
        assert_eq!(rate.peers.len(), RATE_ENTRIES_MAX);
        assert!(rate.allow(start, nth(0)), "who is inside goes on");
        assert!(rate.allow(start + REFILL, nth(RATE_ENTRIES_MAX)));
        assert_eq!(rate.peers.len(), 1);
    }
}
