//! The judge of the lab under packets of strangers, with every policy there is in one chain.
//!
//! The bytes are steps: what to do, a length in two bytes, and that many bytes. A step is a packet as it is, the payload
//! of a TCP segment or of a UDP datagram between addresses of the lab (which a fuzzer could not number and sum), or a
//! pause. Twice the same steps must give the same decisions, forged packets and events.

use std::{net::SocketAddr, sync::LazyLock, time::Duration};

use commucat_censor::{Decision, Geography, Injection, Judge, Lists, POLICIES, PolicySpec, Side};
use commucat_dissect::{
    craft::{self, TcpSpec, UdpSpec},
    ip::{self, TcpFlags},
};

/// More steps than this say nothing new.
const MAX_STEPS: usize = 64;
const CLIENT: ([u8; 4], u16) = ([10, 73, 0, 2], 40_000);
/// Foreign hosting, the content network, the resolver, the country itself.
const WORLD: [([u8; 4], u16); 4] =
    [([203, 0, 113, 10], 443), ([198, 51, 100, 10], 443), ([192, 0, 2, 53], 53), ([198, 18, 0, 10], 80)];

static CHAIN: LazyLock<Vec<PolicySpec>> =
    LazyLock::new(|| POLICIES.iter().map(|entry| PolicySpec::new(entry.name)).collect());

pub(crate) fn run(data: &[u8]) {
    let first = said(data);
    if data.len().is_multiple_of(16) {
        assert_eq!(said(data), first, "the same packets, another judgement");
    }
}

fn said(data: &[u8]) -> (Vec<Decision>, Vec<Injection>, Vec<String>) {
    let mut judge = Judge::from_specs(&CHAIN, &Geography::default(), &Lists::default(), 1, 0.01)
        .expect("every policy works with its defaults");
    let (mut now, mut decisions, mut forged) = (Duration::ZERO, Vec::new(), Vec::new());
    let (mut rest, mut sequences) = (data, [1_u32, 1]);
    for _step in 0..MAX_STEPS {
        let Some((&[what, high, low], more)) = rest.split_first_chunk() else { break };
        let length = usize::from(u16::from_be_bytes([high, low]));
        let (bytes, more) = more.split_at(length.min(more.len()));
        rest = more;
        now += Duration::from_millis(1);
        if what & 0b110 == 0b110 {
            now += Duration::from_millis(length as u64);
            judge.handle_timeout(now);
        } else {
            let from = if what & 1 == 0 { Side::Client } else { Side::World };
            decisions.push(judge.handle_packet(now, from, &packet(what, bytes, &mut sequences)));
        }
        while let Some(injection) = judge.poll_inject() {
            let packet = ip::parse(&injection.packet).expect("a forged packet is a packet");
            assert!(packet.checksum_ok());
            forged.push(injection);
        }
    }
    judge.finish(now);
    let events = std::iter::from_fn(|| judge.poll_event()).map(|event| event.to_string()).collect();
    let stats = judge.stats();
    let dropped = decisions.iter().filter(|decision| **decision == Decision::Drop).count();
    assert_eq!((stats.packets, stats.dropped), (decisions.len() as u64, dropped as u64));
    (decisions, forged, events)
}

/// The packet of a step: bits 1 and 2 say of which kind, bits 3 and 4 to whom, the upper three which flags.
fn packet(what: u8, bytes: &[u8], sequences: &mut [u32; 2]) -> Vec<u8> {
    if what & 0b110 == 0 {
        return bytes.to_vec();
    }
    let world = WORLD.iter().cycle().nth(usize::from(what >> 3 & 3)).copied().unwrap_or(CLIENT);
    let (client, world) = (SocketAddr::from(CLIENT), SocketAddr::from(world));
    let outward = what & 1 == 0;
    let (source, destination) = if outward { (client, world) } else { (world, client) };
    if what & 0b110 == 0b100 {
        return craft::udp(&UdpSpec::new(source, destination, bytes));
    }
    let flags = match what >> 5 {
        0 => TcpFlags::PSH_ACK,
        1 => TcpFlags::SYN,
        2 => TcpFlags::SYN_ACK,
        3 => TcpFlags::FIN_ACK,
        4 => TcpFlags::RST,
        _ => TcpFlags::ACK,
    };
    let [first, second] = sequences;
    let (mine, theirs) = if outward { (first, second) } else { (second, first) };
    let (sequence, acknowledgment) = (*mine, *theirs);
    *mine = sequence.wrapping_add(u32::try_from(bytes.len()).unwrap_or_default());
    craft::tcp(&TcpSpec {
        sequence,
        acknowledgment,
        payload: bytes,
        ..TcpSpec::new(source, destination, flags)
    })
}
