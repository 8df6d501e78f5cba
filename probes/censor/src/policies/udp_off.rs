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
