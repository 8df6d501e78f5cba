//! `ir-wl-2026`: a list of clients that may go abroad, a list of addresses for everybody else, and blocked names on top
//! (Iran, from January to May 2026).
//!
//! A client that is not on the list reaches only listed addresses and the resolver; everything else vanishes from the
//! first packet on. For everybody, a blocked name in a TLS or QUIC hello costs the server's address a penalty: nothing
//! passes to or from it.
//!
//! Known from field reports only (net4people/bbs 561, 630, read in extracts): networks differ, some had a list of names
//! instead, some killed connections later. The penalty of 60 s is one report's.

use std::time::Duration;

use super::{Entry, silence::silence};
use crate::{
    event::Why,
    flow::Flow,
    hello::Reassembly,
    parameter::{Kind, Parameter, Values},
    policy::{Action, Cx, Policy, Seen},
    residual::{Kill, Scope, Sentence},
    spec::{Names, Places, SpecError},
};

/// Datagrams of a client in which a QUIC hello is looked for: decrypting costs, and no hello is longer.
const QUIC_HELLO_PACKETS_MAX: u64 = 4;

pub(crate) const ENTRY: Entry = Entry {
    name: "ir-wl-2026",
    about: "lets listed clients out and others only to listed addresses; blocked names cost an address a penalty",
    parameters: &[
        Parameter {
            name: "sources",
            kind: Kind::Words,
            default: "none",
            about: "networks of clients that may go everywhere",
            source: "net4people/bbs 630: a list of source addresses",
        },
        Parameter {
            name: "nets",
            kind: Kind::Words,
            default: "white,resolver",
            about: "networks that everybody reaches",
            source: "field reports: the country's own and a few more",
        },
        Parameter {
            name: "names",
            kind: Kind::Words,
            default: "blocked",
            about: "names in a hello that cost a penalty",
            source: "net4people/bbs 630: a list of blocked names on top",
        },
        Parameter {
            name: "penalty",
            kind: Kind::Penalty,
            default: "60s",
            about: "how long nothing passes to or from the server's address",
            source: "net4people/bbs 561: about a minute",
        },
    ],
    build,
};

#[derive(Debug)]
struct Lists2026 {
    sources: Places,
    nets: Places,
    names: Names,
    penalty: Duration,
}

fn build(values: &Values) -> Result<Box<dyn Policy>, SpecError> {
    Ok(Box::new(Lists2026 {
        sources: Places::read(values, "sources")?,
        nets: Places::read(values, "nets")?,
        names: Names::read(values, "names")?,
        penalty: values.duration("penalty")?,
    }))
}

impl Lists2026 {
    fn may_pass(&self, cx: &Cx<'_>, client: std::net::IpAddr, world: std::net::IpAddr) -> bool {
        let (map, lists) = (cx.geography(), cx.lists());
        self.sources.contain(client, map, lists) || self.nets.contain(world, map, lists)
    }
}

impl Policy for Lists2026 {
    fn on_packet(&mut self, cx: &mut Cx<'_>, seen: &Seen<'_>, flow: &mut Flow) -> Action {
        if !self.may_pass(cx, flow.client().ip(), flow.world_ip()) {
            return silence(Why::new().and("unlisted", "address"));
        }
        let name = if flow.is_tcp() {
            seen.new_hello(Reassembly::TcpTls).and_then(|hello| hello.server_name())
        } else if seen.from_client() && flow.data_packets().client <= QUIC_HELLO_PACKETS_MAX {
            seen.quic().and_then(|quic| quic.hello()?.server_name())
        } else {
            None
        };
        let Some(name) = name.filter(|name| self.names.contain(name, cx.lists())) else {
            return Action::Pass;
        };
        let why = Why::new().and("sni", name);
        Action::Kill(Sentence::new(Scope::Address, Kill::DropBoth, self.penalty, why))
    }

    fn on_stray(&mut self, cx: &mut Cx<'_>, seen: &Seen<'_>) -> Action {
        let (source, destination) = (seen.packet().source, seen.packet().destination);
        let (client, world) = if seen.from_client() { (source, destination) } else { (destination, source) };
        if self.may_pass(cx, client, world) {
            Action::Pass
        } else {
            Action::Drop(Why::new().and("unlisted", "address"))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use crate::testing::{Bench, Connection, hello, initial};

    const BRIDGE: &str = "203.0.113.10";
    const HOME: &str = "198.18.0.10";

    fn tls(bench: &mut Bench, address: &str, name: &str) -> Connection {
        let mut connection = bench.connect(address, 443);
        connection.client_says(bench, &hello(name));
        connection
    }

    #[test]
    fn whoever_is_not_on_the_list_reaches_only_listed_addresses() {
        let mut bench = Bench::new("ir-wl-2026");
        assert!(tls(&mut bench, BRIDGE, "innocent.example").lost >= 2, "the SYN vanishes already");
        assert!(tls(&mut bench, HOME, "innocent.example").is_untouched());
        for (address, port, passes) in [(BRIDGE, 53, false), ("192.0.2.53", 53, true)] {
            let mut flow = bench.datagrams(address, port);
            flow.client_says(&mut bench, b"question");
            assert_eq!(flow.lost == 0, passes, "{address}");
        }
        let mut bench = Bench::new("ir-wl-2026?sources=client");
        assert!(tls(&mut bench, BRIDGE, "innocent.example").is_untouched());
    }

    #[test]
    fn a_blocked_name_costs_the_address_a_minute() {
        let mut bench = Bench::new("ir-wl-2026?sources=client");
        assert!(tls(&mut bench, BRIDGE, "blocked.example").lost > 0);
        assert!(!tls(&mut bench, BRIDGE, "innocent.example").is_untouched());
        assert!(tls(&mut bench, "203.0.113.11", "innocent.example").is_untouched());
        bench.pass(Duration::from_secs(60));
        assert!(tls(&mut bench, BRIDGE, "innocent.example").is_untouched());
        let mut quic = bench.datagrams(BRIDGE, 443);
        quic.client_says(&mut bench, &initial("innocent.example"));
        assert_eq!(quic.lost, 0);
        quic.client_says(&mut bench, &initial("blocked.example"));
        assert_eq!(quic.lost, 1);
    }

    #[test]
    fn the_penalty_follows_the_time_scale() {
        let mut bench = Bench::scaled("ir-wl-2026?sources=client", 0.1);
        assert!(tls(&mut bench, BRIDGE, "blocked.example").lost > 0);
        bench.pass(Duration::from_millis(6_100));
        assert!(tls(&mut bench, BRIDGE, "innocent.example").is_untouched());
    }
}
