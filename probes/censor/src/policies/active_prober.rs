//! `active-prober`: visits servers that take random-looking traffic, and bans those that answer like a proxy (China).
//!
//! The trigger is the client's first data packet: 160 to 700 bytes that look random and like no known protocol; with
//! `trigger=tls` or `any` also a TLS hello to foreign hosting. The prober is called at once and does the rest by itself:
//! a replay after 0.3 s, then changed replays and random probes from other addresses. When it reports that the server
//! behaves like a proxy, its address and port are banned for everybody.
//!
//! Known: lengths and high entropy call it, the first probe came after 0.28 s (Alice et al. 2020, in an extract). Not
//! known: the measure of entropy and the share of triggers that are followed; here every one, once for a server in
//! `pause`. How long real bans last is not known either.

use std::{net::SocketAddr, time::Duration};

use commucat_dissect::{entropy, fet};

use super::Entry;
use crate::{
    bounded::Bounded,
    event::Why,
    flow::{Flow, Protocol},
    hello::Reassembly,
    parameter::{Kind, Parameter, Values},
    policy::{Action, Cx, Policy, ProbeKind, ProbeOutcome, ProbeRequest, Seen},
    residual::{Kill, Scope, Sentence, Target},
    spec::{Places, SpecError},
};

/// Servers whose last visit is remembered.
const SERVERS_MAX: usize = 16 * 1024;
/// Different values a byte can have.
const BYTE_VALUES: usize = 256;

pub(crate) const ENTRY: Entry = Entry {
    name: "active-prober",
    about: "calls the prober to servers that take random-looking traffic, and bans those that it finds out",
    parameters: &[
        Parameter {
            name: "trigger",
            kind: Kind::Choice(&["random", "tls", "any"]),
            default: "random",
            about: "what calls the prober: random-looking first payloads, TLS hellos, or both",
            source: "Alice et al. 2020 (extract): random; tls is an option of this lab",
        },
        Parameter {
            name: "bytes-min",
            kind: Kind::Bytes,
            default: "160",
            about: "shortest first payload that calls",
            source: "Alice et al. 2020 (extract)",
        },
        Parameter {
            name: "bytes-max",
            kind: Kind::Bytes,
            default: "700",
            about: "longest first payload that calls",
            source: "Alice et al. 2020 (extract)",
        },
        Parameter {
            name: "entropy",
            kind: Kind::Chance,
            default: "0.9",
            about: "least entropy of it, as a part of what that length can have",
            source: "choice of this lab: random bytes of these lengths reach 0.93 and more",
        },
        Parameter {
            name: "p",
            kind: Kind::Chance,
            default: "1",
            about: "share of triggers that are followed",
            source: "choice of this lab; the real share is not known",
        },
        Parameter {
            name: "pause",
            kind: Kind::Penalty,
            default: "600s",
            about: "how long a server is not visited again",
            source: "choice of this lab",
        },
        Parameter {
            name: "probes",
            kind: Kind::Choice(&["battery", "replay"]),
            default: "battery",
            about: "all probes, or the replay alone",
            source: "Alice et al. 2020 (extract): replays and random probes",
        },
        Parameter {
            name: "ban",
            kind: Kind::Penalty,
            default: "24h",
            about: "how long address and port are banned",
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
struct Prober {
    random: bool,
    tls: bool,
    bytes_min: u64,
    bytes_max: u64,
    entropy: f64,
    chance: f64,
    pause: Duration,
    kind: ProbeKind,
    ban: Duration,
    to: Places,
    visited: Bounded<SocketAddr, Duration>,
}

fn build(values: &Values) -> Result<Box<dyn Policy>, SpecError> {
    let trigger = values.choice("trigger")?;
    let (bytes_min, bytes_max) = (values.number("bytes-min")?, values.number("bytes-max")?);
    if bytes_min > bytes_max {
        return Err(values.refuse("bytes-min", &bytes_min, "at most bytes-max").into());
    }
    Ok(Box::new(Prober {
        random: trigger != "tls",
        tls: trigger != "random",
        bytes_min,
        bytes_max,
        entropy: values.chance("entropy")?,
        chance: values.chance("p")?,
        pause: values.duration("pause")?,
        kind: if values.choice("probes")? == "replay" { ProbeKind::Replay } else { ProbeKind::Battery },
        ban: values.duration("ban")?,
        to: Places::read(values, "to")?,
        visited: Bounded::new(SERVERS_MAX),
    }))
}

impl Prober {
    /// Why this first data packet calls the prober.
    fn trigger(&self, payload: &[u8]) -> Option<Why> {
        let length = payload.len() as u64;
        if !self.random
            || !(self.bytes_min..=self.bytes_max).contains(&length)
            || fet::exemption(payload).is_some()
        {
            return None;
        }
        let most = f64::from(u32::try_from(payload.len().min(BYTE_VALUES)).ok()?).log2();
        let share = entropy::shannon_bits(payload) / most.max(1.0);
        let why =
            Why::new().and("trigger", "random").and("payload_bytes", length).and("entropy_share", share);
        (share >= self.entropy).then_some(why)
    }

    fn is_pausing(&mut self, now: Duration, server: SocketAddr) -> bool {
        self.visited.get(&server).is_some_and(|last| now.saturating_sub(*last) < self.pause)
    }
}

impl Policy for Prober {
    fn on_packet(&mut self, cx: &mut Cx<'_>, seen: &Seen<'_>, flow: &mut Flow) -> Action {
        if !flow.is_tcp() || !self.to.contain(flow.world_ip(), cx.geography(), cx.lists()) {
            cx.ignore();
            return Action::Pass;
        }
        let payload = seen.payload();
        if !seen.from_client() || payload.is_empty() {
            return Action::Pass;
        }
        let random = (flow.data_packets().client == 1).then(|| self.trigger(payload)).flatten();
        let hello = seen.new_hello(Reassembly::TcpTls).filter(|_| self.tls);
        if !self.tls || random.is_some() || hello.is_some() {
            cx.ignore();
        }
        let called = random.or_else(|| {
            let name = hello?.server_name().unwrap_or_default();
            Some(Why::new().and("trigger", "tls").and("sni", name))
        });
        let Some(why) = called else { return Action::Pass };
        if self.is_pausing(cx.now(), flow.world()) || !cx.random().chance(self.chance) {
            return Action::Pass;
        }
        self.visited.insert(flow.world(), cx.now());
        Action::Probe(self.kind, why)
    }

    fn on_probe(&mut self, cx: &mut Cx<'_>, request: &ProbeRequest, outcome: &ProbeOutcome) {
        if !outcome.suspicious {
            return;
        }
        let target = Target::Service(Protocol::Tcp, request.target);
        let sentence = Sentence::new(Scope::Service, Kill::DropBoth, self.ban, outcome.why.clone());
        cx.condemn(target, sentence);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use commucat_dissect::ip::TcpFlags;

    use crate::{
        event::{Side, Why},
        judge::Decision,
        policy::{ProbeKind, ProbeOutcome},
        profile::Profile,
        testing::{Bench, hello, random_bytes},
    };

    const BRIDGE: &str = "203.0.113.10";

    fn calls(chain: &str, first: &[u8]) -> usize {
        let mut bench = Bench::new(chain);
        let mut flow = bench.connect(BRIDGE, 8388);
        flow.client_says(&mut bench, first);
        flow.exchange(&mut bench, 3);
        assert!(flow.is_untouched(), "the flow itself passes");
        bench.probes().len()
    }

    #[test]
    fn lengths_from_160_to_700_of_random_bytes_call() {
        for (length, expected) in [(159, 0), (160, 1), (400, 1), (700, 1), (701, 0)] {
            assert_eq!(calls("active-prober", &random_bytes(length)), expected, "{length}");
        }
    }

    #[test]
    fn what_does_not_look_random_does_not_call() {
        let text = b"POST / HTTP/1.1\r\nHost: innocent.example\r\n".repeat(6);
        let one_value = [0x8b_u8; 300];
        for first in [&hello("innocent.example")[..], &text, &one_value] {
            assert_eq!(calls("active-prober", first), 0);
        }
        assert_eq!(calls("active-prober?to=cdn", &random_bytes(300)), 0);
        assert_eq!(calls("active-prober?p=0", &random_bytes(300)), 0);
        assert_eq!(calls("active-prober?trigger=tls", &random_bytes(300)), 0);
        assert_eq!(calls("active-prober?trigger=tls", &hello("innocent.example")), 1);
        assert_eq!(calls("active-prober?trigger=any", &random_bytes(300)), 1);
    }

    #[test]
    fn the_call_bears_target_and_first_flight_and_is_not_repeated_at_once() {
        let mut bench = Bench::new("active-prober?probes=replay&pause=60s");
        for _time in 0..3 {
            let mut flow = bench.connect(BRIDGE, 8388);
            flow.client_says(&mut bench, &random_bytes(300));
        }
        let probes = bench.probes();
        assert_eq!(probes.len(), 1);
        assert_eq!(
            (probes[0].kind, probes[0].target.to_string()),
            (ProbeKind::Replay, format!("{BRIDGE}:8388"))
        );
        assert_eq!(probes[0].first_flight, random_bytes(300));
        bench.pass(Duration::from_secs(60));
        let mut flow = bench.connect(BRIDGE, 8388);
        flow.client_says(&mut bench, &random_bytes(300));
        assert_eq!(bench.probes().len(), 1);
    }

    #[test]
    fn a_server_that_is_found_out_is_banned_and_another_is_not() {
        for (suspicious, lost) in [(true, true), (false, false)] {
            let mut bench = Bench::new("active-prober?ban=1h");
            let mut flow = bench.connect(BRIDGE, 8388);
            flow.client_says(&mut bench, &random_bytes(300));
            let id = bench.probes()[0].id;
            bench.answer_probe(&ProbeOutcome::new(id, suspicious, Why::new().and("r1", "answered")));
            flow.exchange(&mut bench, 1);
            assert_eq!(flow.lost > 0, lost);
            assert_eq!(!bench.connect(BRIDGE, 8388).is_untouched(), lost);
            assert!(bench.connect(BRIDGE, 443).is_untouched(), "another port");
            bench.pass(Duration::from_secs(3590));
            let late = flow.segment(&mut bench, Side::World, TcpFlags::ACK, b"late");
            assert_eq!(late == Decision::Drop, lost, "what the server says vanishes too, until the end");
            bench.pass(Duration::from_secs(11));
            assert!(bench.connect(BRIDGE, 8388).is_untouched());
        }
    }

    #[test]
    fn limits_that_contradict_each_other() {
        let error = Profile::parse("active-prober?bytes-min=800").unwrap_err().to_string();
        assert!(error.contains("at most bytes-max"), "{error}");
    }
}
