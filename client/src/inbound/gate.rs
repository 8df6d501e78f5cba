//! Bounds what local programs can hold open.
//!
//! Connections that have not yet said what they want are kept in order of age; when there are too many, the oldest
//! gives way. So thousands of half-open connections cost a bounded amount, and a program that speaks at once is served.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

/// Connections that may be in their handshake at once.
pub const MAX_HANDSHAKES: usize = 512;

/// Counts connections.
#[derive(Debug)]
pub(crate) struct Gate {
    next: AtomicU64,
    waiting: Mutex<BTreeMap<u64, oneshot::Sender<()>>>,
    open: Arc<Semaphore>,
}

/// A connection in its handshake.
#[derive(Debug)]
pub(crate) struct Waiting {
    gate: Arc<Gate>,
    number: u64,
    evicted: oneshot::Receiver<()>,
}

impl Gate {
    pub(crate) fn new(max_connections: usize) -> Arc<Self> {
        let open = Arc::new(Semaphore::new(max_connections.min(Semaphore::MAX_PERMITS)));
        Arc::new(Self { next: AtomicU64::new(0), waiting: Mutex::default(), open })
    }

    /// Lets a new connection begin, at the cost of the oldest when there are too many.
    pub(crate) fn begin_handshake(self: &Arc<Self>) -> Waiting {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let (evict, evicted) = oneshot::channel();
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.len() >= MAX_HANDSHAKES {
            // Dropping the sender tells the connection.
            waiting.pop_first();
        }
        waiting.insert(number, evict);
        drop(waiting);
        Waiting { gate: Arc::clone(self), number, evicted }
    }

    /// A place among the open connections, when one is free.
    pub(crate) fn open(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.open).try_acquire_owned().ok()
    }
}

impl Waiting {
    /// Resolves when this connection has to give way.
    pub(crate) async fn evicted(&mut self) {
        // Nothing is ever sent: the sender is dropped.
        (&mut self.evicted).await.ok();
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.gate.waiting.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_oldest_gives_way() {
        let gate = Gate::new(1);
        let mut handshakes: Vec<_> = (0..MAX_HANDSHAKES).map(|_| gate.begin_handshake()).collect();
        let newest = gate.begin_handshake();
        handshakes[0].evicted().await;
        assert!(
            handshakes[1].evicted.try_recv().is_err_and(|error| error == oneshot::error::TryRecvError::Empty)
        );
        assert_eq!(gate.waiting.lock().unwrap().len(), MAX_HANDSHAKES);
        drop((handshakes, newest));
        assert!(gate.waiting.lock().unwrap().is_empty());
    }

    #[test]
    fn open_connections_are_bounded() {
        let gate = Gate::new(1);
        let first = gate.open().unwrap();
        assert!(gate.open().is_none());
        drop(first);
        assert!(gate.open().is_some());
    }
}
