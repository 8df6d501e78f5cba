//! `sni-rst-henan`: the box of Henan province (China, August 2023 to 2025), which resets the client alone.
//!
//! It keeps no state and joins nothing: it reads a hello or a request that begins a segment whose TCP header has exactly
//! 20 bytes. Any TCP option evades it, so every client with timestamps passes. Its resets are easy to know: ten bytes of
//! payload `01 02 … 09 00`, IP identification 1, time to live 58. There is no residual. HTTP hosts and TLS names share
//! one list.
//!
//! Known: all of it (Wu et al. 2025, in extracts). Not known: whether it reads a hello that goes on in the next segment;
//! here it does, when the name is in the first.

use commucat_dissect::http;

use super::{Entry, common};
use crate::{
    event::Why,
    flow::Flow,
    hello::Reassembly,
    parameter::{Kind, Parameter, Values},
    policy::{Action, Cx, Policy, Position, Reset, Seen},
    spec::{Names, SpecError},
};

/// Bytes of a TCP header without options.
const PLAIN_HEADER_BYTES: usize = 20;
const PAYLOAD: &[u8] = &[1, 2, 3, 4, 5, 6, 7, 8, 9, 0];
const TTL: u8 = 58;
const IDENTIFICATION: u16 = 1;

pub(crate) const ENTRY: Entry = Entry {
    name: "sni-rst-henan",
    about: "resets the client with a marked packet, if its TCP header has no options; no residual",
    parameters: &[
        common::LIST,
        Parameter::new(
            "http",
            Kind::Flag,
            "true",
            "whether hosts of HTTP requests are judged by the same list",
            "Wu et al. 2025, in extracts",
        ),
        Parameter::new(
            "options",
            Kind::Flag,
            "false",
            "whether segments with TCP options are judged too",
            "false: Wu et al. 2025, in extracts; true lets an ordinary client meet this box",
        ),
    ],
    build,
};

#[derive(Debug)]
struct Henan {
    names: Names,
    http: bool,
    options: bool,
}

fn build(values: &Values) -> Result<Box<dyn Policy>, SpecError> {
    Ok(Box::new(Henan {
        names: Names::read(values, "list")?,
        http: values.flag("http")?,
        options: values.flag("options")?,
    }))
}

impl Policy for Henan {
    fn position(&self) -> Position {
        Position::OnPath
    }

    fn on_packet(&mut self, cx: &mut Cx<'_>, seen: &Seen<'_>, _flow: &mut Flow) -> Action {
        let Some(segment) = seen.tcp().filter(|_| seen.from_client()) else { return Action::Pass };
        if segment.payload.is_empty() || (segment.header_len != PLAIN_HEADER_BYTES && !self.options) {
            return Action::Pass;
        }
        let name = seen.new_hello(Reassembly::None).and_then(|hello| hello.server_name());
        let host = || http::request_head(segment.payload).filter(|_| self.http).and_then(|head| head.host);
        let (kind, Some(name)) = name.map_or_else(|| ("host", host()), |name| ("sni", Some(name))) else {
            return Action::Pass;
        };
        if !self.names.contain(name, cx.lists()) {
            return Action::Pass;
        }
        let mut reset = Reset::client(1);
        (reset.payload, reset.ttl, reset.identification) = (PAYLOAD, TTL, IDENTIFICATION);
        Action::Inject {
            packets: reset.packets(seen, true),
            also_drop: false,
            why: Why::new().and(kind, name).and("tcp_header_bytes", segment.header_len),
        }
    }
}

#[cfg(test)]
mod tests {
    use commucat_dissect::ip;

    use super::*;
    use crate::{
        event::Side,
        testing::{Bench, hello},
    };

    /// Kind 1, twice: no-operation.
    const OPTIONS: &[u8] = &[1, 1, 1, 1];

    #[test]
    fn a_client_without_options_is_reset_by_a_marked_packet() {
        let mut bench = Bench::new("sni-rst-henan");
        let mut victim = bench.connect("198.51.100.10", 443);
        victim.client_says(&mut bench, &hello("blocked.example"));
        assert_eq!((victim.resets_to_client, victim.resets_to_world), (1, 0));
        let injected = bench.injected.pop().unwrap();
        assert_eq!(injected.to, Side::Client);
        let packet = ip::parse(&injected.packet).unwrap();
        let ip::Transport::Tcp(segment) = packet.transport else { panic!() };
        assert_eq!((packet.ttl, packet.identification, segment.payload), (58, 1, PAYLOAD));
        assert!(segment.flags.rst && segment.flags.ack);
    }

    #[test]
    fn options_a_good_name_or_the_next_connection_pass() {
        let mut bench = Bench::new("sni-rst-henan");
        let mut normal = bench.connect("198.51.100.10", 443);
        normal.options = OPTIONS.to_vec();
        normal.client_says(&mut bench, &hello("blocked.example"));
        assert!(normal.is_untouched());
        let mut innocent = bench.connect("198.51.100.10", 443);
        innocent.client_says(&mut bench, &hello("innocent.example"));
        innocent.exchange(&mut bench, 10);
        assert!(innocent.is_untouched());
        let mut victim = bench.connect("198.51.100.10", 443);
        victim.client_says(&mut bench, &hello("blocked.example"));
        let mut next = bench.connect("198.51.100.10", 443);
        next.client_says(&mut bench, &hello("innocent.example"));
        assert!(next.is_untouched());
    }

    #[test]
    fn hosts_of_requests_are_judged_by_the_same_list() {
        let ask = |chain: &str, host: &str| {
            let mut bench = Bench::new(chain);
            let mut connection = bench.connect("198.51.100.10", 80);
            connection.client_says(&mut bench, format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n").as_bytes());
            connection.is_untouched()
        };
        assert!(!ask("sni-rst-henan", "www.blocked.example"));
        assert!(ask("sni-rst-henan", "innocent.example"));
        assert!(ask("sni-rst-henan?http=false", "www.blocked.example"));
    }

    #[test]
    fn an_ordinary_client_can_be_made_a_victim() {
        let mut bench = Bench::new("sni-rst-henan?options=true");
        let mut victim = bench.connect("198.51.100.10", 443);
        victim.options = OPTIONS.to_vec();
        victim.client_says(&mut bench, &hello("blocked.example"));
        assert_eq!(victim.resets_to_client, 1);
    }
}
