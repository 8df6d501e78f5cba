//! Associations that outlive their stream: a client that comes back over another one, under the id that it gave, finds the
//! ports it had, and whoever answers it still reaches it.
//!
//! The association that was there first goes on; what came later gives it the stream and ends. All of it is bounded: how
//! long nobody comes back, and how many wait so.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use commucat_transport_api::{BoxFuture, BoxStream, Net};
use tokio::sync::mpsc;

use super::{UUID_BYTES, xudp::GLOBAL_ID_BYTES};

/// How long an association waits for its client: as Xray lets it.
const PARKED_TIME: Duration = Duration::from_secs(60);
/// Associations that wait at once; beyond it one ends with its stream.
const MAX_PARKED: usize = 256;

/// Whose association it is: another user's id is another's.
type Key = ([u8; UUID_BYTES], [u8; GLOBAL_ID_BYTES]);

/// The associations of a listener that have an id.
#[derive(Debug)]
pub(crate) struct Associations {
    net: Arc<dyn Net>,
    known: Mutex<HashMap<Key, mpsc::Sender<Handover>>>,
    parked: AtomicUsize,
}

/// A stream for an association that goes on.
#[derive(Debug)]
pub(super) struct Handover {
    pub(super) io: BoxStream,
    /// What was read of it and is still to be looked at.
    pub(super) incoming: Vec<u8>,
}

impl Associations {
    pub(crate) fn new(net: Arc<dyn Net>) -> Arc<Self> {
        Arc::new(Self { net, known: Mutex::default(), parked: AtomicUsize::new(0) })
    }

    /// The place of a user's association that has yet to say its id.
    pub(crate) fn place(self: &Arc<Self>, user: [u8; UUID_BYTES]) -> Place {
        Place { all: Arc::clone(self), user, taken: None, parked: None }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Key, mpsc::Sender<Handover>>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The place of one association among all.
pub(crate) struct Place {
    all: Arc<Associations>,
    user: [u8; UUID_BYTES],
    taken: Option<Taken>,
    /// When it ends, while it waits.
    parked: Option<BoxFuture<'static, ()>>,
}

struct Taken {
    key: Key,
    /// To tell our entry from one that replaced it.
    ours: mpsc::Sender<Handover>,
    streams: mpsc::Receiver<Handover>,
}

impl std::fmt::Debug for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Place").field("parked", &self.parked.is_some()).finish_non_exhaustive()
    }
}

impl Place {
    /// The client said its id: who has the association already, or nobody, and then it is ours.
    pub(super) fn take(&mut self, id: [u8; GLOBAL_ID_BYTES]) -> Option<mpsc::OwnedPermit<Handover>> {
        // An id that is said again is the same association.
        if self.taken.is_some() {
            return None;
        }
        let key = (self.user, id);
        let mut known = self.all.lock();
        let theirs = known.get(&key).and_then(|theirs| theirs.clone().try_reserve_owned().ok());
        if theirs.is_some() {
            return theirs;
        }
        let (ours, streams) = mpsc::channel(1);
        known.insert(key, ours.clone());
        self.taken = Some(Taken { key, ours, streams });
        None
    }

    /// Another stream for us.
    pub(super) fn poll_stream(&mut self, cx: &mut Context<'_>) -> Poll<Handover> {
        let polled = match &mut self.taken {
            Some(taken) => taken.streams.poll_recv(cx),
            None => Poll::Pending,
        };
        match polled {
            Poll::Ready(Some(handover)) => {
                self.unpark();
                Poll::Ready(handover)
            }
            Poll::Ready(None) | Poll::Pending => Poll::Pending,
        }
    }

    /// The stream is gone: whether there is a wait for another one.
    pub(super) fn park(&mut self) -> bool {
        if self.taken.is_none() {
            return false;
        }
        if self.parked.is_none() {
            let counted = self.all.parked.fetch_add(1, Ordering::Relaxed);
            if counted >= MAX_PARKED {
                self.all.parked.fetch_sub(1, Ordering::Relaxed);
                return false;
            }
            self.parked = Some(self.all.net.sleep_until(self.all.net.now() + PARKED_TIME));
        }
        true
    }

    pub(super) const fn is_parked(&self) -> bool {
        self.parked.is_some()
    }

    /// Ready when nobody came back in time; pending as well when nothing waits.
    pub(super) fn poll_given_up(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.parked.as_mut().map_or(Poll::Pending, |timer| timer.as_mut().poll(cx))
    }

    fn unpark(&mut self) {
        if self.parked.take().is_some() {
            self.all.parked.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.unpark();
        if let Some(taken) = &self.taken {
            let mut known = self.all.lock();
            if known.get(&taken.key).is_some_and(|entry| entry.same_channel(&taken.ours)) {
                known.remove(&taken.key);
            }
        }
    }
}
