//! What a flow is, when it begins and when it is forgotten.

use proptest::prelude::*;

use super::*;
use crate::{
    hello::Reassembly,
    testing::{hello, records},
};

/// Number, who opened, state: for each packet that a policy saw.
type Log = Arc<std::sync::Mutex<Vec<(u64, Side, crate::TcpState)>>>;

fn watched() -> (Bench, Log) {
    let seen = Arc::new(std::sync::Mutex::new(Vec::new()));
    let into = Arc::clone(&seen);
    let (bench, _asked) = bench(vec![in_path(move |_, _, flow| {
        into.lock().unwrap().push((flow.id(), flow.opened_by(), flow.state()));
        Action::Pass
    })]);
    (bench, seen)
}

#[test]
fn the_states_of_a_connection() {
    use crate::TcpState::{Closed, Closing, Established, SynAnswered, SynSent};
    let (mut bench, seen) = watched();
    let mut connection = bench.connect("203.0.113.10", 443);
    connection.client_says(&mut bench, b"x");
    connection.close(&mut bench);
    let states: Vec<_> = seen.lock().unwrap().iter().map(|(_, _, state)| *state).collect();
    assert_eq!(
        states,
        [SynSent, SynAnswered, Established, Established, Established, Closing, Closed, Closed]
    );
}

#[test]
fn who_opened() {
    let (mut bench, seen) = watched();
    let mut inward = Connection::new(22, "203.0.113.10", 50_000);
    inward.segment(&mut bench, Side::World, TcpFlags::SYN, &[]);
    let mut answered = Connection::new(5000, "203.0.113.10", 443);
    answered.segment(&mut bench, Side::World, TcpFlags::SYN_ACK, &[]);
    let mut running = Connection::new(5001, "203.0.113.10", 443);
    running.segment(&mut bench, Side::World, TcpFlags::ACK, b"x");
    let mut datagrams = bench.datagrams("203.0.113.10", 443);
    datagrams.world_says(&mut bench, b"x");
    let openers: Vec<_> = seen.lock().unwrap().iter().map(|(_, side, _)| *side).collect();
    assert_eq!(openers, [Side::World, Side::Client, Side::Client, Side::World]);
}

#[test]
fn a_new_syn_begins_a_new_flow_and_a_repeated_one_does_not() {
    let (mut bench, seen) = watched();
    let mut connection = Connection::new(5000, "203.0.113.10", 443);
    let syn = connection.packet(Side::Client, TcpFlags::SYN, &[]);
    bench.send(Side::Client, &syn);
    bench.send(Side::Client, &syn);
    connection.segment(&mut bench, Side::Client, TcpFlags::SYN, &[]);
    let ids = |seen: &Log| seen.lock().unwrap().iter().map(|(id, ..)| *id).collect::<Vec<_>>();
    assert_eq!(ids(&seen), [1, 1, 1]);
    // Another initial number: the client tries again with the same port.
    connection.segment(&mut bench, Side::Client, TcpFlags::SYN, &[]);
    assert_eq!(ids(&seen), [1, 1, 1, 2]);
    connection.segment(&mut bench, Side::World, TcpFlags::SYN_ACK, &[]);
    connection.segment(&mut bench, Side::Client, TcpFlags::ACK, &[]);
    // In an open connection a SYN opens nothing.
    connection.segment(&mut bench, Side::Client, TcpFlags::SYN, &[]);
    assert_eq!(ids(&seen), [1, 1, 1, 2, 2, 2, 2]);
    connection.segment(&mut bench, Side::Client, TcpFlags::RST, &[]);
    connection.segment(&mut bench, Side::Client, TcpFlags::SYN, &[]);
    assert_eq!(ids(&seen), [1, 1, 1, 2, 2, 2, 2, 2, 3]);
}

#[test]
fn a_silent_flow_is_forgotten_after_its_time() {
    for (what, idle, forgotten) in
        [("open", 470, false), ("open", 490, true), ("datagrams", 170, false), ("datagrams", 190, true)]
    {
        let (mut bench, _asked, ended) = bench_with_ends(vec![in_path(|_, _, _| Action::Pass)]);
        if what == "open" {
            bench.connect("203.0.113.10", 443);
        } else {
            bench.datagrams("203.0.113.10", 443).client_says(&mut bench, b"x");
        }
        bench.pass(SECOND * idle);
        assert_eq!(count(&ended[0]) == 1, forgotten, "{what} {idle}");
    }
}

#[test]
fn a_sentence_on_a_flow_ends_with_it() {
    let (mut bench, _asked) = bench(vec![in_path(kills(Kill::DropBoth, Scope::Flow, FOREVER))]);
    let mut victim = bench.connect_from(5000, "203.0.113.10", 443);
    victim.client_says(&mut bench, b"trigger");
    victim.world_says(&mut bench, b"silence");
    assert_eq!(victim.lost, 2);
    victim.segment(&mut bench, Side::Client, TcpFlags::RST, &[]);
    let again = bench.connect_from(5000, "203.0.113.10", 443);
    assert!(again.is_untouched());
}

#[test]
fn a_hello_is_new_exactly_once_and_stays_known() {
    let new = Counter::default();
    let known = Counter::default();
    let (into_new, into_known) = (Arc::clone(&new), Arc::clone(&known));
    let (mut bench, _asked) = bench(vec![in_path(move |_, seen, flow| {
        into_new.fetch_add(usize::from(seen.new_hello(Reassembly::Tcp).is_some()), Ordering::Relaxed);
        into_known.fetch_add(usize::from(flow.hello(Reassembly::Tcp).is_some()), Ordering::Relaxed);
        Action::Pass
    })]);
    let mut connection = bench.connect("203.0.113.10", 443);
    let whole = hello("innocent.example");
    connection.client_says(&mut bench, &whole[..50]);
    connection.client_says(&mut bench, &whole[50..]);
    connection.exchange(&mut bench, 2);
    connection.client_says(&mut bench, &whole);
    assert_eq!(count(&new), 1);
    assert!(count(&known) > 8);
}

#[test]
fn without_the_handshake_a_hello_is_found_too() {
    let mut bench = Bench::new("sni-rst");
    let mut running = Connection::new(5000, "203.0.113.10", 443);
    running.client_says(&mut bench, &hello("blocked.example"));
    assert!(running.resets_to_client > 0);
}

#[test]
fn what_all_flows_hold_together_is_bounded() {
    // Each flow would hold 16 KiB of both directions: 32 KiB times the size of the table is 512 MiB.
    let mut bench = Bench::new("");
    let payload = vec![7; 16 * 1024];
    let before = bench.judge.flows.room;
    for port in 1..=4_000_u16 {
        let mut connection = Connection::new(port, "203.0.113.10", 443);
        for part in payload.chunks(8 * 1024) {
            let packet = connection.packet(Side::Client, TcpFlags::ACK, part);
            bench.judge.handle_packet(bench.now, Side::Client, &packet);
            connection.segment(&mut bench, Side::World, TcpFlags::ACK, part);
        }
    }
    assert!(before - bench.judge.flows.room <= 64 * 1024 * 1024);
    bench.judge.finish(bench.now);
    assert_eq!(bench.judge.flows.room, before);
}

#[test]
fn ipv6_is_judged_alike() {
    let mut bench = Bench::new("sni-drop-ir");
    let mut connection = Connection::new(5000, "2001:db8::10", 443);
    connection.client = "[2001:db8:1::2]:5000".parse().unwrap();
    connection.segment(&mut bench, Side::Client, TcpFlags::SYN, &[]);
    connection.segment(&mut bench, Side::World, TcpFlags::SYN_ACK, &[]);
    connection.client_says(&mut bench, &hello("blocked.example"));
    assert_eq!((connection.lost, connection.resets_to_client), (1, 1));
    assert!(connection.reset_is_believed);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    /// A hello in records of any size, in segments of any size, in any order, some of them twice: found exactly when
    /// the last piece of it is there.
    #[test]
    fn a_hello_in_any_pieces_is_found_when_it_is_all_there(
        record in 1_usize..600,
        cuts in prop::collection::btree_set(1_usize..500, 0..8),
        order in any::<u64>(),
    ) {
        let whole = records(&hello("blocked.example"), record);
        let mut edges: Vec<usize> = cuts.into_iter().filter(|cut| *cut < whole.len()).collect();
        edges.insert(0, 0);
        edges.push(whole.len());
        let mut pieces: Vec<(usize, usize)> = edges.windows(2).map(|pair| (pair[0], pair[1])).collect();
        let mut random = crate::Random::new(order, 0);
        for last in (1..pieces.len()).rev() {
            pieces.swap(last, usize::try_from(random.below(last as u64 + 1)).unwrap());
        }
        pieces.insert(pieces.len() / 2, pieces[0]);
        let mut bench = Bench::new("sni-rst?reassembly=tcp-tls&residual=0s");
        let connection = bench.connect("198.51.100.10", 443);
        let (mut missing, mut found) = (pieces.clone(), 0);
        for (from, to) in pieces {
            let packet = connection.packet_at(from, &whole[from..to]);
            bench.send(Side::Client, &packet);
            missing.retain(|piece| *piece != (from, to));
            found += usize::from(bench.judge.poll_event().is_some());
            prop_assert_eq!(found, usize::from(missing.is_empty()));
        }
    }
}
