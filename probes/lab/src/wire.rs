//! The packet loop: one thread between the TUN devices of the places.

mod censor;
mod path;
mod pump;
mod queue;

use std::{
    io::{self, Write as _},
    os::unix::net::UnixStream,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError, mpsc},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use commucat_censor::{Cidr, Judge, LinkSpec, ProbeOutcome, ProbeRequest, Stats};
pub(crate) use path::Port;
pub use path::{Count, Traffic};
use tokio::sync::mpsc as async_mpsc;

use crate::{
    LabError,
    record::{Capture, CaptureSummary, EventLog},
    tun::Tun,
};

/// Orders that may wait for the loop, which looks at them at once.
const ORDERS_MAX: usize = 64;
/// Calls of the active prober that nobody has taken yet; more are refused, and counted.
const PROBES_WAITING_MAX: usize = 64;

/// What a wire needs.
pub(crate) struct WireConfig {
    pub(crate) client: Tun,
    pub(crate) world: Tun,
    pub(crate) prober: Tun,
    pub(crate) client_net: Cidr,
    pub(crate) prober_net: Cidr,
    pub(crate) judge: Judge,
    pub(crate) link: LinkSpec,
    pub(crate) seed: u64,
    pub(crate) capture_dir: Option<PathBuf>,
    pub(crate) capture_bytes_max: u64,
}

/// What the loop and its readers share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) events: EventLog,
    seen: Mutex<Seen>,
}

/// What the loop has seen so far.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen {
    pub(crate) traffic: Traffic,
    pub(crate) captures: Vec<CaptureSummary>,
    /// Calls of the active prober that were refused because too many waited.
    pub(crate) probes_refused: u64,
    /// What the judge says of itself, once the loop has ended.
    pub(crate) judge: Stats,
}

impl Shared {
    pub(crate) fn seen(&self) -> Seen {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn with_seen(&self, change: impl FnOnce(&mut Seen)) {
        change(&mut self.seen.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

/// What the loop is told.
enum Order {
    /// The prober came back.
    Outcome(ProbeOutcome),
    /// Another censor and another link; the answer says that they are in force.
    Replace { judge: Box<Judge>, link: LinkSpec, seed: u64, done: mpsc::SyncSender<()> },
    /// The end.
    Stop,
}

/// The running packet loop.
#[derive(Debug)]
pub(crate) struct Wire {
    orders: mpsc::SyncSender<Order>,
    wake: UnixStream,
    thread: Option<JoinHandle<io::Result<()>>>,
    shared: Arc<Shared>,
    began: Instant,
}

impl std::fmt::Debug for Order {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Outcome(_) => "Outcome",
            Self::Replace { .. } => "Replace",
            Self::Stop => "Stop",
        })
    }
}

impl Wire {
    /// Starts the loop. The receiver gives the calls of the active prober.
    pub(crate) fn start(config: WireConfig) -> Result<(Self, async_mpsc::Receiver<ProbeRequest>), LabError> {
        let (wake, woken) = UnixStream::pair().map_err(LabError::Loop)?;
        for end in [&wake, &woken] {
            end.set_nonblocking(true).map_err(LabError::Loop)?;
        }
        let folder = config.capture_dir.as_deref();
        let capture = folder.map(|folder| Capture::create(folder, config.capture_bytes_max)).transpose()?;
        let events = EventLog::new(folder, config.capture_bytes_max)?;
        let shared = Arc::new(Shared { events, seen: Mutex::default() });
        let (orders, queue) = mpsc::sync_channel(ORDERS_MAX);
        let (probes, requests) = async_mpsc::channel(PROBES_WAITING_MAX);
        let began = Instant::now();
        let pump = pump::Pump::new(config, capture, Arc::clone(&shared), probes, began);
        let thread = thread::Builder::new()
            .name("lab-wire".to_owned())
            .spawn(move || pump.run(&woken, &queue))
            .map_err(|source| LabError::Thread { name: "wire", source })?;
        Ok((Self { orders, wake, thread: Some(thread), shared, began }, requests))
    }

    pub(crate) fn shared(&self) -> &Shared {
        &self.shared
    }

    /// How long the loop has run: the time of its events.
    pub(crate) fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }

    /// The prober came back.
    pub(crate) fn outcome(&self, outcome: ProbeOutcome) -> Result<(), LabError> {
        self.order(Order::Outcome(outcome))
    }

    /// Another censor and another link, in force when this returns.
    pub(crate) fn replace(&self, judge: Judge, link: LinkSpec, seed: u64) -> Result<(), LabError> {
        let (done, is_done) = mpsc::sync_channel(1);
        self.order(Order::Replace { judge: Box::new(judge), link, seed, done })?;
        is_done.recv().map_err(|_loop_ended| LabError::Stopped)
    }

    /// Stops the loop. What it saw in all stands in what it shares.
    pub(crate) fn stop(mut self) -> Result<Arc<Shared>, LabError> {
        self.end().map_err(LabError::Loop)?;
        Ok(Arc::clone(&self.shared))
    }

    fn order(&self, order: Order) -> Result<(), LabError> {
        self.orders.send(order).map_err(|_loop_ended| LabError::Stopped)?;
        // A full pipe has woken it already.
        let _woken = (&self.wake).write(&[0]);
        Ok(())
    }

    fn end(&mut self) -> io::Result<()> {
        let Some(thread) = self.thread.take() else { return Ok(()) };
        let _already_ended = self.order(Order::Stop);
        thread.join().unwrap_or_else(|_panic| Err(io::Error::other("it panicked")))
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        let _whoever_wants_to_know_calls_stop = self.end();
    }
}
