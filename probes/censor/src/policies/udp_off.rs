//! `udp-off`: no UDP but names. Seen in many networks for hours or years: companies, hotels, Iran in 2025.

use super::{Entry, silence::silence};
use crate::{
    event::Why,
    flow::Flow,
    parameter::{Kind, Parameter, Values},
    policy::{Action, Cx, Policy, Seen},
    spec::{Places, SpecError, ports},
};

pub(crate) const ENTRY: Entry = Entry {
    name: "udp-off",
    about: "drops all UDP but port 53",
    parameters: &[
        Parameter {
            name: "ports",
            kind: Kind::Words,
            default: "53",
            about: "UDP ports of servers that pass",
            source: "common practice",
        },
        Parameter {
            name: "to",
            kind: Kind::Words,
            default: "any",
            about: "networks of servers that are judged",
            source: "common practice",
        },
    ],
    build,
};

#[derive(Debug)]
struct UdpOff {
    ports: Vec<u16>,
    to: Places,
}

fn build(values: &Values) -> Result<Box<dyn Policy>, SpecError> {
    Ok(Box::new(UdpOff { ports: ports(values, "ports")?, to: Places::read(values, "to")? }))
}

impl Policy for UdpOff {
    fn on_packet(&mut self, cx: &mut Cx<'_>, _seen: &Seen<'_>, flow: &mut Flow) -> Action {
        let port = flow.world().port();
        let is_judged = !flow.is_tcp()
            && !self.ports.contains(&port)
            && self.to.contain(flow.world_ip(), cx.geography(), cx.lists());
        if is_judged {
            return silence(Why::new().and("port", port));
        }
        cx.ignore();
        Action::Pass
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::{Bench, initial};

    #[test]
    fn quic_vanishes_and_names_and_tcp_pass() {
        let mut bench = Bench::new("udp-off");
        let mut quic = bench.datagrams("198.51.100.10", 443);
        quic.client_says(&mut bench, &initial("innocent.example"));
        quic.world_says(&mut bench, b"late");
        assert_eq!(quic.lost, 2);
        let mut names = bench.datagrams("192.0.2.53", 53);
        names.client_says(&mut bench, b"question");
        names.world_says(&mut bench, b"answer");
        assert_eq!(names.lost, 0);
        let mut tcp = bench.connect("198.51.100.10", 443);
        tcp.exchange(&mut bench, 3);
        assert!(tcp.is_untouched());
    }

    #[test]
    fn where_it_holds_can_be_said() {
        let mut bench = Bench::new("udp-off?to=foreign&ports=53,123");
        for (address, port, passes) in
            [("198.51.100.10", 443, true), ("203.0.113.10", 443, false), ("203.0.113.10", 123, true)]
        {
            let mut flow = bench.datagrams(address, port);
            flow.client_says(&mut bench, b"x");
            assert_eq!(flow.lost == 0, passes, "{address} {port}");
        }
    }
}
