//! `tspu-ech`: drops connections that use ECH towards the front of the largest content network (Russia, since 2024).
//!
//! Three things must come together: the extension encrypted_client_hello, the outer name `cloudflare-ech.com`, and an
//! address of that network. The extension alone, which every Chrome sends filled with random bytes, is not enough.
//!
//! Known: the three conditions, TCP and QUIC; cutting the hello into segments or into records does not help, doing both
//! does (papers, in extracts). So the box joins segments, and joins records inside one segment, but not across.

use commucat_dissect::tls::{self, ClientHello, Defragment};

use super::Entry;
use crate::{
    event::Why,
    flow::Flow,
    hello::Reassembly,
    parameter::{Kind, Parameter, Values},
    policy::{Action, Cx, Policy, Seen},
    residual::{FOREVER, Kill, Scope, Sentence},
    spec::{Names, Places, SpecError},
};

pub(crate) const ENTRY: Entry = Entry {
    name: "tspu-ech",
    about: "drops TLS and QUIC connections with ECH, a known outer name and an address of its network",
    parameters: &[
        Parameter::new(
            "names",
            Kind::Words,
            "cloudflare-ech.com",
            "outer names that are judged",
            "Niere et al. 2025, in extracts",
        ),
        Parameter::new(
            "to",
            Kind::Words,
            "cdn",
            "networks of servers that are judged",
            "Cloudflare's: the same",
        ),
    ],
    build,
};

#[derive(Debug)]
struct Ech {
    names: Names,
    to: Places,
}

fn build(values: &Values) -> Result<Box<dyn Policy>, SpecError> {
    Ok(Box::new(Ech { names: Names::read(values, "names")?, to: Places::read(values, "to")? }))
}

impl Policy for Ech {
    fn on_packet(&mut self, cx: &mut Cx<'_>, seen: &Seen<'_>, flow: &mut Flow) -> Action {
        if !self.to.contain(flow.world_ip(), cx.geography(), cx.lists()) {
            cx.ignore();
            return Action::Pass;
        }
        if !seen.from_client() {
            return Action::Pass;
        }
        let forbidden = |hello: &ClientHello| {
            hello
                .server_name()
                .filter(|name| hello.ech() && self.names.contain(name, cx.lists()))
                .map(str::to_owned)
        };
        let name = if seen.udp().is_some() {
            seen.quic().and_then(|quic| forbidden(quic.hello()?.client_hello()))
        } else if let Some(joined) = seen.new_hello(Reassembly::Tcp) {
            forbidden(joined.client_hello())
        } else if seen.new_hello(Reassembly::TcpTls).is_some() {
            // The hello lies in several records. This box sees it only when they lie in one segment.
            tls::client_hello(seen.payload(), Defragment::Records)
                .complete()
                .and_then(|hello| forbidden(&hello))
        } else {
            None
        };
        let Some(name) = name else { return Action::Pass };
        let why = Why::new().and("outer_sni", name).and("extension", "encrypted_client_hello");
        Action::Kill(Sentence::new(Scope::Flow, Kill::DropBoth, FOREVER, why))
    }
}

#[cfg(test)]
mod tests {
    use commucat_dissect::{quic::crypto_frame, tls::build::HelloSpec};

    use super::*;
    use crate::testing::{Bench, hello_of, initial_of, records};

    const OUTER: &str = "cloudflare-ech.com";
    const FRONT: &str = "198.51.100.10";

    fn is_dropped(address: &str, parts: &[&[u8]]) -> bool {
        let mut bench = Bench::new("tspu-ech");
        let mut connection = bench.connect(address, 443);
        for part in parts {
            connection.client_says(&mut bench, part);
        }
        connection.world_says(&mut bench, b"hello");
        connection.lost > 0
    }

    #[test]
    fn all_three_conditions_are_needed() {
        let ech = hello_of(HelloSpec::chrome_current(), OUTER);
        assert!(is_dropped(FRONT, &[&ech]));
        assert!(!is_dropped("203.0.113.10", &[&ech]));
        assert!(!is_dropped(FRONT, &[&hello_of(HelloSpec::chrome_current(), "innocent.example")]));
        assert!(!is_dropped(FRONT, &[&hello_of(HelloSpec::curl_like(), OUTER)]));
    }

    #[test]
    fn segments_or_records_do_not_help_but_both_do() {
        let ech = hello_of(HelloSpec::chrome_stale(), OUTER);
        // Small enough for one segment when cut into records.
        let spec = HelloSpec::curl_like()
            .with_extension(tls::build::Extension::EchGrease { aeads: vec![1], payloads: vec![144] });
        let small = hello_of(spec, OUTER);
        let fragmented = records(&small, 100);
        assert!(is_dropped(FRONT, &[&ech[..88], &ech[88..]]));
        assert!(is_dropped(FRONT, &[&fragmented]));
        assert!(!is_dropped(FRONT, &[&fragmented[..88], &fragmented[88..]]));
    }

    #[test]
    fn quic_is_judged_too() {
        let lost = |name: &str| {
            let spec = HelloSpec { session_id: false, ..HelloSpec::curl_like() }
                .with_extension(tls::build::Extension::EchGrease { aeads: vec![1], payloads: vec![144] });
            let message = spec.with_server_name(name).message(7).unwrap();
            let mut bench = Bench::new("tspu-ech");
            let mut flow = bench.datagrams(FRONT, 443);
            flow.client_says(&mut bench, &initial_of(1, &crypto_frame(0, &message)));
            flow.world_says(&mut bench, b"answer");
            flow.lost
        };
        assert_eq!((lost(OUTER), lost("innocent.example")), (2, 0));
    }
}
