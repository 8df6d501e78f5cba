//! IP packets: what `craft` writes, `ip` and the independent crate `etherparse` read back; broken ones are refused.

use std::net::{IpAddr, SocketAddr};

use commucat_dissect::{
    craft::{self, EchoSpec, TcpSpec, UdpSpec},
    ip::{self, PacketError, TcpFlags, Transport},
};
use etherparse::{NetSlice, SlicedPacket, TransportSlice};
use proptest::prelude::*;

fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn tcp_example() -> TcpSpec<'static> {
    TcpSpec {
        ttl: 58,
        identification: 1,
        dont_fragment: false,
        sequence: 0x0102_0304,
        acknowledgment: 0xfffe_fdfc,
        window: 4321,
        options: &[2, 4, 5, 0xb4, 1, 3, 3],
        payload: b"hello",
        ..TcpSpec::new(address("10.73.0.2:40000"), address("198.51.100.7:443"), TcpFlags::PSH_ACK)
    }
}

#[test]
fn tcp_survives_writing_and_reading() {
    let bytes = craft::tcp(&tcp_example());
    let packet = ip::parse(&bytes).unwrap();
    assert!(packet.checksum_ok());
    assert_eq!((packet.ttl, packet.identification, packet.dont_fragment), (58, 1, false));
    assert_eq!(packet.source_address(), address("10.73.0.2:40000"));
    assert_eq!(packet.destination_address(), address("198.51.100.7:443"));
    assert_eq!((packet.ip_header_len(), packet.protocol()), (20, 6));
    let Transport::Tcp(tcp) = packet.transport else { panic!("{:?}", packet.transport) };
    assert_eq!((tcp.sequence, tcp.acknowledgment, tcp.window), (0x0102_0304, 0xfffe_fdfc, 4321));
    assert_eq!((tcp.flags, tcp.header_len), (TcpFlags::PSH_ACK, 28));
    assert_eq!((tcp.options, tcp.payload), (&[2, 4, 5, 0xb4, 1, 3, 3, 0][..], &b"hello"[..]));
    assert_eq!(tcp.sequence_len(), 5);
}

#[test]
fn a_stranger_reads_the_same() {
    for (source, destination) in
        [("10.73.0.2:1", "192.0.2.53:53"), ("[2001:db8::2]:4096", "[2001:db8::53]:53")]
    {
        let bytes = craft::udp(&UdpSpec::new(address(source), address(destination), b"abc"));
        assert!(ip::parse(&bytes).unwrap().checksum_ok());
        let sliced = SlicedPacket::from_ip(&bytes).unwrap();
        let (Some(net), Some(TransportSlice::Udp(udp))) = (sliced.net, sliced.transport) else { panic!() };
        let right = match net {
            NetSlice::Ipv4(v4) => {
                assert_eq!(v4.header().to_header().calc_header_checksum(), v4.header().header_checksum());
                let [.., ttl] = [v4.header().ttl()];
                assert_eq!(ttl, 64);
                udp.to_header().calc_checksum_ipv4(&v4.header().to_header(), udp.payload()).unwrap()
            }
            NetSlice::Ipv6(v6) => {
                udp.to_header().calc_checksum_ipv6(&v6.header().to_header(), udp.payload()).unwrap()
            }
            other => panic!("{other:?}"),
        };
        assert_eq!(udp.checksum(), right);
    }
    let bytes = craft::tcp(&tcp_example());
    let sliced = SlicedPacket::from_ip(&bytes).unwrap();
    let (Some(NetSlice::Ipv4(v4)), Some(TransportSlice::Tcp(tcp))) = (sliced.net, sliced.transport) else {
        panic!()
    };
    let right = tcp.to_header().calc_checksum_ipv4(&v4.header().to_header(), tcp.payload()).unwrap();
    assert_eq!(tcp.checksum(), right);
}

#[test]
fn echo_messages_of_both_families() {
    for (source, destination) in [("10.0.0.1", "10.0.0.2"), ("2001:db8::1", "2001:db8::2")] {
        let parse = |text: &str| text.parse::<IpAddr>().unwrap();
        let spec = EchoSpec {
            source: parse(source),
            destination: parse(destination),
            ttl: 3,
            reply: true,
            identifier: 7,
            sequence: 9,
            payload: b"odd",
        };
        let bytes = craft::icmp_echo(&spec);
        let packet = ip::parse(&bytes).unwrap();
        assert!(packet.checksum_ok());
        assert!(matches!(packet.transport, Transport::Icmp(&[0 | 129, 0, _, _, 0, 7, 0, 9, b'o', ..])));
    }
}

#[test]
fn wrong_lengths_are_refused() {
    let good = craft::tcp(&tcp_example());
    let changed = |change: fn(&mut Vec<u8>)| {
        let mut bytes = good.clone();
        change(&mut bytes);
        ip::parse(&bytes).map(|packet| packet.bytes.len())
    };
    assert_eq!(changed(|_same| {}), Ok(good.len()));
    assert_eq!(changed(|bytes| bytes.extend([0; 9])), Ok(good.len()));
    assert_eq!(changed(Vec::clear), Err(PacketError::Version));
    assert_eq!(changed(|bytes| bytes[0] = 0x55), Err(PacketError::Version));
    assert_eq!(changed(|bytes| bytes[0] = 0x44), Err(PacketError::IpLength));
    assert_eq!(changed(|bytes| bytes.truncate(bytes.len() - 1)), Err(PacketError::IpLength));
    assert_eq!(changed(|bytes| bytes[2..4].copy_from_slice(&[0, 0])), Err(PacketError::IpLength));
    assert_eq!(changed(|bytes| bytes[32] = 0x40), Err(PacketError::TcpLength));
    assert_eq!(changed(|bytes| bytes[32] = 0xf0), Err(PacketError::TcpLength));

    let mut udp = craft::udp(&UdpSpec::new(address("10.0.0.1:1"), address("10.0.0.2:2"), b"abc"));
    for length in [7, 12] {
        udp[25] = length;
        assert_eq!(ip::parse(&udp).map(|_packet| ()), Err(PacketError::UdpLength));
    }
}

#[test]
fn pieces_are_named_pieces() {
    let mut bytes = craft::udp(&UdpSpec::new(address("10.0.0.1:1"), address("10.0.0.2:2"), b"abc"));
    bytes[6] = 0x20;
    assert!(matches!(ip::parse(&bytes).unwrap().transport, Transport::Fragment));
    bytes[6..8].copy_from_slice(&[0, 1]);
    assert!(matches!(ip::parse(&bytes).unwrap().transport, Transport::Fragment));
}

/// IPv6 with those bytes between the fixed header and UDP; `next` is the kind of the first.
fn with_extensions(next: u8, extensions: &[u8]) -> Vec<u8> {
    let mut bytes = craft::udp(&UdpSpec::new(address("[2001:db8::1]:1"), address("[2001:db8::2]:2"), b"abc"));
    let length = u16::try_from(bytes.len() - 40 + extensions.len()).unwrap();
    bytes[4..6].copy_from_slice(&length.to_be_bytes());
    bytes[6] = next;
    bytes.splice(40..40, extensions.iter().copied());
    bytes
}

#[test]
fn extension_headers_are_walked() {
    let options = [17, 0, 1, 4, 0, 0, 0, 0];
    let bytes = with_extensions(60, &options);
    let packet = ip::parse(&bytes).unwrap();
    assert_eq!((packet.payload(), packet.ip_header_len()), (&b"abc"[..], 48));
    assert!(packet.checksum_ok());

    let whole = [17, 0, 0, 0, 0, 0, 0xab, 0xcd];
    let bytes = with_extensions(44, &whole);
    let packet = ip::parse(&bytes).unwrap();
    assert_eq!((packet.payload(), packet.identification), (&b"abc"[..], 0xabcd));
    let first_piece = [17, 0, 0, 1, 0, 0, 0, 1];
    assert!(matches!(ip::parse(&with_extensions(44, &first_piece)).unwrap().transport, Transport::Fragment));

    let endless = [[60, 0, 1, 4, 0, 0, 0, 0]; 9].concat();
    assert_eq!(
        ip::parse(&with_extensions(60, &endless)).map(|_packet| ()),
        Err(PacketError::TooManyExtensions)
    );
    assert_eq!(ip::parse(&with_extensions(60, &[17, 200])).map(|_packet| ()), Err(PacketError::IpLength));
}

#[test]
fn too_much_is_cut_off() {
    let spec = TcpSpec { options: &[1; 60], payload: &[7; 70_000], ..tcp_example() };
    let bytes = craft::tcp(&spec);
    assert_eq!(bytes.len(), 0xffff);
    let packet = ip::parse(&bytes).unwrap();
    assert!(packet.checksum_ok());
    assert_eq!(packet.payload().len(), 0xffff - 20 - 60);
}

proptest! {
    #[test]
    fn any_bytes_never_panic(mut bytes in prop::collection::vec(any::<u8>(), 0..200), six in any::<bool>()) {
        for version in [0x45, 0x60] {
            if let Some(first) = bytes.first_mut() {
                *first = version;
            }
            if six && bytes.len() > 5 {
                bytes[4] = 0;
            }
            if let Ok(packet) = ip::parse(&bytes) {
                let _right = packet.checksum_ok();
                prop_assert!(packet.payload().len() + packet.ip_header_len() <= packet.bytes.len());
            }
        }
    }

    #[test]
    fn any_segment_comes_back(
        six in any::<bool>(), bits in 0_u8..32, sequence: u32, ttl: u8, identification: u16,
        options in prop::collection::vec(any::<u8>(), 0..41), payload in prop::collection::vec(any::<u8>(), 0..2000),
    ) {
        let (source, destination) =
            if six { ("[2001:db8::1]:5", "[2001:db8::2]:6") } else { ("10.0.0.1:5", "10.0.0.2:6") };
        let flags = TcpFlags::from_bits(bits);
        prop_assert_eq!(flags.bits(), bits);
        let spec = TcpSpec {
            sequence, ttl, identification, options: &options, payload: &payload,
            ..TcpSpec::new(address(source), address(destination), flags)
        };
        let bytes = craft::tcp(&spec);
        let packet = ip::parse(&bytes).unwrap();
        prop_assert!(packet.checksum_ok());
        let Transport::Tcp(tcp) = packet.transport else { panic!() };
        prop_assert_eq!((tcp.flags, tcp.sequence, packet.ttl), (flags, sequence, ttl));
        prop_assert_eq!(tcp.payload, &payload[..]);
        prop_assert!(tcp.options.starts_with(&options));
        // One changed bit is noticed.
        let mut broken = bytes.clone();
        let at = packet.bytes.len() - 1;
        broken[at] ^= 1;
        prop_assert!(!ip::parse(&broken).unwrap().checksum_ok());
    }
}
