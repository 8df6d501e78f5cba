//! A flow: one TCP connection or one UDP exchange, with what the censor remembers of it. Addresses are kept by side,
//! not by direction, so both directions find the same flow.

use std::{
    collections::HashMap,
    fmt,
    hash::{BuildHasherDefault, Hasher},
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use crate::{
    event::{PerSide, Side},
    hello::{Hello, Hellos, Reassembly},
    reassembly::Stream,
};

mod table;
mod tcp;

pub use table::FLOWS_MAX;
pub(crate) use table::FlowTable;
pub use tcp::TcpState;

/// The transport protocol of a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(clippy::exhaustive_enums, reason = "only these two have flows here; all else is a stray packet")]
pub enum Protocol {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
}

impl Protocol {
    /// `tcp` or `udp`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
        }
    }
}

/// What tells flows apart: the protocol and both ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub struct FlowKey {
    /// TCP or UDP.
    pub protocol: Protocol,
    /// The end on the client's side.
    pub client: SocketAddr,
    /// The end on the world's side.
    pub world: SocketAddr,
}

impl FlowKey {
    /// The key of a packet that came from that side.
    pub fn new(protocol: Protocol, from: Side, source: SocketAddr, destination: SocketAddr) -> Self {
        match from {
            Side::Client => Self { protocol, client: source, world: destination },
            Side::World => Self { protocol, client: destination, world: source },
        }
    }

    /// The end on that side.
    pub const fn end(&self, side: Side) -> SocketAddr {
        match side {
            Side::Client => self.client,
            Side::World => self.world,
        }
    }
}

impl fmt::Display for FlowKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} {} > {}", self.protocol.name(), self.client, self.world)
    }
}

/// What the censor remembers of one flow. Counters include the packet that is being judged.
#[derive(Debug)]
pub struct Flow {
    pub(crate) id: u64,
    pub(crate) key: FlowKey,
    pub(crate) opened_by: Side,
    pub(crate) state: TcpState,
    pub(crate) started: Duration,
    pub(crate) last: Duration,
    pub(crate) packets: PerSide<u64>,
    pub(crate) bytes: PerSide<u64>,
    pub(crate) data_packets: PerSide<u64>,
    pub(crate) payload_bytes: PerSide<u64>,
    pub(crate) closing: tcp::Closing,
    pub(crate) streams: PerSide<Stream>,
    pub(crate) hellos: Hellos,
    pub(crate) tags: Vec<&'static str>,
    /// One bit for each policy that asked not to see this flow again.
    pub(crate) ignored_by: u64,
}

impl Flow {
    pub(crate) fn new(id: u64, key: FlowKey, opened_by: Side, now: Duration) -> Self {
        Self {
            id,
            key,
            opened_by,
            state: TcpState::first(key.protocol),
            started: now,
            last: now,
            packets: PerSide::default(),
            bytes: PerSide::default(),
            data_packets: PerSide::default(),
            payload_bytes: PerSide::default(),
            closing: tcp::Closing::default(),
            streams: PerSide::default(),
            hellos: Hellos::default(),
            tags: Vec::new(),
            ignored_by: 0,
        }
    }

    /// A number that no other flow of this judge has.
    pub const fn id(&self) -> u64 {
        self.id
    }

    /// Protocol and both ends.
    pub const fn key(&self) -> &FlowKey {
        &self.key
    }

    /// TCP or UDP.
    pub const fn protocol(&self) -> Protocol {
        self.key.protocol
    }

    /// Whether it is a TCP connection.
    pub const fn is_tcp(&self) -> bool {
        matches!(self.key.protocol, Protocol::Tcp)
    }

    /// The end on the client's side.
    pub const fn client(&self) -> SocketAddr {
        self.key.client
    }

    /// The end on the world's side.
    pub const fn world(&self) -> SocketAddr {
        self.key.world
    }

    /// The address on the world's side.
    pub const fn world_ip(&self) -> IpAddr {
        self.key.world.ip()
    }

    /// Who sent the SYN, or the first packet that was seen.
    pub const fn opened_by(&self) -> Side {
        self.opened_by
    }

    /// How far the TCP connection is.
    pub const fn state(&self) -> TcpState {
        self.state
    }

    /// When its first packet was seen.
    pub const fn started(&self) -> Duration {
        self.started
    }

    /// Packets so far, by side, acknowledgments and handshakes included.
    pub const fn packets(&self) -> PerSide<u64> {
        self.packets
    }

    /// IP bytes so far, by side.
    pub const fn bytes(&self) -> PerSide<u64> {
        self.bytes
    }

    /// Packets with payload so far, by side, retransmissions included.
    pub const fn data_packets(&self) -> PerSide<u64> {
        self.data_packets
    }

    /// Payload bytes so far, by side, retransmissions included.
    pub const fn payload_bytes(&self) -> PerSide<u64> {
        self.payload_bytes
    }

    /// The first bytes of what that side sent over TCP, in order, as far as they are known without a hole: at most
    /// [`crate::PREFIX_BYTES_MAX`]. Empty for UDP.
    pub fn prefix(&self, side: Side) -> &[u8] {
        self.streams.get(side).prefix()
    }

    /// The ClientHello, when it was seen already by a box with this kind of reassembly.
    pub fn hello(&self, reassembly: Reassembly) -> Option<&Arc<Hello>> {
        self.hellos.get(reassembly)
    }

    /// Whether a policy marked the flow so.
    pub fn has_tag(&self, tag: &str) -> bool {
        self.tags.contains(&tag)
    }

    /// All marks, in the order they were given.
    pub fn tags(&self) -> &[&'static str] {
        &self.tags
    }
}

/// What a policy remembers for each flow. The judge tells every policy when a flow ends
/// ([`Policy::on_flow_end`](crate::Policy::on_flow_end)); a policy that forgets it there is bounded by the flow table.
#[derive(Clone, Debug)]
pub struct PerFlow<T> {
    by_id: HashMap<u64, T, BuildHasherDefault<IdHasher>>,
}

impl<T> Default for PerFlow<T> {
    fn default() -> Self {
        Self { by_id: HashMap::default() }
    }
}

impl<T: Default> PerFlow<T> {
    /// What is remembered of the flow; the default when it is new.
    pub fn of(&mut self, flow: &Flow) -> &mut T {
        self.by_id.entry(flow.id).or_default()
    }
}

impl<T> PerFlow<T> {
    /// What is remembered, if anything.
    pub fn get(&self, flow: &Flow) -> Option<&T> {
        self.by_id.get(&flow.id)
    }

    /// Forgets the flow, and answers what was remembered.
    pub fn forget(&mut self, flow: &Flow) -> Option<T> {
        self.by_id.remove(&flow.id)
    }

    /// How many flows something is remembered of.
    pub fn len(&self) -> usize {
        self.by_id.len()
    }

    /// Whether nothing is remembered.
    pub fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }
}

/// Flow numbers count up: one multiplication spreads them well enough. Nobody outside chooses them.
#[derive(Clone, Copy, Debug, Default)]
struct IdHasher(u64);

impl Hasher for IdHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.write_u64(u64::from(*byte)));
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = (self.0 ^ number).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29);
    }
}
