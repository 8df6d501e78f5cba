//! `quic-len-tspu`: drops a flow when a long datagram to UDP port 443 says QUIC version 1 (Russia, since March 2022).
//!
//! The box reads four bytes behind the first, and the length; no name, no decryption. Version 2 passes, and so does any
//! other port. Both directions of the 4-tuple vanish for 420 s, which begin anew with each packet of the client.
//!
//! Known: 1001 bytes and the version at offset 1 (IMC 2022, from memory); 420 s and the renewal (second hand). Later boxes
//! read names as well; that is `quic-sni-gfw` with other figures.

use std::time::Duration;

use super::Entry;
use crate::{
    event::Why,
    flow::Flow,
    parameter::{Kind, Parameter, Values},
    policy::{Action, Cx, Policy, Seen},
    residual::{Kill, Scope, Sentence},
    spec::SpecError,
};

/// QUIC version 1, as it stands on the wire (RFC 9000 §15).
const VERSION_1: [u8; 4] = [0, 0, 0, 1];

pub(crate) const ENTRY: Entry = Entry {
    name: "quic-len-tspu",
    about: "drops flows whose client sends a long QUIC version 1 datagram to UDP port 443",
    parameters: &[
        Parameter::new("port", Kind::Count, "443", "the server's port, 1 to 65535", "IMC 2022, from memory"),
        Parameter::new(
            "length",
            Kind::Bytes,
            "1001",
            "the shortest UDP payload that is judged",
            "IMC 2022, from memory",
        ),
        Parameter::new(
            "residual",
            Kind::Penalty,
            "420s",
            "how long the 4-tuple is silent after the client's last packet",
            "second hand; net4people/bbs",
        ),
    ],
    build,
};

#[derive(Debug)]
struct QuicLength {
    port: u16,
    length: u64,
    residual: Duration,
}

fn build(values: &Values) -> Result<Box<dyn Policy>, SpecError> {
    let port = values.number("port")?;
    let port =
        u16::try_from(port).map_err(|_too_large| values.refuse("port", &port, "a port from 1 to 65535"))?;
    Ok(Box::new(QuicLength {
        port,
        length: values.number("length")?,
        residual: values.duration("residual")?,
    }))
}

impl Policy for QuicLength {
    fn on_packet(&mut self, cx: &mut Cx<'_>, seen: &Seen<'_>, flow: &mut Flow) -> Action {
        let Some(datagram) = seen.udp().filter(|_| flow.world().port() == self.port) else {
            cx.ignore();
            return Action::Pass;
        };
        let length = datagram.payload.len() as u64;
        if !seen.from_client() || length < self.length || datagram.payload.get(1..5) != Some(&VERSION_1) {
            return Action::Pass;
        }
        let why = Why::new().and("payload_bytes", length).and("version", "00000001");
        Action::Kill(Sentence::new(Scope::FourTuple, Kill::DropBoth, self.residual, why).refreshed(true))
    }
}

#[cfg(test)]
mod tests {
    use commucat_dissect::quic::{VERSION_2, crypto_frame};

    use super::*;
    use crate::testing::{Bench, initial, initial_of, quic_hello, random_bytes};

    fn lost(port: u16, payload: &[u8]) -> usize {
        let mut bench = Bench::new("quic-len-tspu");
        let mut flow = bench.datagrams("203.0.113.10", port);
        flow.client_says(&mut bench, payload);
        flow.world_says(&mut bench, b"answer");
        flow.lost
    }

    #[test]
    fn version_1_is_dropped_whatever_its_name() {
        assert_eq!(lost(443, &initial("innocent.example")), 2);
        assert_eq!(lost(443, &[&[0x40, 0, 0, 0, 1][..], &random_bytes(996)].concat()), 2);
    }

    #[test]
    fn version_2_other_ports_and_short_datagrams_pass() {
        let crypto = crypto_frame(0, &quic_hello("innocent.example"));
        assert_eq!(lost(443, &initial_of(VERSION_2, &crypto)), 0);
        assert_eq!(lost(8443, &initial("innocent.example")), 0);
        assert_eq!(lost(443, &[&[0xc0, 0, 0, 0, 1][..], &random_bytes(995)].concat()), 0);
        assert_eq!(lost(443, &random_bytes(1200)), 0);
    }

    #[test]
    fn the_silence_is_renewed_and_ends_and_another_port_is_free() {
        let mut bench = Bench::new("quic-len-tspu?residual=10s");
        let mut victim = bench.datagrams("203.0.113.10", 443);
        victim.client_says(&mut bench, &initial("innocent.example"));
        bench.pass(Duration::from_secs(9));
        victim.client_says(&mut bench, b"x");
        bench.pass(Duration::from_secs(9));
        victim.world_says(&mut bench, b"x");
        assert_eq!(victim.lost, 3);
        let mut other = bench.datagrams("203.0.113.10", 443);
        other.client_says(&mut bench, b"x");
        assert_eq!(other.lost, 0);
        bench.pass(Duration::from_secs(2));
        victim.world_says(&mut bench, b"x");
        assert_eq!(victim.lost, 3);
    }
}
