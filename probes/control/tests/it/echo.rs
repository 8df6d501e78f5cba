//! Raw echo, and how the first bytes decide.

use commucat_control::{Control, ControlConfig, Limits, wire};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::support::{config, connect, get, patiently, read_answer, rest, start, start_with};

async fn echoed(peer: &mut TcpStream, bytes: &[u8]) {
    peer.write_all(bytes).await.unwrap();
    let mut back = vec![0; bytes.len()];
    patiently(peer.read_exact(&mut back)).await.unwrap();
    assert_eq!(back, bytes);
}

#[tokio::test]
async fn what_is_nothing_known_comes_back() {
    let server = start().await;
    let mut noise = vec![0; 50_000];
    wire::pattern(1, &mut noise);
    for first in
        [&noise[..], b"SSH-2.0-probe\r\n", b"GET \xff\xfe\xfd", b"\x16\x03\x0a\x00\x10\x01", b"\x00", b"\r\n"]
    {
        let mut peer = connect(&server).await;
        echoed(&mut peer, first).await;
        echoed(&mut peer, b"GET /time HTTP/1.1\r\n\r\n").await;
        peer.shutdown().await.unwrap();
        assert!(rest(&mut peer).await.is_empty(), "a half-close is answered by the end");
    }
}

#[tokio::test]
async fn one_byte_at_a_time_is_understood() {
    let server = start().await;
    let mut peer = connect(&server).await;
    for byte in b"GET /time HTTP/1.1\r\nHost: a\r\n\r\n" {
        peer.write_all(&[*byte]).await.unwrap();
        peer.flush().await.unwrap();
        tokio::task::yield_now().await;
    }
    assert_eq!(read_answer(&mut peer).await.status, 200);
    let mut peer = connect(&server).await;
    for byte in [0x16, 3, 1, 2, 0, 9] {
        peer.write_all(&[byte]).await.unwrap();
    }
    let mut back = [0; 6];
    patiently(peer.read_exact(&mut back)).await.unwrap();
    assert_eq!(back, [0x16, 3, 1, 2, 0, 9], "not a hello after all");
}

#[tokio::test]
async fn an_unfinished_beginning_is_echoed_in_the_end() {
    let server = start_with(Limits { detect_ms: 100, ..Limits::default() }).await;
    for beginning in [&b"GE"[..], b"\x16\x03\x01"] {
        let mut waits = connect(&server).await;
        echoed(&mut waits, beginning).await;
        let mut closes = connect(&server).await;
        closes.write_all(beginning).await.unwrap();
        closes.shutdown().await.unwrap();
        assert_eq!(rest(&mut closes).await, beginning);
    }
}

#[tokio::test]
async fn raw_echo_can_be_turned_off() {
    let server = Control::start(ControlConfig { no_raw_echo: true, ..config() }).await.unwrap();
    let mut peer = connect(&server).await;
    peer.write_all(b"SSH-2.0-probe\r\n").await.unwrap();
    assert!(rest(&mut peer).await.is_empty());
    assert_eq!(get(&mut connect(&server).await, wire::TIME).await.status, 200);
}

#[tokio::test]
async fn an_echo_ends_at_the_byte_limit() {
    let server = start_with(Limits { connection_bytes: 100_000, ..Limits::default() }).await;
    let mut peer = connect(&server).await;
    let noise = vec![0xee; 200_000];
    let (mut read, mut write) = peer.split();
    // The server closes in the middle: writing fails at some point, and that is meant.
    let (_sent, back) = tokio::join!(write.write_all(&noise), rest(&mut read));
    assert!(back.len() <= 100_000, "{}", back.len());
}
