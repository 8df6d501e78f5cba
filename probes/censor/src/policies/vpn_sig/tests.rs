//! Handshakes of VPN protocols by shape, and likenesses that are none.

use std::time::Duration;

use commucat_dissect::{
    dtls,
    tls::{Transport, build::HelloSpec},
};

use crate::{
    event::Side,
    testing::{Bench, hello, initial, random_bytes},
};

const BRIDGE: &str = "203.0.113.10";

fn wireguard(kind: u8, length: usize, indices: &[u32]) -> Vec<u8> {
    let mut bytes = vec![kind, 0, 0, 0];
    indices.iter().for_each(|index| bytes.extend(index.to_le_bytes()));
    bytes.extend(random_bytes(length - bytes.len()));
    bytes
}

/// A reset of a client without a wrapped control channel.
fn openvpn_client() -> Vec<u8> {
    [&[0x38][..], &[9; 8], &[0; 5]].concat()
}

/// Its answer.
fn openvpn_server() -> Vec<u8> {
    [&[0x40][..], &[5; 8], &[1], &[0; 4], &[9; 8], &[0; 4]].concat()
}

/// A DTLS 1.2 record around a ClientHello that was written for TLS.
fn dtls_hello() -> Vec<u8> {
    let message = HelloSpec::curl_like().message(7).unwrap();
    let (length, body) = (&message[1..4], &message[4..]);
    // The cookie, which TLS has not, stands behind the session id (RFC 6347 §4.2.1).
    let session_end = 2 + 32 + 1 + usize::from(body[34]);
    let body = [&body[..session_end], &[0], &body[session_end..]].concat();
    let longer = (u32::from_be_bytes([0, length[0], length[1], length[2]]) + 1).to_be_bytes();
    let fragment = [&[1][..], &longer[1..], &[0; 2], &[0; 3], &longer[1..], &body].concat();
    let size = u16::try_from(fragment.len()).unwrap().to_be_bytes();
    [&[22, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 0][..], &size, &fragment].concat()
}

/// Whether the flow survives this exchange of datagrams.
fn survives(chain: &str, packets: &[(Side, Vec<u8>)]) -> bool {
    let mut bench = Bench::new(chain);
    let mut flow = bench.datagrams(BRIDGE, 51820);
    for (side, packet) in packets {
        flow.says(&mut bench, *side, packet);
    }
    flow.client_says(&mut bench, b"more");
    flow.lost == 0
}

#[test]
fn wireguard_dies_by_its_first_packet_or_by_the_answer() {
    let initiation = (Side::Client, wireguard(1, 148, &[7]));
    let response = (Side::World, wireguard(2, 92, &[9, 7]));
    let other_response = (Side::World, wireguard(2, 92, &[9, 8]));
    assert!(!survives("vpn-sig", std::slice::from_ref(&initiation)));
    assert!(survives("vpn-sig?at=answer", std::slice::from_ref(&initiation)));
    assert!(!survives("vpn-sig?at=answer", &[initiation.clone(), response.clone()]));
    assert!(survives("vpn-sig?at=answer", &[initiation.clone(), other_response]));
    assert!(survives("vpn-sig?wireguard=no", &[initiation, response]));
}

#[test]
fn amneziawg_and_other_datagrams_pass() {
    // S1 = 15 bytes before the initiation, S2 = 40 before the response, headers of its own.
    let padded = [random_bytes(15), wireguard(1, 148, &[7])].concat();
    let own_header = [&0x5a5a_1234_u32.to_le_bytes()[..], &wireguard(1, 148, &[7])[4..]].concat();
    for first in [padded, own_header, wireguard(1, 147, &[7]), initial("innocent.example"), dtls_hello()] {
        assert!(survives("vpn-sig", &[(Side::Client, first), (Side::World, random_bytes(132))]));
    }
}

#[test]
fn openvpn_dies_over_udp_and_tcp() {
    let (client, server) = ((Side::Client, openvpn_client()), (Side::World, openvpn_server()));
    assert!(!survives("vpn-sig", std::slice::from_ref(&client)));
    assert!(survives("vpn-sig?at=answer", std::slice::from_ref(&client)));
    assert!(!survives("vpn-sig?at=answer", &[client.clone(), server]));
    assert!(survives("vpn-sig?openvpn=no", &[client]));

    for (first, passes) in
        [([&[0, 14][..], &openvpn_client()].concat(), false), (hello("innocent.example"), true)]
    {
        let mut bench = Bench::new("vpn-sig");
        let mut flow = bench.connect(BRIDGE, 443);
        flow.client_says(&mut bench, &first);
        flow.exchange(&mut bench, 5);
        assert_eq!(flow.is_untouched(), passes);
    }
}

#[test]
fn dtls_by_the_bytes_of_2021_by_fingerprint_or_all() {
    let hello = dtls_hello();
    let ja4 = dtls::client_hello(&hello).unwrap().ja4(Transport::Dtls);
    let mut answer = vec![22, 0xfe, 0xfd];
    answer.resize(0x5a, 0);
    answer.extend([0x1d, 0, 0x17, 0, 0x18, 0, 0]);
    let mut moved = answer.clone();
    moved.insert(10, 0);

    let client = (Side::Client, hello);
    assert!(survives("vpn-sig", std::slice::from_ref(&client)));
    assert!(!survives("vpn-sig", &[client.clone(), (Side::World, answer.clone())]));
    assert!(survives("vpn-sig", &[client.clone(), (Side::World, moved)]));
    assert!(survives("vpn-sig?dtls=off", &[client.clone(), (Side::World, answer)]));
    assert!(!survives("vpn-sig?dtls=all", std::slice::from_ref(&client)));
    assert!(!survives(&format!("vpn-sig?dtls-ja4={ja4}"), std::slice::from_ref(&client)));
    assert!(survives("vpn-sig?dtls-ja4=d12d1516h2_8daaf6152771_d8a2da3f94cd", &[client]));
}

#[test]
fn the_two_ends_stay_apart_and_others_are_free() {
    let mut bench = Bench::new("vpn-sig?residual=10s");
    let mut victim = bench.datagrams(BRIDGE, 51820);
    victim.client_says(&mut bench, &wireguard(1, 148, &[7]));
    for lost in 2..5 {
        bench.pass(Duration::from_secs(9));
        victim.client_says(&mut bench, b"anything");
        assert_eq!(victim.lost, lost, "each packet begins the time anew");
    }
    let mut other = bench.datagrams(BRIDGE, 51820);
    other.client_says(&mut bench, b"anything");
    assert_eq!(other.lost, 0);
    bench.pass(Duration::from_secs(11));
    victim.client_says(&mut bench, b"anything");
    assert_eq!(victim.lost, 4);
    let mut elsewhere = bench.datagrams("198.18.0.10", 51820);
    elsewhere.client_says(&mut bench, &wireguard(1, 148, &[7]));
    assert_eq!(elsewhere.lost, 0);
}
