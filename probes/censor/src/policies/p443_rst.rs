//! `p443-rst`: three resets for every SYN and every SYN-ACK of port 443 (China, 20 August 2025, 00:34 to 01:48).
//!
//! No name, no list, no other port: for 74 minutes HTTPS did not work at all. The box stands beside the wire.
//!
//! Known: three RST+ACK with rising time to live and window, for SYN and for SYN-ACK, port 443 only (in extracts).
//! Choice of this lab: they go to the client, who gave up first; the values they start from.

use super::{Entry, common};
use crate::{
    event::Why,
    flow::Flow,
    parameter::{Kind, Parameter, Values},
    policy::{Action, Cx, Policy, Position, Reset, Seen},
    spec::SpecError,
};

const TTL: u8 = 50;
const WINDOW: u16 = 1000;
const WINDOW_STEP: u16 = 7;

pub(crate) const ENTRY: Entry = Entry {
    name: "p443-rst",
    about: "resets every TCP handshake of one port, whatever the address",
    parameters: &[
        Parameter::new(
            "port",
            Kind::Count,
            "443",
            "the server's port, 1 to 65535",
            "in extracts of reports of 2025-08-20",
        ),
        Parameter::new("resets", Kind::Count, "3", "resets for each SYN and SYN-ACK, 1 to 10", "the same"),
    ],
    build,
};

#[derive(Debug)]
struct PortReset {
    port: u16,
    reset: Reset,
}

fn build(values: &Values) -> Result<Box<dyn Policy>, SpecError> {
    let port = values.number("port")?;
    let port = u16::try_from(port).ok().filter(|port| *port > 0);
    let port = port.ok_or_else(|| values.refuse("port", &"0", "a port from 1 to 65535"))?;
    let mut reset = Reset::client(common::small(values, "resets", 1, 10)?);
    (reset.ttl, reset.ttl_step, reset.window, reset.window_step) = (TTL, 1, WINDOW, WINDOW_STEP);
    Ok(Box::new(PortReset { port, reset }))
}

impl Policy for PortReset {
    fn position(&self) -> Position {
        Position::OnPath
    }

    fn on_packet(&mut self, _cx: &mut Cx<'_>, seen: &Seen<'_>, flow: &mut Flow) -> Action {
        let Some(segment) = seen.tcp().filter(|segment| segment.flags.syn) else { return Action::Pass };
        if flow.world().port() != self.port {
            return Action::Pass;
        }
        let kind = if segment.flags.ack { "syn-ack" } else { "syn" };
        Action::Inject {
            packets: self.reset.packets(seen, true),
            also_drop: false,
            why: Why::new().and("port", self.port).and("on", kind),
        }
    }
}

#[cfg(test)]
mod tests {
    use commucat_dissect::ip;

    use crate::testing::Bench;

    #[test]
    fn port_443_is_reset_twice_three_times_and_8443_is_not() {
        let mut bench = Bench::new("p443-rst");
        let victim = bench.connect("203.0.113.10", 443);
        assert_eq!((victim.resets_to_client, victim.resets_to_world), (6, 0));
        let seen: Vec<_> = bench
            .injected
            .iter()
            .map(|injected| {
                let packet = ip::parse(&injected.packet).unwrap();
                let ip::Transport::Tcp(segment) = packet.transport else { panic!() };
                (packet.ttl, segment.window)
            })
            .collect();
        assert_eq!(seen[..3], [(50, 1000), (51, 1007), (52, 1014)]);
        let mut innocent = bench.connect("203.0.113.10", 8443);
        innocent.exchange(&mut bench, 10);
        assert!(innocent.is_untouched());
    }

    #[test]
    fn the_first_reset_answers_the_syn() {
        let mut bench = Bench::new("p443-rst?resets=1");
        let victim = bench.connect("203.0.113.10", 443);
        assert!(victim.reset_is_believed);
        let packet = ip::parse(&bench.injected[0].packet).unwrap();
        let ip::Transport::Tcp(segment) = packet.transport else { panic!() };
        assert_eq!(segment.sequence, 0);
    }
}
