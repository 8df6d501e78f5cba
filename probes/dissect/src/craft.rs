//! Writes whole IP packets with right lengths and checksums: what a censor injects, and what tests feed to parsers.
//!
//! Both addresses have one family; where they differ, the IPv4 one is mapped into IPv6. What does not fit the length
//! field of IP is cut off the payload, and TCP options beyond 40 bytes are cut off too.

use std::net::{IpAddr, SocketAddr};

use crate::{
    checksum::{Sum, octets},
    ip::{PROTOCOL_ICMP, PROTOCOL_ICMPV6, PROTOCOL_TCP, PROTOCOL_UDP, TcpFlags},
};

/// Time to live of a packet unless the spec says otherwise: what Linux sends.
pub const DEFAULT_TTL: u8 = 64;
/// Bytes of TCP options that a header can hold.
pub const MAX_TCP_OPTIONS_BYTES: usize = 40;

const TCP_HEADER_BYTES: usize = 20;
const UDP_HEADER_BYTES: usize = 8;
const IPV4_HEADER_BYTES: usize = 20;
const MAX_LENGTH_FIELD: usize = 0xffff;

/// A TCP segment to write.
#[derive(Clone, Copy, Debug)]
pub struct TcpSpec<'a> {
    /// Sender.
    pub source: SocketAddr,
    /// Receiver.
    pub destination: SocketAddr,
    /// Time to live, or hop limit.
    pub ttl: u8,
    /// IPv4 identification.
    pub identification: u16,
    /// IPv4 don't-fragment flag.
    pub dont_fragment: bool,
    /// Sequence number.
    pub sequence: u32,
    /// Acknowledgment number.
    pub acknowledgment: u32,
    /// Flags.
    pub flags: TcpFlags,
    /// Window, unscaled.
    pub window: u16,
    /// Options; padded with end-of-options to a multiple of four.
    pub options: &'a [u8],
    /// Payload.
    pub payload: &'a [u8],
}

impl TcpSpec<'_> {
    /// A segment with flags and nothing else.
    pub const fn new(source: SocketAddr, destination: SocketAddr, flags: TcpFlags) -> Self {
        Self {
            source,
            destination,
            ttl: DEFAULT_TTL,
            identification: 0,
            dont_fragment: true,
            sequence: 0,
            acknowledgment: 0,
            flags,
            window: MAX_WINDOW,
            options: &[],
            payload: &[],
        }
    }
}

const MAX_WINDOW: u16 = u16::MAX;

/// A UDP datagram to write.
#[derive(Clone, Copy, Debug)]
pub struct UdpSpec<'a> {
    /// Sender.
    pub source: SocketAddr,
    /// Receiver.
    pub destination: SocketAddr,
    /// Time to live, or hop limit.
    pub ttl: u8,
    /// IPv4 identification.
    pub identification: u16,
    /// IPv4 don't-fragment flag.
    pub dont_fragment: bool,
    /// Payload.
    pub payload: &'a [u8],
}

impl<'a> UdpSpec<'a> {
    /// A datagram as Linux would send it.
    pub const fn new(source: SocketAddr, destination: SocketAddr, payload: &'a [u8]) -> Self {
        Self { source, destination, ttl: DEFAULT_TTL, identification: 0, dont_fragment: true, payload }
    }
}

/// An ICMP echo message to write, for IPv4 or IPv6 by its addresses.
#[derive(Clone, Copy, Debug)]
pub struct EchoSpec<'a> {
    /// Sender.
    pub source: IpAddr,
    /// Receiver.
    pub destination: IpAddr,
    /// Time to live, or hop limit.
    pub ttl: u8,
    /// An answer instead of a question.
    pub reply: bool,
    /// Identifier of the echo session.
    pub identifier: u16,
    /// Number within the session.
    pub sequence: u16,
    /// Payload.
    pub payload: &'a [u8],
}

/// The IP packet with that TCP segment.
pub fn tcp(spec: &TcpSpec<'_>) -> Vec<u8> {
    let options = cut(spec.options, MAX_TCP_OPTIONS_BYTES);
    let header_len = TCP_HEADER_BYTES + options.len().next_multiple_of(4);
    let mut body = Vec::with_capacity(header_len + spec.payload.len());
    body.extend_from_slice(&spec.source.port().to_be_bytes());
    body.extend_from_slice(&spec.destination.port().to_be_bytes());
    body.extend_from_slice(&spec.sequence.to_be_bytes());
    body.extend_from_slice(&spec.acknowledgment.to_be_bytes());
    body.push(u8::try_from(header_len / 4).unwrap_or_default() << 4);
    body.push(spec.flags.bits());
    body.extend_from_slice(&spec.window.to_be_bytes());
    body.extend_from_slice(&[0; 4]);
    body.extend_from_slice(options);
    body.resize(header_len, 0);
    body.extend_from_slice(cut(spec.payload, MAX_LENGTH_FIELD - IPV4_HEADER_BYTES - header_len));
    let ip = Ip::between(spec.source.ip(), spec.destination.ip(), PROTOCOL_TCP, spec.ttl)
        .fragmenting(spec.identification, spec.dont_fragment);
    ip.write(body, Some(TCP_CHECKSUM_AT))
}

/// The IP packet with that UDP datagram.
pub fn udp(spec: &UdpSpec<'_>) -> Vec<u8> {
    let payload = cut(spec.payload, MAX_LENGTH_FIELD - IPV4_HEADER_BYTES - UDP_HEADER_BYTES);
    let mut body = Vec::with_capacity(UDP_HEADER_BYTES + payload.len());
    body.extend_from_slice(&spec.source.port().to_be_bytes());
    body.extend_from_slice(&spec.destination.port().to_be_bytes());
    body.extend_from_slice(&length_field(UDP_HEADER_BYTES + payload.len()));
    body.extend_from_slice(&[0; 2]);
    body.extend_from_slice(payload);
    let ip = Ip::between(spec.source.ip(), spec.destination.ip(), PROTOCOL_UDP, spec.ttl)
        .fragmenting(spec.identification, spec.dont_fragment);
    ip.write(body, Some(UDP_CHECKSUM_AT))
}

/// The IP packet with that echo message: what `ping` sends and gets.
pub fn icmp_echo(spec: &EchoSpec<'_>) -> Vec<u8> {
    let v4 = spec.source.is_ipv4() && spec.destination.is_ipv4();
    let kind = match (v4, spec.reply) {
        (true, false) => 8,
        (true, true) => 0,
        (false, false) => 128,
        (false, true) => 129,
    };
    let mut body = vec![kind, 0, 0, 0];
    body.extend_from_slice(&spec.identifier.to_be_bytes());
    body.extend_from_slice(&spec.sequence.to_be_bytes());
    body.extend_from_slice(cut(spec.payload, MAX_LENGTH_FIELD - IPV4_HEADER_BYTES - UDP_HEADER_BYTES));
    let protocol = if v4 { PROTOCOL_ICMP } else { PROTOCOL_ICMPV6 };
    Ip::between(spec.source, spec.destination, protocol, spec.ttl).write(body, Some(ICMP_CHECKSUM_AT))
}

const TCP_CHECKSUM_AT: usize = 16;
const UDP_CHECKSUM_AT: usize = 6;
const ICMP_CHECKSUM_AT: usize = 2;

struct Ip {
    source: IpAddr,
    destination: IpAddr,
    protocol: u8,
    ttl: u8,
    identification: u16,
    dont_fragment: bool,
}

impl Ip {
    const fn between(source: IpAddr, destination: IpAddr, protocol: u8, ttl: u8) -> Self {
        Self { source, destination, protocol, ttl, identification: 0, dont_fragment: true }
    }

    const fn fragmenting(self, identification: u16, dont_fragment: bool) -> Self {
        Self { identification, dont_fragment, ..self }
    }

    /// The whole packet; the checksum of the body is put at `checksum_at`.
    fn write(&self, mut body: Vec<u8>, checksum_at: Option<usize>) -> Vec<u8> {
        let sum = if self.protocol == PROTOCOL_ICMP {
            Sum::default()
        } else {
            Sum::pseudo_header(self.source, self.destination, self.protocol, body.len())
        };
        let checksum = match sum.bytes(&body).finish() {
            // RFC 768: a sum of zero is sent as ones, because zero means that none was computed.
            0 if self.protocol == PROTOCOL_UDP => u16::MAX,
            checksum => checksum,
        };
        if let Some(place) = checksum_at.and_then(|at| body.get_mut(at..at + 2)) {
            place.copy_from_slice(&checksum.to_be_bytes());
        }
        let mut packet = self.header(body.len());
        packet.append(&mut body);
        packet
    }

    fn header(&self, body_len: usize) -> Vec<u8> {
        let (IpAddr::V4(source), IpAddr::V4(destination)) = (self.source, self.destination) else {
            let mut header = vec![0x60, 0, 0, 0];
            header.extend_from_slice(&length_field(body_len));
            header.extend_from_slice(&[self.protocol, self.ttl]);
            header.extend_from_slice(&octets(self.source));
            header.extend_from_slice(&octets(self.destination));
            return header;
        };
        let mut header = vec![0x45, 0];
        header.extend_from_slice(&length_field(IPV4_HEADER_BYTES + body_len));
        header.extend_from_slice(&self.identification.to_be_bytes());
        header.extend_from_slice(&[u8::from(self.dont_fragment) << 6, 0, self.ttl, self.protocol]);
        let sum = Sum::default().bytes(&header).bytes(&source.octets()).bytes(&destination.octets());
        header.extend_from_slice(&sum.finish().to_be_bytes());
        header.extend_from_slice(&source.octets());
        header.extend_from_slice(&destination.octets());
        header
    }
}

fn cut(bytes: &[u8], most: usize) -> &[u8] {
    bytes.get(..most).unwrap_or(bytes)
}

fn length_field(length: usize) -> [u8; 2] {
    u16::try_from(length).unwrap_or(u16::MAX).to_be_bytes()
}
