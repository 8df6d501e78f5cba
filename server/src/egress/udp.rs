//! A datagram association: what a user sends to many peers leaves by one port a family, and what any peer answers
//! comes back with that peer's address (full cone, so that calls and games work). The same egress rules hold for
//! every datagram, both ways.

use std::{
    collections::{HashMap, VecDeque},
    future::poll_fn,
    io,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    num::NonZeroUsize,
    sync::{Arc, atomic::Ordering},
    task::{Context, Poll},
    time::{Duration, Instant},
};

use commucat_net::Traffic;
use commucat_transport_api::{BoxFuture, DatagramChannel, Host, HostPort, Redacted, UdpPort};
use futures_util::{StreamExt as _, stream::FuturesUnordered};
use tokio::io::ReadBuf;

use super::{Egress, EgressError};

/// Largest UDP payload over IPv4 or IPv6 without jumbograms, in bytes.
const MAX_DATAGRAM_BYTES: usize = 65_535;
/// Names that an association remembers.
const MAX_NAMES: usize = 64;
/// How long a name's address is used.
const NAME_LIFE: Duration = Duration::from_secs(60);
/// Lookups that run at once for one association.
const MAX_LOOKUPS: usize = 8;
/// Datagrams that wait for lookups of one association; more are dropped, as a full network would.
const MAX_WAITING: usize = 32;
/// Receive errors in a row after which a port is given up.
const MAX_PORT_ERRORS: u32 = 256;
/// Datagrams moved one way before the other way and the rest of the runtime get their turn.
const BURST: usize = 64;

/// The limits of one association.
#[derive(Clone, Copy, Debug)]
pub(crate) struct UdpLimits {
    /// Longest time without a datagram either way.
    pub(crate) idle: Duration,
}

/// How an association ended.
#[derive(Debug)]
pub(crate) enum UdpEnd {
    /// The user ended it.
    Closed,
    /// Nothing moved.
    Idle,
    /// The channel, or a port, broke.
    Channel(io::Error),
}

type Lookup = BoxFuture<'static, (HostPort, Result<Vec<SocketAddr>, EgressError>)>;

/// Runs an association until it ends. `refused` hears the class of each target that was not reached.
pub(crate) async fn associate(
    mut channel: Box<dyn DatagramChannel>,
    egress: Egress,
    limits: UdpLimits,
    traffic: Arc<Traffic>,
    refused: impl Fn(&'static str) + Send,
) -> UdpEnd {
    let net = Arc::clone(egress.net());
    let mut association = Association {
        max_datagram: channel.max_datagram(),
        egress,
        traffic,
        v4: Family::default(),
        v6: Family::default(),
        names: HashMap::new(),
        lookups: FuturesUnordered::new(),
        waiting: VecDeque::new(),
        answer: None,
        last_moved: net.now(),
        errors: 0,
    };
    let mut buffer = vec![0; MAX_DATAGRAM_BYTES];
    let mut idle = net.sleep_until(net.now() + limits.idle);
    loop {
        let step = poll_fn(|cx| {
            if let Poll::Ready(step) = association.poll(cx, channel.as_mut(), &mut buffer, &refused) {
                return Poll::Ready(step);
            }
            idle.as_mut().poll(cx).map(|()| Step::Timer)
        });
        match step.await {
            Step::End(end) => return end,
            Step::Bind(v6) => association.bind(v6).await,
            Step::Yield => tokio::task::yield_now().await,
            Step::Timer => {
                let due = association.last_moved + limits.idle;
                if due <= net.now() {
                    return UdpEnd::Idle;
                }
                idle = net.sleep_until(due);
            }
        }
    }
}

enum Step {
    End(UdpEnd),
    /// A socket of a family is wanted for the first datagram to it.
    Bind(bool),
    Yield,
    Timer,
}

#[derive(Default)]
struct Family {
    port: Option<Box<dyn UdpPort>>,
    /// The machine has no such family; tried once.
    absent: bool,
    /// What waits for the port to be bound, at most [`MAX_WAITING`].
    first: Vec<(Vec<u8>, SocketAddr)>,
}

struct Association {
    egress: Egress,
    traffic: Arc<Traffic>,
    max_datagram: NonZeroUsize,
    v4: Family,
    v6: Family,
    names: HashMap<HostPort, (SocketAddr, Instant)>,
    lookups: FuturesUnordered<Lookup>,
    waiting: VecDeque<(HostPort, Vec<u8>)>,
    /// An answer that the channel had no room for.
    answer: Option<(Vec<u8>, HostPort)>,
    last_moved: Instant,
    /// Receive errors since the last datagram.
    errors: u32,
}

impl Association {
    fn poll(
        &mut self,
        cx: &mut Context<'_>,
        channel: &mut dyn DatagramChannel,
        buffer: &mut [u8],
        refused: &dyn Fn(&'static str),
    ) -> Poll<Step> {
        self.poll_lookups(cx, refused);
        if let Some(v6) = self.wanted() {
            return Poll::Ready(Step::Bind(v6));
        }
        for round in 0..=BURST {
            let up = self.poll_up(cx, channel, buffer, refused);
            let down = match up {
                Poll::Ready(Some(step)) => return Poll::Ready(step),
                _ => self.poll_down(cx, channel, buffer),
            };
            if let Poll::Ready(Some(step)) = down {
                return Poll::Ready(step);
            }
            if up.is_pending() && down.is_pending() {
                break;
            }
            if round == BURST {
                return Poll::Ready(Step::Yield);
            }
        }
        Poll::Pending
    }

    fn wanted(&self) -> Option<bool> {
        let wants = |family: &Family| !family.first.is_empty() && family.port.is_none() && !family.absent;
        if wants(&self.v4) {
            return Some(false);
        }
        wants(&self.v6).then_some(true)
    }

    /// One datagram from the user; `Ready(None)` when one moved.
    fn poll_up(
        &mut self,
        cx: &mut Context<'_>,
        channel: &mut dyn DatagramChannel,
        buffer: &mut [u8],
        refused: &dyn Fn(&'static str),
    ) -> Poll<Option<Step>> {
        let mut read = ReadBuf::new(buffer);
        let peer = match std::task::ready!(channel.poll_recv(cx, &mut read)) {
            Ok(Some(peer)) => peer,
            Ok(None) => return Poll::Ready(Some(Step::End(UdpEnd::Closed))),
            Err(error) => return Poll::Ready(Some(Step::End(UdpEnd::Channel(error)))),
        };
        let now = self.egress.net().now();
        self.last_moved = now;
        match &peer.host {
            Host::Ip(ip) => {
                let to = SocketAddr::new(*ip, peer.port);
                match self.egress.policy().check(to) {
                    Ok(()) => self.send(cx, read.filled(), to),
                    Err(denied) => refused(EgressError::Denied(denied).class()),
                }
            }
            Host::Name(_) => match self.names.get(&peer) {
                Some((to, until)) if *until > now => {
                    let to = *to;
                    self.send(cx, read.filled(), to);
                }
                _ => self.look_up(cx, peer, read.filled().to_vec()),
            },
        }
        Poll::Ready(self.wanted().map(Step::Bind))
    }

    fn send(&mut self, cx: &mut Context<'_>, datagram: &[u8], to: SocketAddr) {
        let family = if to.is_ipv6() { &mut self.v6 } else { &mut self.v4 };
        match &family.port {
            // What the port cannot take now is lost, as on any full network.
            Some(port) => {
                if let Poll::Ready(Ok(())) = port.poll_send_to(cx, datagram, to) {
                    self.traffic.a_to_b.fetch_add(datagram.len() as u64, Ordering::Relaxed);
                }
            }
            None if family.absent || family.first.len() >= MAX_WAITING => {}
            None => family.first.push((datagram.to_vec(), to)),
        }
    }

    fn look_up(&mut self, cx: &mut Context<'_>, peer: HostPort, datagram: Vec<u8>) {
        if self.waiting.len() >= MAX_WAITING {
            return;
        }
        let running = self.waiting.iter().any(|(other, _datagram)| *other == peer);
        if !running && self.lookups.len() >= MAX_LOOKUPS {
            return;
        }
        self.waiting.push_back((peer.clone(), datagram));
        if !running {
            let egress = self.egress.clone();
            self.lookups.push(Box::pin(async move {
                let found = egress.resolve(&peer).await;
                (peer, found)
            }));
            // A future that was just added has not registered anybody to wake.
            cx.waker().wake_by_ref();
        }
    }

    fn poll_lookups(&mut self, cx: &mut Context<'_>, refused: &dyn Fn(&'static str)) {
        while let Poll::Ready(Some((peer, found))) = self.lookups.poll_next_unpin(cx) {
            let to = match found {
                // IPv4 first: more machines have it, and a port that cannot send loses the datagram silently.
                Ok(found) => found.iter().find(|to| to.is_ipv4()).or_else(|| found.first()).copied(),
                Err(error) => {
                    tracing::debug!(target_name = %Redacted(&peer), error = %error, "datagram target refused");
                    refused(error.class());
                    None
                }
            };
            let (ready, rest): (VecDeque<_>, VecDeque<_>) =
                std::mem::take(&mut self.waiting).into_iter().partition(|(other, _datagram)| *other == peer);
            self.waiting = rest;
            let Some(to) = to else { continue };
            self.remember(peer, to);
            for (_peer, datagram) in ready {
                self.send(cx, &datagram, to);
            }
        }
    }

    fn remember(&mut self, peer: HostPort, to: SocketAddr) {
        let now = self.egress.net().now();
        if self.names.len() >= MAX_NAMES {
            self.names.retain(|_name, (_to, until)| *until > now);
        }
        if self.names.len() >= MAX_NAMES {
            self.names.clear();
        }
        self.names.insert(peer, (to, now + NAME_LIFE));
    }

    /// One datagram to the user; `Ready(None)` when one moved.
    fn poll_down(
        &mut self,
        cx: &mut Context<'_>,
        channel: &mut dyn DatagramChannel,
        buffer: &mut [u8],
    ) -> Poll<Option<Step>> {
        if let Some((datagram, peer)) = &self.answer {
            let sent = std::task::ready!(channel.poll_send(cx, datagram, peer));
            let moved = datagram.len() as u64;
            self.answer = None;
            return Poll::Ready(self.answered(sent, moved));
        }
        let mut read = ReadBuf::new(buffer);
        let mut from = Poll::Pending;
        for family in [&self.v4, &self.v6] {
            let Some(port) = &family.port else { continue };
            from = port.poll_recv_from(cx, &mut read);
            if from.is_ready() {
                break;
            }
        }
        let from = match std::task::ready!(from) {
            Ok(from) => SocketAddr::new(from.ip().to_canonical(), from.port()),
            // An ICMP error of an earlier datagram is of no consequence to the others; a port that says nothing else
            // is broken.
            Err(error) => {
                self.errors += 1;
                let broken = self.errors > MAX_PORT_ERRORS;
                return Poll::Ready(broken.then_some(Step::End(UdpEnd::Channel(error))));
            }
        };
        self.errors = 0;
        let datagram = read.filled();
        if datagram.len() > self.max_datagram.get() || self.egress.policy().check(from).is_err() {
            return Poll::Ready(None);
        }
        let peer = HostPort::from(from);
        match channel.poll_send(cx, datagram, &peer) {
            Poll::Ready(sent) => Poll::Ready(self.answered(sent, datagram.len() as u64)),
            Poll::Pending => {
                self.answer = Some((datagram.to_vec(), peer));
                Poll::Pending
            }
        }
    }

    fn answered(&mut self, sent: io::Result<()>, moved: u64) -> Option<Step> {
        match sent {
            Ok(()) => {
                self.last_moved = self.egress.net().now();
                self.traffic.b_to_a.fetch_add(moved, Ordering::Relaxed);
                None
            }
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => None,
            Err(error) => Some(Step::End(UdpEnd::Channel(error))),
        }
    }

    async fn bind(&mut self, v6: bool) {
        let local: SocketAddr =
            if v6 { (Ipv6Addr::UNSPECIFIED, 0).into() } else { (Ipv4Addr::UNSPECIFIED, 0).into() };
        let bound = self.egress.net().bind_datagram(local).await;
        let family = if v6 { &mut self.v6 } else { &mut self.v4 };
        let first = std::mem::take(&mut family.first);
        let port = match bound {
            Ok(port) => family.port.insert(port),
            Err(error) => {
                tracing::debug!(v6, %error, "no datagram port");
                family.absent = true;
                return;
            }
        };
        for (datagram, to) in first {
            // A new port says "not yet" until it was polled once: wait for it, or the first question is lost.
            if poll_fn(|cx| port.poll_send_to(cx, &datagram, to)).await.is_ok() {
                self.traffic.a_to_b.fetch_add(datagram.len() as u64, Ordering::Relaxed);
            }
        }
    }
}
