//! How many at once: handshakes, connections, datagram associations. Nothing here waits: who comes when the house is
//! full is refused, or the oldest stranger leaves.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use commucat_transport_api::UserTable;
use tokio_util::sync::CancellationToken;

/// Handshakes that run. When there are too many the oldest one ends: a real client is through in a second, so what
/// is oldest is a stranger or a flood.
#[derive(Debug)]
pub(crate) struct Handshakes {
    running: Mutex<Running>,
}

#[derive(Debug)]
struct Running {
    max: usize,
    next: u64,
    seats: BTreeMap<u64, CancellationToken>,
}

/// A running handshake.
#[derive(Debug)]
pub(crate) struct HandshakeSeat {
    id: u64,
    evicted: CancellationToken,
    all: Arc<Handshakes>,
}

impl Handshakes {
    pub(crate) fn new(max: u32) -> Arc<Self> {
        let max = usize::try_from(max).unwrap_or(usize::MAX);
        Arc::new(Self { running: Mutex::new(Running { max, next: 0, seats: BTreeMap::new() }) })
    }

    pub(crate) fn set_max(&self, max: u32) {
        self.lock().max = usize::try_from(max).unwrap_or(usize::MAX);
    }

    pub(crate) fn enter(self: &Arc<Self>) -> HandshakeSeat {
        let mut running = self.lock();
        while running.seats.len() >= running.max {
            let Some((_id, oldest)) = running.seats.pop_first() else { break };
            oldest.cancel();
        }
        let id = running.next;
        running.next += 1;
        let evicted = CancellationToken::new();
        running.seats.insert(id, evicted.clone());
        HandshakeSeat { id, evicted, all: Arc::clone(self) }
    }

    pub(crate) fn evict_all(&self) {
        std::mem::take(&mut self.lock().seats).values().for_each(CancellationToken::cancel);
    }

    pub(crate) fn active(&self) -> usize {
        self.lock().seats.len()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Running> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl HandshakeSeat {
    pub(crate) async fn evicted(&self) {
        self.evicted.cancelled().await;
    }
}

impl Drop for HandshakeSeat {
    fn drop(&mut self) {
        self.all.lock().seats.remove(&self.id);
    }
}

/// Seats of one kind. Tells the transports when the last one is taken, so that they can tell their clients.
#[derive(Debug)]
pub(crate) struct Seats {
    count: Mutex<Count>,
    full: Option<Arc<UserTable>>,
}

#[derive(Debug)]
struct Count {
    max: u32,
    taken: u32,
}

/// A taken seat.
#[derive(Debug)]
pub(crate) struct Seat(Arc<Seats>);

impl Seats {
    pub(crate) fn new(max: u32) -> Arc<Self> {
        Arc::new(Self { count: Mutex::new(Count { max, taken: 0 }), full: None })
    }

    pub(crate) fn announcing(max: u32, table: Arc<UserTable>) -> Arc<Self> {
        Arc::new(Self { count: Mutex::new(Count { max, taken: 0 }), full: Some(table) })
    }

    pub(crate) fn set_max(&self, max: u32) {
        self.change(|count| count.max = max);
    }

    pub(crate) fn enter(self: &Arc<Self>) -> Option<Seat> {
        let entered = self.change(|count| {
            let free = count.taken < count.max;
            count.taken += u32::from(free);
            free
        });
        entered.then(|| Seat(Arc::clone(self)))
    }

    pub(crate) fn taken(&self) -> u32 {
        self.count.lock().unwrap_or_else(PoisonError::into_inner).taken
    }

    fn change<T>(&self, change: impl FnOnce(&mut Count) -> T) -> T {
        let mut count = self.count.lock().unwrap_or_else(PoisonError::into_inner);
        let result = change(&mut count);
        // Under the lock, so that the last word is about the last change.
        if let Some(table) = &self.full {
            table.set_full(count.taken >= count.max);
        }
        result
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.0.change(|count| count.taken = count.taken.saturating_sub(1));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_handshake_makes_room() {
        let all = Handshakes::new(2);
        let seats = [all.enter(), all.enter(), all.enter()];
        let evicted: Vec<_> = seats.iter().map(|seat| seat.evicted.is_cancelled()).collect();
        assert_eq!(evicted, [true, false, false]);
        assert_eq!(all.active(), 2);
        drop(seats);
        assert_eq!(all.active(), 0);
    }

    #[test]
    fn the_transports_hear_when_the_last_seat_is_taken_and_when_one_is_free() {
        let table = Arc::new(UserTable::default());
        let seats = Seats::announcing(2, Arc::clone(&table));
        let first = seats.enter().unwrap();
        assert!(!table.is_full());
        let second = seats.enter().unwrap();
        assert!(table.is_full());
        assert!(seats.enter().is_none());
        drop(first);
        assert!(!table.is_full());
        seats.set_max(1);
        assert!(table.is_full());
        drop(second);
        assert_eq!(seats.taken(), 0);
    }
}
