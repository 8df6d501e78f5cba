//! UDP ASSOCIATE: a DNS query, full cone, and what is dropped.

use std::net::SocketAddr;

use commucat_client::Options;
use commucat_transport_api::HostPort;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpStream, UdpSocket},
};

use crate::peer::{Ends, in_background, plain, within};

/// Query for `example.org A` (RFC 1035 §4): id 0x1234, recursion desired, one question.
const QUERY: &[u8] =
    b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x07example\x03org\x00\x00\x01\x00\x01";

/// A name server that knows one answer.
async fn name_server() -> (SocketAddr, Ends) {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    let task = in_background(async move {
        let mut query = [0; 512];
        loop {
            let (read, from) = socket.recv_from(&mut query).await.unwrap();
            let mut answer = query[..read].to_vec();
            answer[2] |= 0x80;
            answer[7] = 1;
            answer.extend(b"\xc0\x0c\x00\x01\x00\x01\x00\x00\x00\x3c\x00\x04\xc0\x00\x02\x07");
            socket.send_to(&answer, from).await.unwrap();
        }
    });
    (address, task)
}

async fn associate(proxy: SocketAddr) -> (TcpStream, SocketAddr) {
    let mut control = TcpStream::connect(proxy).await.unwrap();
    control.write_all(&[5, 1, 0, 5, 3, 0, 1, 0, 0, 0, 0, 0, 0]).await.unwrap();
    let mut reply = [0; 12];
    within(control.read_exact(&mut reply)).await.unwrap();
    assert_eq!(reply[..6], [5, 0, 5, 0, 0, 1]);
    let ip: [u8; 4] = reply[6..10].try_into().unwrap();
    (control, (ip, u16::from_be_bytes([reply[10], reply[11]])).into())
}

fn datagram(fragment: u8, to: SocketAddr, payload: &[u8]) -> Vec<u8> {
    let mut out = vec![0, 0, fragment];
    HostPort::from(to).encode(&mut out);
    out.extend_from_slice(payload);
    out
}

async fn receive(socket: &UdpSocket) -> (HostPort, Vec<u8>) {
    let mut buffer = [0; 2048];
    let read = within(socket.recv(&mut buffer)).await.unwrap();
    assert_eq!(buffer[..3], [0, 0, 0]);
    let mut rest = &buffer[3..read];
    (HostPort::decode(&mut rest).unwrap(), rest.to_vec())
}

#[tokio::test]
async fn a_dns_query_is_answered() {
    let (_bridge, client) = plain(Options::default()).await;
    let (server, _task) = name_server().await;
    let (_control, relay) = associate(client.local_addr()).await;
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    socket.connect(relay).await.unwrap();
    // A fragment, garbage and one that is too long for the channel are dropped, not fatal.
    socket.send(&datagram(1, server, QUERY)).await.unwrap();
    socket.send(b"\x00").await.unwrap();
    socket.send(&datagram(0, server, &[0; 2000])).await.unwrap();
    socket.send(&datagram(0, server, QUERY)).await.unwrap();
    let (from, answer) = receive(&socket).await;
    assert_eq!(from, server.into());
    assert_eq!(answer[..2], QUERY[..2]);
    assert_eq!(answer[answer.len() - 4..], [192, 0, 2, 7]);
}

#[tokio::test]
async fn the_cone_is_full_and_closed_to_other_local_programs() {
    let (_bridge, client) = plain(Options::default()).await;
    let (_control, relay) = associate(client.local_addr()).await;
    let program = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    program.connect(relay).await.unwrap();
    let (first, second) =
        (UdpSocket::bind("127.0.0.1:0").await.unwrap(), UdpSocket::bind("127.0.0.1:0").await.unwrap());
    program.send(&datagram(0, first.local_addr().unwrap(), b"hello")).await.unwrap();
    let mut buffer = [0; 64];
    let (read, outside) = within(first.recv_from(&mut buffer)).await.unwrap();
    assert_eq!(&buffer[..read], b"hello");

    // Somebody the program never wrote to reaches it at the same outside address.
    second.send_to(b"knock", outside).await.unwrap();
    assert_eq!(receive(&program).await, (second.local_addr().unwrap().into(), b"knock".to_vec()));

    // Another local port cannot send through the association.
    let stranger = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    stranger.send_to(&datagram(0, first.local_addr().unwrap(), b"forged"), relay).await.unwrap();
    program.send(&datagram(0, first.local_addr().unwrap(), b"mine")).await.unwrap();
    let (read, _) = within(first.recv_from(&mut buffer)).await.unwrap();
    assert_eq!(&buffer[..read], b"mine");
}

#[tokio::test]
async fn the_association_ends_with_its_connection() {
    let (_bridge, client) = plain(Options::default()).await;
    let (control, relay) = associate(client.local_addr()).await;
    assert_eq!(client.manager().status().borrow().connections, 0, "the status is a snapshot");
    drop(control);
    // The port is free again once the association is gone.
    within(async {
        while UdpSocket::bind(relay).await.is_err() {
            tokio::task::yield_now().await
        }
    })
    .await;
}
