//! Salts that were seen, so that a recorded first flight is not served twice (SIP022 §3.1.4).

use std::{
    collections::HashSet,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// How long SIP022 wants salts to be kept.
const KEEP: Duration = Duration::from_secs(60);
/// Salts of one generation: 17,000 connections a second for a minute.
const MAX_SALTS: usize = 1 << 20;
/// The same for AEAD-2017, where time cannot bound it: a generation ends when it is full.
const MAX_SALTS_WITHOUT_TIME: usize = 1 << 17;

/// What became of a salt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    /// It is new, and kept from now on.
    Fresh,
    /// It came before.
    Replayed,
    /// There is no room to keep it, so that it must not be served.
    Full,
}

/// Two generations of salts: the older one is dropped when the younger is [`KEEP`] old (2022) or full (2017).
#[derive(Debug)]
pub(crate) struct SaltCache {
    timed: bool,
    limit: usize,
    inner: Mutex<Generations>,
}

#[derive(Debug)]
struct Generations {
    young: HashSet<u128>,
    old: HashSet<u128>,
    since: Instant,
}

impl SaltCache {
    /// A cache for methods whose requests carry a time.
    pub(crate) fn timed(now: Instant) -> Self {
        Self::new(true, MAX_SALTS, now)
    }

    /// A cache for AEAD-2017.
    pub(crate) fn untimed(now: Instant) -> Self {
        Self::new(false, MAX_SALTS_WITHOUT_TIME, now)
    }

    fn new(timed: bool, limit: usize, now: Instant) -> Self {
        let inner = Generations { young: HashSet::new(), old: HashSet::new(), since: now };
        Self { timed, limit, inner: Mutex::new(inner) }
    }

    /// Looks a salt up and keeps it. Call it only with salts whose first record verified: a stranger must not be
    /// able to fill the cache.
    pub(crate) fn check(&self, salt: &[u8], now: Instant) -> Seen {
        // 128 bits of a hash: that two salts of one minute share them is less likely than that the salts are equal.
        let hash = blake3::hash(salt);
        let key = u128::from_le_bytes(*hash.as_bytes().first_chunk::<16>().unwrap_or(&[0; 16]));
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.turn(self.timed, self.limit, now);
        if inner.young.contains(&key) || inner.old.contains(&key) {
            return Seen::Replayed;
        }
        if inner.young.len() >= self.limit {
            return Seen::Full;
        }
        inner.young.insert(key);
        Seen::Fresh
    }
}

impl Generations {
    fn turn(&mut self, timed: bool, limit: usize, now: Instant) {
        let age = now.saturating_duration_since(self.since);
        let due = if timed { age >= KEEP } else { self.young.len() >= limit };
        if !due {
            return;
        }
        self.old = std::mem::take(&mut self.young);
        if timed && age >= KEEP * 2 {
            self.old = HashSet::new();
        }
        self.since = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_salt_is_remembered_for_at_least_a_minute() {
        let start = Instant::now();
        let cache = SaltCache::timed(start);
        let at = |seconds| start + Duration::from_secs(seconds);
        assert_eq!(cache.check(b"salt", at(59)), Seen::Fresh);
        for second in [59, 61, 100, 118] {
            assert_eq!(cache.check(b"salt", at(second)), Seen::Replayed, "after {second} s");
            assert_eq!(cache.check(&second.to_le_bytes(), at(second)), Seen::Fresh);
        }
        assert_eq!(cache.check(b"salt", at(400)), Seen::Fresh);
    }

    #[test]
    fn a_full_cache_refuses_rather_than_forgets() {
        let now = Instant::now();
        let cache = SaltCache::new(true, 2, now);
        assert_eq!(cache.check(b"1", now), Seen::Fresh);
        assert_eq!(cache.check(b"2", now), Seen::Fresh);
        assert_eq!(cache.check(b"3", now), Seen::Full);
        assert_eq!(cache.check(b"1", now), Seen::Replayed);
        assert_eq!(cache.check(b"3", now + KEEP), Seen::Fresh);
    }

    #[test]
    fn without_time_a_generation_ends_when_full() {
        let now = Instant::now();
        let cache = SaltCache::new(false, 2, now);
        for salt in [b"1", b"2", b"3"] {
            assert_eq!(cache.check(salt, now), Seen::Fresh);
        }
        assert_eq!(cache.check(b"1", now + KEEP * 100), Seen::Replayed);
    }
}
