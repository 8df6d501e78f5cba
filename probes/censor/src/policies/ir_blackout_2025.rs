//! `ir-blackout-2025`: only names and web pages are forwarded abroad (Iran, June 2025).
//!
//! UDP port 53, TCP ports 80 and 443; all else to the outside vanishes without an answer, ICMP too. Inside the country
//! everything passes. What goes over an open port is not looked at.
//!
//! Known: the three ports, silence, routes kept (Aryapour 2025, in an extract; net4people/bbs 489).

use super::{Entry, silence::silence};
use crate::{
    event::Why,
    flow::Flow,
    parameter::{Kind, Parameter, Values},
    policy::{Action, Cx, Policy, Seen},
    spec::{Places, SpecError, ports},
};

pub(crate) const ENTRY: Entry = Entry {
    name: "ir-blackout-2025",
    about: "forwards abroad only UDP 53, TCP 80 and TCP 443",
    parameters: &[
        Parameter {
            name: "tcp-ports",
            kind: Kind::Words,
            default: "80,443",
            about: "TCP ports of servers that are forwarded",
            source: "Aryapour 2025 (extract)",
        },
        Parameter {
            name: "udp-ports",
            kind: Kind::Words,
            default: "53",
            about: "UDP ports of servers that are forwarded",
            source: "Aryapour 2025 (extract)",
        },
        Parameter {
            name: "inside",
            kind: Kind::Words,
            default: "domestic",
            about: "networks to which everything passes",
            source: "field reports: the country's own network stayed up",
        },
    ],
    build,
};

#[derive(Debug)]
struct Blackout {
    tcp_ports: Vec<u16>,
    udp_ports: Vec<u16>,
    inside: Places,
}

fn build(values: &Values) -> Result<Box<dyn Policy>, SpecError> {
    Ok(Box::new(Blackout {
        tcp_ports: ports(values, "tcp-ports")?,
        udp_ports: ports(values, "udp-ports")?,
        inside: Places::read(values, "inside")?,
    }))
}

impl Policy for Blackout {
    fn on_packet(&mut self, cx: &mut Cx<'_>, _seen: &Seen<'_>, flow: &mut Flow) -> Action {
        let (ports, port) =
            (if flow.is_tcp() { &self.tcp_ports } else { &self.udp_ports }, flow.world().port());
        if ports.contains(&port) || self.inside.contain(flow.world_ip(), cx.geography(), cx.lists()) {
            cx.ignore();
            return Action::Pass;
        }
        silence(Why::new().and("protocol", flow.protocol().name()).and("port", port))
    }

    fn on_stray(&mut self, cx: &mut Cx<'_>, seen: &Seen<'_>) -> Action {
        let world = if seen.from_client() { seen.packet().destination } else { seen.packet().source };
        if self.inside.contain(world, cx.geography(), cx.lists()) {
            Action::Pass
        } else {
            Action::Drop(Why::new().and("protocol", "other"))
        }
    }
}
