//! TLS: any name, both versions, and what the server saw.

use std::sync::Arc;

use commucat_control::{
    Pin, RunningControl,
    wire::{self, Carrier},
};
use commucat_dissect::tls::{Defragment, Hello, Transport, client_hello, split_records};
use rustls_pki_types::ServerName;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};
use tokio_rustls::{TlsConnector, client::TlsStream};

use crate::support::{client_config, connect, get, patiently, post, rest, start};

async fn tls(server: &RunningControl, name: &'static str) -> TlsStream<TcpStream> {
    let config = client_config(server.certificate_pin(), &[wire::ALPN_HTTP]);
    let name = ServerName::try_from(name).unwrap();
    patiently(TlsConnector::from(Arc::new(config)).connect(name, connect(server).await)).await.unwrap()
}

#[tokio::test]
async fn any_name_is_served_and_seen() {
    let server = start().await;
    for name in ["innocent.example", "www.blocked.example", "xn--e1afmkfd.example"] {
        let mut peer = tls(&server, name).await;
        let hello: wire::HelloAnswer = get(&mut peer, wire::HELLO).await.json();
        assert_eq!(hello.carrier, Carrier::Tls);
        assert_eq!(hello.server_name.as_deref(), Some(name));
        assert_eq!(hello.alpn.as_deref(), Some("http/1.1"));
        assert_eq!(hello.tls_version.as_deref(), Some("1.3"));
        let ja4 = hello.ja4.unwrap();
        assert!(ja4.starts_with("t13d") && ja4.contains("h1_") && ja4.len() == 36, "{ja4}");
    }
    let mut nameless = tls(&server, "192.0.2.1").await;
    let hello: wire::HelloAnswer = get(&mut nameless, wire::HELLO).await.json();
    assert_eq!(hello.server_name, None, "an address is no name");
    assert!(hello.ja4.unwrap().starts_with("t13i"));
}

#[tokio::test]
async fn requests_and_echo_work_inside() {
    let server = start().await;
    let mut peer = tls(&server, "innocent.example").await;
    assert_eq!(post(&mut peer, wire::SINK, &[1; 70_000]).await.json::<wire::SinkAnswer>().bytes, 70_000);
    let mut expected = vec![0; 300_000];
    wire::pattern(0, &mut expected);
    assert_eq!(get(&mut peer, "/source?bytes=300000").await.body, expected);

    let mut raw = tls(&server, "innocent.example").await;
    let inner_hello = b"\x16\x03\x01\x02\x00\x01\x00";
    raw.write_all(inner_hello).await.unwrap();
    let mut back = [0; 7];
    patiently(raw.read_exact(&mut back)).await.unwrap();
    assert_eq!(&back, inner_hello, "TLS in TLS is echoed");
}

#[tokio::test]
async fn a_client_with_another_pin_turns_away() {
    let server = start().await;
    let other: Pin = "00".repeat(32).parse().unwrap();
    let config = client_config(other, &[]);
    let name = ServerName::try_from("innocent.example").unwrap();
    let refused = TlsConnector::from(Arc::new(config)).connect(name, connect(&server).await).await;
    assert!(refused.is_err());
}

#[tokio::test]
async fn a_hello_in_many_records_is_understood() {
    let server = start().await;
    let config = client_config(server.certificate_pin(), &[]);
    let name = ServerName::try_from("pieces.example").unwrap();
    let mut client = rustls::ClientConnection::new(Arc::new(config), name).unwrap();
    let mut hello = Vec::new();
    client.write_tls(&mut hello).unwrap();
    let expected = match client_hello(&hello, Defragment::Records) {
        Hello::Complete(hello) => hello.ja4(Transport::Tcp),
        other => panic!("{other:?}"),
    };
    // The handshake message without its record header, cut anew.
    let pieces = split_records(&hello[5..], &[1, 5, 100, 1]);

    let mut peer = connect(&server).await;
    for piece in pieces.chunks(50) {
        peer.write_all(piece).await.unwrap();
    }
    let mut buffer = vec![0; 16_384];
    while client.is_handshaking() {
        let read = patiently(peer.read(&mut buffer)).await.unwrap();
        assert_ne!(read, 0, "the server gave up");
        let mut new = &buffer[..read];
        while !new.is_empty() {
            client.read_tls(&mut new).unwrap();
            client.process_new_packets().unwrap();
        }
    }
    std::io::Write::write_all(&mut client.writer(), b"GET /hello HTTP/1.1\r\nConnection: close\r\n\r\n")
        .unwrap();
    let mut out = Vec::new();
    while client.wants_write() {
        client.write_tls(&mut out).unwrap();
    }
    peer.write_all(&out).await.unwrap();
    let sealed = rest(&mut peer).await;
    let mut sealed = &sealed[..];
    while !sealed.is_empty() {
        client.read_tls(&mut sealed).unwrap();
        client.process_new_packets().unwrap();
    }
    let mut answer = Vec::new();
    // The server closes with close_notify, so this reads to the end.
    std::io::Read::read_to_end(&mut client.reader(), &mut answer).unwrap();
    let answer = String::from_utf8(answer).unwrap();
    let hello: wire::HelloAnswer = serde_json::from_str(answer.split("\r\n\r\n").nth(1).unwrap()).unwrap();
    assert_eq!(hello.server_name.as_deref(), Some("pieces.example"));
    assert_eq!(hello.ja4, Some(expected));
}
