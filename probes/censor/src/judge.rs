//! The judge: takes each packet that crosses, and says whether it passes. No socket, no clock: packets and time come in
//! as arguments, and the same packets at the same times with the same seed give the same decisions and events.
//!
//! How to drive it: [`Judge::handle_packet`] for each packet, [`Judge::handle_timeout`] when [`Judge::poll_timeout`] is
//! reached; after each of them take everything from [`Judge::poll_inject`], [`Judge::poll_event`] and
//! [`Judge::poll_probe`]. Everything that waits there is bounded; what is not taken in time is lost and counted in
//! [`Judge::stats`].
//!
//! Order of things for a packet: its flow is found and its counters move; what is known of the stream grows; then each
//! policy in the order of the chain applies the sentence it passed earlier, if one stands, or looks at the packet. The
//! first that makes the packet vanish, or passes a sentence, ends the chain.

use std::{net::IpAddr, time::Duration};

use commucat_dissect::ip::{self, Packet, Transport};

use crate::{
    event::{Event, Side},
    flow::{FlowKey, FlowTable, Protocol},
    geography::Geography,
    lists::Lists,
    policies,
    policy::{Injection, Policy, ProbeOutcome, ProbeRequest, Seen},
    profile::Profile,
    spec::{CHAIN_LENGTH_MAX, PolicySpec, SpecError},
};

mod carry;
mod chain;
mod outbox;
mod recorder;
#[cfg(test)]
mod tests;
mod track;

use chain::Chain;

/// How often what expired is swept out.
const SWEEP_EVERY: Duration = Duration::from_secs(1);

/// The largest time scale.
const TIME_SCALE_MAX: f64 = 1000.0;

/// What is to happen to a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums, reason = "a packet goes on, waits or vanishes")]
pub enum Decision {
    /// It goes on.
    Forward,
    /// It goes on at that time.
    Hold(Duration),
    /// It vanishes.
    Drop,
}

/// Counts since the judge began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct Stats {
    /// Packets judged.
    pub packets: u64,
    /// Of them, dropped.
    pub dropped: u64,
    /// Of them, held back.
    pub held: u64,
    /// Of them, not IP.
    pub malformed: u64,
    /// Of them, belonging to no flow.
    pub strays: u64,
    /// Forged packets sent.
    pub injected: u64,
    /// Flows remembered now.
    pub flows: u64,
    /// Flows forgotten because the table was full.
    pub flows_evicted: u64,
    /// Packets whose event line was lost because nobody took the lines.
    pub events_lost: u64,
    /// Forged packets lost because nobody took them.
    pub injections_lost: u64,
    /// Calls of the prober lost because nobody took them.
    pub probes_lost: u64,
    /// Side effects of policies lost because one call made too many.
    pub effects_lost: u64,
}

/// A censor.
#[derive(Debug)]
pub struct Judge {
    chain: Chain,
    flows: FlowTable,
    stats: Stats,
    sweep_at: Option<Duration>,
}

impl Judge {
    /// The censor of a profile. `time_scale` multiplies every penalty and window that the profile leaves at its
    /// default: with 0.01, 180 s become 1.8 s.
    ///
    /// # Errors
    /// An unknown policy or parameter, a value that does not fit, or a time scale that is no positive number.
    pub fn new(
        profile: &Profile,
        geography: &Geography,
        lists: &Lists,
        seed: u64,
        time_scale: f64,
    ) -> Result<Self, SpecError> {
        Self::from_specs(&profile.policies, geography, lists, seed, time_scale)
    }

    /// The censor with this chain of policies.
    ///
    /// # Errors
    /// Like [`Judge::new`].
    pub fn from_specs(
        specs: &[PolicySpec],
        geography: &Geography,
        lists: &Lists,
        seed: u64,
        time_scale: f64,
    ) -> Result<Self, SpecError> {
        if !(time_scale > 0.0 && time_scale <= TIME_SCALE_MAX) {
            return Err(SpecError::TimeScale(time_scale));
        }
        if specs.len() > CHAIN_LENGTH_MAX {
            return Err(SpecError::TooLarge { limit: CHAIN_LENGTH_MAX, unit: "policies" });
        }
        let policies =
            specs.iter().map(|spec| policies::build(spec, time_scale)).collect::<Result<_, _>>()?;
        Ok(Self::of(policies, geography, lists, seed))
    }

    fn of(
        policies: Vec<(&'static str, Box<dyn Policy>)>,
        geography: &Geography,
        lists: &Lists,
        seed: u64,
    ) -> Self {
        Self {
            chain: Chain::new(policies, geography.clone(), lists.clone(), seed),
            flows: FlowTable::new(),
            stats: Stats::default(),
            sweep_at: None,
        }
    }

    /// Judges a packet that came from that side. `now` is the time since the judge began and never goes back.
    pub fn handle_packet(&mut self, now: Duration, from: Side, packet: &[u8]) -> Decision {
        if self.poll_timeout().is_some_and(|due| due <= now) {
            self.handle_timeout(now);
        }
        self.stats.packets += 1;
        let decision = match ip::parse(packet) {
            Ok(parsed) => self.judge(now, from, &parsed),
            Err(error) => {
                self.stats.malformed += 1;
                self.chain.record_malformed(now, from, packet.len(), error);
                Decision::Drop
            }
        };
        self.sweep_at.get_or_insert(now + SWEEP_EVERY);
        match decision {
            Decision::Forward => {}
            Decision::Hold(_) => self.stats.held += 1,
            Decision::Drop => self.stats.dropped += 1,
        }
        decision
    }

    /// Lets everything happen whose time has come.
    pub fn handle_timeout(&mut self, now: Duration) {
        self.chain.advance(now);
        if self.sweep_at.is_none_or(|at| at > now) {
            return;
        }
        let mut next = None;
        while let Some(over) = self.flows.take_idle(now, &mut next) {
            self.chain.flow_over(now, &over);
            if next.is_none() {
                break;
            }
        }
        let something_left = self.chain.sweep(now) || self.flows.len() > 0;
        self.sweep_at = something_left.then(|| now + SWEEP_EVERY);
    }

    /// When [`Judge::handle_timeout`] is next needed.
    pub fn poll_timeout(&self) -> Option<Duration> {
        match (self.chain.next_at(), self.sweep_at) {
            (Some(one), Some(other)) => Some(one.min(other)),
            (one, other) => one.or(other),
        }
    }

    /// A forged packet to send now.
    pub fn poll_inject(&mut self) -> Option<Injection> {
        self.chain.poll_inject()
    }

    /// The next event line.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.chain.poll_event()
    }

    /// A call of the active prober.
    pub fn poll_probe(&mut self) -> Option<ProbeRequest> {
        self.chain.poll_probe()
    }

    /// What the prober found. An id that nobody asked for, or that was answered already, is ignored.
    pub fn handle_probe(&mut self, now: Duration, outcome: &ProbeOutcome) {
        self.chain.handle_probe(now, outcome);
    }

    /// Ends every flow, so that policies say what they still know, and writes every line that was still being counted.
    /// Call it once, at the end, and then take the last events.
    pub fn finish(&mut self, now: Duration) {
        while let Some(over) = self.flows.take_any() {
            self.chain.flow_over(now, &over);
        }
        self.chain.finish();
    }

    /// Counts since the judge began.
    pub fn stats(&self) -> Stats {
        let mut stats = self.stats;
        stats.flows = self.flows.len() as u64;
        self.chain.add_stats(&mut stats);
        stats
    }

    /// The names of the policies, in the order of the chain.
    pub fn policies(&self) -> impl Iterator<Item = &'static str> + '_ {
        self.chain.names()
    }

    fn judge(&mut self, now: Duration, from: Side, packet: &Packet<'_>) -> Decision {
        let (protocol, ports, opens) = match &packet.transport {
            Transport::Tcp(tcp) => (
                Protocol::Tcp,
                (tcp.source_port, tcp.destination_port),
                (tcp.flags.syn && !tcp.flags.ack && !tcp.flags.rst).then_some(tcp.sequence),
            ),
            Transport::Udp(udp) => (Protocol::Udp, (udp.source_port, udp.destination_port), None),
            Transport::Icmp(_) | Transport::Fragment | Transport::Other(_) => {
                self.stats.strays += 1;
                return self.chain.judge_stray(now, &Seen::stray(from, *packet), ends(from, packet));
            }
        };
        let key = FlowKey::new(
            protocol,
            from,
            (packet.source, ports.0).into(),
            (packet.destination, ports.1).into(),
        );
        if let Some(over) = self.flows.take_if_over(&key, now, from, opens) {
            self.chain.flow_over(now, &over);
        }
        if !self.flows.contains(&key)
            && let Some(left) = self.flows.open(key, track::opener(from, packet), now)
        {
            self.stats.flows_evicted += 1;
            self.chain.flow_over(now, &left);
        }
        let Some((flow, room)) = self.flows.get(&key) else { return Decision::Forward };
        let hellos = flow.see(now, from, packet, room);
        self.chain.judge(now, &Seen::of_flow(from, *packet, hellos), flow)
    }
}

/// The client's address and the world's.
const fn ends(from: Side, packet: &Packet<'_>) -> (IpAddr, IpAddr) {
    match from {
        Side::Client => (packet.source, packet.destination),
        Side::World => (packet.destination, packet.source),
    }
}
