//! Everything at once, and everything wrong: no packet makes the judge panic, and the same packets with the same seed
//! give the same decisions, forged packets and events.

use proptest::prelude::*;

use super::*;
use crate::{
    POLICIES,
    random::Random,
    testing::{hello, initial, random_bytes, records},
};

/// Every policy there is, in one chain.
fn everything() -> String {
    POLICIES.iter().map(|entry| entry.name).collect::<Vec<_>>().join("+")
}

/// Packets of all kinds: whole connections of several protocols, with chance in order, loss and repetition.
fn traffic(seed: u64) -> Vec<(Side, Vec<u8>)> {
    let mut random = Random::new(seed, 9);
    let mut bench = Bench::new("");
    let first_flights: Vec<Vec<u8>> = vec![
        hello("blocked.example"),
        hello("innocent.example"),
        records(&hello("twitter.com"), 50),
        random_bytes(300),
        b"GET / HTTP/1.1\r\nHost: blocked.example\r\n\r\n".to_vec(),
        b"SSH-2.0-OpenSSH_9.6\r\n".to_vec(),
        vec![0; 1400],
    ];
    let mut packets = Vec::new();
    for round in 0..40_u16 {
        let address = ["203.0.113.10", "198.51.100.10", "198.18.0.10"][usize::from(round) % 3];
        let connection =
            Connection::new(20_000 + round, address, [443, 80, 53, 8388][usize::from(round) % 4]);
        let flight = &first_flights[usize::from(round) % first_flights.len()];
        let mut add =
            |from, flags, payload: &[u8]| packets.push((from, connection.packet(from, flags, payload)));
        add(Side::Client, TcpFlags::SYN, &[]);
        add(Side::World, TcpFlags::SYN_ACK, &[]);
        add(Side::Client, TcpFlags::ACK, &[]);
        let cut = usize::try_from(random.below(flight.len() as u64)).unwrap();
        add(Side::Client, TcpFlags::PSH_ACK, &flight[..cut]);
        add(Side::Client, TcpFlags::PSH_ACK, &flight[cut..]);
        (0..20).for_each(|_| add(Side::World, TcpFlags::ACK, &random_bytes(1200)));
        add(Side::Client, TcpFlags::FIN_ACK, &[]);
        let datagram =
            [initial("blocked.example"), random_bytes(148), vec![1; 148]][usize::from(round) % 3].clone();
        let flow = bench.datagrams(address, 443);
        let spec = craft::UdpSpec::new(flow.client, flow.world, &datagram);
        packets.push((Side::Client, craft::udp(&spec)));
    }
    for _swap in 0..packets.len() / 4 {
        let place = |random: &mut Random| usize::try_from(random.below(packets.len() as u64)).unwrap();
        let (one, other) = (place(&mut random), place(&mut random));
        packets.swap(one, other);
    }
    packets
}

/// All that a judge says to these packets.
fn said(chain: &str, seed: u64, packets: &[(Side, Vec<u8>)]) -> (Vec<Decision>, Vec<Injection>, Vec<String>) {
    let mut bench = Bench::with(chain, &Geography::default(), &Lists::default(), seed, 0.1);
    let decisions = packets.iter().map(|(from, packet)| bench.send(*from, packet)).collect();
    bench.pass(SECOND * 2);
    bench.judge.finish(bench.now);
    let events = bench.events().iter().map(ToString::to_string).collect();
    (decisions, bench.injected, events)
}

#[test]
fn the_same_seed_gives_the_same_judge() {
    let packets = traffic(1);
    let first = said(&everything(), 5, &packets);
    assert_eq!(said(&everything(), 5, &packets), first);
    assert!(first.2.len() > 40, "{}", first.2.len());
    assert!(!first.1.is_empty());
}

#[test]
fn another_seed_draws_otherwise() {
    let packets = traffic(1);
    let dropped = |seed| {
        let (decisions, ..) = said("gfw-fet?p=0.5", seed, &packets);
        decisions.iter().filter(|decision| **decision == Decision::Drop).count()
    };
    let counts: std::collections::BTreeSet<usize> = (0..8).map(dropped).collect();
    assert!(counts.len() > 1, "{counts:?}");
}

#[test]
fn a_packet_cut_anywhere_is_judged() {
    let connection = Connection::new(5000, "203.0.113.10", 443);
    let mut bench = Bench::new(&everything());
    let flow = bench.datagrams("203.0.113.10", 443);
    let datagram = initial("blocked.example");
    for packet in [
        connection.packet(Side::Client, TcpFlags::PSH_ACK, &hello("blocked.example")),
        craft::udp(&craft::UdpSpec::new(flow.client, flow.world, &datagram)),
    ] {
        for length in 0..packet.len() {
            assert_eq!(bench.send(Side::Client, &packet[..length]), Decision::Drop, "{length}");
        }
    }
    assert!(bench.judge.stats().malformed > 1000);
    let malformed: u64 = bench.events().iter().map(|event| event.count).sum();
    assert!(malformed > 0);
}

#[test]
fn every_changed_byte_of_a_packet_is_judged() {
    let connection = Connection::new(5000, "203.0.113.10", 443);
    let whole = connection.packet(Side::Client, TcpFlags::PSH_ACK, &hello("blocked.example"));
    let mut bench = Bench::new(&everything());
    for place in 0..whole.len() {
        for change in [0x00, 0xff, 0x80, 0x01] {
            let mut packet = whole.clone();
            packet[place] ^= change;
            bench.send(Side::Client, &packet);
            packet[place] = change;
            bench.send(Side::World, &packet);
        }
    }
    assert_eq!(bench.judge.stats().packets, whole.len() as u64 * 8);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn random_bytes_are_judged(packets in prop::collection::vec((any::<bool>(), prop::collection::vec(any::<u8>(), 0..200)), 0..60)) {
        let mut bench = Bench::new(&everything());
        for (client, packet) in packets {
            bench.send(if client { Side::Client } else { Side::World }, &packet);
        }
    }

    /// Bytes that begin like IPv4 and claim TCP, UDP, ICMP or anything, with right lengths.
    #[test]
    fn random_transports_are_judged(packets in prop::collection::vec(
        (any::<bool>(), prop_oneof![Just(6_u8), Just(17), Just(1), any::<u8>()], prop::collection::vec(any::<u8>(), 0..300)),
        0..60,
    )) {
        let mut bench = Bench::new(&everything());
        for (client, protocol, body) in packets {
            let length = u16::try_from(20 + body.len()).unwrap().to_be_bytes();
            let mut packet = vec![0x45, 0, length[0], length[1], 0, 0, 0, 0, 64, protocol, 0, 0];
            packet.extend_from_slice(&[10, 73, 0, 2, 203, 0, 113, 10]);
            packet.extend_from_slice(&body);
            bench.send(if client { Side::Client } else { Side::World }, &packet);
        }
        bench.pass(SECOND * 700);
        prop_assert_eq!(bench.judge.poll_timeout(), None);
    }
}
