//! One attempt at a time: what all methods share.
//!
//! A [`Bench`] holds what a run has once: the targets, the clock's zero, the random numbers of the seed, the ports that
//! are still untouched. A [`Draft`] is a trial while it goes on.

pub(crate) mod datagram;
pub(crate) mod experiment;
pub(crate) mod hello;
pub(crate) mod pin;
mod ports;
pub(crate) mod quic;
pub(crate) mod request;
pub(crate) mod segments;
pub(crate) mod tcp;

use std::{
    io,
    net::{IpAddr, SocketAddr},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use commucat_transport_api::{Failure, Phase, Signal};
use commucat_verdict::observations::{NameClass, Operation, PortClass, ServerKind, Step, TlsSeen, Trial};
use tokio::time::Instant;

pub(crate) use self::ports::Carrier;
use self::ports::{Lent, PortBook};
use crate::{
    progress::Progress,
    stats,
    targets::{Server, Targets},
};

/// Most steps that a trial keeps.
const STEPS_MAX: usize = 64;
/// Silence counts after this many round trips.
const TIMEOUT_ROUND_TRIPS: u32 = 3;
/// On a network that loses packets, TCP itself needs this long: a lost SYN is sent again after one second (RFC 6298
/// §2.1), a lost hello after about one more.
const TIMEOUT_LOSSY: Duration = Duration::from_millis(4_000);
/// Loss of datagrams and their echoes from which a network counts as lossy.
const LOSSY_FROM: f64 = 0.015;

/// What a run has once.
pub(crate) struct Bench {
    pub(crate) targets: Targets,
    pub(crate) progress: Arc<dyn Progress>,
    began: Instant,
    next_number: AtomicU32,
    rng: Mutex<fastrand::Rng>,
    ports: Mutex<PortBook>,
    timing: Mutex<Timing>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Timing {
    rtt: Option<Duration>,
    loss: Option<f64>,
    preferred: Option<PortClass>,
}

impl Bench {
    pub(crate) fn new(targets: Targets, seed: u64, progress: Arc<dyn Progress>) -> Arc<Self> {
        let mut rng = fastrand::Rng::with_seed(seed);
        let ports = PortBook::new(&targets, &mut rng);
        Arc::new(Self {
            targets,
            progress,
            began: Instant::now(),
            next_number: AtomicU32::new(1),
            rng: Mutex::new(rng),
            ports: Mutex::new(ports),
            timing: Mutex::new(Timing::default()),
        })
    }

    /// Microseconds since the run began.
    pub(crate) fn at_us(&self) -> u64 {
        micros(self.began.elapsed())
    }

    pub(crate) fn next_number(&self) -> u32 {
        self.next_number.fetch_add(1, Ordering::Relaxed)
    }

    /// Random numbers of the run's seed, in a generator of one's own.
    pub(crate) fn rng(&self) -> fastrand::Rng {
        locked(&self.rng).fork()
    }

    pub(crate) fn server(&self, kind: ServerKind) -> Option<&Server> {
        self.targets.server(kind)
    }

    /// A port of the server on which nothing failed yet, another one at each call while there are several.
    pub(crate) fn port(&self, kind: ServerKind, carrier: Carrier, class: PortClass) -> Option<SocketAddr> {
        let address = self.server(kind)?.address;
        locked(&self.ports).take(kind, carrier, class).map(|port| SocketAddr::new(address, port))
    }

    /// As [`Self::port`], of the class that is known to pass, then `High`, then any.
    pub(crate) fn any_port(&self, kind: ServerKind, carrier: Carrier) -> Option<SocketAddr> {
        let preferred = locked(&self.timing).preferred.unwrap_or(PortClass::High);
        [preferred, PortClass::High, PortClass::Https, PortClass::Http, PortClass::Dns]
            .into_iter()
            .find_map(|class| self.port(kind, carrier, class))
    }

    /// A TCP port of the server that no other trial uses until it is given back; waits for one. `None` when every one
    /// is spoiled. For trials whose failure spoils the port for minutes before anybody knows.
    pub(crate) async fn lend(&self, kind: ServerKind) -> Option<SocketAddr> {
        /// How often it is looked whether a port came back.
        const LOOK: Duration = Duration::from_millis(10);
        let server = self.server(kind)?;
        let class = locked(&self.timing).preferred.unwrap_or(PortClass::High);
        let class = if server.has_tcp(class) { class } else { PortClass::Https };
        loop {
            let lent = locked(&self.ports).lend(kind, Carrier::Tcp, class);
            match lent {
                Lent::Port(port) => return Some(SocketAddr::new(server.address, port)),
                Lent::Wait => tokio::time::sleep(LOOK).await,
                Lent::None => return None,
            }
        }
    }

    /// Gives a lent port back after its trial.
    pub(crate) fn give_back(&self, kind: ServerKind, address: SocketAddr, trial: &Trial) {
        let spoiled = trial.failure.is_some();
        locked(&self.ports).give_back(kind, Carrier::Tcp, address.port(), spoiled);
    }

    /// Something failed there: the three of us, the server and the port may be watched for minutes.
    pub(crate) fn poison(&self, carrier: Carrier, address: SocketAddr) {
        let kinds = self.targets.servers.iter().filter(|server| server.address == address.ip());
        for server in kinds {
            locked(&self.ports).poison(server.kind, carrier, address.port());
        }
    }

    /// How long silence must last to count as no answer.
    pub(crate) fn timeout(&self) -> Duration {
        let timing = *locked(&self.timing);
        let least = self.targets.timing.timeout_min();
        let by_rtt = timing.rtt.map_or(Duration::ZERO, |rtt| rtt * TIMEOUT_ROUND_TRIPS);
        let timeout = least.max(by_rtt);
        if timing.loss.is_some_and(|loss| loss >= LOSSY_FROM) { timeout.max(TIMEOUT_LOSSY) } else { timeout }
    }

    /// Ports of this class are known to pass, others not.
    pub(crate) fn prefer(&self, class: PortClass) {
        locked(&self.timing).preferred = Some(class);
    }

    pub(crate) fn set_rtt(&self, rtt: Duration) {
        locked(&self.timing).rtt = Some(rtt);
    }

    pub(crate) fn set_loss(&self, loss: f64) {
        locked(&self.timing).loss = Some(loss);
    }

    pub(crate) fn loss(&self) -> Option<f64> {
        locked(&self.timing).loss
    }

    /// The failure rate that trials have anyway. TCP and QUIC repair what is lost and datagrams are sent three times,
    /// so loss comes in only by what gets lost every time.
    pub(crate) fn baseline(&self) -> f64 {
        let lost = self.loss().unwrap_or(0.0);
        (lost * lost).max(stats::BASELINE_MIN)
    }

    /// A name of this class; `None` when the targets have none. Empty is `Some(None)`.
    pub(crate) fn name(&self, class: NameClass) -> Option<Option<String>> {
        let mut rng = self.rng();
        let mut one_of = |names: &[String]| names.get(rng.usize(..names.len().max(1))).cloned().map(Some);
        match class {
            NameClass::Innocent => one_of(&self.targets.names.innocent),
            NameClass::Blocked => one_of(&self.targets.names.blocked),
            NameClass::Empty => Some(None),
            NameClass::EchOuter => Some(Some(self.targets.names.ech_outer.clone())),
            _ => Some(Some(random_name(&mut rng))),
        }
    }
}

impl std::fmt::Debug for Bench {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Bench").field("began", &self.began).finish_non_exhaustive()
    }
}

/// A trial while it goes on.
#[derive(Debug)]
pub(crate) struct Draft {
    bench: Arc<Bench>,
    began: Instant,
    trial: Trial,
}

impl Draft {
    pub(crate) fn new(bench: &Arc<Bench>, address: SocketAddr, name: Option<&str>) -> Self {
        let trial = Trial {
            number: bench.next_number(),
            at_us: bench.at_us(),
            took_us: 0,
            address: Some(address),
            source_port: 0,
            server_name: name.map(str::to_owned),
            failure: None,
            sent: 0,
            received: 0,
            tls: None,
            steps: Vec::new(),
        };
        Self { bench: Arc::clone(bench), began: Instant::now(), trial }
    }

    pub(crate) const fn source_port(&mut self, port: u16) {
        self.trial.source_port = port;
    }

    pub(crate) fn tls(&mut self) -> &mut TlsSeen {
        self.trial.tls.get_or_insert_default()
    }

    pub(crate) fn number(&self) -> u32 {
        self.trial.number
    }

    pub(crate) fn sent(&mut self, bytes: usize) {
        self.trial.sent += to_u64(bytes);
        self.step(Operation::Write, bytes, None);
    }

    pub(crate) fn received(&mut self, bytes: usize) {
        self.trial.received += to_u64(bytes);
        self.step(Operation::Read, bytes, None);
    }

    pub(crate) fn done(&mut self, operation: Operation) {
        self.step(operation, 0, None);
    }

    /// The evidence of a failure at this point.
    pub(crate) fn failure(&self, phase: Phase, signal: Signal) -> Failure {
        Failure::new(phase, signal, self.began.elapsed()).with_bytes(self.trial.sent, self.trial.received)
    }

    /// Ends the trial; a failure is also the last step.
    pub(crate) fn end(mut self, outcome: Result<(), (Operation, Failure)>) -> Trial {
        if let Err((operation, failure)) = outcome {
            self.step(operation, 0, Some(failure.clone()));
            self.trial.failure = Some(failure);
        }
        self.trial.took_us = micros(self.began.elapsed());
        self.trial
    }

    fn step(&mut self, operation: Operation, bytes: usize, failure: Option<Failure>) {
        if self.trial.steps.len() < STEPS_MAX || failure.is_some() {
            let at_us = self.bench.at_us();
            self.trial.steps.push(Step { at_us, operation, bytes: to_u64(bytes), failure });
        }
    }
}

/// What an error of the system says.
pub(crate) fn signal_of(error: &io::Error) -> Signal {
    use io::ErrorKind as K;
    match error.kind() {
        K::TimedOut | K::WouldBlock => Signal::Timeout,
        K::ConnectionRefused => Signal::Refused,
        K::ConnectionReset | K::ConnectionAborted | K::BrokenPipe => Signal::Reset,
        K::HostUnreachable | K::NetworkUnreachable => Signal::Unreachable,
        K::NetworkDown | K::AddrNotAvailable => Signal::LocalNetworkDown,
        K::UnexpectedEof => Signal::UnexpectedEof,
        _ => Signal::Other,
    }
}

pub(crate) fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

pub(crate) fn to_u64(n: usize) -> u64 {
    u64::try_from(n).unwrap_or(u64::MAX)
}

/// A lock whose holder never leaves it half changed, so a poisoned one is as good.
pub(crate) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A name that nobody has used: counters that are kept by name begin anew with it.
fn random_name(rng: &mut fastrand::Rng) -> String {
    let label: String = (0..12).map(|_| rng.lowercase()).collect();
    format!("{label}.com")
}

/// The address that a socket to this peer is bound to before it is connected.
pub(crate) const fn unspecified(like: IpAddr) -> SocketAddr {
    match like {
        IpAddr::V4(_) => SocketAddr::new(IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED), 0),
        IpAddr::V6(_) => SocketAddr::new(IpAddr::V6(std::net::Ipv6Addr::UNSPECIFIED), 0),
    }
}
