//! The loop itself: waits for packets, timers and orders, and moves packets between the devices and the path.

use std::{
    io::{self, Read as _},
    os::{fd::AsFd as _, unix::net::UnixStream},
    sync::{Arc, mpsc},
    time::{Duration, Instant},
};

use commucat_censor::{Judge, ProbeRequest};
use nix::{
    errno::Errno,
    poll::{PollFd, PollFlags, ppoll},
    sys::{prctl::set_timerslack, time::TimeSpec},
};
use tokio::sync::mpsc as async_mpsc;

use super::{
    Order, Shared, WireConfig,
    path::{Output, Path, Port},
};
use crate::{
    record::Capture,
    tun::{MTU, Tun},
};

/// Packets read from one device before the others have their turn.
const BATCH_PACKETS: usize = 64;
/// The kernel may bundle timers that lie this close together; its default of 50 µs would be seen in delays.
const TIMER_SLACK_NS: u64 = 1;
/// What was recorded is in the files after this time at the latest.
const FLUSH_EVERY: Duration = Duration::from_millis(250);
const PORTS: [Port; 3] = [Port::Client, Port::World, Port::Prober];

/// The devices, and the captures of what passes them.
struct Devices {
    client: Tun,
    world: Tun,
    prober: Tun,
    capture: Option<Capture>,
    now: Duration,
    undelivered: u64,
}

impl Devices {
    const fn tun(&self, port: Port) -> &Tun {
        match port {
            Port::Client => &self.client,
            Port::World => &self.world,
            Port::Prober => &self.prober,
        }
    }

    fn record(&mut self, port: Port, packet: &[u8]) {
        if let Some(capture) = &mut self.capture {
            capture.packet(self.now, port, packet);
        }
    }
}

impl Output for Devices {
    fn deliver(&mut self, to: Port, packet: &[u8]) {
        self.record(to, packet);
        if self.tun(to).send(packet).is_err() {
            self.undelivered += 1;
        }
    }
}

/// The loop before it runs.
pub(super) struct Pump {
    devices: Devices,
    path: Path<Judge>,
    shared: Arc<Shared>,
    probes: async_mpsc::Sender<ProbeRequest>,
    began: Instant,
    flush_at: Option<Duration>,
}

impl Pump {
    pub(super) fn new(
        config: WireConfig,
        capture: Option<Capture>,
        shared: Arc<Shared>,
        probes: async_mpsc::Sender<ProbeRequest>,
        began: Instant,
    ) -> Self {
        let path = Path::new(config.judge, &config.link, config.seed, config.client_net, config.prober_net);
        let (client, world, prober) = (config.client, config.world, config.prober);
        let devices = Devices { client, world, prober, capture, now: Duration::ZERO, undelivered: 0 };
        Self { devices, path, shared, probes, began, flush_at: None }
    }

    pub(super) fn run(mut self, woken: &UnixStream, orders: &mpsc::Receiver<Order>) -> io::Result<()> {
        // Without it delays are true to 50 µs only, which is no reason to stop.
        let _less_precise = set_timerslack(TIMER_SLACK_NS);
        let mut buffer = [0_u8; MTU as usize];
        let ended = loop {
            let ready = match self.wait(woken) {
                Ok(ready) => ready,
                Err(error) => break Err(error),
            };
            self.tick();
            if ready.orders && !self.obey(woken, orders) {
                break Ok(());
            }
            if let Err(error) = self.receive(ready, &mut buffer) {
                break Err(error);
            }
            self.publish();
        };
        let now = self.began.elapsed();
        self.path.censor().finish(now);
        self.publish();
        self.flush();
        let judge = self.path.censor().stats();
        self.shared.with_seen(|seen| seen.judge = judge);
        ended
    }

    /// Waits for a packet, an order, or the next timer.
    fn wait(&self, woken: &UnixStream) -> io::Result<Ready> {
        let next = [self.path.poll_timeout(), self.flush_at].into_iter().flatten().min();
        let timeout = next.map(|at| TimeSpec::from(at.saturating_sub(self.began.elapsed())));
        let devices = &self.devices;
        let mut fds = [
            PollFd::new(woken.as_fd(), PollFlags::POLLIN),
            PollFd::new(devices.client.as_fd(), PollFlags::POLLIN),
            PollFd::new(devices.world.as_fd(), PollFlags::POLLIN),
            PollFd::new(devices.prober.as_fd(), PollFlags::POLLIN),
        ];
        match ppoll(&mut fds, timeout, None) {
            Ok(_number) => {}
            Err(Errno::EINTR) => return Ok(Ready::default()),
            Err(error) => return Err(error.into()),
        }
        // An unknown flag is some readiness, too.
        let [orders, client, world, prober] = fds.map(|fd| fd.any().unwrap_or(true));
        Ok(Ready { orders, client, world, prober })
    }

    /// Does what is due.
    fn tick(&mut self) {
        self.devices.now = self.began.elapsed();
        self.path.handle_timeout(self.devices.now, &mut self.devices);
        if self.flush_at.is_some_and(|at| at <= self.devices.now) {
            self.flush();
        }
    }

    fn receive(&mut self, ready: Ready, buffer: &mut [u8]) -> io::Result<()> {
        for port in PORTS.into_iter().filter(|port| ready.has(*port)) {
            for _packet in 0..BATCH_PACKETS {
                let length = match self.devices.tun(port).receive(buffer) {
                    Ok(length) => length,
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                    Err(error) => return Err(error),
                };
                let packet = buffer.get(..length).unwrap_or_default();
                self.devices.record(port, packet);
                self.path.handle_input(self.devices.now, port, packet, &mut self.devices);
            }
        }
        Ok(())
    }

    /// Follows what was ordered; `false` at the end.
    fn obey(&mut self, mut woken: &UnixStream, orders: &mpsc::Receiver<Order>) -> bool {
        let mut drained = [0; 64];
        while matches!(woken.read(&mut drained), Ok(1..)) {}
        loop {
            match orders.try_recv() {
                Ok(Order::Outcome(outcome)) => {
                    self.path.handle_outcome(self.devices.now, &outcome, &mut self.devices);
                }
                Ok(Order::Replace { judge, link, seed, done }) => {
                    let mut was = self.path.replace(self.devices.now, *judge, &link, seed);
                    while let Some(event) = was.poll_event() {
                        self.shared.events.add(event);
                    }
                    let _nobody_waits = done.send(());
                }
                Ok(Order::Stop) | Err(mpsc::TryRecvError::Disconnected) => return false,
                Err(mpsc::TryRecvError::Empty) => return true,
            }
        }
    }

    /// Tells the readers what happened in this round.
    fn publish(&mut self) {
        let mut recorded = self.devices.capture.is_some();
        while let Some(event) = self.path.censor().poll_event() {
            self.shared.events.add(event);
            recorded = true;
        }
        let mut refused = 0;
        while let Some(request) = self.path.censor().poll_probe() {
            refused += u64::from(self.probes.try_send(request).is_err());
        }
        if recorded && self.flush_at.is_none() {
            self.flush_at = Some(self.devices.now.saturating_add(FLUSH_EVERY));
        }
        let mut traffic = *self.path.traffic();
        traffic.overflow.packets += self.devices.undelivered;
        self.shared.with_seen(|seen| {
            seen.traffic = traffic;
            seen.probes_refused += refused;
        });
    }

    fn flush(&mut self) {
        self.flush_at = None;
        self.shared.events.flush();
        if let Some(capture) = &mut self.devices.capture {
            capture.flush();
        }
        let captures = self.devices.capture.iter().flat_map(Capture::summaries);
        let captures = captures.chain(self.shared.events.summary()).collect();
        self.shared.with_seen(|seen| seen.captures = captures);
    }
}

/// What there is to do.
#[derive(Clone, Copy, Debug, Default)]
struct Ready {
    orders: bool,
    client: bool,
    world: bool,
    prober: bool,
}

impl Ready {
    const fn has(self, port: Port) -> bool {
        match port {
            Port::Client => self.client,
            Port::World => self.world,
            Port::Prober => self.prober,
        }
    }
}
