//! `vpn-sig`: stops VPN protocols by the shape of their first packets (Russia; Iran and China in their own ways).
//!
//! WireGuard: an initiation of 148 bytes of type 1, which a response of 92 bytes of type 2 answers. OpenVPN over UDP and
//! TCP: a client's reset of a known length, which a server's reset answers. DTLS: the bytes by which Snowflake was found
//! in 2021, listed fingerprints of ClientHellos, or any ClientHello. AmneziaWG with its own sizes and headers has none of
//! these shapes.
//!
//! Known: the shapes (the protocols' own descriptions; OpenGFW's rules, read; Xue et al. 2022, in an extract; net4people/bbs 603
//! for DTLS).
//! Not known: whether the first packet is enough for the box (`at`), and how long it remembers.

use std::time::Duration;

use commucat_dissect::{dtls, openvpn, tls::Transport, wireguard};

use super::Entry;
use crate::{
    event::{Side, Why},
    flow::{Flow, PerFlow},
    parameter::{Kind, Parameter, Values},
    policy::{Action, Cx, Policy, Seen},
    residual::{Kill, Scope, Sentence},
    spec::{Places, SpecError},
};

/// Packets of a flow that are looked at: a VPN opens with its handshake, and a client tries it a few times.
const PACKETS_MAX: u64 = 16;

pub(crate) const ENTRY: Entry = Entry {
    name: "vpn-sig",
    about: "stops WireGuard, OpenVPN and known DTLS by the shape of their first packets",
    parameters: &[
        Parameter {
            name: "wireguard",
            kind: Kind::Flag,
            default: "true",
            about: "whether WireGuard is stopped",
            source: "field reports",
        },
        Parameter {
            name: "openvpn",
            kind: Kind::Flag,
            default: "true",
            about: "whether OpenVPN is stopped",
            source: "field reports",
        },
        Parameter {
            name: "dtls",
            kind: Kind::Choice(&["snowflake-2021", "all", "off"]),
            default: "snowflake-2021",
            about: "which DTLS is stopped: Snowflake's ServerHello of 2021, every ClientHello, or none",
            source: "net4people/bbs reports of 2021 and 603",
        },
        Parameter {
            name: "dtls-ja4",
            kind: Kind::Words,
            default: "none",
            about: "fingerprints of DTLS ClientHellos that are stopped",
            source: "net4people/bbs 603: one of them, not published as JA4",
        },
        Parameter {
            name: "at",
            kind: Kind::Choice(&["first", "answer"]),
            default: "first",
            about: "whether the client's first message is enough, or the answer must fit it",
            source: "unverified",
        },
        Parameter {
            name: "residual",
            kind: Kind::Penalty,
            default: "420s",
            about: "how long these two ends stay apart, from their last packet on",
            source: "from memory: what TSPU does to QUIC",
        },
        Parameter {
            name: "to",
            kind: Kind::Words,
            default: "foreign",
            about: "networks of servers that are judged",
            source: "field reports",
        },
    ],
    build,
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Dtls {
    Off,
    Snowflake2021,
    All,
}

/// What the client of a flow opened with.
#[derive(Clone, Copy, Debug)]
enum Opening {
    WireGuard(wireguard::Message),
    OpenVpn(openvpn::Reset),
}

#[derive(Debug)]
struct Signatures {
    wireguard: bool,
    openvpn: bool,
    dtls: Dtls,
    dtls_ja4: Vec<String>,
    at_answer: bool,
    residual: Duration,
    to: Places,
    openings: PerFlow<Option<Opening>>,
}

fn build(values: &Values) -> Result<Box<dyn Policy>, SpecError> {
    let dtls = match values.choice("dtls")? {
        "off" => Dtls::Off,
        "all" => Dtls::All,
        _ => Dtls::Snowflake2021,
    };
    Ok(Box::new(Signatures {
        wireguard: values.flag("wireguard")?,
        openvpn: values.flag("openvpn")?,
        dtls,
        dtls_ja4: values.words("dtls-ja4")?.iter().filter(|word| *word != "none").cloned().collect(),
        at_answer: values.choice("at")? == "answer",
        residual: values.duration("residual")?,
        to: Places::read(values, "to")?,
        openings: PerFlow::default(),
    }))
}

impl Signatures {
    /// The signature that this packet completes.
    fn signature(&mut self, seen: &Seen<'_>, flow: &Flow) -> Option<&'static str> {
        if flow.is_tcp() {
            let first = openvpn::tcp_packets(flow.prefix(seen.from())).next();
            return first.and_then(|packet| self.openvpn(seen.from(), packet, flow));
        }
        let payload = seen.payload();
        self.wireguard(seen.from(), payload, flow)
            .or_else(|| self.openvpn(seen.from(), payload, flow))
            .or_else(|| self.dtls(seen.from(), payload))
    }

    fn wireguard(&mut self, from: Side, payload: &[u8], flow: &Flow) -> Option<&'static str> {
        let message = wireguard::message(payload).filter(|_| self.wireguard)?;
        let opening = self.openings.of(flow);
        match (from, message, &opening) {
            (Side::Client, wireguard::Message::Initiation { .. }, _) => {
                *opening = Some(Opening::WireGuard(message));
                (!self.at_answer).then_some("wireguard")
            }
            (Side::World, _, Some(Opening::WireGuard(question))) => {
                message.answers(question).then_some("wireguard")
            }
            _ => None,
        }
    }

    fn openvpn(&mut self, from: Side, packet: &[u8], flow: &Flow) -> Option<&'static str> {
        let reset = openvpn::reset(packet).filter(|_| self.openvpn)?;
        let opening = self.openings.of(flow);
        match (from, &opening) {
            (Side::Client, _) if !reset.server => {
                *opening = Some(Opening::OpenVpn(reset));
                (!self.at_answer).then_some("openvpn")
            }
            (Side::World, Some(Opening::OpenVpn(client))) => reset.answers(client).then_some("openvpn"),
            _ => None,
        }
    }

    fn dtls(&self, from: Side, payload: &[u8]) -> Option<&'static str> {
        match from {
            Side::World if self.dtls != Dtls::Off => {
                dtls::is_snowflake_2021(payload).then_some("dtls-snowflake-2021")
            }
            Side::Client if self.dtls == Dtls::All || !self.dtls_ja4.is_empty() => {
                let hello = dtls::client_hello(payload)?;
                let is_listed = || self.dtls_ja4.contains(&hello.ja4(Transport::Dtls));
                (self.dtls == Dtls::All || is_listed()).then_some("dtls-hello")
            }
            Side::Client | Side::World => None,
        }
    }
}

impl Policy for Signatures {
    fn on_packet(&mut self, cx: &mut Cx<'_>, seen: &Seen<'_>, flow: &mut Flow) -> Action {
        let is_judged = self.to.contain(flow.world_ip(), cx.geography(), cx.lists());
        if !is_judged || flow.packets().sum() > PACKETS_MAX {
            cx.ignore();
            return Action::Pass;
        }
        if seen.payload().is_empty() {
            return Action::Pass;
        }
        let Some(signature) = self.signature(seen, flow) else { return Action::Pass };
        let why = Why::new().and("signature", signature).and("payload_bytes", seen.payload().len());
        Action::Kill(Sentence::new(Scope::FourTuple, Kill::DropBoth, self.residual, why).refreshed(true))
    }

    fn on_flow_end(&mut self, _cx: &mut Cx<'_>, flow: &Flow) {
        self.openings.forget(flow);
    }
}

#[cfg(test)]
mod tests;
