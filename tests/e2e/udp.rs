//! UDP ASSOCIATE carries a real DNS query to a real DNS server.

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream, UdpSocket},
    time::Duration,
};

use crate::support::{Bridge, Client, Process, closed_port, tool};

/// An A query for `e2e.test`, as RFC 1035 §4.1 lays it out.
const QUERY: &[u8] = b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x03e2e\x04test\x00\x00\x01\x00\x01";

#[test]
fn a_dns_query_is_answered_over_every_transport() {
    let port = closed_port();
    let Some(mut dnsmasq) = tool("dnsmasq", "dnsmasq-base") else { return };
    dnsmasq.args([
        "--keep-in-foreground",
        "--conf-file=/dev/null",
        "--no-resolv",
        "--no-hosts",
        "--bind-interfaces",
    ]);
    dnsmasq.args([
        "--listen-address=127.0.0.1",
        "--address=/e2e.test/192.0.2.53",
        "--user=root",
        "--log-facility=-",
    ]);
    let mut server = Process::start(dnsmasq.arg(format!("--port={port}")));
    server.wait_for("started");

    let bridge = Bridge::start();
    for transport in ["shadowsocks", "websocket"] {
        let client = Client::start_with(&bridge.link, &["--only", transport]);
        let answer = ask(client.proxy, ([127, 0, 0, 1], port).into());
        assert_eq!(answer[..2], QUERY[..2], "{transport}: the id of the query");
        assert!(answer.ends_with(&[192, 0, 2, 53]), "{transport}: {answer:02x?}");
    }
}

/// Sends the query through a UDP association (RFC 1928 §7) and gives the answer's payload.
fn ask(proxy: SocketAddr, server: SocketAddr) -> Vec<u8> {
    let mut control = TcpStream::connect(proxy).unwrap();
    control.write_all(&[5, 1, 0]).unwrap();
    control.read_exact(&mut [0; 2]).unwrap();
    control.write_all(&[5, 3, 0, 1, 0, 0, 0, 0, 0, 0]).unwrap();
    let mut reply = [0; 10];
    control.read_exact(&mut reply).unwrap();
    assert_eq!(reply[..4], [5, 0, 0, 1], "the association");
    let relay = SocketAddr::from((
        [reply[4], reply[5], reply[6], reply[7]],
        u16::from_be_bytes([reply[8], reply[9]]),
    ));

    let SocketAddr::V4(server) = server else { panic!("an IPv4 server") };
    let mut datagram = vec![0, 0, 0, 1];
    datagram.extend_from_slice(&server.ip().octets());
    datagram.extend_from_slice(&server.port().to_be_bytes());
    datagram.extend_from_slice(QUERY);
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    let mut answer = [0; 1500];
    // A datagram may be lost while the path is being opened; a resolver asks again too.
    for _ in 0..5 {
        socket.send_to(&datagram, relay).unwrap();
        if let Ok((length, _from)) = socket.recv_from(&mut answer) {
            assert_eq!(answer[..4], [0, 0, 0, 1]);
            return answer[10..length].to_vec();
        }
    }
    panic!("no answer through the association");
}
