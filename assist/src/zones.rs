//! Rate zones: how often one user, and how often the strangers of one network, may call.

use std::{
    fmt,
    hash::Hash,
    num::NonZeroU32,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use commucat_transport_api::{Net, UserId};
use governor::{
    Quota, RateLimiter,
    clock::Clock,
    state::{InMemoryState, NotKeyed, keyed::DashMapStateStore},
};

use crate::auth::AddressClass;

/// Most users that are counted at once.
const MAX_USER_KEYS: usize = 65_536;
/// Most networks that are counted at once.
const MAX_ADDRESS_KEYS: usize = 8192;
/// A full zone is searched for forgotten keys at most this often.
const SWEEP_PAUSE: Duration = Duration::from_secs(1);
/// What all keys beyond a full zone share, as a multiple of one key's limit.
const OVERFLOW_SHARE: u32 = 16;

/// How often something may happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateLimit {
    /// In the long run, each minute.
    pub per_minute: NonZeroU32,
    /// At once, after a pause.
    pub burst: NonZeroU32,
}

/// The limits of the API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RatePlan {
    /// Assist calls of one user.
    pub user: RateLimit,
    /// Requests without a tunnel from one network (IPv4 /24, IPv6 /56), whatever they ask.
    pub stranger: RateLimit,
}

impl Default for RatePlan {
    /// A user asks when he connects and when something failed; a network may hold many users.
    fn default() -> Self {
        let limit = |per_minute, burst| RateLimit {
            per_minute: NonZeroU32::new(per_minute).unwrap_or(NonZeroU32::MIN),
            burst: NonZeroU32::new(burst).unwrap_or(NonZeroU32::MIN),
        };
        Self { user: limit(12, 6), stranger: limit(60, 20) }
    }
}

impl RateLimit {
    fn quota(self) -> Quota {
        Quota::per_minute(self.per_minute).allow_burst(self.burst)
    }

    const fn times(self, factor: u32) -> Self {
        let per_minute = self.per_minute.saturating_mul(NonZeroU32::MIN.saturating_add(factor - 1));
        let burst = self.burst.saturating_mul(NonZeroU32::MIN.saturating_add(factor - 1));
        Self { per_minute, burst }
    }
}

/// Too often; try again after this time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TooOften(pub(crate) Duration);

/// Both zones of the API.
#[derive(Debug)]
pub(crate) struct Zones {
    pub(crate) users: Zone<UserId>,
    pub(crate) strangers: Zone<AddressClass>,
}

impl Zones {
    pub(crate) fn new(plan: RatePlan, net: &Arc<dyn Net>) -> Self {
        Self {
            users: Zone::new(plan.user, MAX_USER_KEYS, net),
            strangers: Zone::new(plan.stranger, MAX_ADDRESS_KEYS, net),
        }
    }
}

/// Time as the injected network has it.
#[derive(Clone, Debug)]
struct NetClock(Arc<dyn Net>);

impl Clock for NetClock {
    type Instant = Instant;

    fn now(&self) -> Instant {
        self.0.now()
    }
}

/// One limit for each key, and a bounded number of keys.
pub(crate) struct Zone<K: Hash + Eq + Clone> {
    clock: NetClock,
    max_keys: usize,
    keys: RateLimiter<K, DashMapStateStore<K>, NetClock>,
    overflow: RateLimiter<NotKeyed, InMemoryState, NetClock>,
    swept: Mutex<Option<Instant>>,
}

impl<K: Hash + Eq + Clone> Zone<K> {
    fn new(limit: RateLimit, max_keys: usize, net: &Arc<dyn Net>) -> Self {
        let clock = NetClock(Arc::clone(net));
        Self {
            max_keys,
            keys: RateLimiter::new(limit.quota(), DashMapStateStore::default(), clock.clone()),
            overflow: RateLimiter::new(
                limit.times(OVERFLOW_SHARE).quota(),
                InMemoryState::default(),
                clock.clone(),
            ),
            swept: Mutex::new(None),
            clock,
        }
    }

    pub(crate) fn check(&self, key: &K) -> Result<(), TooOften> {
        if self.keys.len() >= self.max_keys && !self.sweep() {
            let outcome = self.overflow.check();
            return outcome.map_err(|until| TooOften(until.wait_time_from(self.clock.now())));
        }
        self.keys.check_key(key).map_err(|until| TooOften(until.wait_time_from(self.clock.now())))
    }

    /// Forgets the keys that are as good as new; says whether there is room then.
    fn sweep(&self) -> bool {
        let now = self.clock.now();
        let mut swept = self.swept.lock().unwrap_or_else(PoisonError::into_inner);
        if swept.is_some_and(|at| now.saturating_duration_since(at) < SWEEP_PAUSE) {
            return false;
        }
        *swept = Some(now);
        self.keys.retain_recent();
        self.keys.len() < self.max_keys
    }
}

/// Shows no key: a key says who calls.
impl<K: Hash + Eq + Clone> fmt::Debug for Zone<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Zone")
            .field("keys", &self.keys.len())
            .field("max_keys", &self.max_keys)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_zone_grows_no_further_and_still_limits() {
        const ROOM: usize = 8;
        let net: Arc<dyn Net> = commucat_net::SystemNet::new();
        let limit = RateLimit { per_minute: NonZeroU32::MIN, burst: NonZeroU32::MIN };
        let zone = Zone::new(limit, ROOM, &net);
        let mut admitted = 0;
        for key in 0..1000u32 {
            admitted += usize::from(zone.check(&key).is_ok());
        }
        assert_eq!(zone.keys.len(), ROOM);
        let shared = usize::try_from(OVERFLOW_SHARE).unwrap();
        assert!((ROOM + shared..2 * (ROOM + shared)).contains(&admitted), "{admitted} of 1000 strangers");
        let shown = format!("{zone:?}");
        assert!(shown.contains("keys: 8"), "{shown}");
    }
}
