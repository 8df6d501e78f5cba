//! What a policy is: a rule of the censor that looks at one packet with what is known of its flow, and says what to do.
//!
//! Policies stand in a chain. The first that drops or kills ends the chain for this packet; marks accumulate. A policy
//! beside the wire ([`Position::OnPath`]) can only add packets: whatever it says, the packet passes.

use std::{fmt::Debug, net::SocketAddr, time::Duration};

use commucat_dissect::ip::{Packet, TcpSegment, Transport, UdpDatagram};

use crate::{
    event::{Side, Why},
    flow::{Flow, Protocol},
    hello::{Hello, NewHellos, QuicHello, Reassembly},
    policer::Policer,
    residual::Sentence,
};

mod context;
mod reset;

pub use context::Cx;
pub(crate) use context::{Condemned, Effects, Note};
pub use reset::Reset;

/// Where a policy's box stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums, reason = "a box is in the way or it is not")]
pub enum Position {
    /// Beside the wire: it sees a copy and can inject, and every packet passes.
    OnPath,
    /// In the wire: it can also drop, delay and police.
    InPath,
}

/// A rule of the censor. A policy is a state machine without clock, socket or randomness of its own: all of it is in
/// [`Cx`].
pub trait Policy: Send + Debug {
    /// Where its box stands.
    fn position(&self) -> Position {
        Position::InPath
    }

    /// Judges a TCP segment or a UDP datagram. The flow's counters include this packet. Packets that a sentence of
    /// this policy drops or resets are not shown to it, nor those of flows that it ignores ([`Cx::ignore`]).
    fn on_packet(&mut self, cx: &mut Cx<'_>, seen: &Seen<'_>, flow: &mut Flow) -> Action;

    /// Judges a packet that belongs to no flow: ICMP, fragments, other protocols. Scopes that need a flow do nothing
    /// here.
    fn on_stray(&mut self, cx: &mut Cx<'_>, seen: &Seen<'_>) -> Action {
        let (_nothing_to_know, _nothing_to_see) = (cx, seen);
        Action::Pass
    }

    /// A flow left the table: it closed, timed out or was evicted. Called exactly once for each flow.
    fn on_flow_end(&mut self, cx: &mut Cx<'_>, flow: &Flow) {
        let (_nothing_to_know, _nothing_to_forget) = (cx, flow);
    }

    /// The time asked for by [`Cx::wake_at`] has come.
    fn on_tick(&mut self, cx: &mut Cx<'_>) {
        let _nothing_to_do = cx;
    }

    /// The active prober came back from a call of this policy.
    fn on_probe(&mut self, cx: &mut Cx<'_>, request: &ProbeRequest, outcome: &ProbeOutcome) {
        let (_nothing_to_know, _asked, _heard) = (cx, request, outcome);
    }
}

/// What is to happen to a packet.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Action {
    /// Nothing: the next policy decides.
    Pass,
    /// This packet vanishes.
    Drop(Why),
    /// These packets are sent.
    Inject {
        /// The forged packets.
        packets: Vec<Injection>,
        /// Whether the packet that caused them vanishes too (only [`Position::InPath`]).
        also_drop: bool,
        /// Why.
        why: Why,
    },
    /// A sentence is passed, and holds for what its scope says until it expires.
    Kill(Sentence),
    /// The packet is held back that long. Several delays on a packet add up.
    Delay(Duration, Why),
    /// The packet passes if the policer has tokens for it, else it vanishes.
    Police(Policer),
    /// The flow is marked; later policies and the report see it.
    Tag(&'static str),
    /// The active prober is called to the world's end of this flow.
    Probe(ProbeKind, Why),
}

/// A forged packet on its way.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Injection {
    /// To whom it goes.
    pub to: Side,
    /// The whole IP packet.
    pub packet: Vec<u8>,
    /// How long after the packet that caused it.
    pub after: Duration,
}

impl Injection {
    /// A packet that leaves at once.
    pub const fn now(to: Side, packet: Vec<u8>) -> Self {
        Self { to, packet, after: Duration::ZERO }
    }

    /// A packet that leaves later.
    pub const fn later(to: Side, packet: Vec<u8>, after: Duration) -> Self {
        Self { to, packet, after }
    }
}

/// What the active prober shall do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ProbeKind {
    /// Send the first flight again, byte for byte, from another address (R1 of the studies).
    Replay,
    /// Replays, changed replays, random probes and protocol greetings; compare with the cover site.
    Battery,
}

impl ProbeKind {
    /// The kind as a word.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Replay => "replay",
            Self::Battery => "battery",
        }
    }
}

/// A call of the active prober, for whoever runs the judge: it has sockets, the judge has none.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ProbeRequest {
    /// To be given back with the outcome.
    pub id: u64,
    /// What to do.
    pub kind: ProbeKind,
    /// TCP or UDP.
    pub protocol: Protocol,
    /// Whom to probe.
    pub target: SocketAddr,
    /// What the client sent first, in order, as far as the censor saw it.
    pub first_flight: Vec<u8>,
    /// The name in the client's hello, if there was one.
    pub server_name: Option<String>,
}

/// What the prober found.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct ProbeOutcome {
    /// The id of the request.
    pub id: u64,
    /// Whether the server behaved like a proxy.
    pub suspicious: bool,
    /// What it did, for the event.
    pub why: Why,
}

impl ProbeOutcome {
    /// The outcome of the request with that id.
    pub const fn new(id: u64, suspicious: bool, why: Why) -> Self {
        Self { id, suspicious, why }
    }
}

/// One packet as the policies see it. What is costly to find out is found out once, for all of them, and only when
/// somebody asks.
#[derive(Debug)]
pub struct Seen<'a> {
    pub(crate) from: Side,
    pub(crate) packet: Packet<'a>,
    pub(crate) hellos: NewHellos,
    pub(crate) quic: std::cell::OnceCell<Option<Box<QuicHello>>>,
}

impl<'a> Seen<'a> {
    pub(crate) const fn of_flow(from: Side, packet: Packet<'a>, hellos: NewHellos) -> Self {
        Self { from, packet, hellos, quic: std::cell::OnceCell::new() }
    }

    pub(crate) fn stray(from: Side, packet: Packet<'a>) -> Self {
        Self::of_flow(from, packet, NewHellos::default())
    }

    /// From which side it came.
    pub const fn from(&self) -> Side {
        self.from
    }

    /// Whether the client's side sent it.
    pub const fn from_client(&self) -> bool {
        matches!(self.from, Side::Client)
    }

    /// The packet, taken apart.
    pub const fn packet(&self) -> &Packet<'a> {
        &self.packet
    }

    /// Its IP length in bytes.
    pub const fn len(&self) -> usize {
        self.packet.bytes.len()
    }

    /// Never: a packet has a header.
    pub const fn is_empty(&self) -> bool {
        self.packet.bytes.is_empty()
    }

    /// The TCP segment, if it is one.
    pub const fn tcp(&self) -> Option<&TcpSegment<'a>> {
        match &self.packet.transport {
            Transport::Tcp(segment) => Some(segment),
            Transport::Udp(_) | Transport::Icmp(_) | Transport::Fragment | Transport::Other(_) => None,
        }
    }

    /// The UDP datagram, if it is one.
    pub const fn udp(&self) -> Option<&UdpDatagram<'a>> {
        match &self.packet.transport {
            Transport::Udp(datagram) => Some(datagram),
            Transport::Tcp(_) | Transport::Icmp(_) | Transport::Fragment | Transport::Other(_) => None,
        }
    }

    /// What the TCP segment or UDP datagram carries; empty for anything else.
    pub const fn payload(&self) -> &'a [u8] {
        match &self.packet.transport {
            Transport::Tcp(segment) => segment.payload,
            Transport::Udp(datagram) => datagram.payload,
            Transport::Icmp(_) | Transport::Fragment | Transport::Other(_) => &[],
        }
    }

    /// The ports of sender and receiver; zero where there are none.
    pub const fn ports(&self) -> (u16, u16) {
        match &self.packet.transport {
            Transport::Tcp(segment) => (segment.source_port, segment.destination_port),
            Transport::Udp(datagram) => (datagram.source_port, datagram.destination_port),
            Transport::Icmp(_) | Transport::Fragment | Transport::Other(_) => (0, 0),
        }
    }

    /// The sender, with its port.
    pub fn source(&self) -> SocketAddr {
        SocketAddr::new(self.packet.source, self.ports().0)
    }

    /// The receiver, with its port.
    pub fn destination(&self) -> SocketAddr {
        SocketAddr::new(self.packet.destination, self.ports().1)
    }

    /// The ClientHello that this packet completed, for a box with this kind of reassembly. Asked again for the next
    /// packet it is gone; [`Flow::hello`] still has it.
    pub fn new_hello(&self, reassembly: Reassembly) -> Option<&Hello> {
        self.hellos.get(reassembly)
    }

    /// The QUIC Initial in this datagram, opened, if it is a client's first of a version whose keys are public.
    pub fn quic(&self) -> Option<&QuicHello> {
        self.quic.get_or_init(|| QuicHello::read(self.udp()?.payload).map(Box::new)).as_deref()
    }
}
