//! What a user gets through the bridge: streams, datagrams, the bridge's own API; and what a stranger gets.

use std::{future::poll_fn, net::SocketAddr};

use commucat_transport_api::{HostPort, Secret, Target, User};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, ReadBuf},
    net::{TcpListener, TcpStream, UdpSocket},
};

use crate::{
    plain::COVER,
    support::{BASIC, World, echo, ended_with_reset, get, is_alive},
};

#[tokio::test]
async fn a_stream_with_half_close_both_ways() {
    let world = World::start(BASIC).await;
    let mut stream = world.stream(echo().await).await;
    let sent: Vec<u8> = (0..3_000_000_u32).flat_map(u32::to_le_bytes).collect();
    let (mut read, mut write) = tokio::io::split(&mut stream);
    let writing = async {
        write.write_all(&sent).await.unwrap();
        write.shutdown().await.unwrap();
    };
    let mut back = Vec::new();
    let (_written, received) = tokio::join!(writing, read.read_to_end(&mut back));
    received.unwrap();
    assert!(back == sent, "what was sent before the half-close came back whole");
    let port = world.endpoint(0).port();
    let line = format!("commucat_sessions_active{{endpoint=\"plain:{port}\",transport=\"plain\"}}");
    world.await_metric(&line, 0.0).await;
}

#[tokio::test]
async fn bytes_are_counted_per_endpoint() {
    let world = World::start(BASIC).await;
    let mut stream = world.stream(echo().await).await;
    stream.write_all(&[7; 1000]).await.unwrap();
    stream.shutdown().await.unwrap();
    stream.read_to_end(&mut Vec::new()).await.unwrap();
    let port = world.endpoint(0).port();
    let line = |direction| {
        format!(
            "commucat_bytes_total{{endpoint=\"plain:{port}\",transport=\"plain\",direction=\"{direction}\"}}"
        )
    };
    world.await_metric(&line("up"), 1000.0).await;
    world.await_metric(&line("down"), 1000.0).await;
}

#[tokio::test]
async fn a_target_that_refuses_is_a_reset_and_is_counted() {
    let world = World::start(BASIC).await;
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    assert!(ended_with_reset(&mut world.stream(closed).await).await);
    world.await_metric("commucat_egress_failures_total{class=\"connect\"}", 1.0).await;
}

#[tokio::test]
async fn this_machine_is_out_of_reach_unless_allowed() {
    let world = World::start(&BASIC.replace("allow_private = true", "allow_private = false")).await;
    let target = echo().await;
    assert!(ended_with_reset(&mut world.stream(target).await).await);
    let mapped: SocketAddr = format!("[::ffff:127.0.0.1]:{}", target.port()).parse().unwrap();
    assert!(ended_with_reset(&mut world.stream(mapped).await).await);
    let by_name = HostPort::new("localhost", target.port()).unwrap();
    let channel = world.dial(&world.ann, Target::Stream(by_name)).await.unwrap();
    assert!(ended_with_reset(&mut channel.into_stream().unwrap()).await);
    world.await_metric("commucat_egress_failures_total{class=\"denied\"}", 3.0).await;
}

#[tokio::test]
async fn datagrams_come_back_from_whoever_answers() {
    let world = World::start(BASIC).await;
    let (near, far) =
        (UdpSocket::bind("127.0.0.1:0").await.unwrap(), UdpSocket::bind("127.0.0.1:0").await.unwrap());
    let mut channel = world.datagrams().await;
    let named = HostPort::new("localhost", near.local_addr().unwrap().port()).unwrap();
    for (payload, to) in [(b"by name", named), (b"by addr", near.local_addr().unwrap().into())] {
        poll_fn(|cx| channel.poll_send(cx, payload, &to)).await.unwrap();
        let mut got = [0; 64];
        let (length, bridge) = near.recv_from(&mut got).await.unwrap();
        assert_eq!(&got[..length], payload);
        // Full cone: somebody the user never wrote to may answer too.
        far.send_to(b"hello from afar", bridge).await.unwrap();
        let mut buffer = [0; 64];
        let mut read = ReadBuf::new(&mut buffer);
        let from = poll_fn(|cx| channel.poll_recv(cx, &mut read)).await.unwrap().unwrap();
        assert_eq!((read.filled(), from), (&b"hello from afar"[..], far.local_addr().unwrap().into()));
    }
}

#[tokio::test]
async fn datagrams_obey_the_rules_of_egress() {
    let world = World::start(&BASIC.replace("allow_private = true", "allow_private = false")).await;
    let here = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let mut channel = world.datagrams().await;
    let port = here.local_addr().unwrap().port();
    for host in ["127.0.0.1", "localhost", "::ffff:127.0.0.1"] {
        let to = HostPort::new(host, port).unwrap();
        poll_fn(|cx| channel.poll_send(cx, b"x", &to)).await.unwrap();
    }
    world.await_metric("commucat_egress_failures_total{class=\"denied\"}", 3.0).await;
    assert!(here.try_recv(&mut [0; 8]).is_err(), "nothing arrived");
}

#[tokio::test]
async fn the_bridge_answers_for_itself_and_knows_who_asks() {
    let world = World::start(BASIC).await;
    let bridge = async || world.dial(&world.ann, Target::Bridge).await.unwrap().into_stream().unwrap();
    let (status, body) = get(bridge().await, "/livez", "").await;
    assert_eq!((status, body.as_str()), (200, "ok\n"));
    assert_eq!(get(bridge().await, "/metrics", "").await.0, 404, "the admin pages are not for users");

    world.await_self_check().await;
    let mut stream = bridge().await;
    let wish = r#"{"client_version":"0.1.0"}"#;
    let request = format!(
        "POST /api/p2p/assist HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: application/json\r\n\
         content-length: {}\r\n\r\n{wish}",
        wish.len()
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(answer.contains("\"transport\":\"plain\""), "the endpoint was checked and is offered: {answer}");
    world.await_metric("commucat_assist_requests_total{status=\"200\"}", 1.0).await;
}

#[tokio::test]
async fn a_stranger_gets_the_cover() {
    let world = World::start(BASIC).await;
    let mut stream = TcpStream::connect(world.endpoint(0)).await.unwrap();
    stream.write_all(&[b'G'; 64]).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.ok();
    assert_eq!(answer, COVER);
    let stranger = User { id: "ann".parse().unwrap(), secret: Secret::new([1; 32]) };
    assert!(world.dial(&stranger, Target::Bridge).await.is_err());
    let port = world.endpoint(0).port();
    let line = format!(
        "commucat_handshakes_total{{endpoint=\"plain:{port}\",transport=\"plain\",outcome=\"unauthenticated\"}}"
    );
    world.await_metric(&line, 2.0).await;
    let mut stream = world.stream(echo().await).await;
    assert!(is_alive(&mut stream).await, "others are served");
}
