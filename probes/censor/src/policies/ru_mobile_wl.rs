//! `ru-mobile-wl`: on mobile networks, while the lists are on, only what goes to listed addresses arrives (Russia, since
//! September 2025).
//!
//! A connection to an address off the list opens, and then everything the client sends on it vanishes, the hello first;
//! some carriers answer with a reset. UDP and ICMP to such addresses vanish at once; the resolver that clients are told
//! to use answers. With `match` the name in the hello can decide instead, or too.
//!
//! Known from field reports only (net4people/bbs 516, 579): carriers differ and the lists are not public.

use super::{Entry, silence::silence};
use crate::{
    event::{Side, Why},
    flow::Flow,
    hello::Reassembly,
    parameter::{Kind, Parameter, Values},
    policy::{Action, Cx, Policy, Reset, Seen},
    reassembly::PREFIX_BYTES_MAX,
    spec::{Names, Places, SpecError},
};

/// The type of a TLS record that carries a handshake (RFC 8446 §5.1).
const TLS_HANDSHAKE: u8 = 0x16;

pub(crate) const ENTRY: Entry = Entry {
    name: "ru-mobile-wl",
    about: "lets connections open, and data pass only to listed addresses or names",
    parameters: &[
        Parameter {
            name: "match",
            kind: Kind::Choice(&["address", "name", "both", "either"]),
            default: "address",
            about: "what must be listed: the address, the name in the hello, both, or one of them",
            source: "field reports: carriers differ",
        },
        Parameter {
            name: "nets",
            kind: Kind::Words,
            default: "white",
            about: "listed networks",
            source: "choice of this lab; the real list is not public",
        },
        Parameter {
            name: "names",
            kind: Kind::Words,
            default: "white",
            about: "listed names",
            source: "choice of this lab; the real list is not public",
        },
        Parameter {
            name: "spared",
            kind: Kind::Words,
            default: "domestic,resolver",
            about: "networks that are never judged",
            source: "field reports: the country's own sites and the carrier's resolver",
        },
        Parameter {
            name: "udp",
            kind: Kind::Flag,
            default: "false",
            about: "whether UDP passes off the list",
            source: "field reports: dead, a foreign resolver sometimes alive",
        },
        Parameter {
            name: "answer",
            kind: Kind::Choice(&["drop", "reset"]),
            default: "drop",
            about: "whether the client is told by a reset",
            source: "field reports: carriers differ",
        },
    ],
    build,
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Must {
    Address,
    Name,
    Both,
    Either,
}

#[derive(Debug)]
struct Whitelist {
    must: Must,
    nets: Places,
    names: Names,
    spared: Places,
    udp: bool,
    reset: bool,
}

fn build(values: &Values) -> Result<Box<dyn Policy>, SpecError> {
    let must = match values.choice("match")? {
        "name" => Must::Name,
        "both" => Must::Both,
        "either" => Must::Either,
        _ => Must::Address,
    };
    Ok(Box::new(Whitelist {
        must,
        nets: Places::read(values, "nets")?,
        names: Names::read(values, "names")?,
        spared: Places::read(values, "spared")?,
        udp: values.flag("udp")?,
        reset: values.choice("answer")? == "reset",
    }))
}

/// What is known of a connection so far.
enum Judgment {
    Passes,
    Waits,
    Dies(&'static str),
}

impl Whitelist {
    fn judge(&self, cx: &Cx<'_>, flow: &Flow) -> Judgment {
        let is_listed = self.nets.contain(flow.world_ip(), cx.geography(), cx.lists());
        match (self.must, is_listed) {
            (Must::Address | Must::Either, true) => Judgment::Passes,
            (Must::Address | Must::Both, false) => Judgment::Dies("address"),
            (Must::Both, true) | (Must::Name, _) | (Must::Either, false) => self.judge_name(cx, flow),
        }
    }

    fn judge_name(&self, cx: &Cx<'_>, flow: &Flow) -> Judgment {
        if let Some(hello) = flow.hello(Reassembly::TcpTls) {
            let is_listed = hello.server_name().is_some_and(|name| self.names.contain(name, cx.lists()));
            return if is_listed { Judgment::Passes } else { Judgment::Dies("name") };
        }
        let prefix = flow.prefix(Side::Client);
        let may_be_tls = prefix.first().is_none_or(|first| *first == TLS_HANDSHAKE);
        let is_over = flow.payload_bytes().client >= PREFIX_BYTES_MAX as u64;
        if may_be_tls && !is_over { Judgment::Waits } else { Judgment::Dies("no hello") }
    }
}

impl Policy for Whitelist {
    fn on_packet(&mut self, cx: &mut Cx<'_>, seen: &Seen<'_>, flow: &mut Flow) -> Action {
        if self.spared.contain(flow.world_ip(), cx.geography(), cx.lists()) || (self.udp && !flow.is_tcp()) {
            cx.ignore();
            return Action::Pass;
        }
        if flow.is_tcp() && (!seen.from_client() || seen.payload().is_empty()) {
            return Action::Pass;
        }
        let judgment = if flow.is_tcp() {
            self.judge(cx, flow)
        } else if self.nets.contain(flow.world_ip(), cx.geography(), cx.lists()) {
            Judgment::Passes
        } else {
            Judgment::Dies("address")
        };
        match judgment {
            Judgment::Waits => Action::Pass,
            Judgment::Passes => {
                cx.ignore();
                Action::Pass
            }
            Judgment::Dies(unlisted) => {
                if self.reset {
                    Reset::client(1).packets(seen, false).into_iter().for_each(|packet| cx.inject(packet));
                }
                silence(Why::new().and("unlisted", unlisted))
            }
        }
    }

    fn on_stray(&mut self, cx: &mut Cx<'_>, seen: &Seen<'_>) -> Action {
        let world = if seen.from_client() { seen.packet().destination } else { seen.packet().source };
        let (map, lists) = (cx.geography(), cx.lists());
        if self.spared.contain(world, map, lists) || self.nets.contain(world, map, lists) {
            Action::Pass
        } else {
            Action::Drop(Why::new().and("unlisted", "address"))
        }
    }
}

#[cfg(test)]
mod tests {
    use commucat_dissect::craft::{self, EchoSpec};

    use crate::{
        event::Side,
        judge::Decision,
        testing::{Bench, CLIENT, Connection, hello, random_bytes, records},
    };

    const BRIDGE: &str = "203.0.113.10";
    const HOME: &str = "198.18.0.10";

    fn tls(bench: &mut Bench, address: &str, name: &str) -> Connection {
        let mut connection = bench.connect(address, 443);
        assert!(connection.is_untouched(), "connections open");
        connection.client_says(bench, &hello(name));
        connection
    }

    #[test]
    fn a_connection_opens_and_the_hello_vanishes() {
        let mut bench = Bench::new("ru-mobile-wl");
        let victim = tls(&mut bench, BRIDGE, "innocent.example");
        assert!(victim.lost > 0 && victim.resets_to_client == 0);
        let mut raw = bench.connect(BRIDGE, 8388);
        raw.client_says(&mut bench, &random_bytes(100));
        assert!(raw.lost > 0);
        assert!(tls(&mut bench, HOME, "innocent.example").is_untouched());
        let mut listed = Bench::new("ru-mobile-wl?nets=203.0.113.0/28");
        assert!(tls(&mut listed, BRIDGE, "innocent.example").is_untouched());
    }

    #[test]
    fn the_name_can_decide() {
        for (chain, name, passes) in [
            ("ru-mobile-wl?match=name", "domestic.example", true),
            ("ru-mobile-wl?match=name", "innocent.example", false),
            ("ru-mobile-wl?match=either", "domestic.example", true),
            ("ru-mobile-wl?match=both", "domestic.example", false),
            ("ru-mobile-wl?match=both&nets=foreign", "domestic.example", true),
            ("ru-mobile-wl?match=both&nets=foreign", "innocent.example", false),
        ] {
            let mut bench = Bench::new(chain);
            assert_eq!(tls(&mut bench, BRIDGE, name).is_untouched(), passes, "{chain} {name}");
            let mut cut = bench.connect(BRIDGE, 443);
            cut.client_says(&mut bench, &records(&hello(name), 20));
            assert_eq!(cut.is_untouched(), passes, "{chain} {name}, cut into records");
        }
        let mut bench = Bench::new("ru-mobile-wl?match=name");
        let mut raw = bench.connect(BRIDGE, 443);
        raw.client_says(&mut bench, b"no hello");
        assert!(raw.lost > 0);
        let mut endless = bench.connect(BRIDGE, 443);
        endless
            .client_says(&mut bench, &[&[0x16, 3, 1, 0x40, 0, 1, 0, 0xff, 0xff][..], &[0; 12_000]].concat());
        assert!(endless.is_untouched(), "it may still become a hello");
        endless.client_says(&mut bench, &[0; 8_000]);
        assert!(endless.lost > 0, "but nobody waits for ever");
    }

    #[test]
    fn udp_and_ping_go_only_to_listed_addresses() {
        let mut bench = Bench::new("ru-mobile-wl");
        for (address, port, passes) in [(BRIDGE, 443, false), ("192.0.2.53", 53, true), (HOME, 443, true)] {
            let mut flow = bench.datagrams(address, port);
            flow.client_says(&mut bench, b"question");
            assert_eq!(flow.lost == 0, passes, "{address}");
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
        let mut bench = Bench::new("ru-mobile-wl?udp=yes");
        let mut flow = bench.datagrams(BRIDGE, 443);
        flow.client_says(&mut bench, b"question");
        assert_eq!(flow.lost, 0);
    }

    #[test]
    fn some_carriers_reset() {
        let mut bench = Bench::new("ru-mobile-wl?answer=reset");
        let victim = tls(&mut bench, BRIDGE, "innocent.example");
        assert!(victim.lost > 0 && victim.resets_to_client == 1 && victim.reset_is_believed);
    }
}
