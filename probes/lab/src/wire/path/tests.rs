//! Packets through a path with a censor that does what a script says.

use std::collections::VecDeque;

use commucat_censor::{Geography, Injection};

use super::*;

/// Answers each packet with the next ruling, and injects what stands beside it.
#[derive(Debug, Default)]
struct Script {
    rulings: VecDeque<(Decision, Vec<Injection>)>,
    seen: Vec<(Duration, Side, Vec<u8>)>,
    injections: VecDeque<Injection>,
    timers: VecDeque<Duration>,
    fired: Vec<Duration>,
}

impl Censor for Script {
    fn handle_packet(&mut self, now: Duration, from: Side, packet: &[u8]) -> Decision {
        self.seen.push((now, from, packet.to_vec()));
        let (ruling, injections) = self.rulings.pop_front().unwrap_or((Decision::Forward, Vec::new()));
        self.injections.extend(injections);
        ruling
    }

    fn handle_timeout(&mut self, now: Duration) {
        self.fired.push(now);
        self.timers.pop_front();
    }

    fn handle_outcome(&mut self, _now: Duration, _outcome: &ProbeOutcome) {}

    fn finish(&mut self, _now: Duration) {}

    fn poll_timeout(&self) -> Option<Duration> {
        self.timers.front().copied()
    }

    fn poll_inject(&mut self) -> Option<Injection> {
        self.injections.pop_front()
    }
}

#[derive(Debug, Default)]
struct Out(Vec<(Port, Vec<u8>)>);

impl Output for Out {
    fn deliver(&mut self, to: Port, packet: &[u8]) {
        self.0.push((to, packet.to_vec()));
    }
}

impl Out {
    fn take(&mut self) -> Vec<(Port, u8)> {
        self.0.drain(..).map(|(port, packet)| (port, packet[20])).collect()
    }
}

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// An IPv4 header as far as the path reads it, and a mark.
fn packet(to: [u8; 4], mark: u8) -> Vec<u8> {
    let mut bytes = vec![0x45; 21];
    bytes[16..20].copy_from_slice(&to);
    bytes[20] = mark;
    bytes
}

const CLIENT: [u8; 4] = [10, 73, 0, 2];
const WORLD: [u8; 4] = [203, 0, 113, 10];
const PROBER: [u8; 4] = [198, 19, 0, 9];

fn path(script: Script, link: &str) -> Path<Script> {
    let plan = Geography::default();
    Path::new(script, &LinkSpec::parse(link).unwrap(), 1, plan.client, plan.prober)
}

#[test]
fn a_clear_link_passes_at_once_and_the_prober_goes_round_the_censor() {
    let (mut path, mut out) = (path(Script::default(), "link"), Out::default());
    path.handle_input(ms(1), Port::Client, &packet(WORLD, 1), &mut out);
    path.handle_input(ms(1), Port::World, &packet(CLIENT, 2), &mut out);
    path.handle_input(ms(1), Port::Prober, &packet(WORLD, 3), &mut out);
    path.handle_input(ms(1), Port::World, &packet(PROBER, 4), &mut out);
    path.handle_input(ms(1), Port::Prober, &packet(CLIENT, 5), &mut out);
    let want = [(Port::World, 1), (Port::Client, 2), (Port::World, 3), (Port::Prober, 4)];
    assert_eq!(out.take(), want);
    assert_eq!(path.censor.seen.len(), 2, "the prober's packets are not the censor's");
    assert_eq!(path.poll_timeout(), None);
}

#[test]
fn the_censor_stands_in_the_middle_and_the_whole_delay_is_kept() {
    let (mut path, mut out) = (path(Script::default(), "link?delay=40ms"), Out::default());
    path.handle_input(ms(0), Port::Client, &packet(WORLD, 1), &mut out);
    assert_eq!(path.poll_timeout(), Some(ms(20)));
    // Scheduled late: what was due at 20 ms is judged at 20 ms, and comes out at 40 ms.
    path.handle_timeout(ms(33), &mut out);
    assert_eq!(path.censor.seen[0].0, ms(20));
    assert!(out.take().is_empty());
    assert_eq!(path.poll_timeout(), Some(ms(40)));
    path.handle_timeout(ms(40), &mut out);
    assert_eq!(out.take(), [(Port::World, 1)]);
}

#[test]
fn a_forged_answer_comes_before_the_true_one_and_after_its_cause() {
    let forged = Injection::now(Side::Client, packet(CLIENT, 9));
    let reset = Injection::now(Side::World, packet(WORLD, 8));
    let script = Script { rulings: [(Decision::Forward, vec![forged, reset])].into(), ..Script::default() };
    let (mut path, mut out) = (path(script, "link?delay=10ms"), Out::default());
    path.handle_input(ms(0), Port::Client, &packet(WORLD, 1), &mut out);
    path.handle_timeout(ms(10), &mut out);
    // Both take 5 ms from the censor; the reset to the server comes behind the packet that caused it.
    assert_eq!(out.take(), [(Port::World, 1), (Port::Client, 9), (Port::World, 8)]);
    assert_eq!(path.traffic().injected.packets, 2);
}

#[test]
fn held_packets_come_at_their_time_and_dropped_ones_never() {
    let rulings = [(Decision::Hold(ms(30)), vec![]), (Decision::Drop, vec![]), (Decision::Forward, vec![])];
    let script = Script { rulings: rulings.into(), ..Script::default() };
    let (mut path, mut out) = (path(script, "link"), Out::default());
    for mark in 1..=3 {
        path.handle_input(ms(0), Port::Client, &packet(WORLD, mark), &mut out);
    }
    assert_eq!(out.take(), [(Port::World, 3)]);
    path.handle_timeout(ms(30), &mut out);
    assert_eq!(out.take(), [(Port::World, 1)]);
    assert_eq!(path.traffic().dropped.packets, 1);
}

#[test]
fn timers_of_the_censor_and_packets_happen_in_the_order_of_time() {
    let script = Script { timers: [ms(5), ms(25), ms(90)].into(), ..Script::default() };
    let (mut path, mut out) = (path(script, "link?delay=40ms"), Out::default());
    path.handle_input(ms(0), Port::Client, &packet(WORLD, 1), &mut out);
    path.handle_timeout(ms(50), &mut out);
    assert_eq!(path.censor.fired, [ms(5), ms(25)]);
    assert_eq!(path.poll_timeout(), Some(ms(90)));
}

#[test]
fn a_timer_that_never_moves_on_does_not_stop_the_packets() {
    let script = Script { timers: vec![ms(5); 3].into(), ..Script::default() };
    let (mut path, mut out) = (path(script, "link?delay=4ms"), Out::default());
    path.handle_input(ms(0), Port::Client, &packet(WORLD, 1), &mut out);
    path.handle_timeout(ms(10), &mut out);
    assert_eq!(out.take(), [(Port::World, 1)]);
}

#[test]
fn jitter_that_is_longer_than_half_the_delay_stays_whole() {
    let spec = LinkSpec::parse("link?delay=20ms&jitter=15ms&rate=8mbit&loss=5%").unwrap();
    let (access, transit) = split(&spec);
    assert_eq!((access.delay, transit.delay), (ms(15), ms(5)));
    assert_eq!((access.jitter, access.up, access.loss), (spec.jitter, spec.up, spec.loss));
    assert_eq!((transit.jitter, transit.up, transit.loss), (Duration::ZERO, None, 0.0));
}

#[test]
fn what_the_queue_of_the_link_does_not_take_is_counted() {
    let (mut path, mut out) = (path(Script::default(), "link?rate=8kbit&queue=30ms"), Out::default());
    for mark in 0..10 {
        path.handle_input(ms(0), Port::Client, &packet(WORLD, mark), &mut out);
    }
    // 21 bytes take 21 ms: the first is sent, two may wait (21 and 42 ms behind it would be too long for the third).
    path.handle_timeout(ms(1000), &mut out);
    assert_eq!(out.take().len() as u64 + path.traffic().queue_full.packets, 10);
    assert!(path.traffic().queue_full.packets >= 7, "{:?}", path.traffic());
}
