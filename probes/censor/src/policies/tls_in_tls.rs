//! `tls-in-tls`: finds a TLS handshake inside a TLS connection by the sizes of four bursts, and silences it.
//!
//! After the outer handshake, bursts of client, server, client, server are compared with those of browsers
//! ([`commucat_dissect::tls_in_tls`]). A Trojan or VMess connection over TLS that carries a browser's HTTPS looks like
//! that; plain pages seldom do. Where the outer handshake ends is read from the records: the client's first packet that
//! begins with a ChangeCipherSpec or with application data.
//!
//! Known: models and limits (nDPI 5.0, read; Xue et al. 2024). Not known: that any network acts on it; here it does, with
//! `act=tag` it only marks. False alarms on real browsing were not measured.

use commucat_dissect::tls_in_tls::{Bursts, Match};

use super::{Entry, silence::silence};
use crate::{
    event::Why,
    flow::{Flow, PerFlow},
    hello::Reassembly,
    parameter::{Kind, Parameter, Values},
    policy::{Action, Cx, Policy, Seen},
    spec::{Places, SpecError},
};

/// Content types (RFC 8446 §5.1).
const CHANGE_CIPHER_SPEC: u8 = 20;
const APPLICATION_DATA: u8 = 23;
const RECORD_HEADER_BYTES: usize = 5;

pub(crate) const ENTRY: Entry = Entry {
    name: "tls-in-tls",
    about: "silences TLS connections that carry a second TLS handshake, by the sizes of bursts",
    parameters: &[
        Parameter {
            name: "act",
            kind: Kind::Choice(&["silence", "tag"]),
            default: "silence",
            about: "whether a match is silenced or only marked",
            source: "choice of this lab",
        },
        Parameter {
            name: "p",
            kind: Kind::Chance,
            default: "1",
            about: "share of matches that are acted on",
            source: "choice of this lab",
        },
        Parameter {
            name: "to",
            kind: Kind::Words,
            default: "foreign",
            about: "networks of servers that are judged",
            source: "choice of this lab",
        },
    ],
    build,
};

#[derive(Debug)]
struct TlsInTls {
    tag: bool,
    chance: f64,
    to: Places,
    flows: PerFlow<Option<Bursts>>,
}

fn build(values: &Values) -> Result<Box<dyn Policy>, SpecError> {
    Ok(Box::new(TlsInTls {
        tag: values.choice("act")? == "tag",
        chance: values.chance("p")?,
        to: Places::read(values, "to")?,
        flows: PerFlow::default(),
    }))
}

/// What follows the end of the client's outer handshake in the packet that brings it; `None` while it is not there.
fn behind_handshake(payload: &[u8]) -> Option<usize> {
    match *payload.first()? {
        // A client of TLS 1.3 without the compatibility record: its Finished is application data already.
        APPLICATION_DATA => Some(payload.len() - record_bytes(payload)),
        CHANGE_CIPHER_SPEC => {
            let finished = payload.get(record_bytes(payload)..).unwrap_or_default();
            Some(finished.len() - record_bytes(finished))
        }
        _ => None,
    }
}

/// The length of the first record, header included, as far as it is there.
fn record_bytes(bytes: &[u8]) -> usize {
    let Some([_, _, _, high, low]) = bytes.first_chunk::<RECORD_HEADER_BYTES>() else { return bytes.len() };
    (RECORD_HEADER_BYTES + usize::from(u16::from_be_bytes([*high, *low]))).min(bytes.len())
}

impl TlsInTls {
    fn matched(&mut self, seen: &Seen<'_>, flow: &Flow) -> Option<Match> {
        let (state, payload) = (self.flows.of(flow), seen.payload());
        let (bursts, bytes) = match state {
            Some(bursts) => (bursts, payload.len()),
            None if seen.from_client() => {
                let bytes = behind_handshake(payload)?;
                (state.insert(Bursts::default()), bytes)
            }
            None => return None,
        };
        bursts.packet(seen.from_client(), u32::try_from(bytes).ok()?)
    }

    fn is_over(&self, flow: &Flow) -> bool {
        self.flows.get(flow).and_then(Option::as_ref).is_some_and(Bursts::is_over)
    }
}

impl Policy for TlsInTls {
    fn on_packet(&mut self, cx: &mut Cx<'_>, seen: &Seen<'_>, flow: &mut Flow) -> Action {
        if !flow.is_tcp() || !self.to.contain(flow.world_ip(), cx.geography(), cx.lists()) {
            cx.ignore();
            return Action::Pass;
        }
        if seen.payload().is_empty() || flow.hello(Reassembly::TcpTls).is_none() {
            return Action::Pass;
        }
        let found = self.matched(seen, flow);
        if found.is_some() || self.is_over(flow) {
            cx.ignore();
        }
        let Some(found) = found.filter(|_| cx.random().chance(self.chance)) else { return Action::Pass };
        if self.tag {
            return Action::Tag("tls-in-tls");
        }
        let why = Why::new()
            .and("model", format!("{:?}", found.model))
            .and("distance", found.distance)
            .and("bursts", found.bursts.to_vec());
        silence(why)
    }

    fn on_flow_end(&mut self, _cx: &mut Cx<'_>, flow: &Flow) {
        self.flows.forget(flow);
    }
}

#[cfg(test)]
mod tests;
