//! `dns-replace-ir`: takes DNS questions about listed names out of the wire and answers itself (Iran).
//!
//! The true resolver never hears of them, so there is one answer: an address of the private network where a page says
//! that the site is forbidden.
//!
//! Known: in the path; `10.10.34.34`, `.35` and `.36`, and the box behind `.35` copies the time to live of the question
//! (Tai et al. 2025, in extracts). Choice of this lab: which name gets which address (by the name's bytes, so always the
//! same), and an empty answer to questions for IPv6. Not modelled: 385 names that get a true but fixed address; DNS over
//! TCP.

use std::net::{IpAddr, Ipv4Addr};

use commucat_dissect::dns::{self, Forgery};

use super::{
    Entry, common,
    dns_inject::{answer_packet, asked},
};
use crate::{
    event::Why,
    flow::Flow,
    parameter::{Kind, Parameter, Values},
    policy::{Action, Cx, Injection, Policy, Seen},
    spec::{Names, SpecError},
};

/// How long the answers may be kept, in seconds.
const RECORD_TTL: u32 = 60;
const PLAIN_IP_TTL: u8 = 64;
/// The box behind this address copies the time to live of the question.
const MIRRORS: Ipv4Addr = Ipv4Addr::new(10, 10, 34, 35);

pub(crate) const ENTRY: Entry = Entry {
    name: "dns-replace-ir",
    about: "drops DNS questions about listed names and answers with a private address",
    parameters: &[
        common::LIST,
        Parameter::new(
            "addresses",
            Kind::Words,
            "10.10.34.34,10.10.34.35,10.10.34.36",
            "IPv4 addresses of the answers; each name always gets the same one",
            "Tai et al. 2025, in extracts",
        ),
    ],
    build,
};

#[derive(Debug)]
struct DnsReplace {
    names: Names,
    addresses: Vec<Ipv4Addr>,
}

fn build(values: &Values) -> Result<Box<dyn Policy>, SpecError> {
    Ok(Box::new(DnsReplace {
        names: Names::read(values, "list")?,
        addresses: common::addresses(values, "addresses")?,
    }))
}

impl Policy for DnsReplace {
    fn on_packet(&mut self, cx: &mut Cx<'_>, seen: &Seen<'_>, _flow: &mut Flow) -> Action {
        let Some((name, kind)) = asked(seen, &self.names, cx).filter(|_| seen.from_client()) else {
            return Action::Pass;
        };
        let Some(address) = self.address(&name) else { return Action::Pass };
        let addresses = if kind == dns::TYPE_A { vec![IpAddr::V4(address)] } else { Vec::new() };
        let forgery = Forgery { addresses: &addresses, ttl: RECORD_TTL, authoritative: false, code: 0 };
        let why = Why::new().and("name", name).and("type", kind);
        let Some(answer) = forgery.answer(seen.payload()) else { return Action::Drop(why) };
        let ttl = if address == MIRRORS { seen.packet().ttl } else { PLAIN_IP_TTL };
        Action::Inject {
            packets: vec![Injection::now(seen.from(), answer_packet(seen, &answer, ttl))],
            also_drop: true,
            why: why.and("address", address.to_string()),
        }
    }
}

impl DnsReplace {
    fn address(&self, name: &str) -> Option<Ipv4Addr> {
        let sum = name.bytes().fold(0_usize, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte.into()));
        self.addresses.get(sum.checked_rem(self.addresses.len())?).copied()
    }
}

#[cfg(test)]
mod tests {
    use commucat_dissect::{
        dns::{TYPE_A, TYPE_AAAA},
        ip,
    };

    use super::*;
    use crate::{judge::Decision, testing::Bench};

    fn ask(bench: &mut Bench, name: &str, kind: u16) -> (Decision, Option<Vec<IpAddr>>) {
        let before = bench.injected.len();
        let mut flow = bench.datagrams("192.0.2.53", 53);
        let decision = flow.client_says(bench, &dns::query(7, name, kind).unwrap());
        let forged = bench.injected.get(before).map(|injection| {
            let packet = ip::parse(&injection.packet).unwrap();
            let ip::Transport::Udp(datagram) = packet.transport else { panic!() };
            dns::parse(datagram.payload).unwrap().addresses().collect()
        });
        (decision, forged)
    }

    #[test]
    fn a_listed_name_gets_the_page_of_the_censor_and_the_question_vanishes() {
        let mut bench = Bench::new("dns-replace-ir");
        for name in ["blocked.example", "twitter.com", "www.torproject.org"] {
            let (decision, answer) = ask(&mut bench, name, TYPE_A);
            assert_eq!(decision, Decision::Drop);
            let answer = answer.unwrap();
            assert!(answer[0].to_string().starts_with("10.10.34.3"), "{answer:?}");
            assert_eq!(ask(&mut bench, name, TYPE_A).1.unwrap(), answer);
        }
        assert_eq!(ask(&mut bench, "twitter.com", TYPE_AAAA), (Decision::Drop, Some(Vec::new())));
    }

    #[test]
    fn other_names_pass() {
        let mut bench = Bench::new("dns-replace-ir");
        assert_eq!(ask(&mut bench, "innocent.example", TYPE_A), (Decision::Forward, None));
        assert_eq!(bench.events(), []);
    }
}
