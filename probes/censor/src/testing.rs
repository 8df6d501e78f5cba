//! For tests of policies: a judge in virtual time, and connections through it packet by packet, with right numbers.

use std::time::Duration;

use commucat_dissect::{
    craft::{self, TcpSpec, UdpSpec},
    ip::{self, TcpFlags, Transport},
    quic::{self, InitialSpec},
    tls::{self, build::HelloSpec},
};

use crate::{
    event::{Event, Side},
    geography::Geography,
    judge::{Decision, Judge},
    lists::Lists,
    policy::{Injection, ProbeOutcome, ProbeRequest},
    profile::Profile,
    random::Random,
};

/// The client of the lab's plan.
pub(crate) const CLIENT: [u8; 4] = [10, 73, 0, 2];
/// Time between two packets of one connection.
const STEP: Duration = Duration::from_millis(1);
const SEED: u64 = 7;
/// Payload of one segment.
pub(crate) const SEGMENT: usize = 1400;

/// A judge, its clock, and everything it sent.
pub(crate) struct Bench {
    pub(crate) judge: Judge,
    pub(crate) now: Duration,
    /// All forged packets so far.
    pub(crate) injected: Vec<Injection>,
    next_port: u16,
}

impl Bench {
    pub(crate) fn new(chain: &str) -> Self {
        Self::with(chain, &Geography::default(), &Lists::default(), SEED, 1.0)
    }

    pub(crate) fn scaled(chain: &str, time_scale: f64) -> Self {
        Self::with(chain, &Geography::default(), &Lists::default(), SEED, time_scale)
    }

    pub(crate) fn with(
        chain: &str,
        geography: &Geography,
        lists: &Lists,
        seed: u64,
        time_scale: f64,
    ) -> Self {
        let profile = Profile::parse(chain).unwrap();
        let judge = Judge::new(&profile, geography, lists, seed, time_scale).unwrap();
        Self { judge, now: Duration::from_secs(1), injected: Vec::new(), next_port: 40_000 }
    }

    /// Lets time pass and everything happen that is due.
    pub(crate) fn pass(&mut self, by: Duration) {
        let end = self.now + by;
        while let Some(due) = self.judge.poll_timeout().filter(|due| *due <= end) {
            self.now = self.now.max(due);
            self.judge.handle_timeout(self.now);
            self.collect();
        }
        self.now = end;
    }

    /// One packet, after a millisecond. Forged packets that it caused are at the end of `injected`.
    pub(crate) fn send(&mut self, from: Side, packet: &[u8]) -> Decision {
        self.pass(STEP);
        let decision = self.judge.handle_packet(self.now, from, packet);
        self.collect();
        decision
    }

    pub(crate) fn events(&mut self) -> Vec<Event> {
        std::iter::from_fn(|| self.judge.poll_event()).collect()
    }

    pub(crate) fn probes(&mut self) -> Vec<ProbeRequest> {
        std::iter::from_fn(|| self.judge.poll_probe()).collect()
    }

    pub(crate) fn answer_probe(&mut self, outcome: &ProbeOutcome) {
        self.judge.handle_probe(self.now, outcome);
        self.collect();
    }

    /// A TCP connection of the client from a new port; its handshake was sent.
    pub(crate) fn connect(&mut self, address: &str, port: u16) -> Connection {
        let from = self.fresh_port();
        self.connect_from(from, address, port)
    }

    pub(crate) fn connect_from(&mut self, from: u16, address: &str, port: u16) -> Connection {
        let mut connection = Connection::new(from, address, port);
        connection.open(self);
        connection
    }

    /// A UDP exchange of the client from a new port; nothing was sent.
    pub(crate) fn datagrams(&mut self, address: &str, port: u16) -> Datagrams {
        Datagrams::new(self.fresh_port(), address, port)
    }

    pub(crate) fn fresh_port(&mut self) -> u16 {
        self.next_port += 1;
        self.next_port
    }

    fn collect(&mut self) {
        self.injected.extend(std::iter::from_fn(|| self.judge.poll_inject()));
    }
}

/// A TCP connection: both ends send right numbers, whatever the judge lets through.
pub(crate) struct Connection {
    pub(crate) client: std::net::SocketAddr,
    pub(crate) world: std::net::SocketAddr,
    client_next: u32,
    world_next: u32,
    /// Whether the world sent its SYN-ACK.
    is_answered: bool,
    /// Options of every segment of the client.
    pub(crate) options: Vec<u8>,
    /// Packets that vanished.
    pub(crate) lost: usize,
    /// Packets that were held back.
    pub(crate) held: usize,
    pub(crate) resets_to_client: usize,
    pub(crate) resets_to_world: usize,
    /// Whether the client's stack would have taken one of the resets (RFC 9293 §3.10.7, RFC 5961 §3): while it waits for
    /// an answer to its SYN, one that acknowledges it; later, one whose number is exactly what it expects next.
    pub(crate) reset_is_believed: bool,
}

impl Connection {
    pub(crate) fn new(from: u16, address: &str, port: u16) -> Self {
        Self {
            client: (CLIENT, from).into(),
            world: (address.parse::<std::net::IpAddr>().unwrap(), port).into(),
            client_next: u32::from(from) * 1000,
            world_next: 0xffff_ff00,
            is_answered: false,
            options: Vec::new(),
            lost: 0,
            held: 0,
            resets_to_client: 0,
            resets_to_world: 0,
            reset_is_believed: false,
        }
    }

    fn open(&mut self, bench: &mut Bench) {
        self.segment(bench, Side::Client, TcpFlags::SYN, &[]);
        self.segment(bench, Side::World, TcpFlags::SYN_ACK, &[]);
        self.segment(bench, Side::Client, TcpFlags::ACK, &[]);
    }

    /// Sends bytes in segments; the other end acknowledges each. The last decision on a segment with bytes.
    pub(crate) fn says(&mut self, bench: &mut Bench, side: Side, bytes: &[u8]) -> Decision {
        let mut last = Decision::Forward;
        for part in bytes.chunks(SEGMENT) {
            last = self.segment(bench, side, TcpFlags::PSH_ACK, part);
            if last != Decision::Drop {
                self.segment(bench, side.other(), TcpFlags::ACK, &[]);
            }
        }
        last
    }

    pub(crate) fn client_says(&mut self, bench: &mut Bench, bytes: &[u8]) -> Decision {
        self.says(bench, Side::Client, bytes)
    }

    pub(crate) fn world_says(&mut self, bench: &mut Bench, bytes: &[u8]) -> Decision {
        self.says(bench, Side::World, bytes)
    }

    /// That many short questions and full answers.
    pub(crate) fn exchange(&mut self, bench: &mut Bench, times: usize) {
        for _time in 0..times {
            self.client_says(bench, &random_bytes(100));
            self.world_says(bench, &random_bytes(SEGMENT));
        }
    }

    /// FIN from both ends.
    pub(crate) fn close(&mut self, bench: &mut Bench) {
        self.segment(bench, Side::Client, TcpFlags::FIN_ACK, &[]);
        self.segment(bench, Side::World, TcpFlags::FIN_ACK, &[]);
        self.segment(bench, Side::Client, TcpFlags::ACK, &[]);
    }

    /// One segment.
    pub(crate) fn segment(
        &mut self,
        bench: &mut Bench,
        from: Side,
        flags: TcpFlags,
        payload: &[u8],
    ) -> Decision {
        let packet = self.packet(from, flags, payload);
        let length = u32::try_from(payload.len()).unwrap() + u32::from(flags.syn) + u32::from(flags.fin);
        let next = if from == Side::Client { &mut self.client_next } else { &mut self.world_next };
        *next = next.wrapping_add(length);
        let injected_before = bench.injected.len();
        let decision = bench.send(from, &packet);
        self.is_answered |= flags == TcpFlags::SYN_ACK && decision == Decision::Forward;
        self.lost += usize::from(decision == Decision::Drop);
        self.held += usize::from(matches!(decision, Decision::Hold(_)));
        for injection in &bench.injected[injected_before..] {
            self.hear(injection);
        }
        decision
    }

    /// The packet that [`Self::segment`] would send.
    pub(crate) fn packet(&self, from: Side, flags: TcpFlags, payload: &[u8]) -> Vec<u8> {
        let ((source, sequence), (destination, acknowledgment)) = match from {
            Side::Client => ((self.client, self.client_next), (self.world, self.world_next)),
            Side::World => ((self.world, self.world_next), (self.client, self.client_next)),
        };
        craft::tcp(&TcpSpec {
            sequence,
            acknowledgment: if flags.ack { acknowledgment } else { 0 },
            options: if from == Side::Client { &self.options } else { &[] },
            payload,
            ..TcpSpec::new(source, destination, flags)
        })
    }

    /// A segment of the client with bytes that stand so far behind what it would send next.
    pub(crate) fn packet_at(&self, ahead: usize, payload: &[u8]) -> Vec<u8> {
        let sequence = self.client_next.wrapping_add(u32::try_from(ahead).unwrap());
        craft::tcp(&TcpSpec {
            sequence,
            acknowledgment: self.world_next,
            payload,
            ..TcpSpec::new(self.client, self.world, TcpFlags::PSH_ACK)
        })
    }

    /// Nothing was dropped, held or forged.
    pub(crate) fn is_untouched(&self) -> bool {
        (self.lost, self.held, self.resets_to_client, self.resets_to_world) == (0, 0, 0, 0)
    }

    fn hear(&mut self, injection: &Injection) {
        let packet = ip::parse(&injection.packet).unwrap();
        assert!(packet.checksum_ok());
        let Transport::Tcp(segment) = packet.transport else { return };
        if !segment.flags.rst {
            return;
        }
        match injection.to {
            Side::Client => {
                self.resets_to_client += 1;
                self.reset_is_believed |= if self.is_answered {
                    segment.sequence == self.world_next
                } else {
                    segment.flags.ack && segment.acknowledgment == self.client_next
                };
            }
            Side::World => self.resets_to_world += 1,
        }
    }
}

/// A UDP exchange.
pub(crate) struct Datagrams {
    pub(crate) client: std::net::SocketAddr,
    pub(crate) world: std::net::SocketAddr,
    pub(crate) lost: usize,
}

impl Datagrams {
    pub(crate) fn new(from: u16, address: &str, port: u16) -> Self {
        let world = (address.parse::<std::net::IpAddr>().unwrap(), port).into();
        Self { client: (CLIENT, from).into(), world, lost: 0 }
    }

    pub(crate) fn says(&mut self, bench: &mut Bench, from: Side, payload: &[u8]) -> Decision {
        let (source, destination) =
            if from == Side::Client { (self.client, self.world) } else { (self.world, self.client) };
        let decision = bench.send(from, &craft::udp(&UdpSpec::new(source, destination, payload)));
        self.lost += usize::from(decision == Decision::Drop);
        decision
    }

    pub(crate) fn client_says(&mut self, bench: &mut Bench, payload: &[u8]) -> Decision {
        self.says(bench, Side::Client, payload)
    }

    pub(crate) fn world_says(&mut self, bench: &mut Bench, payload: &[u8]) -> Decision {
        self.says(bench, Side::World, payload)
    }
}

/// The record of a small ClientHello with that name, as curl sends.
pub(crate) fn hello(name: &str) -> Vec<u8> {
    hello_of(HelloSpec::curl_like(), name)
}

/// The record of a ClientHello with that name.
pub(crate) fn hello_of(spec: HelloSpec, name: &str) -> Vec<u8> {
    spec.with_server_name(name).record(SEED).unwrap()
}

/// The same handshake message in records of that many bytes.
pub(crate) fn records(hello: &[u8], size: usize) -> Vec<u8> {
    tls::split_records(&hello[5..], &[size])
}

/// A datagram with the Initial of a client that sends this hello in one CRYPTO frame, as plain clients do.
pub(crate) fn initial(name: &str) -> Vec<u8> {
    initial_of(quic::VERSION_1, &quic::crypto_frame(0, &quic_hello(name)))
}

pub(crate) fn initial_of(version: u32, frames: &[u8]) -> Vec<u8> {
    let spec = InitialSpec::first(&[1, 2, 3, 4, 5, 6, 7, 8], &[9, 10, 11, 12], frames);
    quic::seal_initial(&InitialSpec { version, ..spec }).unwrap()
}

/// The handshake message that a QUIC client sends.
pub(crate) fn quic_hello(name: &str) -> Vec<u8> {
    HelloSpec { session_id: false, ..HelloSpec::curl_like() }.with_server_name(name).message(SEED).unwrap()
}

/// Bytes that look random: the same ones for the same length.
pub(crate) fn random_bytes(length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    Random::new(SEED, length as u64).fill(&mut bytes);
    bytes
}
