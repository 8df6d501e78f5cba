//! What a session's owners hold: the session itself, shared, over the one core that the driver pumps.

use std::{
    fmt,
    future::poll_fn,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Poll, Waker},
    time::{Duration, Instant},
};

use commucat_transport_api::{
    BoxFuture, BoxStream, Channel, DialError, Failure, MuxSession, Net, PathInfo, Phase, Signal, Target,
};

use crate::{
    config::Config,
    core::{Core, Side},
    datagrams::MuxDatagrams,
    driver::Driver,
    error::{Refusal, Violation},
    frame::OpenTarget,
    stream::MuxStream,
};

/// Wakers taken out of the core at once.
const WAKES_AT_ONCE: usize = 8;

/// A session over a carrier that this end dialled. Nothing moves unless the driver is polled.
pub fn dialled(io: BoxStream, net: Arc<dyn Net>, config: Config) -> (Session, Driver) {
    session(Side::Dialled, io, net, config)
}

/// A session over a carrier that this end accepted.
pub fn accepted(io: BoxStream, net: Arc<dyn Net>, config: Config) -> (Session, Driver) {
    session(Side::Accepted, io, net, config)
}

fn session(side: Side, io: BoxStream, net: Arc<dyn Net>, config: Config) -> (Session, Driver) {
    let chance = Arc::clone(&net);
    let source = Box::new(move |bytes: &mut [u8]| chance.fill_random(bytes).is_ok());
    let core = Core::new(side, config, net.now(), source);
    let shared = Arc::new(Shared { core: Mutex::new(core), net });
    let session = Session(Arc::new(Owner(Arc::clone(&shared))));
    (session, Driver::new(io, shared))
}

/// One end of a session. Clones are the same session; when all of them are dropped no stream can be opened or accepted
/// any more, and the carrier ends in order with the last stream.
#[derive(Clone)]
pub struct Session(Arc<Owner>);

impl Session {
    /// Streams and datagram associations that are open, those that nobody accepted yet included.
    pub fn streams(&self) -> usize {
        self.shared().lock().streams()
    }

    /// Bytes sent and received on the carrier, frames' heads and padding included.
    pub fn moved(&self) -> (u64, u64) {
        self.shared().lock().moved()
    }

    /// When the session began.
    pub fn born(&self) -> Instant {
        self.shared().lock().born()
    }

    /// When anything last arrived.
    pub fn heard(&self) -> Instant {
        self.shared().lock().heard()
    }

    /// Whether it takes no new streams: either end drains it, or it is over.
    pub fn is_going_away(&self) -> bool {
        self.shared().lock().is_going_away()
    }

    /// How the peer broke the protocol, when that is what ended the session.
    pub fn violation(&self) -> Option<Violation> {
        self.shared().lock().violation()
    }

    /// Takes no new streams any more; the carrier ends in order with the last one.
    pub fn drain(&self) {
        self.shared().with(Core::drain);
    }

    /// Asks the peer for a sign of life, and gives the time it took.
    ///
    /// # Errors
    /// What ended the session; [`Signal::Timeout`] when nothing came until the deadline. That alone does not end it.
    pub async fn check(&self, deadline: Instant) -> Result<Duration, Failure> {
        let shared = self.shared();
        let began = shared.net.now();
        let ping = shared.with(Core::ask);
        let mut sleep = shared.net.sleep_until(deadline);
        poll_fn(|cx| {
            let state = shared.with(|core| {
                if core.is_answered(cx, ping) {
                    return Some(Ok(()));
                }
                match core.poll_closed(cx) {
                    Poll::Ready(failure) => Some(Err(failure)),
                    Poll::Pending => None,
                }
            });
            let taken = || shared.net.now().saturating_duration_since(began);
            match state {
                Some(Ok(())) => Poll::Ready(Ok(taken())),
                Some(Err(failure)) => Poll::Ready(Err(failure)),
                None => {
                    sleep.as_mut().poll(cx).map(|()| Err(Failure::new(Phase::Data, Signal::Timeout, taken())))
                }
            }
        })
        .await
    }

    /// Opens a stream or a datagram association at once; no round trip. That the peer refuses it, or cannot reach the
    /// target, shows on the channel: it is reset.
    ///
    /// # Errors
    /// [`DialError::UnsupportedTarget`] for a target that is neither; else a [`DialError::Network`] whose source is a
    /// [`Refusal`].
    pub fn open_now(&self, target: &Target) -> Result<Channel, DialError> {
        let said = OpenTarget::new(target).ok_or(DialError::UnsupportedTarget)?;
        let id = self.shared().with(|core| core.open(&said)).map_err(|refusal| self.refused(refusal))?;
        Ok(self.channel(id, target))
    }

    /// Whether a new stream would fare well: the session is not going away, and was not asked in vain whether it lives.
    pub(crate) fn is_healthy(&self) -> bool {
        let core = self.shared().lock();
        !core.is_going_away() && !core.is_silent()
    }

    /// Whether it has ended, though its streams may not have noticed.
    pub(crate) fn has_ended(&self) -> bool {
        self.shared().lock().has_failed()
    }

    /// Whether this is the same session.
    pub(crate) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    fn refused(&self, refusal: Refusal) -> DialError {
        let shared = self.shared();
        let elapsed = shared.net.now().saturating_duration_since(self.born());
        let failure = Failure::new(Phase::Data, Signal::Other, elapsed);
        DialError::Network { failure, source: Some(refusal.into()) }
    }

    fn channel(&self, id: u32, target: &Target) -> Channel {
        let stream = MuxStream::new(Arc::clone(self.shared()), id);
        match target {
            Target::Datagrams => Channel::Datagrams(Box::new(MuxDatagrams::new(stream))),
            _ => Channel::Stream(Box::new(stream)),
        }
    }

    fn shared(&self) -> &Arc<Shared> {
        &self.0.0
    }
}

impl MuxSession for Session {
    fn open<'a>(&'a self, target: &'a Target) -> BoxFuture<'a, Result<Channel, DialError>> {
        Box::pin(async move { self.open_now(target) })
    }

    fn accept(&self) -> BoxFuture<'_, Option<(Channel, Target)>> {
        Box::pin(async move {
            let (id, target) = poll_fn(|cx| self.shared().with(|core| core.poll_accept(cx))).await?;
            Some((self.channel(id, &target), target))
        })
    }

    fn closed(&self) -> BoxFuture<'_, Failure> {
        Box::pin(poll_fn(|cx| self.shared().with(|core| core.poll_closed(cx))))
    }

    fn path(&self) -> PathInfo {
        self.shared().path()
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let core = self.shared().lock();
        f.debug_struct("Session")
            .field("streams", &core.streams())
            .field("going_away", &core.is_going_away())
            .finish_non_exhaustive()
    }
}

/// All the clones of a session.
struct Owner(Arc<Shared>);

impl Drop for Owner {
    fn drop(&mut self) {
        self.0.with(Core::disown);
    }
}

/// What a session, its streams and its driver have in common.
pub(crate) struct Shared {
    core: Mutex<Core>,
    pub(crate) net: Arc<dyn Net>,
}

impl Shared {
    /// Looks at the core. Whatever can make a task go on goes through [`Self::with`].
    pub(crate) fn lock(&self) -> MutexGuard<'_, Core> {
        self.core.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does something to the core, then wakes whom that lets go on.
    pub(crate) fn with<T>(&self, work: impl FnOnce(&mut Core) -> T) -> T {
        let mut batch: [Option<Waker>; WAKES_AT_ONCE] = [const { None }; WAKES_AT_ONCE];
        let mut core = self.lock();
        let done = work(&mut core);
        let mut more = core.take_wakes(&mut batch);
        drop(core);
        loop {
            batch.iter_mut().filter_map(Option::take).for_each(Waker::wake);
            if !more {
                return done;
            }
            more = self.lock().take_wakes(&mut batch);
        }
    }

    pub(crate) fn path(&self) -> PathInfo {
        self.lock().round_trip().map_or_else(PathInfo::default, PathInfo::with_rtt)
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").finish_non_exhaustive()
    }
}
