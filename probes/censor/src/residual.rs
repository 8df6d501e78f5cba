//! Sentences that outlive the packet that caused them: on a flow, a tuple, a service, an address. Each expires; some
//! begin anew with each packet of the victim.

mod table;

use std::{
    fmt,
    net::{IpAddr, SocketAddr},
    time::Duration,
};

pub(crate) use table::{Held, Residuals, Standing};

use crate::{
    event::{Side, Why},
    flow::{Flow, FlowKey, Protocol},
    policy::{Injection, Reset},
};

/// For as long as the target is remembered: a sentence on a flow ends with the flow.
pub const FOREVER: Duration = Duration::MAX;

/// What a sentence holds for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Scope {
    /// This flow, until it ends. A new connection with the same ports is free.
    Flow,
    /// The same ports and addresses of both ends.
    FourTuple,
    /// The client's address, the server's address and port: what most residual censorship is keyed by.
    ThreeTuple,
    /// The server's address and port, for every client.
    Service,
    /// Every packet to and from the server's address.
    Address,
    /// Every packet of this client.
    Client,
}

/// What is done to packets under a sentence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Kill {
    /// Packets of the client's side vanish.
    DropOutbound,
    /// Packets of both sides vanish.
    DropBoth,
    /// Each TCP segment with payload from the client's side is answered with resets; all packets pass.
    Reset(Reset),
}

impl Kill {
    /// The word for events.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::DropOutbound => "drop-outbound",
            Self::DropBoth => "drop-both",
            Self::Reset(_) => "reset",
        }
    }

    /// Whether a packet from that side vanishes.
    pub const fn drops(&self, from: Side) -> bool {
        match self {
            Self::DropOutbound => matches!(from, Side::Client),
            Self::DropBoth => true,
            Self::Reset(_) => false,
        }
    }
}

/// A sentence: what is done, to what, how long, and why.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Sentence {
    /// What it holds for.
    pub scope: Scope,
    /// What is done.
    pub kill: Kill,
    /// How long. Zero: only this packet.
    pub ttl: Duration,
    /// Whether each packet of the victim lets the time begin anew.
    pub refresh: bool,
    /// Sent together with the sentence.
    pub inject: Vec<Injection>,
    /// Whether the packet that caused it passes nevertheless.
    pub trigger_passes: bool,
    /// Why.
    pub why: Why,
}

impl Sentence {
    /// A sentence that is not refreshed, sends nothing, and whose cause is treated like what follows.
    pub const fn new(scope: Scope, kill: Kill, ttl: Duration, why: Why) -> Self {
        Self { scope, kill, ttl, refresh: false, inject: Vec::new(), trigger_passes: false, why }
    }

    /// The time begins anew with each packet of the victim, if `refresh`.
    #[must_use]
    pub const fn refreshed(mut self, refresh: bool) -> Self {
        self.refresh = refresh;
        self
    }

    /// These packets are sent when the sentence is passed.
    #[must_use]
    pub fn with(mut self, packets: Vec<Injection>) -> Self {
        self.inject = packets;
        self
    }

    /// The packet that caused it passes, if `passes`.
    #[must_use]
    pub const fn trigger_passes(mut self, passes: bool) -> Self {
        self.trigger_passes = passes;
        self
    }
}

/// Exactly what a sentence holds for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Target {
    /// A flow by number.
    Flow(u64),
    /// Protocol and both ends.
    FourTuple(FlowKey),
    /// Protocol, client's address, server's address and port.
    ThreeTuple(Protocol, IpAddr, SocketAddr),
    /// Protocol, server's address and port.
    Service(Protocol, SocketAddr),
    /// A server's address.
    Address(IpAddr),
    /// A client's address.
    Client(IpAddr),
}

impl Target {
    /// What a sentence with that scope holds for when this flow causes it.
    pub const fn of(scope: Scope, flow: &Flow) -> Self {
        let key = flow.key();
        match scope {
            Scope::Flow => Self::Flow(flow.id()),
            Scope::FourTuple => Self::FourTuple(*key),
            Scope::ThreeTuple => Self::ThreeTuple(key.protocol, key.client.ip(), key.world),
            Scope::Service => Self::Service(key.protocol, key.world),
            Scope::Address => Self::Address(key.world.ip()),
            Scope::Client => Self::Client(key.client.ip()),
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flow(id) => write!(formatter, "flow {id}"),
            Self::FourTuple(key) => write!(formatter, "{key}"),
            Self::ThreeTuple(protocol, client, server) => {
                write!(formatter, "{} {client} > {server}", protocol.name())
            }
            Self::Service(protocol, server) => write!(formatter, "{} * > {server}", protocol.name()),
            Self::Address(server) => write!(formatter, "* > {server}"),
            Self::Client(client) => write!(formatter, "{client} > *"),
        }
    }
}
