//! Associations over streams in memory.

use std::{future::poll_fn, sync::Arc};

use commucat_net::SystemNet;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};

use super::*;
use crate::vless::resume::Associations;

async fn receive(channel: &mut VlessDatagrams) -> io::Result<Option<(HostPort, Vec<u8>)>> {
    let mut bytes = vec![0; 65_536];
    let mut buf = ReadBuf::new(&mut bytes);
    let peer = poll_fn(|cx| channel.poll_recv(cx, &mut buf)).await?;
    Ok(peer.map(|peer| (peer, buf.filled().to_vec())))
}

#[tokio::test]
async fn xudp_names_every_peer() {
    let (near, far) = duplex(11);
    let mut client = VlessDatagrams::xudp(Box::new(near), true);
    let mut server = VlessDatagrams::xudp(Box::new(far), false);
    for text in ["192.0.2.1:53", "a.example:9", "[2001:db8::1]:443"] {
        let peer: HostPort = text.parse().unwrap();
        let datagram = vec![7; 900];
        poll_fn(|cx| client.poll_send(cx, &datagram, &peer)).await.unwrap();
        let answered = async {
            let (from, got) = receive(&mut server).await.unwrap().unwrap();
            assert_eq!((&from, &got), (&peer, &datagram));
            poll_fn(|cx| server.poll_send(cx, &got, &from)).await.unwrap();
            receive(&mut server).await
        };
        tokio::select! {
            _never = answered => panic!("nothing more is sent"),
            back = receive(&mut client) => assert_eq!(back.unwrap().unwrap(), (peer.clone(), datagram.clone())),
        }
    }
    drop(client);
    assert_eq!(receive(&mut server).await.unwrap(), None);
}

#[tokio::test]
async fn a_stalled_stream_makes_senders_wait() {
    let (near, _far) = duplex(16);
    let mut channel = VlessDatagrams::xudp(Box::new(near), true);
    let peer = "192.0.2.1:53".parse().unwrap();
    let mut sent = 0;
    let full = poll_fn(|cx| {
        while let Poll::Ready(done) = channel.poll_send(cx, &[1; 8000], &peer) {
            done.unwrap();
            sent += 1;
        }
        Poll::Ready(sent)
    });
    assert_eq!(full.await, 9, "64 KiB and the one that passes them");
    let long = poll_fn(|cx| channel.poll_send(cx, &[1; 8193], &peer)).await.unwrap_err();
    assert_eq!(long.kind(), io::ErrorKind::InvalidInput);
}

#[tokio::test]
async fn fixed_ones_go_to_their_peer() {
    let (near, mut far) = duplex(1024);
    let peer: HostPort = "192.0.2.1:53".parse().unwrap();
    let mut channel = VlessDatagrams::fixed(Box::new(near), peer.clone());
    far.write_all(&[0, 2, 5, 6, 0, 0, 0, 1, 7]).await.unwrap();
    for datagram in [&[5, 6][..], &[], &[7]] {
        assert_eq!(receive(&mut channel).await.unwrap().unwrap(), (peer.clone(), datagram.to_vec()));
    }
    poll_fn(|cx| channel.poll_send(cx, b"no", &"192.0.2.2:53".parse().unwrap())).await.unwrap();
    poll_fn(|cx| channel.poll_send(cx, b"yes", &peer)).await.unwrap();
    drop(channel);
    let mut wire = Vec::new();
    far.read_to_end(&mut wire).await.unwrap();
    assert_eq!(wire, b"\0\x03yes");
}

#[tokio::test]
async fn floods_of_sessions_that_are_not_spoken_are_bounded() {
    let (near, mut far) = duplex(64);
    let mut channel = VlessDatagrams::xudp(Box::new(near), false);
    let flood = async {
        for _frame in 0..5000 {
            far.write_all(&[0, 12, 0, 1, 1, 0, 1, 0, 80, 1, 192, 0, 2, 1]).await.unwrap();
        }
        far.write_all(&[0, 4, 0, 0, 3, 0]).await.unwrap();
        far
    };
    let (ended, _far) = tokio::join!(receive(&mut channel), flood);
    assert_eq!(ended.unwrap(), None);
    assert!(channel.outgoing.len() <= MAX_REFUSALS_BYTES + 6);
}

/// A client's stream whose first frame has that id and asks that peer, and the association at the bridge.
async fn begin(
    all: &Arc<Associations>,
    user: u8,
    id: [u8; 8],
    said: &[u8],
) -> (DuplexStream, VlessDatagrams) {
    let (mut client, near) = duplex(1 << 12);
    let mut frame = vec![0, 20, 0, 0, 1, 1, 2, 0, 53, 1, 192, 0, 2, 1];
    frame.extend_from_slice(&id);
    frame.extend_from_slice(&[0, u8::try_from(said.len()).unwrap()]);
    frame.extend_from_slice(said);
    client.write_all(&frame).await.unwrap();
    (client, VlessDatagrams::accepted(Box::new(near), all.place([user; 16])))
}

fn associations() -> Arc<Associations> {
    Associations::new(SystemNet::new())
}

#[tokio::test(start_paused = true)]
async fn who_comes_back_finds_the_association() {
    let (all, peer): (_, HostPort) = (associations(), "192.0.2.1:53".parse().unwrap());
    let (client, mut first) = begin(&all, 1, [5; 8], b"one").await;
    assert_eq!(receive(&mut first).await.unwrap().unwrap(), (peer.clone(), b"one".to_vec()));
    drop(client);
    // Nobody is there now; what is sent is lost, and the association goes on.
    tokio::select! {
        ended = receive(&mut first) => panic!("{ended:?}"),
        () = tokio::time::sleep(std::time::Duration::from_secs(50)) => {}
    }
    poll_fn(|cx| first.poll_send(cx, b"lost", &peer)).await.unwrap();
    let (mut client, mut second) = begin(&all, 1, [5; 8], b"two").await;
    assert_eq!(receive(&mut second).await.unwrap(), None, "it gave its stream away");
    assert_eq!(receive(&mut first).await.unwrap().unwrap(), (peer.clone(), b"two".to_vec()));
    poll_fn(|cx| first.poll_send(cx, b"back", &peer)).await.unwrap();
    let mut answer = [0; 20];
    client.read_exact(&mut answer).await.unwrap();
    assert!(answer.ends_with(b"back"), "{answer:?}");
    // A third stream takes over while the second is still there.
    let (_client, mut third) = begin(&all, 1, [5; 8], b"three").await;
    assert_eq!(receive(&mut third).await.unwrap(), None);
    assert_eq!(receive(&mut first).await.unwrap().unwrap().1, b"three");
    assert_eq!(client.read(&mut answer).await.unwrap(), 0, "the second is closed");
}

#[tokio::test(start_paused = true)]
async fn who_stays_away_or_says_goodbye_has_none_left() {
    let all = associations();
    let (client, mut first) = begin(&all, 1, [5; 8], b"one").await;
    receive(&mut first).await.unwrap().unwrap();
    drop(client);
    let began = tokio::time::Instant::now();
    assert_eq!(receive(&mut first).await.unwrap(), None);
    assert_eq!(began.elapsed().as_secs(), 60);
    drop(first);
    let (mut client, mut next) = begin(&all, 1, [5; 8], b"two").await;
    assert_eq!(receive(&mut next).await.unwrap().unwrap().1, b"two", "a new one");
    client.write_all(&[0, 4, 0, 0, 3, 0]).await.unwrap();
    let began = tokio::time::Instant::now();
    assert_eq!(receive(&mut next).await.unwrap(), None);
    assert_eq!(began.elapsed().as_secs(), 0, "it is over at once");
    drop(next);
    assert!(format!("{all:?}").contains("data: {}"), "nothing is remembered: {all:?}");
}

#[tokio::test(start_paused = true)]
async fn nobody_gets_the_association_of_another_user_and_few_wait() {
    let all = associations();
    let (_anna, mut first) = begin(&all, 1, [5; 8], b"one").await;
    receive(&mut first).await.unwrap().unwrap();
    let (_bob, mut second) = begin(&all, 2, [5; 8], b"two").await;
    assert_eq!(receive(&mut second).await.unwrap().unwrap().1, b"two");
    // Zeros are no id: this association ends with its stream.
    let (client, mut third) = begin(&all, 1, [0; 8], b"three").await;
    receive(&mut third).await.unwrap().unwrap();
    drop(client);
    assert_eq!(receive(&mut third).await.unwrap(), None);
    let mut waiting = Vec::new();
    for number in 0..300_u64 {
        let (client, mut channel) = begin(&all, 3, (number + 1).to_be_bytes(), b"x").await;
        receive(&mut channel).await.unwrap().unwrap();
        drop(client);
        let ended = tokio::time::timeout(std::time::Duration::from_millis(1), receive(&mut channel)).await;
        waiting.push((ended.is_ok(), channel));
    }
    assert_eq!(waiting.iter().filter(|(ended, _)| !ended).count(), 256);
}
