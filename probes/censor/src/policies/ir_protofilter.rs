//! `ir-protofilter`: on TCP ports 53, 80 and 443 only DNS, HTTP and TLS (Iran, 2020).
//!
//! The payloads of the client's first two data packets, one behind the other, must begin like one of the three, whichever
//! the port. When they do not, every packet of the client from the second on vanishes for `residual`, and each of them
//! lets the time begin anew. The filter neither puts TCP together nor checks checksums, and it judges only one way.
//!
//! Known: ports, two packets together, 60 s, HTTP's eight bytes and methods (Bock et al., FOCI 2020, in an extract). Not
//! read: the exact test of TLS lengths, here a length that a record can have, and of DNS, here one question in a plain
//! query. In the field about 18 % of the addresses were judged.

use std::time::Duration;

use super::Entry;
use crate::{
    event::Why,
    flow::{Flow, PerFlow},
    parameter::{Kind, Parameter, Values},
    policy::{Action, Cx, Policy, Seen},
    residual::{Kill, Scope, Sentence},
    spec::{Places, SpecError, ports},
};

/// Data packets of the client that are looked at together.
const PACKETS: u8 = 2;
/// Bytes kept of them: more than any of the three tests reads.
const HEAD_BYTES: usize = 32;
/// The least that counts as HTTP.
const HTTP_BYTES_MIN: usize = 8;
const METHODS: [&[u8]; 7] = [b"GET ", b"POST ", b"HEAD ", b"CONNECT ", b"OPTIONS ", b"DELETE ", b"PUT "];
/// The longest record that may be sent: 2¹⁴ bytes and 256 of expansion (RFC 8446 §5.2).
const RECORD_BYTES_MAX: u16 = (1 << 14) + 256;

pub(crate) const ENTRY: Entry = Entry {
    name: "ir-protofilter",
    about: "lets only DNS, HTTP and TLS pass on TCP ports 53, 80 and 443",
    parameters: &[
        Parameter {
            name: "residual",
            kind: Kind::Penalty,
            default: "60s",
            about: "how long the client's packets vanish, from the last of them on",
            source: "Bock et al. 2020 (extract)",
        },
        Parameter {
            name: "ports",
            kind: Kind::Words,
            default: "53,80,443",
            about: "TCP ports of servers that are judged",
            source: "Bock et al. 2020 (extract)",
        },
        Parameter {
            name: "to",
            kind: Kind::Words,
            default: "foreign,cdn",
            about: "networks of servers that are judged",
            source: "Bock et al. 2020 (extract): about 18 % of addresses",
        },
    ],
    build,
};

#[derive(Debug, Default)]
struct Head {
    packets: u8,
    bytes: Vec<u8>,
}

#[derive(Debug)]
struct Filter {
    residual: Duration,
    ports: Vec<u16>,
    to: Places,
    heads: PerFlow<Head>,
}

fn build(values: &Values) -> Result<Box<dyn Policy>, SpecError> {
    Ok(Box::new(Filter {
        residual: values.duration("residual")?,
        ports: ports(values, "ports")?,
        to: Places::read(values, "to")?,
        heads: PerFlow::default(),
    }))
}

/// The protocol that these bytes begin like.
fn protocol(bytes: &[u8]) -> Option<&'static str> {
    if bytes.len() >= HTTP_BYTES_MIN && METHODS.iter().any(|method| bytes.starts_with(method)) {
        return Some("http");
    }
    if let [0x16, 3, 1..=3, high, low, ..] = bytes {
        let length = u16::from_be_bytes([*high, *low]);
        return (1..=RECORD_BYTES_MAX).contains(&length).then_some("tls");
    }
    // Length, id, flags of a plain query (QR 0, opcode 0), one question (RFC 1035 §4.1.1 and §4.2.2).
    matches!(bytes, [_, _, _, _, flags, _, 0, 1, ..] if flags & 0xf8 == 0).then_some("dns")
}

impl Policy for Filter {
    fn on_packet(&mut self, cx: &mut Cx<'_>, seen: &Seen<'_>, flow: &mut Flow) -> Action {
        let is_judged = flow.is_tcp()
            && self.ports.contains(&flow.world().port())
            && self.to.contain(flow.world_ip(), cx.geography(), cx.lists());
        if !is_judged {
            cx.ignore();
            return Action::Pass;
        }
        let payload = seen.payload();
        if !seen.from_client() || payload.is_empty() {
            return Action::Pass;
        }
        let head = self.heads.of(flow);
        head.packets += 1;
        let room = HEAD_BYTES - head.bytes.len().min(HEAD_BYTES);
        head.bytes.extend(payload.iter().take(room));
        let is_known = protocol(&head.bytes).is_some();
        if is_known || head.packets >= PACKETS {
            cx.ignore();
        }
        if is_known || head.packets < PACKETS {
            return Action::Pass;
        }
        let why = Why::new().and("packets", head.packets).and("bytes", flow.payload_bytes().client);
        Action::Kill(Sentence::new(Scope::FourTuple, Kill::DropOutbound, self.residual, why).refreshed(true))
    }

    fn on_flow_end(&mut self, _cx: &mut Cx<'_>, flow: &Flow) {
        self.heads.forget(flow);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use crate::{
        profile::Profile,
        testing::{Bench, Connection, hello, random_bytes},
    };

    const BRIDGE: &str = "203.0.113.10";

    fn talk(bench: &mut Bench, port: u16, packets: &[&[u8]]) -> Connection {
        let mut connection = bench.connect(BRIDGE, port);
        for packet in packets {
            connection.client_says(bench, packet);
        }
        connection
    }

    #[test]
    fn ssh_on_a_judged_port_dies_at_its_second_packet() {
        let mut bench = Bench::new("ir-protofilter");
        let mut victim = talk(&mut bench, 443, &[b"SSH-2.0-OpenSSH_9.2\r\n"]);
        assert!(victim.is_untouched(), "the first packet passes");
        victim.client_says(&mut bench, &random_bytes(800));
        assert_eq!(victim.lost, 1);
        let mut elsewhere = talk(&mut bench, 22, &[b"SSH-2.0-OpenSSH_9.2\r\n", &random_bytes(800)]);
        elsewhere.exchange(&mut bench, 5);
        assert!(elsewhere.is_untouched());
    }

    #[test]
    fn the_three_protocols_pass_on_any_of_the_ports() {
        let dns = [&[0, 29][..], &[7, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0], &[0; 17]].concat();
        let mut bench = Bench::new("ir-protofilter");
        for port in [53, 80, 443] {
            for first in [&hello("innocent.example")[..], b"GET / HTTP/1.1\r\n\r\n", &dns] {
                let mut innocent = talk(&mut bench, port, &[first, &random_bytes(500)]);
                innocent.exchange(&mut bench, 5);
                assert!(innocent.is_untouched(), "{port}");
            }
        }
    }

    #[test]
    fn two_packets_count_together_and_three_do_not() {
        let mut bench = Bench::new("ir-protofilter");
        assert!(talk(&mut bench, 80, &[b"GE", b"T / HTTP/1.1\r\n\r\n", b"more"]).is_untouched());
        assert!(!talk(&mut bench, 80, &[b"G", b"E", b"T / HTTP/1.1\r\n\r\n"]).is_untouched());
        assert!(!talk(&mut bench, 80, &[b"GET ", b"/ H"]).is_untouched(), "seven bytes are no HTTP");
        assert!(talk(&mut bench, 80, &[b"GET ", b"/ HT"]).is_untouched(), "eight are");
    }

    #[test]
    fn each_packet_of_the_victim_begins_the_time_anew() {
        let mut bench = Bench::new("ir-protofilter?residual=10s");
        let mut victim = talk(&mut bench, 443, &[&random_bytes(100), &random_bytes(100)]);
        for lost in 2..5 {
            bench.pass(Duration::from_secs(9));
            victim.client_says(&mut bench, &random_bytes(100));
            assert_eq!(victim.lost, lost);
        }
        bench.pass(Duration::from_secs(11));
        victim.client_says(&mut bench, &random_bytes(100));
        assert_eq!(victim.lost, 4, "after ten silent seconds the box has forgotten");
        assert!(talk(&mut bench, 443, &[&hello("innocent.example")]).is_untouched());
    }

    #[test]
    fn ports_are_ports() {
        let error = Profile::parse("ir-protofilter?ports=https").unwrap_err().to_string();
        assert!(error.contains("ports joined by commas"), "{error}");
    }
}
