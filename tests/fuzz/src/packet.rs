//! IP packets as a TUN device gives them to the lab's judge.

use commucat_dissect::{
    craft::{self, TcpSpec, UdpSpec},
    ip::{self, Packet, Transport},
};

pub(crate) fn run(data: &[u8]) {
    let Ok(packet) = ip::parse(data) else { return };
    let _right = packet.checksum_ok();
    assert!(data.starts_with(packet.bytes));
    assert!(packet.ip_header_len() + packet.payload().len() <= packet.bytes.len());
    // What was read is written again and read the same; the writer gives it right checksums.
    let (source, destination) = (packet.source_address(), packet.destination_address());
    let written = match packet.transport {
        Transport::Tcp(tcp) => {
            let spec = TcpSpec::new(source, destination, tcp.flags);
            let (sequence, options, payload) = (tcp.sequence, tcp.options, tcp.payload);
            craft::tcp(&TcpSpec { ttl: packet.ttl, sequence, options, payload, ..spec })
        }
        Transport::Udp(udp) => {
            craft::udp(&UdpSpec { ttl: packet.ttl, ..UdpSpec::new(source, destination, udp.payload) })
        }
        Transport::Icmp(_) | Transport::Fragment | Transport::Other(_) => return,
    };
    let again = ip::parse(&written).expect("what craft writes parses");
    assert!(again.checksum_ok());
    assert_eq!(parts(&again), parts(&packet));
}

fn parts<'a>(packet: &Packet<'a>) -> (std::net::SocketAddr, std::net::SocketAddr, u8, &'a [u8]) {
    (packet.source_address(), packet.destination_address(), packet.ttl, packet.payload())
}
