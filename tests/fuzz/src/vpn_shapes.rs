//! Datagrams and streams compared with the shapes of VPN protocols and of TLS inside TLS.

use commucat_dissect::{dtls, openvpn, tls_in_tls::Bursts, wireguard};

pub(crate) fn run(data: &[u8]) {
    if let Some(message) = wireguard::message(data) {
        assert!(!message.answers(&message));
    }
    for packet in std::iter::once(data).chain(openvpn::tcp_packets(data)) {
        if let Some(reset) = openvpn::reset(packet) {
            assert!(openvpn::opcode(packet).is_some() && !reset.answers(&reset));
        }
    }
    let _count = dtls::records(data).count();
    let _seen = (dtls::client_hello(data), dtls::is_snowflake_2021(data));
    // The lowest bit of each pair is the direction, the rest a size.
    let mut bursts = Bursts::default();
    for pair in data.chunks_exact(2) {
        let &[high, low] = pair else { continue };
        let value = u32::from(u16::from_be_bytes([high, low]));
        if let Some(found) = bursts.packet(value % 2 == 0, value / 2) {
            assert!(found.distance < found.model.limit());
        }
    }
}
