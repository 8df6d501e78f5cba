//! `tspu-l4-25`: freezes every flow to foreign hosting after 25 packets (Russia, since the middle of 2025).
//!
//! Packets of both directions count, from the SYN on, TCP and UDP alike. What comes after the limit vanishes on both
//! sides without a reset: people see a page that stops after 15 to 20 KB. Spared are listed names and networks, and SSH.
//! With `bytes` the payload counts instead, up to an amount or a range of which each flow draws its own.
//!
//! Known: 25 packets, both directions, TCP and UDP, the exemptions (the program of hyperion-cs/dpi-checkers, read; field
//! reports). Not known: how long a flow stays frozen; here until the box forgets it. Providers differ.

use std::ops::RangeInclusive;

use super::{Entry, silence::silence};
use crate::{
    event::{Side, Why},
    flow::{Flow, PerFlow},
    hello::Reassembly,
    parameter::{Kind, Parameter, Values},
    policy::{Action, Cx, Policy, Seen},
    spec::{Names, Places, SpecError, byte_range},
};

const SSH: &[u8] = b"SSH-";
/// Datagrams of a client in which a QUIC hello is looked for: decrypting costs, and no hello is longer.
const QUIC_HELLO_PACKETS_MAX: u64 = 4;

pub(crate) const ENTRY: Entry = Entry {
    name: "tspu-l4-25",
    about: "freezes flows to foreign hosting after a number of packets, silently, both directions",
    parameters: &[
        Parameter {
            name: "packets",
            kind: Kind::Count,
            default: "25",
            about: "packets of both directions that pass, the handshake included",
            source: "hyperion-cs/dpi-checkers (read); reports of 15 to 20 KB agree",
        },
        Parameter {
            name: "bytes",
            kind: Kind::Words,
            default: "none",
            about: "payload bytes of both directions that pass, instead of packets: an amount or a range",
            source: "field reports: 15KiB..20KiB",
        },
        Parameter {
            name: "to",
            kind: Kind::Words,
            default: "foreign",
            about: "networks of servers that are judged",
            source: "field reports: hosting abroad",
        },
        Parameter {
            name: "udp",
            kind: Kind::Flag,
            default: "true",
            about: "whether UDP is judged too",
            source: "hyperion-cs/dpi-checkers (read)",
        },
        Parameter {
            name: "exempt-names",
            kind: Kind::Words,
            default: "white",
            about: "names in a hello that spare the flow",
            source: "field reports: a list of names",
        },
        Parameter {
            name: "exempt-nets",
            kind: Kind::Words,
            default: "white",
            about: "networks that are spared",
            source: "field reports: a list of networks",
        },
        Parameter {
            name: "exempt-ssh",
            kind: Kind::Flag,
            default: "true",
            about: "whether SSH is spared",
            source: "hyperion-cs/dpi-checkers (read)",
        },
    ],
    build,
};

#[derive(Debug)]
struct Freeze {
    packets: u64,
    bytes: Option<RangeInclusive<u64>>,
    to: Places,
    udp: bool,
    exempt_names: Names,
    exempt_nets: Places,
    exempt_ssh: bool,
    /// The amount that each flow drew.
    limits: PerFlow<Option<u64>>,
}

fn build(values: &Values) -> Result<Box<dyn Policy>, SpecError> {
    let packets = values.number("packets")?;
    if packets == 0 {
        return Err(values.refuse("packets", &packets, "at least 1 packet").into());
    }
    Ok(Box::new(Freeze {
        packets,
        bytes: byte_range(values, "bytes")?,
        to: Places::read(values, "to")?,
        udp: values.flag("udp")?,
        exempt_names: Names::read(values, "exempt-names")?,
        exempt_nets: Places::read(values, "exempt-nets")?,
        exempt_ssh: values.flag("exempt-ssh")?,
        limits: PerFlow::default(),
    }))
}

impl Freeze {
    fn is_judged(&self, cx: &Cx<'_>, flow: &Flow) -> bool {
        let (map, lists) = (cx.geography(), cx.lists());
        (self.udp || flow.is_tcp())
            && self.to.contain(flow.world_ip(), map, lists)
            && !self.exempt_nets.contain(flow.world_ip(), map, lists)
    }

    /// Whether what the flow carries spares it. A QUIC name shows only in the packets that carry the hello.
    fn is_spared(&self, cx: &Cx<'_>, seen: &Seen<'_>, flow: &Flow) -> bool {
        let spares =
            |name: Option<&str>| name.is_some_and(|name| self.exempt_names.contain(name, cx.lists()));
        if !flow.is_tcp() {
            return seen.from_client()
                && flow.data_packets().client <= QUIC_HELLO_PACKETS_MAX
                && spares(seen.quic().and_then(|quic| quic.hello()?.server_name()));
        }
        let is_ssh = || [Side::Client, Side::World].iter().any(|side| flow.prefix(*side).starts_with(SSH));
        spares(flow.hello(Reassembly::TcpTls).and_then(|hello| hello.server_name()))
            || (self.exempt_ssh && is_ssh())
    }

    /// How much passes, and how much there is, with this packet.
    fn count(&mut self, cx: &mut Cx<'_>, flow: &Flow) -> (&'static str, u64, u64) {
        let Some(range) = &self.bytes else {
            return ("packets", self.packets, flow.packets().sum());
        };
        let (low, span) = (*range.start(), range.end() - range.start());
        let limit =
            *self.limits.of(flow).get_or_insert_with(|| low + cx.random().below(span.saturating_add(1)));
        ("bytes", limit, flow.payload_bytes().sum())
    }
}

impl Policy for Freeze {
    fn on_packet(&mut self, cx: &mut Cx<'_>, seen: &Seen<'_>, flow: &mut Flow) -> Action {
        if !self.is_judged(cx, flow) {
            cx.ignore();
            return Action::Pass;
        }
        let is_udp = !flow.is_tcp();
        if is_udp && self.is_spared(cx, seen, flow) {
            cx.ignore();
            return Action::Pass;
        }
        let (unit, limit, count) = self.count(cx, flow);
        if count <= limit {
            return Action::Pass;
        }
        if !is_udp && self.is_spared(cx, seen, flow) {
            cx.ignore();
            return Action::Pass;
        }
        let why = Why::new().and("unit", unit).and("limit", limit).and("count", count);
        silence(why)
    }

    fn on_flow_end(&mut self, _cx: &mut Cx<'_>, flow: &Flow) {
        self.limits.forget(flow);
    }
}
