//! What local programs can do to the port: garbage, slowness, masses. Others are served meanwhile.

use commucat_client::{MAX_HANDSHAKES, Options};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::{
    peer::{echo, plain, within},
    socks::socks5,
};

/// Connections that say nothing. Descriptors are shared with the rest of the test, so they come in waves.
const HALF_OPEN: usize = 10_000;
const WAVE: usize = 1_000;

#[tokio::test]
async fn garbage_is_closed_without_an_answer() {
    let (_bridge, client) = plain(Options::default()).await;
    for garbage in [&b"\x16\x03\x01\x00\xff"[..], b"\x00\x00\x00", b"\xff\xff", b"quit\r\n"] {
        let mut stream = TcpStream::connect(client.local_addr()).await.unwrap();
        stream.write_all(garbage).await.unwrap();
        let mut back = Vec::new();
        // Closed in order or reset: either way nothing was said.
        within(stream.read_to_end(&mut back)).await.ok();
        assert!(back.is_empty(), "{garbage:?}");
    }
}

#[tokio::test]
async fn one_byte_at_a_time_is_served() {
    let (_bridge, client) = plain(Options::default()).await;
    let (echo, _task) = echo().await;
    let mut stream = TcpStream::connect(client.local_addr()).await.unwrap();
    stream.set_nodelay(true).unwrap();
    for byte in format!("CONNECT {echo} HTTP/1.1\r\n\r\nx").bytes() {
        stream.write_all(&[byte]).await.unwrap();
        tokio::task::yield_now().await;
    }
    let expected = b"HTTP/1.1 200 Connection established\r\n\r\nx";
    let mut back = vec![0; expected.len()];
    within(stream.read_exact(&mut back)).await.unwrap();
    assert_eq!(back, expected);
}

#[tokio::test]
async fn ten_thousand_half_open_connections_leave_room_for_others() {
    let (_bridge, client) = plain(Options::default()).await;
    let (echo, _task) = echo().await;
    let mut kept = Vec::new();
    for wave in 0..HALF_OPEN / WAVE {
        for at in 0..WAVE {
            let mut stream = TcpStream::connect(client.local_addr()).await.unwrap();
            // Half of them begin to speak.
            if at % 2 == 0 {
                stream.write_all(&[5, 2]).await.ok();
            }
            kept.push(stream);
        }
        let (mut stream, code) = within(socks5(client.local_addr(), &echo.to_string())).await;
        assert_eq!(code, 0, "wave {wave}");
        stream.write_all(b"ping").await.unwrap();
        within(stream.read_exact(&mut [0; 4])).await.unwrap();
        // The oldest had to give way: the client holds no more of them than it says.
        let surplus = kept.len().saturating_sub(MAX_HANDSHAKES + 1);
        for mut evicted in kept.drain(..surplus) {
            within(evicted.read(&mut [0; 1])).await.ok();
        }
    }
}

#[tokio::test]
async fn open_connections_are_bounded() {
    let (_bridge, client) = plain(Options { max_connections: 2, ..Options::default() }).await;
    let (echo, _task) = echo().await;
    let target = echo.to_string();
    let first = within(socks5(client.local_addr(), &target)).await;
    let _second = within(socks5(client.local_addr(), &target)).await;
    let mut third = TcpStream::connect(client.local_addr()).await.unwrap();
    third.write_all(b"\x05\x01\x00\x05\x01\x00\x01\x7f\x00\x00\x01\x00\x01").await.unwrap();
    let mut back = Vec::new();
    within(third.read_to_end(&mut back)).await.ok();
    assert_eq!(back.get(2..), Some(&[][..]), "closed without a reply");
    drop(first);
    let retry = async {
        loop {
            let mut stream = TcpStream::connect(client.local_addr()).await.unwrap();
            stream.write_all(b"\x05\x01\x00\x05\x01\x00\x01\x7f\x00\x00\x01\x00\x01").await.unwrap();
            let mut reply = [0; 4];
            if stream.read_exact(&mut reply).await.is_ok() {
                return;
            }
        }
    };
    within(retry).await;
}
