//! Connections to the site: never too many at once, and some ready before a visitor comes.
//!
//! Without a bound, whoever floods the bridge floods the site from the bridge's address. So dials are paced; who has to
//! wait too long is reset, as by a site that is overloaded.
//!
//! A connection that is ready saves a visitor the way to the site and back. It is used once, and it is young: a site
//! counts its timeouts from the connection, so age is time that a visitor who falls silent would miss. There is one only
//! while visitors come so often that each will be used before it is old.

use std::{
    collections::VecDeque,
    io,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
    time::{Duration, Instant},
};

use commucat_transport_api::{BoxStream, HostPort, Net};
use tokio::{
    io::{AsyncRead as _, ReadBuf},
    sync::{Notify, Semaphore},
    task::{JoinHandle, JoinSet},
};

use super::demand::{Demand, Pace};
use crate::config::DialLimits;

/// How long a dial may wait for its turn.
pub(crate) const MAX_WAIT: Duration = Duration::from_secs(10);
/// A ready connection is given up at this age and up to as much again, drawn for each: far below the 10 to 60 s that
/// servers give a handshake.
const AGE: Duration = Duration::from_secs(2);
/// Pause after a dial for the stock that failed.
const RETRY_TIME: Duration = Duration::from_secs(1);

/// Whose a connection will be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Visitor {
    /// One of ours, who is done with it in a moment: the oldest will do.
    Ours,
    /// Somebody whom the site may have to wait for: the youngest.
    Stranger,
}

/// The way to the site.
#[derive(Debug)]
pub(crate) struct Dials {
    net: Arc<dyn Net>,
    target: HostPort,
    turns: Semaphore,
    state: Mutex<State>,
    /// Rung when a connection was taken.
    taken: Notify,
}

#[derive(Debug)]
struct State {
    pace: Pace,
    demand: Demand,
    /// The oldest first.
    ready: VecDeque<Ready>,
    /// Nobody keeps the stock any more.
    closed: bool,
}

#[derive(Debug)]
struct Ready {
    io: BoxStream,
    until: Instant,
}

impl Dials {
    pub(crate) fn new(net: Arc<dyn Net>, target: HostPort, limits: DialLimits) -> Arc<Self> {
        let now = net.now();
        let state = State {
            pace: Pace::new(limits.per_second, now),
            demand: Demand::new(limits.ready, AGE, now),
            ready: VecDeque::new(),
            closed: true,
        };
        Arc::new(Self {
            turns: Semaphore::new(limits.concurrent.into()),
            state: Mutex::new(state),
            taken: Notify::new(),
            net,
            target,
        })
    }

    /// A connection for a visitor of whom it is known who it is.
    ///
    /// # Errors
    /// The site cannot be reached, or too many want to reach it.
    pub(crate) async fn connect(&self, visitor: Visitor) -> io::Result<BoxStream> {
        let ready = {
            let mut state = self.lock();
            let now = self.net.now();
            state.demand.came(now);
            state.take(visitor, now)
        };
        self.taken.notify_one();
        match ready {
            Some(io) => Ok(io),
            None => self.dial().await,
        }
    }

    /// A connection that is made now: for a visitor who may stay silent until the site has had enough.
    ///
    /// # Errors
    /// The site cannot be reached, or too many want to reach it.
    pub(crate) async fn dial(&self) -> io::Result<BoxStream> {
        let _turn = self.turns.acquire().await.map_err(io::Error::other)?;
        let now = self.net.now();
        let at = self.lock().pace.reserve(now, MAX_WAIT);
        let at =
            at.ok_or_else(|| io::Error::new(io::ErrorKind::ResourceBusy, "too many dials of the target"))?;
        if at > now {
            self.net.sleep_until(at).await;
        }
        self.net.connect_stream(&self.target).await
    }

    /// Keeps connections ready until the keeper is dropped.
    pub(crate) fn keep_ready(self: &Arc<Self>) -> Keeper {
        self.lock().closed = false;
        let task = tokio::spawn(Arc::clone(self).refill());
        Keeper { dials: Arc::clone(self), task }
    }

    async fn refill(self: Arc<Self>) {
        let mut dialling: JoinSet<io::Result<BoxStream>> = JoinSet::new();
        loop {
            let now = self.net.now();
            let (missing, next) = self.lock().sweep(now, dialling.len());
            for _ in 0..missing {
                let dials = Arc::clone(&self);
                dialling.spawn(async move { dials.dial().await });
            }
            let look_again = next.map(|at| self.net.sleep_until(at));
            let look_again = async {
                match look_again {
                    Some(timer) => timer.await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = self.taken.notified() => {}
                () = look_again => {}
                Some(dialled) = dialling.join_next() => match dialled {
                    Ok(Ok(io)) => self.keep(io),
                    // Whoever comes now dials, and hears of it.
                    Ok(Err(_)) | Err(_) => self.net.sleep_until(self.net.now() + RETRY_TIME).await,
                },
            }
        }
    }

    fn keep(&self, io: BoxStream) {
        let mut byte = [0];
        // Without randomness all have the same age: nothing else is at stake here.
        self.net.fill_random(&mut byte).ok();
        let [byte] = byte;
        let age = AGE + AGE * u32::from(byte) / 256;
        let until = self.net.now() + age;
        let mut state = self.lock();
        if !state.closed {
            state.ready.push_back(Ready { io, until });
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[cfg(test)]
    pub(super) fn stock(&self) -> usize {
        self.lock().ready.len()
    }
}

impl State {
    /// A ready connection that the site has not ended.
    fn take(&mut self, visitor: Visitor, now: Instant) -> Option<BoxStream> {
        loop {
            let mut ready = match visitor {
                Visitor::Ours => self.ready.pop_front(),
                Visitor::Stranger => self.ready.pop_back(),
            }?;
            if ready.until > now && is_quiet(&mut ready.io) {
                return Some(ready.io);
            }
        }
    }

    /// Gives up what is old: how many are missing besides those that are dialled, and when to look again.
    fn sweep(&mut self, now: Instant, dialling: usize) -> (usize, Option<Instant>) {
        self.ready.retain_mut(|ready| ready.until > now && is_quiet(&mut ready.io));
        let missing = self.demand.wanted(now).saturating_sub(self.ready.len() + dialling);
        (missing, self.ready.iter().map(|ready| ready.until).min())
    }
}

/// Whether the site has neither spoken nor left. One that speaks first is none that can be imitated.
fn is_quiet(io: &mut BoxStream) -> bool {
    let mut byte = [0];
    let mut cx = Context::from_waker(Waker::noop());
    matches!(Pin::new(io).poll_read(&mut cx, &mut ReadBuf::new(&mut byte)), Poll::Pending)
}

/// Keeps connections ready; dropped, it leaves none.
#[derive(Debug)]
pub(crate) struct Keeper {
    dials: Arc<Dials>,
    task: JoinHandle<()>,
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.task.abort();
        let mut state = self.dials.lock();
        state.closed = true;
        state.ready.clear();
    }
}

#[cfg(test)]
mod tests;
