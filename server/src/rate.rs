//! How often: new connections of each user, by the generic cell rate algorithm. One number a user, and users are a
//! bounded set, so nothing here grows with what strangers send.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use commucat_transport_api::UserId;

use crate::config::Zone;

/// Entries kept before those that are at rest are dropped.
const SWEEP_ABOVE: usize = 4096;

/// A zone with a cell for each user.
#[derive(Debug)]
pub(crate) struct Zones {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    zone: Zone,
    epoch: Instant,
    /// Theoretical arrival time of the next event, as time since `epoch`.
    next: HashMap<UserId, Duration>,
}

impl Zones {
    pub(crate) fn new(zone: Zone, now: Instant) -> Self {
        Self { state: Mutex::new(State { zone, epoch: now, next: HashMap::new() }) }
    }

    pub(crate) fn set(&self, zone: Zone) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).zone = zone;
    }

    /// Whether an event of this user may happen now; counts it when so.
    pub(crate) fn allow(&self, user: &UserId, now: Instant) -> bool {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let now = now.saturating_duration_since(state.epoch);
        let every = Duration::from_secs(60) / state.zone.per_minute.max(1);
        let ahead = every.saturating_mul(state.zone.burst.saturating_sub(1));
        let next = state.next.get(user).copied().unwrap_or_default().max(now);
        if next > now + ahead {
            return false;
        }
        if state.next.len() >= SWEEP_ABOVE {
            state.next.retain(|_user, next| *next > now);
        }
        state.next.insert(user.clone(), next + every);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_then_the_rate() {
        let start = Instant::now();
        let zones = Zones::new(Zone { per_minute: 60, burst: 3 }, start);
        let (ann, bob): (UserId, UserId) = ("ann".parse().unwrap(), "bob".parse().unwrap());
        let at = |millis| start + Duration::from_millis(millis);
        let ann_at = |millis| zones.allow(&ann, at(millis));
        assert_eq!([ann_at(0), ann_at(0), ann_at(0), ann_at(0)], [true, true, true, false]);
        assert!(zones.allow(&bob, at(0)), "another user has a cell of its own");
        assert_eq!([ann_at(999), ann_at(1000), ann_at(1001)], [false, true, false]);
        assert_eq!([ann_at(9000), ann_at(9000), ann_at(9000), ann_at(9000)], [true, true, true, false]);
    }
}
