//! Datagrams: answered a byte shorter, within a rate, and never for ever.

use std::{net::SocketAddr, time::Duration};

use commucat_control::{Control, ControlConfig, Limits, RunningControl};
use tokio::{net::UdpSocket, time::timeout};

use crate::support::{config, patiently, start, start_with};

async fn peer(server: &RunningControl) -> UdpSocket {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    socket.connect(server.addresses().udp[0]).await.unwrap();
    socket
}

async fn answer(peer: &UdpSocket) -> Vec<u8> {
    let mut buffer = vec![0; 65_535];
    let length = patiently(peer.recv(&mut buffer)).await.unwrap();
    buffer.truncate(length);
    buffer
}

#[tokio::test]
async fn an_answer_is_the_question_less_a_byte() {
    let server = start().await;
    let peer = peer(&server).await;
    for length in [2, 3, 148, 1_200, 9_000] {
        let question: Vec<u8> = (0..=u8::MAX).cycle().take(length).collect();
        peer.send(&question).await.unwrap();
        assert_eq!(answer(&peer).await, question[..length - 1]);
    }
}

#[tokio::test]
async fn the_shortest_get_no_answer() {
    let server = start().await;
    let peer = peer(&server).await;
    peer.send(b"").await.unwrap();
    peer.send(b"x").await.unwrap();
    peer.send(b"xyz").await.unwrap();
    assert_eq!(answer(&peer).await, b"xy", "the first answer is that of the third");
}

#[tokio::test]
async fn a_flood_is_answered_at_the_rate() {
    let server = start_with(Limits { datagrams_per_second: 10, ..Limits::default() }).await;
    let peer = peer(&server).await;
    for _ in 0..200 {
        peer.send(b"flood").await.unwrap();
    }
    let mut answers = 0;
    let mut buffer = [0; 16];
    while let Ok(Ok(_)) = timeout(Duration::from_millis(300), peer.recv(&mut buffer)).await {
        answers += 1;
    }
    assert!((10..100).contains(&answers), "{answers}");
    assert!(server.stats().datagrams_dropped >= 100);
}

#[tokio::test]
async fn two_servers_set_at_each_other_fall_silent() {
    // A forged sender makes one server answer another. The first datagram is long, each answer a byte shorter.
    let limits = Limits { datagrams_per_second: 100_000, ..Limits::default() };
    let (one, other) = (start_with(limits).await, start_with(limits).await);
    let (one_at, other_at) = (one.addresses().udp[0], other.addresses().udp[0]);
    drop(other);
    let forger = rebind(other_at).await;
    forger.send_to(&[b'x'; 200], one_at).await.unwrap();
    drop(forger);
    let config = ControlConfig { udp: vec![other_at.into()], limits, ..config() };
    let Ok(other) = Control::start(config).await else { return eprintln!("skipped: the port was taken") };
    let quiet = async {
        loop {
            let before = one.stats().datagrams + other.stats().datagrams;
            tokio::time::sleep(Duration::from_millis(200)).await;
            if one.stats().datagrams + other.stats().datagrams == before {
                return before;
            }
        }
    };
    assert!(patiently(quiet).await <= 200);
}

async fn rebind(at: SocketAddr) -> UdpSocket {
    patiently(async {
        loop {
            if let Ok(socket) = UdpSocket::bind(at).await {
                return socket;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await
}
