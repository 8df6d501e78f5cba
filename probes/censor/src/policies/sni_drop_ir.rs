//! `sni-drop-ir`: one reset to the client, then silence on the same four ports and addresses (Iran, all ports).
//!
//! The box stands in the wire. The hello vanishes, the client gets one RST+ACK, and everything between the same two
//! ports vanishes for 180 s; each packet of the client lets the time begin anew. A new connection from another port is
//! free.
//!
//! Known: the reset, 180 s (up to 5 minutes seen), the renewal (papers, in extracts). From memory: the box does not put
//! segments together, which is why clients there cut their hellos.

use std::time::Duration;

use super::{Entry, common};
use crate::{
    event::Why,
    flow::Flow,
    hello::Reassembly,
    parameter::{Kind, Parameter, Values},
    policy::{Action, Cx, Policy, Reset, Seen},
    residual::{Kill, Scope, Sentence},
    spec::{Names, SpecError},
};

pub(crate) const ENTRY: Entry = Entry {
    name: "sni-drop-ir",
    about: "drops a hello with a listed name, resets the client once, then drops both directions of the 4-tuple",
    parameters: &[
        common::LIST,
        Parameter::new(
            "reassembly",
            common::REASSEMBLY,
            "none",
            "how much the box puts together: none, TCP segments, TCP segments and TLS records",
            "from memory: cut hellos pass in Iran",
        ),
        Parameter::new(
            "residual",
            Kind::Penalty,
            "180s",
            "how long the 4-tuple is silent after the client's last packet",
            "180 s, up to 5 min seen: papers, in extracts",
        ),
        Parameter::new(
            "reset",
            Kind::Flag,
            "true",
            "whether the client gets a reset first",
            "one RST+ACK: papers, in extracts",
        ),
    ],
    build,
};

#[derive(Debug)]
struct SniSilence {
    names: Names,
    reassembly: Reassembly,
    residual: Duration,
    reset: bool,
}

fn build(values: &Values) -> Result<Box<dyn Policy>, SpecError> {
    Ok(Box::new(SniSilence {
        names: Names::read(values, "list")?,
        reassembly: common::reassembly(values)?,
        residual: values.duration("residual")?,
        reset: values.flag("reset")?,
    }))
}

impl Policy for SniSilence {
    fn on_packet(&mut self, cx: &mut Cx<'_>, seen: &Seen<'_>, _flow: &mut Flow) -> Action {
        let Some(hello) = seen.new_hello(self.reassembly) else { return Action::Pass };
        let Some(name) = common::listed(hello, &self.names, cx.lists()) else { return Action::Pass };
        let why = Why::new().and("sni", name).and("port", seen.ports().1);
        let packets = if self.reset { Reset::client(1).packets(seen, false) } else { Vec::new() };
        let sentence = Sentence::new(Scope::FourTuple, Kill::DropBoth, self.residual, why);
        Action::Kill(sentence.refreshed(true).with(packets))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Bench, hello, records};

    #[test]
    fn the_victim_is_reset_once_and_then_silenced() {
        let mut bench = Bench::new("sni-drop-ir?residual=10s");
        let mut victim = bench.connect("198.51.100.10", 8443);
        victim.client_says(&mut bench, &hello("blocked.example"));
        assert_eq!((victim.resets_to_client, victim.resets_to_world, victim.lost), (1, 0, 1));
        assert!(victim.reset_is_believed);
        victim.world_says(&mut bench, b"late answer");
        assert_eq!(victim.lost, 2);
    }

    #[test]
    fn the_silence_is_renewed_by_the_client_and_ends() {
        let mut bench = Bench::new("sni-drop-ir?residual=10s");
        let mut victim = bench.connect("198.51.100.10", 443);
        victim.client_says(&mut bench, &hello("blocked.example"));
        for _try in 0..3 {
            bench.pass(Duration::from_secs(9));
            let before = victim.lost;
            victim.client_says(&mut bench, b"again");
            assert_eq!(victim.lost, before + 1);
        }
        bench.pass(Duration::from_secs(11));
        let before = victim.lost;
        victim.client_says(&mut bench, b"again");
        assert_eq!(victim.lost, before);
    }

    #[test]
    fn other_names_other_ports_and_cut_hellos_pass() {
        let mut bench = Bench::new("sni-drop-ir");
        let mut victim = bench.connect("198.51.100.10", 443);
        victim.client_says(&mut bench, &hello("blocked.example"));
        let mut innocent = bench.connect("198.51.100.10", 443);
        innocent.client_says(&mut bench, &hello("innocent.example"));
        innocent.exchange(&mut bench, 10);
        assert!(innocent.is_untouched());
        let mut cut = bench.connect("198.51.100.10", 443);
        let whole = hello("blocked.example");
        cut.client_says(&mut bench, &whole[..20]);
        cut.client_says(&mut bench, &whole[20..]);
        assert!(cut.is_untouched());
        let mut bench = Bench::new("sni-drop-ir?reassembly=tcp-tls");
        let mut cut = bench.connect("198.51.100.10", 443);
        let fragments = records(&whole, 40);
        cut.client_says(&mut bench, &fragments[..20]);
        cut.client_says(&mut bench, &fragments[20..]);
        assert!(!cut.is_untouched());
    }
}
