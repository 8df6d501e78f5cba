//! A token bucket for the bytes of one direction. Pure: time comes in.

use std::time::{Duration, Instant};

use crate::config::ByteLimit;

/// Bytes that are waited for: passing each as soon as it may would be a wake-up a byte.
const STEP_BYTES: u64 = 4096;

/// Bytes that may pass now, and when more may.
#[derive(Debug)]
pub(super) struct Bucket {
    /// Bytes before the limit begins.
    free: u64,
    per_second: u64,
    burst: u64,
    tokens: u64,
    /// As of when the tokens are counted.
    at: Instant,
}

impl Bucket {
    pub(super) fn new(limit: &ByteLimit, now: Instant) -> Self {
        let burst = limit.burst_bytes.max(limit.bytes_per_second);
        Self { free: limit.after_bytes, per_second: limit.bytes_per_second, burst, tokens: burst, at: now }
    }

    /// How many bytes may pass now: at least one, or else when to ask again.
    pub(super) fn allowed(&mut self, now: Instant) -> Result<u64, Instant> {
        if self.free > 0 {
            self.at = now;
            return Ok(self.free);
        }
        let nanos = now.saturating_duration_since(self.at).as_nanos();
        let grown = nanos.saturating_mul(self.per_second.into()) / Duration::from_secs(1).as_nanos();
        if grown > 0 {
            let grown = u64::try_from(grown).unwrap_or(u64::MAX);
            self.tokens = self.tokens.saturating_add(grown).min(self.burst);
            self.at = now;
        }
        let step = STEP_BYTES.min(self.burst);
        if self.tokens >= step {
            return Ok(self.tokens);
        }
        let nanos = u128::from(step - self.tokens) * Duration::from_secs(1).as_nanos();
        let wait = nanos.div_ceil(self.per_second.max(1).into());
        Err(self.at + Duration::from_nanos(u64::try_from(wait).unwrap_or(u64::MAX)))
    }

    /// So many passed.
    pub(super) const fn spend(&mut self, bytes: u64) {
        if self.free > 0 {
            self.free = self.free.saturating_sub(bytes);
        } else {
            self.tokens = self.tokens.saturating_sub(bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bytes that pass within so many milliseconds when as many are asked for as may pass.
    fn passed(limit: &ByteLimit, millis: u64) -> u64 {
        let start = Instant::now();
        let end = start + Duration::from_millis(millis);
        let (mut bucket, mut now, mut total) = (Bucket::new(limit, start), start, 0);
        while now <= end {
            match bucket.allowed(now) {
                Ok(most) => {
                    let part = most.min(1500);
                    bucket.spend(part);
                    total += part;
                }
                Err(at) => {
                    assert!(at > now);
                    now = at;
                }
            }
        }
        total
    }

    #[test]
    fn the_limit_begins_late_and_then_holds() {
        let limit = ByteLimit { after_bytes: 1_000_000, bytes_per_second: 10_000, burst_bytes: 50_000 };
        let at_once = passed(&limit, 0);
        assert!((1_045_000..=1_050_000).contains(&at_once), "the free bytes and the burst: {at_once}");
        let after = passed(&limit, 10_000) - 1_050_000;
        assert!((95_000..=100_000).contains(&after), "{after}");
    }

    #[test]
    fn a_burst_holds_a_second_at_least() {
        let limit = ByteLimit { after_bytes: 0, bytes_per_second: 2000, burst_bytes: 0 };
        assert_eq!(passed(&limit, 0), 1500);
        let after = passed(&limit, 5000) - 2000;
        assert!((8000..=10_000).contains(&after), "{after}");
    }
}
