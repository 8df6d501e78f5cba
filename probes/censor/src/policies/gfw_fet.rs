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
