//! Datagram associations: each datagram whole, with its peer.

use std::{future::poll_fn, io::ErrorKind};

use commucat_transport_api::{DatagramChannel, HostPort, MuxSession as _, Target};
use tokio::io::ReadBuf;

use crate::support::{Pair, pair};

async fn association(pair: &Pair) -> (Box<dyn DatagramChannel>, Box<dyn DatagramChannel>) {
    let near = pair.near.open(&Target::Datagrams).await.unwrap().into_datagrams().unwrap();
    let (channel, target) = pair.far.accept().await.unwrap();
    assert_eq!(target, Target::Datagrams);
    (near, channel.into_datagrams().unwrap())
}

fn mark(round: usize) -> u8 {
    round.to_le_bytes()[0]
}

async fn receive(channel: &mut dyn DatagramChannel, room: usize) -> Option<(Vec<u8>, HostPort)> {
    let mut bytes = vec![0; room];
    let mut buf = ReadBuf::new(&mut bytes);
    let peer = poll_fn(|cx| channel.poll_recv(cx, &mut buf)).await.unwrap()?;
    Some((buf.filled().to_vec(), peer))
}

#[tokio::test(start_paused = true)]
async fn each_datagram_arrives_whole_with_its_peer() {
    let pair = pair();
    let (mut near, mut far) = association(&pair).await;
    let most = near.max_datagram().get();
    assert!(most >= 8192);
    let peers: Vec<HostPort> =
        ["192.0.2.1:53", "[2001:db8::1]:443", "example.org:1"].map(|peer| peer.parse().unwrap()).into();
    let sending = async {
        for (round, length) in
            [0, 1, 1200, 8192, 16_384, 20_000, most].into_iter().cycle().take(60).enumerate()
        {
            let datagram = vec![mark(round); length];
            let peer = &peers[round % 3];
            poll_fn(|cx| near.poll_send(cx, &datagram, peer)).await.unwrap();
        }
        let long = vec![0; most + 1];
        let error = poll_fn(|cx| near.poll_send(cx, &long, &peers[0])).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        // What the stream has no room for leaves while its owner waits for an answer.
        receive(&mut *near, 10).await.unwrap()
    };
    let receiving = async {
        for (round, length) in
            [0, 1, 1200, 8192, 16_384, 20_000, most].into_iter().cycle().take(60).enumerate()
        {
            let (datagram, peer) = receive(&mut *far, 65_536).await.unwrap();
            assert_eq!((datagram.len(), &peer), (length, &peers[round % 3]));
            assert!(datagram.iter().all(|byte| *byte == mark(round)));
        }
        poll_fn(|cx| far.poll_send(cx, b"answer", &peers[0])).await.unwrap();
    };
    let (answer, ()) = tokio::join!(sending, receiving);
    assert_eq!(answer, (b"answer".to_vec(), peers[0].clone()));
}

#[tokio::test(start_paused = true)]
async fn a_datagram_too_long_for_its_reader_is_dropped_alone() {
    let pair = pair();
    let (mut near, mut far) = association(&pair).await;
    let peer: HostPort = "192.0.2.1:53".parse().unwrap();
    for datagram in [&[1; 500][..], &[2; 100]] {
        poll_fn(|cx| near.poll_send(cx, datagram, &peer)).await.unwrap();
    }
    assert_eq!(receive(&mut *far, 200).await.unwrap().0, [2; 100]);
}

#[tokio::test(start_paused = true)]
async fn an_association_that_is_left_ends_and_a_dead_one_breaks() {
    let pair = pair();
    let (near, mut far) = association(&pair).await;
    drop(near);
    assert!(receive(&mut *far, 100).await.is_none());
    let (near, mut far) = association(&pair).await;
    pair.near_driver.abort();
    let mut bytes = [0; 100];
    let mut buf = ReadBuf::new(&mut bytes);
    poll_fn(|cx| far.poll_recv(cx, &mut buf)).await.unwrap_err();
    drop(near);
}
