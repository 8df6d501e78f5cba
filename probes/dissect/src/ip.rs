//! IPv4 and IPv6 packets, and TCP and UDP inside them, as borrowed views. It allocates nothing: a censor's box looks
//! at each packet of a link.
//!
//! Lengths are believed only where they fit. Checksums are verified on demand ([`Packet::checksum_ok`]), because some
//! censors verify them and some do not.

mod parse;

use std::net::{IpAddr, SocketAddr};

pub use self::parse::parse;
use crate::checksum::Sum;

/// Protocol number of ICMP for IPv4.
pub const PROTOCOL_ICMP: u8 = 1;
/// Protocol number of TCP.
pub const PROTOCOL_TCP: u8 = 6;
/// Protocol number of UDP.
pub const PROTOCOL_UDP: u8 = 17;
/// Protocol number of ICMP for IPv6.
pub const PROTOCOL_ICMPV6: u8 = 58;
/// Extension headers of IPv6 read before a packet is refused.
pub const MAX_EXTENSION_HEADERS: usize = 8;

const UDP_HEADER_BYTES: usize = 8;

/// Why bytes are no IP packet that an endpoint would take.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PacketError {
    /// The first four bits are neither 4 nor 6.
    #[error("neither IPv4 nor IPv6")]
    Version,
    /// The IP header does not fit, or a length in it does not.
    #[error("the IP header is cut off or its lengths do not fit the packet")]
    IpLength,
    /// More than [`MAX_EXTENSION_HEADERS`].
    #[error("more than {MAX_EXTENSION_HEADERS} IPv6 extension headers")]
    TooManyExtensions,
    /// The TCP header does not fit, or its data offset is below five words.
    #[error("the TCP header is cut off or its data offset does not fit")]
    TcpLength,
    /// The UDP header does not fit, or its length is below eight or beyond the packet.
    #[error("the UDP header is cut off or its length does not fit")]
    UdpLength,
}

/// One IP packet.
#[derive(Clone, Copy, Debug)]
pub struct Packet<'a> {
    /// The packet without what follows the IP total length.
    pub bytes: &'a [u8],
    /// Source address.
    pub source: IpAddr,
    /// Destination address.
    pub destination: IpAddr,
    /// Time to live, or hop limit.
    pub ttl: u8,
    /// Identification; for IPv6 the lower half of the fragment header's, else zero.
    pub identification: u16,
    /// The don't-fragment flag; always true for IPv6.
    pub dont_fragment: bool,
    /// What the packet carries.
    pub transport: Transport<'a>,
    header_len: usize,
    protocol: u8,
}

/// What an IP packet carries.
#[derive(Clone, Copy, Debug)]
pub enum Transport<'a> {
    /// TCP.
    Tcp(TcpSegment<'a>),
    /// UDP.
    Udp(UdpDatagram<'a>),
    /// An ICMP or ICMPv6 message.
    Icmp(&'a [u8]),
    /// A piece of a fragmented packet, the first one included.
    Fragment,
    /// Any other protocol, by number.
    Other(u8),
}

/// A TCP segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TcpSegment<'a> {
    /// Source port.
    pub source_port: u16,
    /// Destination port.
    pub destination_port: u16,
    /// Sequence number of the first payload byte, or of SYN.
    pub sequence: u32,
    /// Acknowledgment number.
    pub acknowledgment: u32,
    /// The flags.
    pub flags: TcpFlags,
    /// Window as sent, unscaled.
    pub window: u16,
    /// Length of the header with options, in bytes.
    pub header_len: usize,
    /// The options with their padding.
    pub options: &'a [u8],
    /// What follows the header.
    pub payload: &'a [u8],
}

impl TcpSegment<'_> {
    /// Sequence numbers the segment takes: its payload, SYN and FIN.
    pub fn sequence_len(&self) -> u32 {
        let payload = u32::try_from(self.payload.len()).unwrap_or_default();
        payload + u32::from(self.flags.syn) + u32::from(self.flags.fin)
    }
}

/// Flags of a TCP header.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TcpFlags {
    /// FIN.
    pub fin: bool,
    /// SYN.
    pub syn: bool,
    /// RST.
    pub rst: bool,
    /// PSH.
    pub psh: bool,
    /// ACK.
    pub ack: bool,
}

impl TcpFlags {
    /// Only SYN.
    pub const SYN: Self = Self { fin: false, syn: true, rst: false, psh: false, ack: false };
    /// SYN and ACK.
    pub const SYN_ACK: Self = Self { fin: false, syn: true, rst: false, psh: false, ack: true };
    /// Only ACK.
    pub const ACK: Self = Self { fin: false, syn: false, rst: false, psh: false, ack: true };
    /// PSH and ACK: ordinary data.
    pub const PSH_ACK: Self = Self { fin: false, syn: false, rst: false, psh: true, ack: true };
    /// FIN and ACK.
    pub const FIN_ACK: Self = Self { fin: true, syn: false, rst: false, psh: false, ack: true };
    /// Only RST.
    pub const RST: Self = Self { fin: false, syn: false, rst: true, psh: false, ack: false };
    /// RST and ACK.
    pub const RST_ACK: Self = Self { fin: false, syn: false, rst: true, psh: false, ack: true };

    /// The flags of byte 13 of a TCP header. URG, ECE and CWR are left out.
    pub const fn from_bits(bits: u8) -> Self {
        Self {
            fin: bits & 0x01 != 0,
            syn: bits & 0x02 != 0,
            rst: bits & 0x04 != 0,
            psh: bits & 0x08 != 0,
            ack: bits & 0x10 != 0,
        }
    }

    /// Byte 13 of a TCP header.
    pub fn bits(self) -> u8 {
        u8::from(self.fin)
            | u8::from(self.syn) << 1
            | u8::from(self.rst) << 2
            | u8::from(self.psh) << 3
            | u8::from(self.ack) << 4
    }
}

/// A UDP datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UdpDatagram<'a> {
    /// Source port.
    pub source_port: u16,
    /// Destination port.
    pub destination_port: u16,
    /// What follows the header, as long as the UDP length says.
    pub payload: &'a [u8],
}

impl<'a> Packet<'a> {
    /// Source address and port; the port is zero where there is none.
    pub const fn source_address(&self) -> SocketAddr {
        SocketAddr::new(self.source, self.ports().0)
    }

    /// Destination address and port; the port is zero where there is none.
    pub const fn destination_address(&self) -> SocketAddr {
        SocketAddr::new(self.destination, self.ports().1)
    }

    /// The payload of TCP or UDP; empty for anything else.
    pub const fn payload(&self) -> &'a [u8] {
        match self.transport {
            Transport::Tcp(segment) => segment.payload,
            Transport::Udp(datagram) => datagram.payload,
            Transport::Icmp(_) | Transport::Fragment | Transport::Other(_) => &[],
        }
    }

    /// Source and destination port; zeros where there are none.
    pub const fn ports(&self) -> (u16, u16) {
        match self.transport {
            Transport::Tcp(segment) => (segment.source_port, segment.destination_port),
            Transport::Udp(datagram) => (datagram.source_port, datagram.destination_port),
            Transport::Icmp(_) | Transport::Fragment | Transport::Other(_) => (0, 0),
        }
    }

    /// Protocol number of what follows the IP headers.
    pub const fn protocol(&self) -> u8 {
        self.protocol
    }

    /// Length of the IP header with options and extension headers, in bytes.
    pub const fn ip_header_len(&self) -> usize {
        self.header_len
    }

    /// Whether an endpoint would take the packet: the IPv4 header checksum and the checksum of TCP, UDP or ICMP are
    /// right. Fragments and other protocols are judged by the IP header alone.
    pub fn checksum_ok(&self) -> bool {
        let Some((header, body)) = self.bytes.split_at_checked(self.header_len) else { return false };
        let v4 = self.source.is_ipv4();
        if v4 && Sum::default().bytes(header).finish() != 0 {
            return false;
        }
        let pseudo = |length| Sum::pseudo_header(self.source, self.destination, self.protocol, length);
        match self.transport {
            Transport::Tcp(_) => pseudo(body.len()).bytes(body).finish() == 0,
            Transport::Udp(datagram) => {
                let length = UDP_HEADER_BYTES + datagram.payload.len();
                let unused = v4 && matches!(body, [_, _, _, _, _, _, 0, 0, ..]);
                unused || body.get(..length).is_some_and(|body| pseudo(length).bytes(body).finish() == 0)
            }
            Transport::Icmp(message) if v4 => Sum::default().bytes(message).finish() == 0,
            Transport::Icmp(message) => pseudo(message.len()).bytes(message).finish() == 0,
            Transport::Fragment | Transport::Other(_) => true,
        }
    }
}
