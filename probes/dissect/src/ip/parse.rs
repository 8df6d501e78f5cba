//! Reads IP packets: fixed headers, the extension headers of IPv6, TCP and UDP.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::{
    MAX_EXTENSION_HEADERS, PROTOCOL_ICMP, PROTOCOL_ICMPV6, PROTOCOL_TCP, PROTOCOL_UDP, Packet, PacketError,
    TcpFlags, TcpSegment, Transport, UDP_HEADER_BYTES, UdpDatagram,
};
use crate::bytes::Reader;

const IPV4_HEADER_BYTES: usize = 20;
const IPV6_HEADER_BYTES: usize = 40;
const TCP_HEADER_BYTES: usize = 20;
const FRAGMENT_HEADER_BYTES: usize = 8;

/// Reads one IP packet as a TUN device gives it: no link header.
pub fn parse(bytes: &[u8]) -> Result<Packet<'_>, PacketError> {
    match bytes.first().map(|first| first >> 4) {
        Some(4) => parse_v4(bytes),
        Some(6) => parse_v6(bytes),
        _ => Err(PacketError::Version),
    }
}

fn parse_v4(bytes: &[u8]) -> Result<Packet<'_>, PacketError> {
    let head = bytes.first_chunk::<IPV4_HEADER_BYTES>().ok_or(PacketError::IpLength)?;
    let [first, _, t0, t1, i0, i1, f0, f1, ttl, protocol, _, _, s0, s1, s2, s3, d0, d1, d2, d3] = *head;
    let header_len = usize::from(first & 0x0f) * 4;
    let total = usize::from(u16::from_be_bytes([t0, t1]));
    if header_len < IPV4_HEADER_BYTES || total < header_len {
        return Err(PacketError::IpLength);
    }
    let bytes = bytes.get(..total).ok_or(PacketError::IpLength)?;
    let body = bytes.get(header_len..).ok_or(PacketError::IpLength)?;
    let fragment = u16::from_be_bytes([f0, f1]);
    let in_pieces = fragment & 0x3fff != 0;
    Ok(Packet {
        bytes,
        source: IpAddr::V4(Ipv4Addr::new(s0, s1, s2, s3)),
        destination: IpAddr::V4(Ipv4Addr::new(d0, d1, d2, d3)),
        ttl,
        identification: u16::from_be_bytes([i0, i1]),
        dont_fragment: fragment & 0x4000 != 0,
        transport: if in_pieces { Transport::Fragment } else { transport(protocol, body)? },
        header_len,
        protocol,
    })
}

fn parse_v6(bytes: &[u8]) -> Result<Packet<'_>, PacketError> {
    let mut reader = Reader::new(bytes);
    let head = reader.array::<8>().ok_or(PacketError::IpLength)?;
    let source = reader.array::<16>().ok_or(PacketError::IpLength)?;
    let destination = reader.array::<16>().ok_or(PacketError::IpLength)?;
    let [_, _, _, _, l0, l1, next, ttl] = head;
    let total = IPV6_HEADER_BYTES + usize::from(u16::from_be_bytes([l0, l1]));
    let bytes = bytes.get(..total).ok_or(PacketError::IpLength)?;
    let body = bytes.get(IPV6_HEADER_BYTES..).ok_or(PacketError::IpLength)?;
    let chain = extensions(next, body)?;
    Ok(Packet {
        bytes,
        source: IpAddr::V6(Ipv6Addr::from(source)),
        destination: IpAddr::V6(Ipv6Addr::from(destination)),
        ttl,
        identification: chain.identification,
        dont_fragment: true,
        transport: if chain.in_pieces { Transport::Fragment } else { transport(chain.protocol, chain.body)? },
        header_len: total - chain.body.len(),
        protocol: chain.protocol,
    })
}

struct Chain<'a> {
    protocol: u8,
    body: &'a [u8],
    identification: u16,
    in_pieces: bool,
}

/// Walks the extension headers up to the upper layer or to a fragment that is not whole.
fn extensions(first: u8, body: &[u8]) -> Result<Chain<'_>, PacketError> {
    let mut chain = Chain { protocol: first, body, identification: 0, in_pieces: false };
    for _header in 0..=MAX_EXTENSION_HEADERS {
        let length = match (chain.protocol, chain.body) {
            (44, [_, _, o0, o1, _, _, i0, i1, ..]) => {
                chain.identification = u16::from_be_bytes([*i0, *i1]);
                // The two lowest reserved bits do not count; the lowest says that more follows.
                chain.in_pieces = u16::from_be_bytes([*o0, *o1]) & 0xfff9 != 0;
                FRAGMENT_HEADER_BYTES
            }
            (51, [_, words, ..]) => (usize::from(*words) + 2) * 4,
            (0 | 43 | 60 | 135 | 139 | 140, [_, units, ..]) => (usize::from(*units) + 1) * 8,
            (0 | 43 | 44 | 51 | 60 | 135 | 139 | 140, _) => return Err(PacketError::IpLength),
            _upper_layer => return Ok(chain),
        };
        chain.protocol = *chain.body.first().ok_or(PacketError::IpLength)?;
        chain.body = chain.body.get(length..).ok_or(PacketError::IpLength)?;
        if chain.in_pieces {
            return Ok(chain);
        }
    }
    Err(PacketError::TooManyExtensions)
}

fn transport(protocol: u8, body: &[u8]) -> Result<Transport<'_>, PacketError> {
    match protocol {
        PROTOCOL_TCP => tcp(body).map(Transport::Tcp).ok_or(PacketError::TcpLength),
        PROTOCOL_UDP => udp(body).map(Transport::Udp).ok_or(PacketError::UdpLength),
        PROTOCOL_ICMP | PROTOCOL_ICMPV6 => Ok(Transport::Icmp(body)),
        other => Ok(Transport::Other(other)),
    }
}

fn tcp(body: &[u8]) -> Option<TcpSegment<'_>> {
    let mut reader = Reader::new(body);
    let source_port = reader.u16()?;
    let destination_port = reader.u16()?;
    let sequence = reader.u32()?;
    let acknowledgment = reader.u32()?;
    let [offset, flags] = reader.array()?;
    let window = reader.u16()?;
    let _checksum_and_urgent_pointer = reader.u32()?;
    let header_len = usize::from(offset >> 4) * 4;
    let options = reader.take(header_len.checked_sub(TCP_HEADER_BYTES)?)?;
    Some(TcpSegment {
        source_port,
        destination_port,
        sequence,
        acknowledgment,
        flags: TcpFlags::from_bits(flags),
        window,
        header_len,
        options,
        payload: reader.rest(),
    })
}

fn udp(body: &[u8]) -> Option<UdpDatagram<'_>> {
    let mut reader = Reader::new(body);
    let source_port = reader.u16()?;
    let destination_port = reader.u16()?;
    let length = usize::from(reader.u16()?);
    let _checksum = reader.u16()?;
    let payload = reader.take(length.checked_sub(UDP_HEADER_BYTES)?)?;
    Some(UdpDatagram { source_port, destination_port, payload })
}
