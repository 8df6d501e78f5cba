//! The suite's own bridge: accepts, runs each handshake in a task of its own, serves what was accepted, and keeps a log.

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use commucat_mux::Config;
use commucat_transport_api::{
    AcceptError, BoxStream, Channel, Cx, Incoming, ListenError, Listener, MuxSession, Net, Server, Target,
    UserId, UserTable, abort,
};
use tokio::{
    sync::Notify,
    task::{JoinHandle, JoinSet},
};

use super::{pattern::Digest, services};

/// Entries the log keeps of each kind; no check makes more.
const LOG_ENTRIES_MAX: usize = 4096;

/// A bridge that runs until it is dropped.
#[derive(Debug)]
pub(super) struct Bridge {
    pub(super) local: SocketAddr,
    pub(super) log: Arc<Log>,
    main: Option<JoinHandle<()>>,
}

/// What the bridge saw.
#[derive(Debug, Default)]
pub(super) struct Log {
    entries: Mutex<Entries>,
    tasks: AtomicUsize,
    changed: Notify,
}

#[derive(Debug, Default)]
pub(super) struct Entries {
    pub(super) accepted: Vec<Seen>,
    pub(super) rejected: Vec<AcceptError>,
    pub(super) received: Vec<Digest>,
    pub(super) ended_at: Vec<Instant>,
    pub(super) panics: usize,
    handed_over: Vec<BoxStream>,
}

/// An accepted channel.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub(super) target: Target,
    pub(super) user: Option<UserId>,
}

impl Bridge {
    /// Starts to listen.
    pub(super) async fn start(
        server: &Arc<dyn Server>,
        users: &Arc<UserTable>,
        net: &Arc<dyn Net>,
        budget: Duration,
    ) -> Result<Self, ListenError> {
        let cx = Cx::new(Arc::clone(net), budget);
        let listener = server.listen(&cx).await?;
        let local = listener.local_addr().ok_or(ListenError::Closed)?;
        let log = Arc::<Log>::default();
        let house = House { log: Arc::clone(&log), net: Arc::clone(net), users: Arc::clone(users) };
        let main = tokio::spawn(accept_all(listener, house));
        Ok(Self { local, log, main: Some(main) })
    }

    /// Stops, with all that runs in it. Everything is gone when this returns.
    pub(super) async fn stop(&mut self) {
        if let Some(main) = self.main.take() {
            main.abort();
            // Cancelled or already over: both are what we want.
            drop(main.await);
        }
    }
}

impl Drop for Bridge {
    fn drop(&mut self) {
        if let Some(main) = &self.main {
            main.abort();
        }
    }
}

impl Log {
    /// Looks at what was seen so far.
    pub(super) fn look(&self) -> MutexGuard<'_, Entries> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Handshakes and channels that run.
    pub(super) fn tasks(&self) -> usize {
        self.tasks.load(Ordering::Acquire)
    }

    /// Waits until something holds of the log.
    pub(super) async fn until(&self, mut holds: impl FnMut(&Self) -> bool) {
        loop {
            let mut changed = std::pin::pin!(self.changed.notified());
            changed.as_mut().enable();
            if holds(self) {
                return;
            }
            changed.await;
        }
    }

    /// The next channel that asked to be handed over.
    pub(super) async fn handed_over(&self) -> Option<BoxStream> {
        self.until(|log| !log.look().handed_over.is_empty()).await;
        self.look().handed_over.pop()
    }

    pub(super) fn note_received(&self, digest: Digest) {
        self.change(|entries| push(&mut entries.received, digest));
    }

    pub(super) fn hand_over(&self, stream: BoxStream) {
        self.change(|entries| push(&mut entries.handed_over, stream));
    }

    fn change(&self, change: impl FnOnce(&mut Entries)) {
        change(&mut self.look());
        self.changed.notify_waiters();
    }
}

/// Counts a task for as long as it lives.
struct Running(Arc<Log>);

impl Running {
    fn new(log: &Arc<Log>) -> Self {
        log.tasks.fetch_add(1, Ordering::AcqRel);
        Self(Arc::clone(log))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.tasks.fetch_sub(1, Ordering::AcqRel);
        self.0.changed.notify_waiters();
    }
}

/// What all tasks of a bridge share.
#[derive(Clone)]
struct House {
    log: Arc<Log>,
    net: Arc<dyn Net>,
    users: Arc<UserTable>,
}

async fn accept_all(mut listener: Box<dyn Listener>, house: House) {
    let mut tasks = JoinSet::new();
    loop {
        // Biased, because a run must not depend on chance that has no seed.
        tokio::select! {
            biased;
            Some(ended) = tasks.join_next() => {
                if ended.is_err_and(|error| error.is_panic()) {
                    house.log.change(|entries| entries.panics += 1);
                }
            }
            incoming = listener.accept() => match incoming {
                Ok(incoming) => {
                    let (running, house) = (Running::new(&house.log), house.clone());
                    tasks.spawn(async move { house.handle(incoming, running).await });
                }
                Err(ListenError::Accept(_)) => tokio::task::yield_now().await,
                Err(_closed) => return,
            },
        }
    }
}

impl House {
    async fn handle(&self, incoming: Box<dyn Incoming>, running: Running) {
        let accepted = match incoming.handshake().await {
            Ok(accepted) => accepted,
            Err(error) => return self.log.change(|entries| push(&mut entries.rejected, error)),
        };
        match (accepted.channel, accepted.target) {
            // What runs is counted by its channels: a session without any is meant to stay.
            (Channel::Stream(carrier), Target::Mux) => {
                drop(running);
                let (session, driver) =
                    commucat_mux::accepted(carrier, Arc::clone(&self.net), Config::default());
                tokio::join!(driver, self.serve_session(&session, accepted.user));
            }
            (Channel::Mux(session), _) => {
                drop(running);
                self.serve_session(&*session, accepted.user).await;
            }
            (channel, target) => self.serve(channel, target, accepted.user).await,
        }
    }

    /// Serves the channels of a session until no more can come and all have ended.
    async fn serve_session(&self, session: &dyn MuxSession, user: Option<UserId>) {
        let mut tasks = JoinSet::new();
        while let Some((channel, target)) = session.accept().await {
            if !self.knows(user.as_ref()) {
                abort(channel);
                continue;
            }
            let (running, house, user) = (Running::new(&self.log), self.clone(), user.clone());
            tasks.spawn(async move {
                house.serve(channel, target, user).await;
                drop(running);
            });
            while tasks.try_join_next().is_some() {}
        }
        while tasks.join_next().await.is_some() {}
    }

    /// Who was let in once may be gone by now.
    fn knows(&self, user: Option<&UserId>) -> bool {
        user.is_none_or(|id| self.users.snapshot().iter().any(|user| user.id == *id))
    }

    async fn serve(&self, channel: Channel, target: Target, user: Option<UserId>) {
        let seen = Seen { target: target.clone(), user };
        self.log.change(|entries| push(&mut entries.accepted, seen));
        // A channel that breaks is the business of the check at its other end.
        drop(services::serve(channel, &target, &self.log).await);
        self.log.change(|entries| push(&mut entries.ended_at, self.net.now()));
    }
}

fn push<T>(list: &mut Vec<T>, entry: T) {
    if list.len() < LOG_ENTRIES_MAX {
        list.push(entry);
    }
}
