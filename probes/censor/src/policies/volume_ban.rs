//! `volume-ban`: bans every foreign address with much traffic, whatever it speaks (Turkmenistan; Iran's largest mobile
//! network in proportion to connections).
//!
//! Bytes of both directions and connections of all clients count, per server's address, in windows of `window`. At the
//! limit the address is banned: nothing passes to or from it.
//!
//! Known from field reports only (net4people/bbs 523): bans after 20 to 150 GB, for hours to weeks. The defaults are far
//! smaller, so that a lab can reach them; the ban of a day and the window are guesses.

use std::{net::IpAddr, time::Duration};

use super::Entry;
use crate::{
    bounded::Bounded,
    event::Why,
    flow::{Flow, PerFlow},
    parameter::{Kind, Parameter, Values},
    policy::{Action, Cx, Policy, Seen},
    residual::{Kill, Scope, Sentence},
    spec::{Places, SpecError},
};

/// Addresses that are counted; the one that was not used for longest is forgotten first.
const ADDRESSES_MAX: usize = 64 * 1024;

pub(crate) const ENTRY: Entry = Entry {
    name: "volume-ban",
    about: "bans foreign addresses with much traffic or many connections",
    parameters: &[
        Parameter {
            name: "bytes",
            kind: Kind::Bytes,
            default: "1GB",
            about: "IP bytes of both directions that pass in a window; 0 does not count them",
            source: "scaled; net4people/bbs 523: 20 to 150 GB",
        },
        Parameter {
            name: "conns",
            kind: Kind::Count,
            default: "200",
            about: "flows that pass in a window; 0 does not count them",
            source: "choice of this lab",
        },
        Parameter {
            name: "window",
            kind: Kind::Penalty,
            default: "24h",
            about: "how long traffic is added up",
            source: "choice of this lab",
        },
        Parameter {
            name: "ban",
            kind: Kind::Penalty,
            default: "24h",
            about: "how long an address is banned",
            source: "net4people/bbs 523: hours to weeks",
        },
        Parameter {
            name: "to",
            kind: Kind::Words,
            default: "foreign",
            about: "networks of servers that are judged",
            source: "net4people/bbs 523: any foreign address",
        },
    ],
    build,
};

#[derive(Clone, Copy, Debug)]
struct Usage {
    since: Duration,
    bytes: u64,
    flows: u64,
}

#[derive(Debug)]
struct VolumeBan {
    bytes: u64,
    flows: u64,
    window: Duration,
    ban: Duration,
    to: Places,
    used: Bounded<IpAddr, Usage>,
    counted: PerFlow<bool>,
}

fn build(values: &Values) -> Result<Box<dyn Policy>, SpecError> {
    Ok(Box::new(VolumeBan {
        bytes: values.number("bytes")?,
        flows: values.number("conns")?,
        window: values.duration("window")?,
        ban: values.duration("ban")?,
        to: Places::read(values, "to")?,
        used: Bounded::new(ADDRESSES_MAX),
        counted: PerFlow::default(),
    }))
}

impl VolumeBan {
    fn add(&mut self, now: Duration, flow: &Flow, packet_bytes: usize) -> Usage {
        let is_new = !std::mem::replace(self.counted.of(flow), true);
        let address = flow.world_ip();
        let known = self.used.get(&address).filter(|used| now.saturating_sub(used.since) < self.window);
        let mut used = known.copied().unwrap_or(Usage { since: now, bytes: 0, flows: 0 });
        used.bytes = used.bytes.saturating_add(packet_bytes as u64);
        used.flows = used.flows.saturating_add(u64::from(is_new));
        self.used.insert(address, used);
        used
    }
}

impl Policy for VolumeBan {
    fn on_packet(&mut self, cx: &mut Cx<'_>, seen: &Seen<'_>, flow: &mut Flow) -> Action {
        if !self.to.contain(flow.world_ip(), cx.geography(), cx.lists()) {
            cx.ignore();
            return Action::Pass;
        }
        let used = self.add(cx.now(), flow, seen.len());
        let is_over = |limit: u64, used: u64| limit > 0 && used > limit;
        if !is_over(self.bytes, used.bytes) && !is_over(self.flows, used.flows) {
            return Action::Pass;
        }
        self.used.remove(&flow.world_ip());
        let why = Why::new()
            .and("bytes", used.bytes)
            .and("bytes_limit", self.bytes)
            .and("conns", used.flows)
            .and("conns_limit", self.flows);
        Action::Kill(Sentence::new(Scope::Address, Kill::DropBoth, self.ban, why))
    }

    fn on_flow_end(&mut self, _cx: &mut Cx<'_>, flow: &Flow) {
        self.counted.forget(flow);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use crate::testing::{Bench, random_bytes};

    const BRIDGE: &str = "203.0.113.10";
    const OTHER: &str = "203.0.113.11";

    #[test]
    fn the_200th_connection_passes_and_the_201st_bans_the_address() {
        let mut bench = Bench::new("volume-ban");
        for _time in 0..200 {
            let mut one = bench.connect(BRIDGE, 443);
            assert!(one.is_untouched());
            one.close(&mut bench);
        }
        assert!(!bench.connect(BRIDGE, 443).is_untouched());
        assert!(!bench.connect(BRIDGE, 8443).is_untouched(), "every port");
        assert!(bench.connect(OTHER, 443).is_untouched());
        bench.pass(Duration::from_secs(24 * 3600));
        assert!(bench.connect(BRIDGE, 443).is_untouched());
    }

    #[test]
    fn bytes_ban_too_whatever_they_are() {
        // A UDP datagram of 972 bytes is an IP packet of 1,000.
        let mut bench = Bench::new("volume-ban?bytes=100000B");
        let mut flow = bench.datagrams(BRIDGE, 443);
        for _packet in 0..50 {
            flow.client_says(&mut bench, &random_bytes(972));
            flow.world_says(&mut bench, &random_bytes(972));
        }
        assert_eq!(flow.lost, 0);
        flow.world_says(&mut bench, b"x");
        assert_eq!(flow.lost, 1);
        let event = &bench.events()[0];
        assert_eq!(event.because("bytes").and_then(|bytes| bytes.as_u64()), Some(100_029));
    }

    #[test]
    fn zero_counts_nothing() {
        let mut bench = Bench::new("volume-ban?conns=0&bytes=0B");
        for _time in 0..300 {
            assert!(bench.connect(BRIDGE, 443).is_untouched());
        }
    }

    #[test]
    fn spread_over_addresses_or_time_nothing_is_banned() {
        let mut bench = Bench::new("volume-ban?conns=20&window=1h");
        for time in 0..30 {
            for address in [BRIDGE, OTHER, "203.0.113.12"] {
                let mut one = bench.connect(address, 443);
                assert!(one.is_untouched(), "{time}");
                one.close(&mut bench);
            }
            bench.pass(Duration::from_secs(200));
        }
        for _time in 0..300 {
            assert!(bench.connect("198.51.100.10", 443).is_untouched(), "a CDN is not judged");
        }
    }
}
