//! The judge with made-up policies: order, positions, scopes, flows, timers, events, bounds.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use commucat_dissect::{
    craft::{self, EchoSpec},
    ip::TcpFlags,
};

use super::*;
use crate::{
    event::{Done, Why},
    flow::{FLOWS_MAX, Flow, PerFlow},
    policer::{Policer, Share},
    policy::{Action, Cx, Position, ProbeKind, Reset},
    residual::{FOREVER, Kill, Scope, Sentence, Target},
    testing::{Bench, CLIENT, Connection},
};

mod flows;
mod hostile;

const SECOND: Duration = Duration::from_secs(1);

/// A policy that says what a function says, and counts how often it was asked and how many flows ended.
struct Made<F> {
    position: Position,
    says: F,
    asked: Arc<AtomicUsize>,
    ended: Arc<AtomicUsize>,
}

impl<F> std::fmt::Debug for Made<F> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Made")
    }
}

impl<F: FnMut(&mut Cx<'_>, &Seen<'_>, &Flow) -> Action + Send> Policy for Made<F> {
    fn position(&self) -> Position {
        self.position
    }

    fn on_packet(&mut self, cx: &mut Cx<'_>, seen: &Seen<'_>, flow: &mut Flow) -> Action {
        self.asked.fetch_add(1, Ordering::Relaxed);
        (self.says)(cx, seen, flow)
    }

    fn on_flow_end(&mut self, _cx: &mut Cx<'_>, _flow: &Flow) {
        self.ended.fetch_add(1, Ordering::Relaxed);
    }
}

type Counter = Arc<AtomicUsize>;

fn count(counter: &Counter) -> usize {
    counter.load(Ordering::Relaxed)
}

type Says = dyn FnMut(&mut Cx<'_>, &Seen<'_>, &Flow) -> Action + Send;

/// A bench with made-up policies, and how often each was asked.
fn bench(policies: Vec<(Position, Box<Says>)>) -> (Bench, Vec<Counter>) {
    let (bench, asked, _ended) = bench_with_ends(policies);
    (bench, asked)
}

fn bench_with_ends(policies: Vec<(Position, Box<Says>)>) -> (Bench, Vec<Counter>, Vec<Counter>) {
    let mut bench = Bench::new("");
    let (mut asked, mut ended) = (Vec::new(), Vec::new());
    let made = policies
        .into_iter()
        .map(|(position, says)| {
            let (one, other) = (Counter::default(), Counter::default());
            asked.push(Arc::clone(&one));
            ended.push(Arc::clone(&other));
            let policy: Box<dyn Policy> = Box::new(Made { position, says, asked: one, ended: other });
            ("made", policy)
        })
        .collect();
    bench.judge = Judge::of(made, &Geography::default(), &Lists::default(), 1);
    (bench, asked, ended)
}

fn in_path(
    says: impl FnMut(&mut Cx<'_>, &Seen<'_>, &Flow) -> Action + Send + 'static,
) -> (Position, Box<Says>) {
    (Position::InPath, Box::new(says))
}

fn on_path(
    says: impl FnMut(&mut Cx<'_>, &Seen<'_>, &Flow) -> Action + Send + 'static,
) -> (Position, Box<Says>) {
    (Position::OnPath, Box::new(says))
}

/// Kills at the first payload of the client.
fn kills(
    kill: Kill,
    scope: Scope,
    ttl: Duration,
) -> impl FnMut(&mut Cx<'_>, &Seen<'_>, &Flow) -> Action + Send {
    move |_cx, seen, _flow| match seen.from_client() && !seen.payload().is_empty() {
        true => Action::Kill(Sentence::new(scope, kill, ttl, Why::new().and("made", true))),
        false => Action::Pass,
    }
}

#[test]
fn an_empty_chain_passes_everything() {
    let mut bench = Bench::new("");
    let mut connection = bench.connect("203.0.113.10", 443);
    connection.exchange(&mut bench, 50);
    connection.close(&mut bench);
    assert!(connection.is_untouched());
    assert_eq!(bench.events(), []);
    assert_eq!(bench.judge.stats().dropped, 0);
}

#[test]
fn the_first_drop_ends_the_chain_and_marks_accumulate() {
    let (mut bench, asked) = bench(vec![
        in_path(|_, _, _| Action::Tag("one")),
        in_path(|_, _, _| Action::Tag("two")),
        in_path(|_, _, flow| {
            assert_eq!(flow.tags(), ["one", "two"]);
            Action::Drop(Why::new())
        }),
        in_path(|_, _, _| Action::Pass),
    ]);
    let connection = bench.connect("203.0.113.10", 443);
    assert_eq!(connection.lost, 3);
    assert_eq!(asked.iter().map(count).collect::<Vec<_>>(), [3, 3, 3, 0]);
    let tags = bench.events().iter().filter(|event| event.action == Done::Tag).count();
    assert_eq!(tags, 2);
}

#[test]
fn a_box_beside_the_wire_drops_nothing_whatever_it_says() {
    let why = Why::new;
    let (mut bench, _asked) = bench(vec![
        on_path(move |_, _, _| Action::Drop(why())),
        on_path(move |_, _, _| Action::Inject { packets: Vec::new(), also_drop: true, why: why() }),
        on_path(|_, _, _| Action::Delay(SECOND, Why::new())),
        on_path(|_, _, flow| Action::Police(Policer::new(Share::Flow(flow.id()), 0, 0))),
        on_path(kills(Kill::DropBoth, Scope::ThreeTuple, SECOND * 100)),
    ]);
    let mut connection = bench.connect("203.0.113.10", 443);
    connection.exchange(&mut bench, 5);
    assert!(connection.is_untouched());
}

#[test]
fn delays_add_up() {
    let delays = || in_path(|_, _, _| Action::Delay(Duration::from_millis(20), Why::new()));
    let (mut bench, _asked) = bench(vec![delays(), delays()]);
    let packet = Connection::new(4000, "203.0.113.10", 443).packet(Side::Client, TcpFlags::SYN, &[]);
    let decision = bench.send(Side::Client, &packet);
    assert_eq!(decision, Decision::Hold(bench.now + Duration::from_millis(40)));
}

#[test]
fn a_sentence_is_applied_at_the_place_of_its_policy() {
    let (mut bench, asked) = bench(vec![
        in_path(|_, _, _| Action::Pass),
        in_path(kills(Kill::DropBoth, Scope::Flow, FOREVER)),
        in_path(|_, _, _| Action::Pass),
    ]);
    let mut connection = bench.connect("203.0.113.10", 443);
    connection.client_says(&mut bench, b"trigger");
    connection.client_says(&mut bench, b"silence");
    connection.world_says(&mut bench, b"silence");
    assert_eq!(connection.lost, 3);
    assert_eq!(asked.iter().map(count).collect::<Vec<_>>(), [6, 4, 3]);
}

#[test]
fn each_kind_of_kill() {
    for (kill, client_lost, world_lost, resets) in
        [(Kill::DropOutbound, 2, 0, 0), (Kill::DropBoth, 2, 1, 0), (Kill::Reset(Reset::both(2)), 0, 0, 4)]
    {
        let (mut bench, _asked) = bench(vec![in_path(kills(kill, Scope::Flow, FOREVER))]);
        let mut connection = bench.connect("203.0.113.10", 443);
        connection.client_says(&mut bench, b"trigger");
        connection.client_says(&mut bench, b"again");
        assert_eq!(connection.lost, client_lost, "{kill:?}");
        let before = connection.lost;
        connection.segment(&mut bench, Side::World, TcpFlags::ACK, b"answer");
        assert_eq!(connection.lost - before, world_lost, "{kill:?}");
        assert_eq!(connection.resets_to_client, resets, "{kill:?}");
        assert_eq!(connection.resets_to_world, resets, "{kill:?}");
    }
}

#[test]
fn a_sentence_on_an_address_or_a_client_catches_packets_without_a_flow() {
    for (scope, caught) in [(Scope::Address, true), (Scope::Client, true), (Scope::ThreeTuple, false)] {
        let (mut bench, _asked) = bench(vec![in_path(kills(Kill::DropBoth, scope, SECOND * 10))]);
        bench.connect("203.0.113.10", 443).client_says(&mut bench, b"trigger");
        let echo = craft::icmp_echo(&EchoSpec {
            source: CLIENT.into(),
            destination: [203, 0, 113, 10].into(),
            ttl: 64,
            reply: false,
            identifier: 1,
            sequence: 1,
            payload: b"ping",
        });
        assert_eq!(bench.send(Side::Client, &echo) == Decision::Drop, caught, "{scope:?}");
    }
}

#[test]
fn every_dropped_packet_is_counted_in_some_line() {
    let (mut bench, _asked) = bench(vec![in_path(kills(Kill::DropBoth, Scope::ThreeTuple, SECOND * 100))]);
    let mut connection = bench.connect("203.0.113.10", 443);
    for _packet in 0..5000 {
        connection.client_says(&mut bench, b"x");
    }
    bench.judge.finish(bench.now);
    let events = bench.events();
    let dropped: u64 =
        events.iter().filter(|event| event.action == Done::ResidualDrop).map(|event| event.count).sum();
    assert_eq!(dropped, 4999);
    assert_eq!(bench.judge.stats().dropped, 5000);
    assert!(events.len() < 20, "{}", events.len());
    let last = events.last().unwrap();
    assert_eq!((last.packet, last.until_ms.is_some()), (5003, true));
}

#[test]
fn a_policy_that_ignores_a_flow_is_not_asked_again() {
    let (mut bench, asked) = bench(vec![in_path(|cx, _, _| {
        cx.ignore();
        Action::Pass
    })]);
    let mut first = bench.connect("203.0.113.10", 443);
    first.exchange(&mut bench, 10);
    let second = bench.connect("203.0.113.10", 443);
    assert!(first.is_untouched() && second.is_untouched());
    assert_eq!(count(&asked[0]), 2);
}

#[derive(Debug, Default)]
struct Waker {
    ticks: Arc<AtomicUsize>,
}

impl Policy for Waker {
    fn on_packet(&mut self, cx: &mut Cx<'_>, _seen: &Seen<'_>, _flow: &mut Flow) -> Action {
        cx.wake_at(cx.now() + SECOND * 5);
        cx.wake_at(cx.now() + SECOND * 3);
        Action::Pass
    }

    fn on_tick(&mut self, cx: &mut Cx<'_>) {
        self.ticks.fetch_add(1, Ordering::Relaxed);
        let server = ([203, 0, 113, 10], 443).into();
        let sentence = Sentence::new(Scope::Service, Kill::DropBoth, SECOND * 10, Why::new());
        cx.condemn(Target::Service(Protocol::Tcp, server), sentence);
    }
}

#[test]
fn a_policy_is_woken_once_at_the_earliest_time_and_may_condemn() {
    let waker = Waker::default();
    let ticks = Arc::clone(&waker.ticks);
    let (mut bench, _asked) = bench(Vec::new());
    bench.judge = Judge::of(vec![("waker", Box::new(waker))], &Geography::default(), &Lists::default(), 1);
    let mut connection = bench.connect("203.0.113.10", 443);
    bench.pass(Duration::from_millis(2_990));
    assert_eq!(ticks.load(Ordering::Relaxed), 0);
    bench.pass(Duration::from_millis(20));
    assert_eq!(ticks.load(Ordering::Relaxed), 1);
    connection.client_says(&mut bench, b"silence");
    assert_eq!(connection.lost, 1);
    assert!(bench.connect("203.0.113.10", 8443).is_untouched());
    let kill = bench.events().into_iter().find(|event| event.action == Done::Kill).unwrap();
    assert_eq!(kill.flow, "tcp * > 203.0.113.10:443");
}

#[derive(Debug, Default)]
struct Prober {
    condemns: bool,
}

impl Policy for Prober {
    fn on_packet(&mut self, _cx: &mut Cx<'_>, _seen: &Seen<'_>, flow: &mut Flow) -> Action {
        match flow.data_packets().client {
            1 => Action::Probe(ProbeKind::Replay, Why::new()),
            _ => Action::Pass,
        }
    }

    fn on_probe(&mut self, cx: &mut Cx<'_>, request: &ProbeRequest, outcome: &ProbeOutcome) {
        if outcome.suspicious {
            self.condemns = true;
            let sentence = Sentence::new(Scope::Service, Kill::DropBoth, FOREVER, outcome.why.clone());
            cx.condemn(Target::Service(request.protocol, request.target), sentence);
        }
    }
}

#[test]
fn the_prober_is_called_with_the_first_flight_and_answers_once() {
    let (mut bench, _asked) = bench(Vec::new());
    bench.judge =
        Judge::of(vec![("prober", Box::new(Prober::default()))], &Geography::default(), &Lists::default(), 1);
    let mut connection = bench.connect("203.0.113.10", 8388);
    connection.segment(&mut bench, Side::Client, TcpFlags::PSH_ACK, b"first flight");
    let [request] = bench.probes().try_into().unwrap();
    assert_eq!((request.first_flight.as_slice(), request.kind), (&b"first flight"[..], ProbeKind::Replay));
    assert_eq!(request.target, ([203, 0, 113, 10], 8388).into());
    bench.answer_probe(&ProbeOutcome::new(request.id + 1, true, Why::new()));
    connection.client_says(&mut bench, b"more");
    assert!(connection.is_untouched());
    bench.answer_probe(&ProbeOutcome::new(request.id, true, Why::new().and("answered", "like a proxy")));
    connection.client_says(&mut bench, b"more");
    assert_eq!(connection.lost, 1);
}

#[test]
fn an_idle_judge_falls_asleep() {
    let mut bench = Bench::new("sni-rst+tspu-l4-25+dns-inject");
    let mut connection = bench.connect("203.0.113.10", 443);
    connection.exchange(&mut bench, 20);
    connection.close(&mut bench);
    assert!(bench.judge.poll_timeout().is_some());
    bench.pass(SECOND * 3600);
    assert_eq!(bench.judge.poll_timeout(), None);
    assert_eq!(bench.judge.stats().flows, 0);
}

#[test]
fn a_flow_of_one_policy_is_remembered_by_number() {
    let mut memory: PerFlow<u64> = PerFlow::default();
    let key = |port: u16| {
        FlowKey::new(Protocol::Tcp, Side::World, ([1, 1, 1, 1], 443).into(), (CLIENT, port).into())
    };
    let flows = [1, 2, 3].map(|id| Flow::new(id, key(4000), Side::Client, SECOND));
    for flow in &flows {
        *memory.of(flow) += flow.id();
    }
    assert_eq!(memory.get(&flows[1]), Some(&2));
    assert_eq!(memory.forget(&flows[1]), Some(2));
    assert_eq!((memory.len(), memory.get(&flows[1])), (2, None));
    assert_eq!(flows[0].key().client.port(), 4000);
}

#[test]
fn a_wrong_scale_is_refused() {
    for scale in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        let made = Judge::from_specs(&[], &Geography::default(), &Lists::default(), 1, scale);
        assert!(matches!(made, Err(SpecError::TimeScale(_))), "{scale}");
    }
}

#[test]
fn side_effects_are_bounded() {
    let (mut bench, _asked) = bench(vec![in_path(|cx, _, _| {
        for _note in 0..1000 {
            cx.note(&"again", Why::new());
        }
        Action::Pass
    })]);
    bench.connect("203.0.113.10", 443);
    assert_eq!(bench.events().len(), 3 * 64);
    assert_eq!(bench.judge.stats().effects_lost, 3 * 936);
}

#[test]
fn the_table_of_flows_is_bounded_and_every_flow_ends_once() {
    let (mut bench, _asked, ended) = bench_with_ends(vec![in_path(|_, _, _| Action::Pass)]);
    let all = FLOWS_MAX + 500;
    for index in 0..all {
        let port = u16::try_from(index % 60_000 + 1).unwrap();
        let packet = Connection::new(port, "203.0.113.10", if index < 60_000 { 443 } else { 80 }).packet(
            Side::Client,
            TcpFlags::SYN,
            &[],
        );
        bench.judge.handle_packet(bench.now, Side::Client, &packet);
    }
    let stats = bench.judge.stats();
    assert_eq!((stats.flows, stats.flows_evicted), (FLOWS_MAX as u64, 500));
    assert_eq!(count(&ended[0]), 500);
    bench.judge.finish(bench.now);
    assert_eq!(count(&ended[0]), all);
    assert_eq!(bench.judge.stats().flows, 0);
}
