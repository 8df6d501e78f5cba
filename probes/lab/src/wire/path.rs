//! The way of a packet, without devices and without a clock: link, censor, link.
//!
//! ```text
//! client ── access link ── censor ── transit link ── world ── prober
//! ```
//! The access link has the rate, the queue, the losses and the jitter, as a person's own line has. The delay is split
//! over both links, so that an answer that the censor forges comes before the true one, as it does in nature. A link
//! that is described once stays true as a whole: its delay is the sum of both.

use std::{net::IpAddr, time::Duration};

use commucat_censor::{Cidr, Decision, Direction, Fate, Link, LinkSpec, ProbeOutcome, Reason, Side};
use serde::Serialize;

use super::{censor::Censor, queue::TimerQueue};

/// A device of the packet loop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Port {
    Client,
    World,
    Prober,
}

/// Where packets come out.
pub(super) trait Output {
    fn deliver(&mut self, to: Port, packet: &[u8]);
}

/// Packets and bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Count {
    /// Packets.
    pub packets: u64,
    /// Their bytes, from the IP header on.
    pub bytes: u64,
}

impl Count {
    const fn add(&mut self, packet: &[u8]) {
        self.packets += 1;
        self.bytes += packet.len() as u64;
    }
}

/// What went through a lab. "Sent" is what left a place, "received" what reached one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Traffic {
    /// Sent by the client.
    pub client_sent: Count,
    /// Received by the client.
    pub client_received: Count,
    /// Sent by the world, to the client and to the prober.
    pub world_sent: Count,
    /// Received by the world, from the client and from the prober.
    pub world_received: Count,
    /// Sent by the prober.
    pub prober_sent: Count,
    /// Received by the prober.
    pub prober_received: Count,
    /// Lost by chance on the link.
    pub lost: Count,
    /// Did not fit into the link's queue.
    pub queue_full: Count,
    /// Dropped by the censor.
    pub dropped: Count,
    /// Forged by the censor.
    pub injected: Count,
    /// Lost because the lab itself could not hold or deliver them. Anything but zero makes a run worthless.
    pub overflow: Count,
}

/// What a waiting packet waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// To reach the censor.
    Judge(Side),
    /// To be let go by the censor.
    Release(Side),
    /// To reach the far end.
    Arrive(Side),
}

/// Both directions of the way between client and world.
#[derive(Debug)]
pub(super) struct Path<C> {
    censor: C,
    links: Links,
    queue: TimerQueue<Stage>,
    buffer: Vec<u8>,
    client_net: Cidr,
    prober_net: Cidr,
    traffic: Traffic,
}

/// The four links, by the side from which a packet comes.
#[derive(Debug)]
struct Links {
    access_up: Link,
    access_down: Link,
    transit_up: Link,
    transit_down: Link,
}

impl Links {
    fn new(spec: &LinkSpec, seed: u64) -> Self {
        let (access, transit) = split(spec);
        Self {
            access_up: Link::new(&access, Direction::Up, seed),
            access_down: Link::new(&access, Direction::Down, seed),
            transit_up: Link::new(&transit, Direction::Up, seed),
            transit_down: Link::new(&transit, Direction::Down, seed),
        }
    }

    const fn before_censor(&mut self, from: Side) -> &mut Link {
        match from {
            Side::Client => &mut self.access_up,
            Side::World => &mut self.transit_down,
        }
    }

    const fn behind_censor(&mut self, to: Side) -> &mut Link {
        match to {
            Side::World => &mut self.transit_up,
            Side::Client => &mut self.access_down,
        }
    }
}

/// The part of a link between client and censor, and the part behind the censor.
fn split(spec: &LinkSpec) -> (LinkSpec, LinkSpec) {
    // Jitter wanders to both sides of the delay, so the part that has the jitter must not be shorter than it.
    let near = (spec.delay / 2).max(spec.jitter.min(spec.delay));
    let access = LinkSpec { delay: near, ..spec.clone() };
    let transit = LinkSpec { delay: spec.delay.saturating_sub(near), ..LinkSpec::default() };
    (access, transit)
}

impl<C: Censor> Path<C> {
    pub(super) fn new(censor: C, link: &LinkSpec, seed: u64, client_net: Cidr, prober_net: Cidr) -> Self {
        Self {
            censor,
            links: Links::new(link, seed),
            queue: TimerQueue::new(),
            buffer: Vec::new(),
            client_net,
            prober_net,
            traffic: Traffic::default(),
        }
    }

    pub(super) const fn traffic(&self) -> &Traffic {
        &self.traffic
    }

    pub(super) const fn censor(&mut self) -> &mut C {
        &mut self.censor
    }

    /// Another censor and another link from now on; packets that are under way arrive. Gives the censor that was, which
    /// has said its last.
    pub(super) fn replace(&mut self, now: Duration, censor: C, link: &LinkSpec, seed: u64) -> C {
        let mut was = std::mem::replace(&mut self.censor, censor);
        was.finish(now);
        self.links = Links::new(link, seed);
        was
    }

    /// A packet left a place. [`Self::handle_timeout`] must have been called for this `now`.
    pub(super) fn handle_input(&mut self, now: Duration, from: Port, packet: &[u8], out: &mut impl Output) {
        match from {
            Port::Client => {
                self.traffic.client_sent.add(packet);
                self.approach(now, Side::Client, packet, out);
            }
            Port::World => {
                self.traffic.world_sent.add(packet);
                if destination(packet).is_some_and(|to| self.prober_net.contains(to)) {
                    self.traffic.prober_received.add(packet);
                    out.deliver(Port::Prober, packet);
                } else {
                    self.approach(now, Side::World, packet, out);
                }
            }
            Port::Prober => {
                self.traffic.prober_sent.add(packet);
                if !destination(packet).is_some_and(|to| self.client_net.contains(to)) {
                    self.traffic.world_received.add(packet);
                    out.deliver(Port::World, packet);
                }
            }
        }
    }

    /// Does all that is due, in the order of time: what was due earlier happens as if it had happened then, however late
    /// this loop was scheduled.
    pub(super) fn handle_timeout(&mut self, now: Duration, out: &mut impl Output) {
        let mut packet = std::mem::take(&mut self.buffer);
        loop {
            self.censor_until(self.queue.first().map_or(now, |due| due.min(now)), out);
            let Some(due) = self.queue.first().filter(|due| *due <= now) else { break };
            let Some(stage) = self.queue.pop(now, &mut packet) else { break };
            match stage {
                Stage::Judge(from) => self.judge(due, from, &packet, out),
                Stage::Release(from) => self.leave(due, from.other(), &packet, out),
                Stage::Arrive(from) => self.arrive(from.other(), &packet, out),
            }
        }
        self.buffer = packet;
    }

    /// Runs the censor's timers up to a time. One that asks again for a time that has passed has to wait for the next
    /// round: it must not stop the packets.
    fn censor_until(&mut self, until: Duration, out: &mut impl Output) {
        let mut last = None;
        while let Some(at) = self.censor.poll_timeout().filter(|at| *at <= until && Some(*at) > last) {
            self.censor.handle_timeout(at);
            self.inject(at, out);
            last = Some(at);
        }
    }

    /// The prober came back.
    pub(super) fn handle_outcome(&mut self, now: Duration, outcome: &ProbeOutcome, out: &mut impl Output) {
        self.censor.handle_outcome(now, outcome);
        self.inject(now, out);
    }

    /// When [`Self::handle_timeout`] has something to do.
    pub(super) fn poll_timeout(&self) -> Option<Duration> {
        match (self.queue.first(), self.censor.poll_timeout()) {
            (Some(one), Some(other)) => Some(one.min(other)),
            (one, other) => one.or(other),
        }
    }

    fn approach(&mut self, now: Duration, from: Side, packet: &[u8], out: &mut impl Output) {
        match self.links.before_censor(from).offer(now, packet.len()) {
            Fate::At(at) if at <= now => self.judge(now, from, packet, out),
            Fate::At(at) => self.wait(at, Stage::Judge(from), packet),
            Fate::Lost(reason) => self.lose(reason, packet),
        }
    }

    fn judge(&mut self, now: Duration, from: Side, packet: &[u8], out: &mut impl Output) {
        match self.censor.handle_packet(now, from, packet) {
            // The packet goes before what is forged because of it: a reset that came first would be out of order.
            Decision::Forward => self.leave(now, from.other(), packet, out),
            Decision::Hold(until) => self.wait(until, Stage::Release(from), packet),
            Decision::Drop => self.traffic.dropped.add(packet),
        }
        self.inject(now, out);
    }

    fn inject(&mut self, now: Duration, out: &mut impl Output) {
        while let Some(injection) = self.censor.poll_inject() {
            self.traffic.injected.add(&injection.packet);
            self.leave(now, injection.to, &injection.packet, out);
        }
    }

    fn leave(&mut self, now: Duration, to: Side, packet: &[u8], out: &mut impl Output) {
        match self.links.behind_censor(to).offer(now, packet.len()) {
            Fate::At(at) if at <= now => self.arrive(to, packet, out),
            Fate::At(at) => self.wait(at, Stage::Arrive(to.other()), packet),
            Fate::Lost(reason) => self.lose(reason, packet),
        }
    }

    fn arrive(&mut self, to: Side, packet: &[u8], out: &mut impl Output) {
        match to {
            Side::Client => {
                self.traffic.client_received.add(packet);
                out.deliver(Port::Client, packet);
            }
            Side::World => {
                self.traffic.world_received.add(packet);
                out.deliver(Port::World, packet);
            }
        }
    }

    fn wait(&mut self, at: Duration, stage: Stage, packet: &[u8]) {
        if self.queue.push(at, stage, packet).is_err() {
            self.traffic.overflow.add(packet);
        }
    }

    const fn lose(&mut self, reason: Reason, packet: &[u8]) {
        match reason {
            Reason::Chance => self.traffic.lost.add(packet),
            Reason::QueueFull => self.traffic.queue_full.add(packet),
            _more_than_the_lab_holds => self.traffic.overflow.add(packet),
        }
    }
}

/// The receiver in an IP header; nothing is checked but that it is there.
fn destination(packet: &[u8]) -> Option<IpAddr> {
    match packet.first()? >> 4 {
        4 => <[u8; 4]>::try_from(packet.get(16..20)?).ok().map(IpAddr::from),
        6 => <[u8; 16]>::try_from(packet.get(24..40)?).ok().map(IpAddr::from),
        _neither => None,
    }
}

#[cfg(test)]
mod tests;
