//! The whole simulated network as one state machine: hosts, names, links, ports and the queue of what happens when.
//! Time comes in as an argument; who should look again comes out of [`World::take_ready`].

mod datagrams;
mod streams;

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    io,
    net::{IpAddr, SocketAddr},
};

pub(super) use self::{
    datagrams::Received,
    streams::{Side, StreamId},
};
use self::{
    datagrams::UdpSocket,
    streams::{Listening, Stream},
};
use super::{
    Fate, LinkPolicy, PacketKind, Trace, TraceEntry,
    link::{Link, SimTime},
    rng::SimRng,
};

/// Names the simulation knows at most; a mistake in a test must not eat the machine.
const NAMES_MAX: usize = 4096;
const EPHEMERAL_PORT_FIRST: u16 = 32_768;

/// Something that a task can wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Wait {
    Connect(StreamId),
    Read(StreamId, Side),
    Write(StreamId, Side),
    Accept(SocketAddr),
    Datagram(SocketAddr),
}

/// What happens at a time.
#[derive(Debug)]
enum Happening {
    /// A packet of a stream arrives at this side.
    Arrive(StreamId, Side, Packet),
    /// A packet that was lost on its way to this side is sent again.
    Resend(StreamId, Side, Packet, u32),
    /// The writer of the direction towards this side hears of room for more bytes.
    Credit(StreamId, Side, usize),
    Datagram(SocketAddr, Received),
}

/// A packet of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Packet {
    Syn,
    SynAck,
    Ack,
    Reset(io::ErrorKind),
    Segment(u64),
}

#[derive(Debug)]
pub(super) struct World {
    seed: u64,
    default_policy: LinkPolicy,
    links: BTreeMap<(IpAddr, IpAddr), Link>,
    hosts: BTreeMap<IpAddr, Host>,
    names: BTreeMap<String, Vec<IpAddr>>,
    listening: BTreeMap<SocketAddr, Listening>,
    streams: BTreeMap<StreamId, Stream>,
    next_stream: u64,
    sockets: BTreeMap<SocketAddr, UdpSocket>,
    queue: BTreeMap<(SimTime, u64), Happening>,
    next_happening: u64,
    ready: BTreeSet<Wait>,
    trace: Trace,
}

#[derive(Debug)]
struct Host {
    rng: SimRng,
    next_port: u16,
}

impl World {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            seed,
            default_policy: LinkPolicy::default(),
            links: BTreeMap::new(),
            hosts: BTreeMap::new(),
            names: BTreeMap::new(),
            listening: BTreeMap::new(),
            streams: BTreeMap::new(),
            next_stream: 0,
            sockets: BTreeMap::new(),
            queue: BTreeMap::new(),
            next_happening: 0,
            ready: BTreeSet::new(),
            trace: Trace::default(),
        }
    }

    /// Lets everything happen that is due.
    pub(super) fn handle_timeout(&mut self, now: SimTime) {
        while let Some(entry) = self.queue.first_entry().filter(|entry| entry.key().0 <= now) {
            let ((at, _order), happening) = entry.remove_entry();
            match happening {
                Happening::Arrive(id, side, packet) => self.packet_arrives(at, id, side, packet),
                Happening::Resend(id, side, packet, attempt) => {
                    self.resend_packet(at, id, side, packet, attempt)
                }
                Happening::Credit(id, side, bytes) => self.credit_arrives(at, id, side, bytes),
                Happening::Datagram(to, datagram) => self.datagram_arrives(to, datagram),
            }
        }
    }

    /// When the next thing happens.
    pub(super) fn poll_timeout(&self) -> Option<SimTime> {
        self.queue.first_key_value().map(|((at, _order), _happening)| *at)
    }

    /// What can go on since the last call.
    pub(super) fn take_ready(&mut self) -> BTreeSet<Wait> {
        std::mem::take(&mut self.ready)
    }

    pub(super) const fn trace(&self) -> &Trace {
        &self.trace
    }

    /// Streams, listeners and datagram ports that exist.
    pub(super) fn open_sockets(&self) -> usize {
        self.streams.len() + self.listening.len() + self.sockets.len()
    }

    pub(super) fn add_host(&mut self, ip: IpAddr) {
        let seed = self.seed;
        let new = || Host { rng: SimRng::new(seed, &format!("host {ip}")), next_port: EPHEMERAL_PORT_FIRST };
        self.hosts.entry(ip).or_insert_with(new);
    }

    pub(super) fn add_name(&mut self, name: &str, addresses: &[IpAddr]) {
        if self.names.len() < NAMES_MAX && !addresses.is_empty() {
            self.names.insert(name.to_ascii_lowercase(), addresses.to_vec());
        }
    }

    pub(super) fn lookup(&self, name: &str) -> Option<&[IpAddr]> {
        self.names.get(&name.to_ascii_lowercase()).map(Vec::as_slice)
    }

    pub(super) fn fill_random(&mut self, host: IpAddr, bytes: &mut [u8]) {
        self.add_host(host);
        if let Some(host) = self.hosts.get_mut(&host) {
            host.rng.fill(bytes);
        }
    }

    /// The policy of all links that have none of their own, from now on.
    pub(super) fn set_default_policy(&mut self, policy: LinkPolicy) {
        self.default_policy = policy;
        self.links.values_mut().for_each(|link| link.set_policy(policy));
    }

    /// The link from one host to another; it comes to be on first use.
    pub(super) fn link(&mut self, from: IpAddr, to: IpAddr) -> &mut Link {
        let (seed, policy) = (self.seed, self.default_policy);
        let new = || Link::new(policy, SimRng::new(seed, &format!("link {from} {to}")));
        self.links.entry((from, to)).or_insert_with(new)
    }

    fn at(&mut self, time: SimTime, happening: Happening) {
        let order = self.next_happening;
        self.next_happening += 1;
        self.queue.insert((time, order), happening);
    }

    fn note(
        &mut self,
        at: SimTime,
        from: SocketAddr,
        to: SocketAddr,
        kind: PacketKind,
        length: usize,
        fate: Fate,
    ) {
        self.trace.push(TraceEntry { at, from, to, kind, length, fate });
    }

    /// A free port of the host, for streams or datagrams.
    fn free_port(
        &mut self,
        host: IpAddr,
        taken: impl Fn(&Self, SocketAddr) -> bool,
    ) -> io::Result<SocketAddr> {
        self.add_host(host);
        for _try in EPHEMERAL_PORT_FIRST..=u16::MAX {
            let Some(state) = self.hosts.get_mut(&host) else { break };
            let address = SocketAddr::new(host, state.next_port);
            state.next_port = state.next_port.checked_add(1).unwrap_or(EPHEMERAL_PORT_FIRST);
            if !taken(self, address) {
                return Ok(address);
            }
        }
        Err(io::ErrorKind::AddrInUse.into())
    }

    /// The address to bind on a host: any port when it asks for none.
    fn bind_address(
        &mut self,
        host: IpAddr,
        local: SocketAddr,
        taken: impl Fn(&Self, SocketAddr) -> bool,
    ) -> io::Result<SocketAddr> {
        let ours = local.ip() == host || local.ip().is_unspecified() || local.ip().is_loopback();
        if !ours {
            return Err(io::ErrorKind::AddrNotAvailable.into());
        }
        if local.port() == 0 {
            return self.free_port(host, taken);
        }
        self.add_host(host);
        let address = SocketAddr::new(host, local.port());
        if taken(self, address) { Err(io::ErrorKind::AddrInUse.into()) } else { Ok(address) }
    }
}

/// Where a packet to this address goes when this host sends it: loopback is the host itself.
fn routed(host: IpAddr, to: SocketAddr) -> SocketAddr {
    let home = to.ip().is_loopback() || to.ip().is_unspecified();
    if home { SocketAddr::new(host, to.port()) } else { to }
}

/// Connections that wait to be accepted, in order.
type Backlog = VecDeque<StreamId>;
