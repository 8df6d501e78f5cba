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

#[cfg(test)]
mod tests {
    use commucat_dissect::ip::TcpFlags;

    use crate::{
        event::Side,
        judge::Decision,
        profile::Profile,
        testing::{Bench, Connection, SEGMENT, hello, initial, random_bytes},
    };

    const BRIDGE: &str = "203.0.113.10";

    /// Packets of the connection that pass, the handshake included.
    fn passing(bench: &mut Bench, connection: &mut Connection) -> usize {
        let mut passed = 3;
        for index in 0..500 {
            let (side, bytes) = if index % 4 == 0 { (Side::Client, 100) } else { (Side::World, SEGMENT) };
            let decision = connection.segment(bench, side, TcpFlags::PSH_ACK, &random_bytes(bytes));
            passed += usize::from(decision != Decision::Drop);
        }
        passed
    }

    #[test]
    fn the_25th_packet_passes_and_the_26th_does_not() {
        let mut bench = Bench::new("tspu-l4-25");
        let mut victim = bench.connect(BRIDGE, 443);
        for _packet in 3..25 {
            victim.segment(&mut bench, Side::World, TcpFlags::PSH_ACK, &random_bytes(SEGMENT));
        }
        assert!(victim.is_untouched());
        for side in [Side::World, Side::Client, Side::World] {
            assert_eq!(victim.segment(&mut bench, side, TcpFlags::PSH_ACK, b"x"), Decision::Drop);
        }
        assert_eq!((victim.resets_to_client, victim.resets_to_world), (0, 0));
        let event = &bench.events()[0];
        assert_eq!((event.packet, event.because("limit").and_then(|limit| limit.as_u64())), (26, Some(25)));
    }

    #[test]
    fn the_limit_is_the_one_asked() {
        for limit in [6, 25, 40] {
            let mut bench = Bench::new(&format!("tspu-l4-25?packets={limit}"));
            let mut victim = bench.connect(BRIDGE, 443);
            assert_eq!(passing(&mut bench, &mut victim), limit);
            let mut fresh = bench.connect(BRIDGE, 443);
            assert!(fresh.is_untouched(), "a new flow counts anew");
            assert_eq!(passing(&mut bench, &mut fresh), limit);
        }
    }

    #[test]
    fn udp_counts_too_unless_asked_otherwise() {
        for (chain, passes) in [("tspu-l4-25", 25), ("tspu-l4-25?udp=no", 100)] {
            let mut bench = Bench::new(chain);
            let mut flow = bench.datagrams(BRIDGE, 443);
            for _round in 0..50 {
                flow.client_says(&mut bench, &random_bytes(100));
                flow.world_says(&mut bench, &random_bytes(1000));
            }
            assert_eq!(100 - flow.lost, passes, "{chain}");
        }
    }

    #[test]
    fn listed_names_and_networks_and_ssh_are_spared() {
        let mut bench = Bench::new("tspu-l4-25");
        for (address, first) in [
            ("198.18.0.10", random_bytes(100)),
            ("198.51.100.10", random_bytes(100)),
            (BRIDGE, hello("domestic.example")),
            (BRIDGE, b"SSH-2.0-OpenSSH_9.2\r\n".to_vec()),
        ] {
            let mut innocent = bench.connect(address, 443);
            innocent.client_says(&mut bench, &first);
            innocent.exchange(&mut bench, 50);
            assert!(innocent.is_untouched(), "{address}");
        }
        let mut victim = bench.connect(BRIDGE, 443);
        victim.client_says(&mut bench, &hello("innocent.example"));
        victim.exchange(&mut bench, 50);
        assert!(victim.lost > 0);

        let mut quic = bench.datagrams(BRIDGE, 443);
        quic.client_says(&mut bench, &initial("domestic.example"));
        (0..50).for_each(|_| _ = quic.world_says(&mut bench, &random_bytes(1200)));
        assert_eq!(quic.lost, 0);

        let mut bench = Bench::new("tspu-l4-25?exempt-ssh=no&exempt-names=none");
        let mut ssh = bench.connect(BRIDGE, 22);
        ssh.client_says(&mut bench, b"SSH-2.0-OpenSSH_9.2\r\n");
        ssh.exchange(&mut bench, 50);
        assert!(ssh.lost > 0);
    }

    #[test]
    fn bytes_count_instead() {
        let mut bench = Bench::new("tspu-l4-25?bytes=16000B");
        let mut small = bench.connect(BRIDGE, 443);
        // 160 packets of 100 bytes are 16,000 bytes exactly.
        for _packet in 0..160 {
            small.segment(&mut bench, Side::Client, TcpFlags::PSH_ACK, &random_bytes(100));
        }
        assert!(small.is_untouched());
        assert_eq!(small.segment(&mut bench, Side::Client, TcpFlags::PSH_ACK, b"x"), Decision::Drop);
    }

    #[test]
    fn each_flow_draws_its_own_amount_of_a_range() {
        let mut bench = Bench::new("tspu-l4-25?bytes=15000..20000");
        let mut amounts: Vec<usize> = (0..20)
            .map(|_| {
                let mut flow = bench.connect(BRIDGE, 443);
                (0..300).for_each(|_| {
                    flow.segment(&mut bench, Side::Client, TcpFlags::PSH_ACK, &random_bytes(100));
                });
                (300 - flow.lost) * 100
            })
            .collect();
        assert!(amounts.iter().all(|amount| (14_900..=20_000).contains(amount)), "{amounts:?}");
        amounts.sort_unstable();
        amounts.dedup();
        assert!(amounts.len() > 5, "{amounts:?}");
    }

    #[test]
    fn no_packets_is_no_limit_anybody_wants() {
        assert!(Profile::parse("tspu-l4-25?packets=0").unwrap_err().to_string().contains("at least 1"));
    }
}
