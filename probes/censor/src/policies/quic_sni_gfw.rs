//! `quic-sni-gfw`: opens the first datagram of a UDP flow as a QUIC Initial, and drops what follows when a listed name
//! stands in it (China, since 7 April 2024).
//!
//! Anybody can derive the keys of an Initial of version 1. The box looks at datagrams of the client whose source port is
//! greater than the destination port, and only at the first of a flow, which it remembers for 60 s: any other datagram
//! sent first exempts the flow. It joins nothing: neither CRYPTO frames nor datagrams. When it acts, the datagram that
//! caused it has passed already; from then on what the client sends to the same address and port is dropped for 180 s.
//!
//! So these pass: version 2, an Initial whose bytes are not all there, a hello cut into CRYPTO frames or behind PING or
//! PADDING frames, ECH with an innocent outer name, a server port above the client's.
//!
//! Known: all of that (gfw-report/usenixsecurity25-quic-sni, read). Its `how-fast-gfw-blocks` shows 70 to 430 ms from the
//! hello to the block, 120 ms in the middle: parameter `reaction`, which is zero here so that a fast lab still shows the
//! block. Not known: whether a hello that goes on in the next datagram is read when the name is in the first; here it is
//! (`partial`). Not modelled: a CRYPTO frame of length zero with data behind it, which is blocked; and the weaker blocking
//! by day.

use std::{collections::VecDeque, time::Duration};

use super::{Entry, common};
use crate::{
    event::Why,
    flow::{Flow, PerFlow},
    hello::QuicHello,
    parameter::{Kind, Parameter, Values},
    policy::{Action, Cx, Policy, Seen},
    residual::{Kill, Scope, Sentence, Target},
    spec::{Names, SpecError},
};

/// The lowest QUIC version that is read, and the only one.
const VERSION: u32 = commucat_dissect::quic::VERSION_1;
/// Sentences that wait for the reaction time.
const PENDING_MAX: usize = 1024;
/// The type of a CRYPTO frame (RFC 9000 §19.6).
const CRYPTO: u64 = 6;

pub(crate) const ENTRY: Entry = Entry {
    name: "quic-sni-gfw",
    about: "decrypts the first QUIC Initial of a flow, and drops the client's datagrams to a service with a listed name",
    parameters: &[
        common::LIST,
        Parameter::new(
            "residual",
            Kind::Penalty,
            "180s",
            "how long the client's datagrams to that address and port are dropped",
            "gfw-report/usenixsecurity25-quic-sni, read",
        ),
        Parameter::new(
            "ports",
            Kind::Choice(&["greater", "any"]),
            "greater",
            "`greater`: only datagrams whose source port is above the destination port are read",
            "the same; it says both > and ≥, here >",
        ),
        Parameter::new(
            "flow-state",
            Kind::Penalty,
            "60s",
            "how long a flow is remembered after its last datagram; only the first datagram is read",
            "the same: flow-tracking-time",
        ),
        Parameter::new(
            "reaction",
            Kind::Time,
            "0s",
            "time from the hello to the block",
            "measured 70 to 430 ms (the same: how-fast-gfw-blocks); zero is a choice of this lab",
        ),
        Parameter::new(
            "partial",
            Kind::Flag,
            "true",
            "whether a name is read out of a hello that goes on in the next datagram",
            "choice of this lab: not measured",
        ),
    ],
    build,
};

#[derive(Debug)]
struct QuicSni {
    names: Names,
    residual: Duration,
    any_port: bool,
    flow_state: Duration,
    reaction: Duration,
    partial: bool,
    last: PerFlow<Option<Duration>>,
    pending: VecDeque<(Duration, Target, Sentence)>,
}

fn build(values: &Values) -> Result<Box<dyn Policy>, SpecError> {
    Ok(Box::new(QuicSni {
        names: Names::read(values, "list")?,
        residual: values.duration("residual")?,
        any_port: values.choice("ports")? == "any",
        flow_state: values.duration("flow-state")?,
        reaction: values.duration("reaction")?,
        partial: values.flag("partial")?,
        last: PerFlow::default(),
        pending: VecDeque::new(),
    }))
}

impl Policy for QuicSni {
    fn on_packet(&mut self, cx: &mut Cx<'_>, seen: &Seen<'_>, flow: &mut Flow) -> Action {
        if seen.udp().is_none() {
            cx.ignore();
            return Action::Pass;
        }
        let before = self.last.of(flow).replace(cx.now());
        let is_first = before.is_none_or(|last| cx.now().saturating_sub(last) > self.flow_state);
        let (source, destination) = seen.ports();
        if !is_first || !seen.from_client() || !(self.any_port || source > destination) {
            return Action::Pass;
        }
        let Some(quic) = seen.quic() else { return Action::Pass };
        let Some(name) = self.name(quic).filter(|name| self.names.contain(name, cx.lists())) else {
            return Action::Pass;
        };
        let why = Why::new().and("sni", name).and("source_port", source).and("destination_port", destination);
        let sentence =
            Sentence::new(Scope::ThreeTuple, Kill::DropOutbound, self.residual, why).trigger_passes(true);
        if self.reaction.is_zero() {
            return Action::Kill(sentence);
        }
        if self.pending.len() < PENDING_MAX {
            let at = cx.now().saturating_add(self.reaction);
            self.pending.push_back((at, Target::of(sentence.scope, flow), sentence));
            cx.wake_at(at);
        }
        Action::Pass
    }

    fn on_tick(&mut self, cx: &mut Cx<'_>) {
        while self.pending.front().is_some_and(|(at, ..)| *at <= cx.now()) {
            if let Some((_at, target, sentence)) = self.pending.pop_front() {
                cx.condemn(target, sentence);
            }
        }
        if let Some((at, ..)) = self.pending.front() {
            cx.wake_at(*at);
        }
    }

    fn on_flow_end(&mut self, _cx: &mut Cx<'_>, flow: &Flow) {
        self.last.forget(flow);
    }
}

impl QuicSni {
    /// The name as this box finds it: in the one CRYPTO frame, which comes first and begins the hello.
    fn name(&self, quic: &QuicHello) -> Option<String> {
        let initial = quic.initial();
        let [crypto] = initial.crypto.as_slice() else { return None };
        if initial.version != VERSION || initial.first_frame != Some(CRYPTO) || crypto.offset != 0 {
            return None;
        }
        if let Some(hello) = quic.hello() {
            return hello.server_name().map(str::to_owned);
        }
        let hello = initial.client_hello_prefix().filter(|_| self.partial)?;
        hello.server_name().map(str::to_ascii_lowercase)
    }
}

#[cfg(test)]
mod tests {
    use commucat_dissect::quic::{VERSION_2, crypto_frame};

    use super::*;
    use crate::testing::{Bench, Datagrams, initial, initial_of, quic_hello, random_bytes};

    const PADDING: &[u8] = &[0];
    const PING: &[u8] = &[1];

    /// Whether a flow that begins with this datagram is cut off.
    fn is_blocked(first: &[u8]) -> bool {
        let mut bench = Bench::new("quic-sni-gfw");
        let mut flow = bench.datagrams("198.51.100.10", 443);
        flow.client_says(&mut bench, first);
        goes_on(&mut bench, &mut flow)
    }

    fn goes_on(bench: &mut Bench, flow: &mut Datagrams) -> bool {
        let before = flow.lost;
        flow.world_says(bench, &[0x40; 1200]);
        flow.client_says(bench, &[0x40; 50]);
        flow.lost > before
    }

    #[test]
    fn a_listed_name_is_cut_off_after_the_first_datagram() {
        let mut bench = Bench::new("quic-sni-gfw");
        let mut victim = bench.datagrams("198.51.100.10", 443);
        victim.client_says(&mut bench, &initial("blocked.example"));
        assert_eq!(victim.lost, 0);
        victim.world_says(&mut bench, &[0xc0; 1200]);
        assert_eq!(victim.lost, 0);
        victim.client_says(&mut bench, &[0x40; 50]);
        assert_eq!(victim.lost, 1);
        let events = bench.events();
        assert_eq!(events[0].because("sni").unwrap(), "blocked.example");
        assert!(!is_blocked(&initial("innocent.example")));
    }

    #[test]
    fn the_residual_is_for_client_address_and_port_and_ends() {
        let mut bench = Bench::new("quic-sni-gfw?residual=10s");
        bench.datagrams("198.51.100.10", 443).client_says(&mut bench, &initial("blocked.example"));
        let lost = |bench: &mut Bench, address: &str, port: u16| {
            let mut flow = bench.datagrams(address, port);
            flow.client_says(bench, &initial("innocent.example"));
            flow.lost
        };
        assert_eq!(lost(&mut bench, "198.51.100.10", 443), 1);
        assert_eq!(lost(&mut bench, "198.51.100.10", 444), 0);
        assert_eq!(lost(&mut bench, "198.51.100.11", 443), 0);
        bench.pass(Duration::from_secs(11));
        assert_eq!(lost(&mut bench, "198.51.100.10", 443), 0);
    }

    #[test]
    fn what_the_box_cannot_read_passes() {
        let message = quic_hello("blocked.example");
        let (head, tail) = message.split_at(60);
        let crypto = crypto_frame(0, &message);
        let pieces =
            [crypto_frame(60, tail), PING.to_vec(), PADDING.to_vec(), crypto_frame(0, head)].concat();
        let behind = |leading: &[u8]| initial_of(VERSION, &[leading, &crypto].concat());
        let mut cut = initial("blocked.example");
        cut.pop();
        assert!(is_blocked(&initial_of(VERSION, &crypto)));
        for (what, datagram) in [
            ("version 2", initial_of(VERSION_2, &crypto)),
            ("pieces", initial_of(VERSION, &pieces)),
            ("behind pings", behind(&[1, 0, 1, 0])),
            ("a byte is missing", cut),
            ("the second half", initial_of(VERSION, &crypto_frame(60, tail))),
        ] {
            assert!(!is_blocked(&datagram), "{what}");
        }
    }

    #[test]
    fn a_hello_over_two_datagrams_is_read_only_as_far_as_the_first() {
        let message = quic_hello("blocked.example");
        let name_at = message.windows(7).position(|part| part == b"blocked").unwrap();
        let with_name = initial_of(VERSION, &crypto_frame(0, &message[..name_at + 20]));
        let without = initial_of(VERSION, &crypto_frame(0, &message[..name_at + 3]));
        assert!(is_blocked(&with_name));
        assert!(!is_blocked(&without));
        let mut bench = Bench::new("quic-sni-gfw?partial=false");
        let mut flow = bench.datagrams("198.51.100.10", 443);
        flow.client_says(&mut bench, &with_name);
        assert!(!goes_on(&mut bench, &mut flow));
    }

    #[test]
    fn only_the_first_datagram_counts_until_the_flow_is_forgotten() {
        let mut bench = Bench::new("quic-sni-gfw");
        let mut flow = bench.datagrams("198.51.100.10", 443);
        flow.client_says(&mut bench, &random_bytes(20));
        flow.client_says(&mut bench, &initial("blocked.example"));
        assert!(!goes_on(&mut bench, &mut flow));
        bench.pass(Duration::from_secs(59));
        flow.client_says(&mut bench, &initial("blocked.example"));
        assert!(!goes_on(&mut bench, &mut flow));
        bench.pass(Duration::from_secs(61));
        flow.client_says(&mut bench, &initial("blocked.example"));
        assert!(goes_on(&mut bench, &mut flow));
    }

    #[test]
    fn the_port_rule() {
        for (chain, source, destination, blocked) in [
            ("quic-sni-gfw", 5000, 4999, true),
            ("quic-sni-gfw", 5000, 5000, false),
            ("quic-sni-gfw", 5000, 5001, false),
            ("quic-sni-gfw?ports=any", 5000, 5001, true),
        ] {
            let mut bench = Bench::new(chain);
            let mut flow = Datagrams::new(source, "198.51.100.10", destination);
            flow.client_says(&mut bench, &initial("blocked.example"));
            assert_eq!(goes_on(&mut bench, &mut flow), blocked, "{source} {destination}");
        }
    }

    #[test]
    fn the_block_may_come_later() {
        let mut bench = Bench::new("quic-sni-gfw?reaction=120ms");
        let mut flow = bench.datagrams("198.51.100.10", 443);
        flow.client_says(&mut bench, &initial("blocked.example"));
        bench.pass(Duration::from_millis(100));
        assert!(!goes_on(&mut bench, &mut flow));
        bench.pass(Duration::from_millis(30));
        assert!(goes_on(&mut bench, &mut flow));
    }
}
