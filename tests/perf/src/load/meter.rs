//! Counters of received bytes, one a stream, so that a stalled stream can be told from a slow one.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// Streams that one meter can count; more share the last place.
pub const STREAMS_MAX: usize = 256;

/// Bytes received by the streams of one visit.
#[derive(Debug)]
pub struct Meter {
    places: Vec<AtomicU64>,
    taken: AtomicUsize,
}

impl Default for Meter {
    fn default() -> Self {
        Self { places: (0..STREAMS_MAX).map(|_| AtomicU64::new(0)).collect(), taken: AtomicUsize::new(0) }
    }
}

impl Meter {
    /// Forgets everything; only between visits.
    pub fn reset(&self) {
        self.taken.store(0, Ordering::Relaxed);
        for place in &self.places {
            place.store(0, Ordering::Relaxed);
        }
    }

    /// A place for a new stream.
    pub fn take_place(&self) -> usize {
        self.taken.fetch_add(1, Ordering::Relaxed).min(STREAMS_MAX - 1)
    }

    /// Adds received bytes.
    pub fn add(&self, place: usize, bytes: usize) {
        if let Some(counter) = self.places.get(place) {
            counter.fetch_add(bytes as u64, Ordering::Relaxed);
        }
    }

    /// The counters of the first `streams` places.
    #[must_use]
    pub fn read(&self, streams: usize) -> Vec<u64> {
        self.places.iter().take(streams).map(|place| place.load(Ordering::Relaxed)).collect()
    }

    /// Whether each of `streams` streams has received something.
    #[must_use]
    pub fn all_flow(&self, streams: usize) -> bool {
        self.read(streams).iter().all(|bytes| *bytes > 0)
    }
}

/// Bytes between two readings, and how many streams stood still.
#[must_use]
pub fn between(before: &[u64], after: &[u64]) -> (u64, usize) {
    let moved = before.iter().zip(after).map(|(before, after)| after.saturating_sub(*before));
    moved.fold((0, 0), |(sum, stalled), bytes| (sum + bytes, stalled + usize::from(bytes == 0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_are_counted_apart() {
        let meter = Meter::default();
        let (a, b) = (meter.take_place(), meter.take_place());
        meter.add(a, 5);
        assert!(!meter.all_flow(2));
        meter.add(b, 7);
        assert!(meter.all_flow(2));
        let before = meter.read(2);
        meter.add(a, 10);
        assert_eq!(between(&before, &meter.read(2)), (10, 1));
        meter.reset();
        assert_eq!(meter.read(2), [0, 0]);
        assert_eq!(meter.take_place(), 0);
    }

    #[test]
    fn too_many_streams_share_the_last_place() {
        let meter = Meter::default();
        for _ in 0..STREAMS_MAX + 10 {
            let place = meter.take_place();
            meter.add(place, 1);
        }
        assert_eq!(meter.read(STREAMS_MAX).last(), Some(&11));
    }
}
