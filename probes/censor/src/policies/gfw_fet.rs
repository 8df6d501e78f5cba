//! `gfw-fet`: drops connections whose first payload looks like random bytes (China, November 2021 to March 2023).
//!
//! The first data packet of the client, on any port, passes when one of five rules covers it
//! ([`commucat_dissect::fet`]); what none covers is blocked with probability `p`: from then on the client's packets to
//! that address and port vanish for `residual`. Only certain hosting networks are judged.
//!
//! Known: the rule (Wu et al. 2023, from the authors' program; read), `p` and `residual` (the paper, in an extract).
//! Not known: whether the rule is used again after March 2023, and a smallest length of the payload; none is asked here.

use std::time::Duration;

use commucat_dissect::{
    entropy,
    fet::{HttpSet, Rule},
};

use super::Entry;
use crate::{
    event::Why,
    flow::{Flow, TcpState},
    parameter::{Kind, Parameter, Values},
    policy::{Action, Cx, Policy, Seen},
    residual::{Kill, Scope, Sentence},
    spec::{Places, SpecError},
};

pub(crate) const ENTRY: Entry = Entry {
    name: "gfw-fet",
    about: "drops connections to foreign hosting whose first payload looks fully encrypted",
    parameters: &[
        Parameter {
            name: "p",
            kind: Kind::Chance,
            default: "26.3%",
            about: "share of such connections that are blocked",
            source: "Wu et al. 2023 (extract)",
        },
        Parameter {
            name: "residual",
            kind: Kind::Penalty,
            default: "180s",
            about: "how long the client cannot reach that address and port",
            source: "Wu et al. 2023 (extract)",
        },
        Parameter {
            name: "to",
            kind: Kind::Words,
            default: "foreign",
            about: "networks of servers that are judged",
            source: "Wu et al. 2023 (extract): hosting ranges only, CDNs spared",
        },
        Parameter {
            name: "tls-minor-max",
            kind: Kind::Count,
            default: "9",
            about: "highest minor version of a TLS record that is taken for TLS",
            source: "Wu et al. 2023, text; the authors' program has 15",
        },
        Parameter {
            name: "http-set",
            kind: Kind::Choice(&["paper", "three-letters"]),
            default: "paper",
            about: "which beginnings are taken for HTTP",
            source: "Wu et al. 2023, text; OpenGFW 0.4.1 takes three letters",
        },
    ],
    build,
};

#[derive(Debug)]
struct GfwFet {
    chance: f64,
    residual: Duration,
    to: Places,
    rule: Rule,
}

fn build(values: &Values) -> Result<Box<dyn Policy>, SpecError> {
    let minor = values.number("tls-minor-max")?;
    let tls_minor_max = u8::try_from(minor)
        .map_err(|_too_large| values.refuse("tls-minor-max", &minor, "a number from 0 to 255"))?;
    let http_set = HttpSet::named(values.choice("http-set")?).unwrap_or(HttpSet::Paper);
    Ok(Box::new(GfwFet {
        chance: values.chance("p")?,
        residual: values.duration("residual")?,
        to: Places::read(values, "to")?,
        rule: Rule { tls_minor_max, http_set },
    }))
}

impl Policy for GfwFet {
    fn on_packet(&mut self, cx: &mut Cx<'_>, seen: &Seen<'_>, flow: &mut Flow) -> Action {
        let is_judged = flow.is_tcp()
            && flow.state() != TcpState::Midstream
            && self.to.contain(flow.world_ip(), cx.geography(), cx.lists());
        if !is_judged {
            cx.ignore();
            return Action::Pass;
        }
        let payload = seen.payload();
        if !seen.from_client() || payload.is_empty() {
            return Action::Pass;
        }
        cx.ignore();
        if self.rule.exemption(payload).is_some() || !cx.random().chance(self.chance) {
            return Action::Pass;
        }
        let why = Why::new()
            .and("payload_bytes", payload.len())
            .and("set_bits_per_byte", entropy::set_bits_per_byte(payload))
            .and("printable_share", entropy::printable_share(payload))
            .and("p", self.chance);
        Action::Kill(Sentence::new(Scope::ThreeTuple, Kill::DropOutbound, self.residual, why))
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

    #[test]
    fn a_random_first_payload_is_blocked_for_the_residual_time() {
        let mut bench = Bench::new("gfw-fet?p=1&residual=10s");
        let mut victim = bench.connect(BRIDGE, 8388);
        victim.client_says(&mut bench, &random_bytes(200));
        victim.client_says(&mut bench, &random_bytes(200));
        assert_eq!(victim.lost, 2);
        let events = bench.events();
        assert_eq!(events[0].because("p").and_then(|p| p.as_f64()), Some(1.0));

        let mut other_port = bench.connect(BRIDGE, 8389);
        other_port.client_says(&mut bench, &hello("innocent.example"));
        assert!(other_port.is_untouched());
        let mut same = bench.connect(BRIDGE, 8388);
        assert!(same.lost > 0, "the SYN of the same three ends vanishes");
        bench.pass(Duration::from_secs(10));
        same = bench.connect(BRIDGE, 8388);
        assert!(same.is_untouched());
    }

    #[test]
    fn what_the_rules_spare_and_what_is_not_judged() {
        let mut bench = Bench::new("gfw-fet?p=1");
        for first in
            [hello("innocent.example"), b"GET / HTTP/1.1\r\n\r\n".to_vec(), b"SSH-2.0-x\r\n".to_vec()]
        {
            let mut innocent = bench.connect(BRIDGE, 443);
            innocent.client_says(&mut bench, &first);
            innocent.client_says(&mut bench, &random_bytes(500));
            assert!(innocent.is_untouched());
        }
        for elsewhere in ["198.51.100.10", "198.18.0.10"] {
            let mut innocent = bench.connect(elsewhere, 8388);
            innocent.client_says(&mut bench, &random_bytes(200));
            assert!(innocent.is_untouched(), "{elsewhere}");
        }
        let mut server_first = bench.connect(BRIDGE, 25);
        server_first.world_says(&mut bench, &random_bytes(200));
        assert!(server_first.is_untouched());
        let mut midstream = Connection::new(50_000, BRIDGE, 8388);
        midstream.client_says(&mut bench, &random_bytes(200));
        assert!(midstream.is_untouched(), "its first payload was not seen");
        let mut datagrams = bench.datagrams(BRIDGE, 8388);
        datagrams.client_says(&mut bench, &random_bytes(200));
        assert_eq!(datagrams.lost, 0);
    }

    #[test]
    fn only_outbound_packets_vanish() {
        let mut bench = Bench::new("gfw-fet?p=1");
        let mut victim = bench.connect(BRIDGE, 8388);
        victim.client_says(&mut bench, &random_bytes(200));
        let lost = victim.lost;
        victim.segment(&mut bench, crate::event::Side::World, commucat_dissect::ip::TcpFlags::ACK, b"late");
        assert_eq!(victim.lost, lost);
    }

    #[test]
    fn the_share_is_the_one_asked() {
        let mut bench = Bench::new("gfw-fet?residual=1ms");
        let blocked = (0..2_000).filter(|_| {
            let mut one = bench.connect(BRIDGE, 8388);
            one.client_says(&mut bench, &random_bytes(200));
            one.close(&mut bench);
            one.lost > 0
        });
        // Five standard deviations of 2,000 draws at 26.3 % are 4.9 %.
        let share = blocked.count() as f64 / 2_000.0;
        assert!((share - 0.263).abs() < 0.05, "{share}");
    }

    #[test]
    fn the_knobs() {
        let allowed_by_the_program = [&[0x16, 3, 0x0a][..], &[0x8b; 100]].concat();
        for (chain, first, passes) in [
            ("gfw-fet?p=1", &allowed_by_the_program[..], false),
            ("gfw-fet?p=1&tls-minor-max=15", &allowed_by_the_program, true),
            ("gfw-fet?p=0", &[0x8b; 100], true),
            ("gfw-fet?p=1&to=cdn", &[0x8b; 100], true),
        ] {
            let mut bench = Bench::new(chain);
            let mut one = bench.connect(BRIDGE, 443);
            one.client_says(&mut bench, first);
            assert_eq!(one.is_untouched(), passes, "{chain}");
        }
        let error = Profile::parse("gfw-fet?tls-minor-max=256").unwrap_err().to_string();
        assert!(error.contains("0 to 255"), "{error}");
    }
}
