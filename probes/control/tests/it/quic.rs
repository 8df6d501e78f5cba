//! QUIC: the same requests on streams.

use std::sync::Arc;

use commucat_control::{
    Limits, RunningControl,
    wire::{self, Carrier},
};
use quinn::{ClientConfig, Connection, Endpoint, crypto::rustls::QuicClientConfig};

use crate::support::{client_config, get, patiently, post, start, start_with};

fn endpoint(server: &RunningControl, alpn: &[u8]) -> Endpoint {
    let mut endpoint = Endpoint::client("127.0.0.1:0".parse().unwrap()).unwrap();
    let tls = client_config(server.certificate_pin(), &[alpn]);
    endpoint.set_default_client_config(ClientConfig::new(Arc::new(QuicClientConfig::try_from(tls).unwrap())));
    endpoint
}

async fn connect(endpoint: &Endpoint, server: &RunningControl, name: &str) -> Connection {
    let connecting = endpoint.connect(server.addresses().quic[0], name).unwrap();
    patiently(connecting).await.unwrap()
}

#[tokio::test]
async fn requests_work_on_streams() {
    let server = start().await;
    for alpn in [wire::ALPN_PROBE, wire::ALPN_H3] {
        let endpoint = endpoint(&server, alpn);
        let connection = connect(&endpoint, &server, "innocent.example").await;
        let (send, receive) = connection.open_bi().await.unwrap();
        let mut stream = tokio::io::join(receive, send);
        let mut expected = vec![0; 100_000];
        wire::pattern(0, &mut expected);
        assert_eq!(get(&mut stream, "/source?bytes=100000").await.body, expected);
        let sink: wire::SinkAnswer = post(&mut stream, wire::SINK, &[1; 70_000]).await.json();
        assert_eq!(sink.bytes, 70_000, "a second request on the same stream");

        let (send, receive) = connection.open_bi().await.unwrap();
        let hello: wire::HelloAnswer = get(&mut tokio::io::join(receive, send), wire::HELLO).await.json();
        assert_eq!(hello.carrier, Carrier::Quic);
        assert_eq!(hello.server_name.as_deref(), Some("innocent.example"));
        assert_eq!(hello.alpn.map(String::into_bytes).as_deref(), Some(alpn));
        assert_eq!(hello.tls_version.as_deref(), Some("1.3"));
        let ja4 = hello.ja4.unwrap();
        assert!(ja4.starts_with("q13d") && ja4.len() == 36, "{ja4}");
    }
}

#[tokio::test]
async fn raw_bytes_are_echoed_on_a_stream() {
    let server = start().await;
    let endpoint = endpoint(&server, wire::ALPN_PROBE);
    let connection = connect(&endpoint, &server, "innocent.example").await;
    let (mut send, mut receive) = connection.open_bi().await.unwrap();
    send.write_all(b"neither").await.unwrap();
    send.finish().unwrap();
    assert_eq!(patiently(receive.read_to_end(100)).await.unwrap(), b"neither");
}

#[tokio::test]
async fn other_protocols_are_refused() {
    let server = start().await;
    let endpoint = endpoint(&server, b"something-else");
    let refused = endpoint.connect(server.addresses().quic[0], "innocent.example").unwrap();
    assert!(patiently(refused).await.is_err());
}

#[tokio::test]
async fn the_limit_of_an_address_holds() {
    let server = start_with(Limits { connections_per_address: 2, ..Limits::default() }).await;
    let endpoint = endpoint(&server, wire::ALPN_PROBE);
    let _held =
        [connect(&endpoint, &server, "a.example").await, connect(&endpoint, &server, "b.example").await];
    let third = endpoint.connect(server.addresses().quic[0], "c.example").unwrap();
    assert!(patiently(third).await.is_err());
    assert_eq!(server.stats().refused, 1);
}

#[tokio::test]
async fn garbage_on_the_port_is_ignored() {
    let server = start().await;
    let noise = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
    for length in [0_usize, 1, 20, 1_200, 9_000] {
        let mut bytes = vec![0; length];
        wire::pattern(length as u64, &mut bytes);
        noise.send_to(&bytes, server.addresses().quic[0]).await.unwrap();
        if let Some(first) = bytes.first_mut() {
            *first |= 0xc0;
        }
        noise.send_to(&bytes, server.addresses().quic[0]).await.unwrap();
    }
    let endpoint = endpoint(&server, wire::ALPN_PROBE);
    connect(&endpoint, &server, "innocent.example").await;
}
