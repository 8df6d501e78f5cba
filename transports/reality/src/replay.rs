//! Hellos that were accepted, for as long as their time would still be good.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// Hellos remembered. Beyond it the bridge passes everybody on: a full memory must not open the door to replays.
const MAX_HELLOS: usize = 1 << 17;

/// Accepted hellos by their hash.
#[derive(Debug)]
pub(crate) struct ReplayCache {
    /// Twice the clock difference that is allowed: a hello of the future is good for so long.
    keep: Duration,
    seen: Mutex<HashMap<[u8; 32], Instant>>,
}

/// What the cache says of a hello.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    First,
    Again,
    Full,
}

impl ReplayCache {
    pub(crate) fn new(max_time_diff: Duration) -> Self {
        Self { keep: max_time_diff * 2, seen: Mutex::new(HashMap::new()) }
    }

    /// Remembers a hello and says whether it was here before.
    pub(crate) fn check(&self, hello: &[u8], now: Instant) -> Seen {
        let hash = *blake3::hash(hello).as_bytes();
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.len() >= MAX_HELLOS {
            seen.retain(|_, until| *until > now);
        }
        match seen.get(&hash) {
            Some(until) if *until > now => Seen::Again,
            _ if seen.len() >= MAX_HELLOS => Seen::Full,
            _ => {
                seen.insert(hash, now + self.keep);
                Seen::First
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hello_passes_once_while_its_time_is_good() {
        let cache = ReplayCache::new(Duration::from_secs(10));
        let now = Instant::now();
        assert_eq!(cache.check(b"hello", now), Seen::First);
        assert_eq!(cache.check(b"hello", now + Duration::from_secs(19)), Seen::Again);
        assert_eq!(cache.check(b"other", now), Seen::First);
        assert_eq!(cache.check(b"hello", now + Duration::from_secs(21)), Seen::First);
    }
}
