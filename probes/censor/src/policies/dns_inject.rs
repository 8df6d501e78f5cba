//! `dns-inject`: answers DNS questions about listed names with forged addresses, before the true answer (China).
//!
//! The box stands beside the wire, so the question and the true answer pass too: who waits hears several answers. Every
//! datagram to port 53 is judged, in both directions, whether anybody listens there or not. There are up to three
//! injectors, each with its own hand:
//!
//! 1. no don't-fragment flag, AA set, records to be kept 60 s;
//! 2. don't-fragment, no AA, random time to live of the packet;
//! 3. no don't-fragment flag, identification 0, and the time to live of the question.
//!
//! Known: the injectors, both directions, closed ports, AAAA in `2001::/32` (Anonymous et al. 2020, Hoang et al. 2021, in
//! extracts). From memory: the pool of addresses, which are other people's. Choice of this lab: the first answer leaves at
//! once, so it wins on a fast lab too, and the others within `race`. DNS over TCP is not judged here.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    time::Duration,
};

use commucat_dissect::{
    craft::{self, UdpSpec},
    dns::{self, Forgery, TYPE_A, TYPE_AAAA},
};

use super::{Entry, common};
use crate::{
    event::Why,
    flow::Flow,
    parameter::{Kind, Parameter, Values},
    policy::{Action, Cx, Injection, Policy, Position, Seen},
    random::Random,
    spec::{Names, SpecError},
};

pub(super) const DNS_PORT: u16 = 53;
/// How long injector 1 lets its records be kept.
const FIRST_TTL: u32 = 60;
/// How long the others do.
const OTHER_TTL: u32 = 300;
/// Time to live of packets that say nothing about their sender.
const PLAIN_IP_TTL: u8 = 64;
/// The range that injector 2 draws its time to live from.
const RANDOM_IP_TTL: (u8, u8) = (40, 200);

/// Addresses that were seen in forged answers for years.
const POOL: &str = "8.7.198.45,31.13.94.37,46.82.174.69,59.24.3.174,93.46.8.90,203.98.7.65,243.185.187.39";

pub(crate) const ENTRY: Entry = Entry {
    name: "dns-inject",
    about: "forges answers to DNS questions about listed names; the true answer comes too, but later",
    parameters: &[
        common::LIST,
        Parameter::new(
            "injectors",
            Kind::Count,
            "3",
            "how many boxes answer, 1 to 3",
            "Anonymous et al. 2020, in extracts",
        ),
        Parameter::new(
            "race",
            Kind::Time,
            "5ms",
            "time within which all injectors have answered; the first answers at once",
            "sheet: race of 5 ms; 99 % of forgeries come at most 364 ms before the truth",
        ),
        Parameter::new(
            "addresses",
            Kind::Words,
            POOL,
            "IPv4 addresses of forged answers, one drawn for each",
            "known for years; from memory",
        ),
    ],
    build,
};

#[derive(Debug)]
struct DnsInject {
    names: Names,
    injectors: u8,
    race: Duration,
    addresses: Vec<Ipv4Addr>,
}

fn build(values: &Values) -> Result<Box<dyn Policy>, SpecError> {
    Ok(Box::new(DnsInject {
        names: Names::read(values, "list")?,
        injectors: common::small(values, "injectors", 1, 3)?,
        race: values.duration("race")?,
        addresses: common::addresses(values, "addresses")?,
    }))
}

impl Policy for DnsInject {
    fn position(&self) -> Position {
        Position::OnPath
    }

    fn on_packet(&mut self, cx: &mut Cx<'_>, seen: &Seen<'_>, _flow: &mut Flow) -> Action {
        let Some((name, kind)) = asked(seen, &self.names, cx) else { return Action::Pass };
        let packets: Vec<Injection> = (0..self.injectors)
            .filter_map(|injector| self.forge(injector, kind, seen, cx.random()))
            .collect();
        if packets.is_empty() {
            return Action::Pass;
        }
        Action::Inject { packets, also_drop: false, why: Why::new().and("name", name).and("type", kind) }
    }
}

/// Name and type of the first question that is listed, when the datagram is a question for an address.
pub(super) fn asked(seen: &Seen<'_>, names: &Names, cx: &Cx<'_>) -> Option<(String, u16)> {
    let datagram = seen.udp().filter(|datagram| datagram.destination_port == DNS_PORT)?;
    let message = dns::parse(datagram.payload).filter(|message| !message.response)?;
    let question = message.questions.into_iter().next()?;
    let known_type = matches!(question.kind, TYPE_A | TYPE_AAAA);
    (known_type && names.contain(&question.name, cx.lists())).then_some((question.name, question.kind))
}

impl DnsInject {
    fn forge(&self, injector: u8, kind: u16, seen: &Seen<'_>, random: &mut Random) -> Option<Injection> {
        let drawn = usize::try_from(random.below(self.addresses.len() as u64)).ok()?;
        let address = *self.addresses.get(drawn)?;
        let address = if kind == TYPE_AAAA { teredo(address) } else { IpAddr::V4(address) };
        let first = injector == 0;
        let forgery = Forgery {
            addresses: &[address],
            ttl: if first { FIRST_TTL } else { OTHER_TTL },
            authoritative: first,
            code: 0,
        };
        let answer = forgery.answer(seen.payload())?;
        let (low, high) = RANDOM_IP_TTL;
        let random_ttl = u64::from(low) + random.below(u64::from(high - low));
        let random_id = random.below(u64::from(u16::MAX)) + 1;
        let ttl = match injector {
            0 => PLAIN_IP_TTL,
            1 => u8::try_from(random_ttl).unwrap_or(high),
            _ => seen.packet().ttl,
        };
        let packet = craft::udp(&UdpSpec {
            ttl,
            identification: if injector == 2 { 0 } else { u16::try_from(random_id).unwrap_or(1) },
            dont_fragment: injector == 1,
            ..UdpSpec::new(seen.destination(), seen.source(), &answer)
        });
        let after = self.race * u32::from(injector) / u32::from(self.injectors.saturating_sub(1).max(1));
        Some(Injection::later(seen.from(), packet, after))
    }
}

/// The same address inside `2001::/32`.
fn teredo(address: Ipv4Addr) -> IpAddr {
    let low = u128::from(address.to_bits());
    IpAddr::V6(Ipv6Addr::from_bits(0x2001_u128 << 112 | low))
}

/// A forged answer to the sender of the packet, as an ordinary resolver would send it.
pub(super) fn answer_packet(seen: &Seen<'_>, answer: &[u8], ttl: u8) -> Vec<u8> {
    let (source, destination): (SocketAddr, SocketAddr) = (seen.destination(), seen.source());
    craft::udp(&UdpSpec { ttl, ..UdpSpec::new(source, destination, answer) })
}

#[cfg(test)]
mod tests {
    use commucat_dissect::ip;

    use super::*;
    use crate::{
        event::Side,
        judge::Decision,
        testing::{Bench, Datagrams},
    };

    const RESOLVER: &str = "192.0.2.53";
    const TYPE_MX: u16 = 15;

    fn ask(bench: &mut Bench, name: &str, kind: u16) -> (Decision, Vec<Injection>) {
        let before = bench.injected.len();
        let mut flow = bench.datagrams(RESOLVER, DNS_PORT);
        let decision = flow.client_says(bench, &dns::query(7, name, kind).unwrap());
        bench.pass(Duration::from_millis(10));
        (decision, bench.injected.split_off(before))
    }

    #[test]
    fn a_listed_name_gets_three_forged_answers_and_the_question_passes() {
        let mut bench = Bench::new("dns-inject");
        let (decision, forged) = ask(&mut bench, "www.Blocked.example", TYPE_A);
        assert_eq!(decision, Decision::Forward);
        let seen: Vec<_> = forged
            .iter()
            .map(|injection| {
                assert_eq!(injection.to, Side::Client);
                let packet = ip::parse(&injection.packet).unwrap();
                assert!(packet.checksum_ok());
                let ip::Transport::Udp(datagram) = packet.transport else { panic!() };
                let answer = dns::parse(datagram.payload).unwrap();
                assert!(answer.response && answer.id == 7);
                let address = answer.addresses().next().unwrap();
                assert!(POOL.split(',').any(|known| known == address.to_string()));
                (
                    packet.dont_fragment,
                    answer.authoritative,
                    packet.identification == 0,
                    answer.answers[0].ttl,
                )
            })
            .collect();
        assert_eq!(seen, [(false, true, false, 60), (true, false, false, 300), (false, false, true, 300)]);
    }

    #[test]
    fn other_names_other_types_and_answers_pass_untouched() {
        let mut bench = Bench::new("dns-inject");
        assert!(ask(&mut bench, "innocent.example", TYPE_A).1.is_empty());
        assert!(ask(&mut bench, "blocked.example", TYPE_MX).1.is_empty());
        let mut flow = bench.datagrams(RESOLVER, DNS_PORT);
        let query = dns::query(7, "blocked.example", TYPE_A).unwrap();
        let answer = dns::forge_answer(&query, &["198.51.100.10".parse().unwrap()], 60).unwrap();
        flow.world_says(&mut bench, &answer);
        let mut elsewhere = bench.datagrams(RESOLVER, 5353);
        elsewhere.client_says(&mut bench, &query);
        bench.pass(Duration::from_millis(10));
        assert!(bench.injected.is_empty());
        assert_eq!(bench.events(), []);
    }

    #[test]
    fn questions_from_outside_are_answered_too_and_aaaa_gets_teredo() {
        let mut bench = Bench::new("dns-inject?injectors=1");
        let query = dns::query(9, "twitter.com", TYPE_AAAA).unwrap();
        // Nobody listens at the client.
        let outside =
            Datagrams { client: ([10, 73, 0, 2], DNS_PORT).into(), ..Datagrams::new(1, RESOLVER, 4000) };
        let mut outside = outside;
        outside.world_says(&mut bench, &query);
        assert_eq!(bench.injected.len(), 1);
        assert_eq!(bench.injected[0].to, Side::World);
        let packet = ip::parse(&bench.injected[0].packet).unwrap();
        let ip::Transport::Udp(datagram) = packet.transport else { panic!() };
        let address = dns::parse(datagram.payload).unwrap().addresses().next().unwrap();
        assert!(address.to_string().starts_with("2001::"), "{address}");
    }

    #[test]
    fn the_first_answer_leaves_at_once_and_the_last_at_the_end_of_the_race() {
        let mut bench = Bench::new("dns-inject?race=20ms");
        let mut flow = bench.datagrams(RESOLVER, DNS_PORT);
        flow.client_says(&mut bench, &dns::query(7, "blocked.example", TYPE_A).unwrap());
        assert_eq!(bench.injected.len(), 1);
        bench.pass(Duration::from_millis(10));
        assert_eq!(bench.injected.len(), 2);
        bench.pass(Duration::from_millis(9));
        assert_eq!(bench.injected.len(), 2);
        bench.pass(Duration::from_millis(1));
        assert_eq!(bench.injected.len(), 3);
    }
}
