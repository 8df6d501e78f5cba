//! `ir-allow6`: a TCP flow that is no known protocol dies after six packets (Iran, two networks).
//!
//! What a flow is its client's first data packet says. Until it is known, packets of both directions count; what comes
//! after the limit vanishes. Seen in the field: a first packet that began like an HTTP request survived four weeks, one
//! like TLS or SSH at most three days; the lab's box knows HTTP, TLS and DNS and no time.
//!
//! Known: about six packets, prefixes decide (Alaraj 2025, in an extract). Not known: how UDP fares; it is not judged.

use commucat_dissect::{http, ssh};

use super::{Entry, silence::silence};
use crate::{
    event::Why,
    flow::Flow,
    parameter::{Kind, Parameter, Values},
    policy::{Action, Cx, Policy, Seen},
    spec::{Places, SpecError},
};

const KNOWN: [&str; 4] = ["http", "tls", "dns", "ssh"];

pub(crate) const ENTRY: Entry = Entry {
    name: "ir-allow6",
    about: "drops TCP flows that are no known protocol after six packets",
    parameters: &[
        Parameter {
            name: "packets",
            kind: Kind::Count,
            default: "6",
            about: "packets of both directions that pass, the handshake included",
            source: "Alaraj 2025 (extract): about 6",
        },
        Parameter {
            name: "known",
            kind: Kind::Words,
            default: "http,tls,dns",
            about: "protocols that pass, of http, tls, dns, ssh",
            source: "choice of this lab; the networks changed theirs in days",
        },
        Parameter {
            name: "to",
            kind: Kind::Words,
            default: "foreign,cdn",
            about: "networks of servers that are judged",
            source: "choice of this lab",
        },
    ],
    build,
};

#[derive(Debug)]
struct Allow {
    packets: u64,
    known: Vec<String>,
    to: Places,
}

fn build(values: &Values) -> Result<Box<dyn Policy>, SpecError> {
    let known = values.words("known")?.to_vec();
    if let Some(wrong) = known.iter().find(|word| !KNOWN.contains(&word.as_str())) {
        return Err(values.refuse("known", wrong, "`http`, `tls`, `dns`, `ssh`, joined by commas").into());
    }
    Ok(Box::new(Allow { packets: values.number("packets")?, known, to: Places::read(values, "to")? }))
}

/// What a flow is by the client's first data packet.
fn protocol(payload: &[u8]) -> Option<&'static str> {
    match payload {
        [0x16, 3, 0..=4, ..] => Some("tls"),
        // Length, id, flags of a plain query, one question (RFC 1035 §4.2.2).
        [_, _, _, _, flags, _, 0, 1, ..] if flags & 0xf8 == 0 => Some("dns"),
        _ if http::request_head(payload).is_some() => Some("http"),
        _ if ssh::banner(payload).is_some() => Some("ssh"),
        _ => None,
    }
}

impl Policy for Allow {
    fn on_packet(&mut self, cx: &mut Cx<'_>, seen: &Seen<'_>, flow: &mut Flow) -> Action {
        if !flow.is_tcp() || !self.to.contain(flow.world_ip(), cx.geography(), cx.lists()) {
            cx.ignore();
            return Action::Pass;
        }
        let payload = seen.payload();
        if seen.from_client() && !payload.is_empty() && flow.data_packets().client == 1 {
            let known = protocol(payload).is_some_and(|found| self.known.iter().any(|known| known == found));
            if known {
                cx.ignore();
                return Action::Pass;
            }
        }
        let count = flow.packets().sum();
        if count <= self.packets {
            return Action::Pass;
        }
        silence(Why::new().and("packets", count).and("limit", self.packets))
    }
}

#[cfg(test)]
mod tests {
    use commucat_dissect::ip::TcpFlags;

    use crate::{
        event::Side,
        judge::Decision,
        profile::Profile,
        testing::{Bench, hello, random_bytes},
    };

    const BRIDGE: &str = "203.0.113.10";

    #[test]
    fn the_sixth_packet_passes_and_the_seventh_does_not() {
        let mut bench = Bench::new("ir-allow6");
        let mut victim = bench.connect(BRIDGE, 8388);
        for _packet in 3..6 {
            victim.segment(&mut bench, Side::Client, TcpFlags::PSH_ACK, &random_bytes(100));
        }
        assert!(victim.is_untouched());
        for side in [Side::World, Side::Client] {
            assert_eq!(victim.segment(&mut bench, side, TcpFlags::ACK, &[]), Decision::Drop);
        }
    }

    #[test]
    fn known_beginnings_live() {
        let disguised = [&b"GET / HTTP/1.1\r\n\r\n"[..], &random_bytes(300)].concat();
        let mut bench = Bench::new("ir-allow6");
        for (first, passes) in [
            (&hello("innocent.example")[..], true),
            (&disguised, true),
            (b"SSH-2.0-OpenSSH_9.2\r\n", false),
            (&random_bytes(300), false),
        ] {
            let mut flow = bench.connect(BRIDGE, 443);
            flow.client_says(&mut bench, first);
            flow.exchange(&mut bench, 10);
            assert_eq!(flow.is_untouched(), passes);
        }
        let mut home = bench.connect("198.18.0.10", 22);
        home.exchange(&mut bench, 10);
        assert!(home.is_untouched());
        let mut bench = Bench::new("ir-allow6?known=ssh");
        let mut ssh = bench.connect(BRIDGE, 22);
        ssh.client_says(&mut bench, b"SSH-2.0-OpenSSH_9.2\r\n");
        ssh.exchange(&mut bench, 10);
        assert!(ssh.is_untouched());
    }

    #[test]
    fn only_protocols_it_can_tell() {
        let error = Profile::parse("ir-allow6?known=http,ftp").unwrap_err().to_string();
        assert!(error.contains("`dns`"), "{error}");
    }
}
