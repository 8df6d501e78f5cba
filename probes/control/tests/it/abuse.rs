//! Peers that send garbage, too much, too slowly, or nothing.

use std::time::Duration;

use commucat_control::{Limits, RunningControl, wire};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::sleep,
};

use crate::support::{connect, connect_from, get, patiently, rest, start, start_with};

const IDLE_CONNECTIONS: usize = 2_000;

async fn still_serves(server: &RunningControl) {
    assert_eq!(get(&mut connect_from(server, 9).await, wire::TIME).await.status, 200);
}

#[tokio::test]
async fn garbage_never_stops_the_server() {
    let server = start().await;
    let mut seed = 1;
    for beginning in [
        &b""[..],
        b"GET /",
        b"POST /sink HTTP/1.1\r\n",
        b"\x16\x03\x01\x00\x40\x01",
        b"\x16\x03\x03\xff\xff\x01",
    ] {
        for length in [1, 7, 100, 3_000, 40_000] {
            let mut noise = vec![0; length];
            seed += 1;
            wire::pattern(seed << 20, &mut noise);
            let mut peer = connect(&server).await;
            let mut whole = beginning.to_vec();
            whole.extend_from_slice(&noise);
            let (mut read, mut write) = peer.split();
            let send = async {
                // The server may close at the first wrong byte.
                let _sent = write.write_all(&whole).await;
                let _closed = write.shutdown().await;
            };
            let ((), _back) = tokio::join!(send, rest(&mut read));
        }
    }
    still_serves(&server).await;
}

#[tokio::test]
async fn every_truncation_of_a_request_ends_quietly() {
    let server = start().await;
    let request = b"POST /sink HTTP/1.1\r\nContent-Length: 4\r\n\r\nabc";
    for cut in 0..request.len() {
        let mut peer = connect(&server).await;
        peer.write_all(&request[..cut]).await.unwrap();
        peer.shutdown().await.unwrap();
        let back = rest(&mut peer).await;
        let expected = if cut < b"POST /".len() { &request[..cut] } else { b"" };
        assert_eq!(back, expected, "cut at {cut}");
    }
    still_serves(&server).await;
}

#[tokio::test]
async fn two_thousand_idle_connections_hold_up_nobody() {
    let limits = Limits { connections_per_address: 4_096, first_byte_ms: 3_000, ..Limits::default() };
    let server = start_with(limits).await;
    let mut idle = Vec::with_capacity(IDLE_CONNECTIONS);
    for _ in 0..IDLE_CONNECTIONS {
        idle.push(connect(&server).await);
    }
    still_serves(&server).await;
    for mut peer in idle {
        assert!(rest(&mut peer).await.is_empty(), "each is dropped without a byte");
    }
    still_serves(&server).await;
}

#[tokio::test]
async fn one_address_cannot_take_all_places() {
    let server = start_with(Limits { connections_per_address: 3, ..Limits::default() }).await;
    let mut inside = Vec::new();
    for _ in 0..3 {
        let mut peer = connect(&server).await;
        assert_eq!(get(&mut peer, wire::TIME).await.status, 200);
        inside.push(peer);
    }
    assert!(rest(&mut connect(&server).await).await.is_empty(), "the fourth is turned away");
    still_serves(&server).await;
    assert_eq!(server.stats().refused, 1);
    drop(inside.pop());
    let again = async {
        // The place is free once the server has noticed.
        while !answers(connect(&server).await).await {
            sleep(Duration::from_millis(20)).await;
        }
    };
    patiently(again).await;
}

async fn answers(mut peer: TcpStream) -> bool {
    let sent = peer.write_all(b"GET /time HTTP/1.1\r\n\r\n").await;
    let mut first = [0];
    sent.is_ok() && matches!(peer.read(&mut first).await, Ok(1))
}

#[tokio::test]
async fn a_slow_loris_is_dropped() {
    let server = start_with(Limits { head_ms: 300, ..Limits::default() }).await;
    let slow_head = async {
        let mut peer = connect(&server).await;
        peer.write_all(b"GET /time HTTP/1.1\r\n").await.unwrap();
        drip(peer, b"X: y\r\n").await;
    };
    let slow_hello = async {
        let mut peer = connect(&server).await;
        peer.write_all(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc").await.unwrap();
        drip(peer, b"\x03").await;
    };
    tokio::join!(slow_head, slow_hello);
    still_serves(&server).await;
}

/// Sends a little for ever; returns when the server had enough.
async fn drip(peer: TcpStream, drop: &[u8]) {
    let (mut read, mut write) = peer.into_split();
    let drip = async {
        while write.write_all(drop).await.is_ok() {
            sleep(Duration::from_millis(30)).await;
        }
    };
    let ended = async {
        let mut bytes = Vec::new();
        // Closed or reset, both are an end.
        let _ended = read.read_to_end(&mut bytes).await;
    };
    patiently(async {
        tokio::select! {
            () = drip => {}
            () = ended => {}
        }
    })
    .await;
}

#[tokio::test]
async fn a_stalled_body_and_a_stalled_reader_are_dropped() {
    let server = start_with(Limits { idle_ms: 300, ..Limits::default() }).await;
    let mut stalls = connect(&server).await;
    stalls.write_all(b"POST /sink HTTP/1.1\r\nContent-Length: 100\r\n\r\nabc").await.unwrap();
    assert!(rest(&mut stalls).await.is_empty());

    let mut reads_nothing = connect(&server).await;
    reads_nothing.write_all(b"GET /source?bytes=67108864 HTTP/1.1\r\n\r\n").await.unwrap();
    sleep(Duration::from_secs(1)).await;
    let read = rest(&mut reads_nothing).await.len();
    assert!(read < 67_108_864, "{read} bytes came: it was not dropped while nobody read");
}

#[tokio::test]
async fn a_connection_has_an_end() {
    let server = start_with(Limits { connection_ms: 300, ..Limits::default() }).await;
    let mut peer = connect(&server).await;
    peer.write_all(b"not HTTP").await.unwrap();
    drip(peer, b".").await;
}

#[tokio::test]
async fn a_connection_has_a_number_of_requests() {
    let server = start_with(Limits { requests: 2, ..Limits::default() }).await;
    let mut peer = connect(&server).await;
    assert!(get(&mut peer, wire::TIME).await.head.contains("keep-alive"));
    assert!(get(&mut peer, wire::TIME).await.head.contains("Connection: close"));
    assert!(rest(&mut peer).await.is_empty());
}
