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

#[cfg(test)]
mod tests {
    use commucat_dissect::craft::{self, EchoSpec};

    use crate::{
        event::Side,
        judge::Decision,
        testing::{Bench, CLIENT, random_bytes},
    };

    const BRIDGE: &str = "203.0.113.10";

    #[test]
    fn only_three_ports_are_forwarded_abroad() {
        let mut bench = Bench::new("ir-blackout-2025");
        for (address, port, passes) in [
            (BRIDGE, 443, true),
            (BRIDGE, 80, true),
            (BRIDGE, 8443, false),
            (BRIDGE, 22, false),
            ("198.18.0.10", 22, true),
        ] {
            let mut connection = bench.connect(address, port);
            connection.exchange(&mut bench, 3);
            assert_eq!(connection.is_untouched(), passes, "tcp {address} {port}");
            assert_eq!(connection.resets_to_client, 0);
        }
        for (address, port, passes) in [
            ("192.0.2.53", 53, true),
            (BRIDGE, 443, false),
            (BRIDGE, 51820, false),
            ("198.18.0.10", 443, true),
        ] {
            let mut flow = bench.datagrams(address, port);
            flow.client_says(&mut bench, &random_bytes(148));
            assert_eq!(flow.lost == 0, passes, "udp {address} {port}");
        }
    }

    #[test]
    fn pings_abroad_vanish() {
        let mut bench = Bench::new("ir-blackout-2025");
        for (address, passes) in [(BRIDGE, false), ("198.18.0.10", true)] {
            let ping = craft::icmp_echo(&EchoSpec {
                source: CLIENT.into(),
                destination: address.parse().unwrap(),
                ttl: 64,
                reply: false,
                identifier: 1,
                sequence: 1,
                payload: b"ping",
            });
            assert_eq!(bench.send(Side::Client, &ping) == Decision::Forward, passes, "{address}");
        }
    }
}
