//! How streams and sessions end: half-close, reset, a driver that is dropped, a carrier that dies or ends.

use std::{io::ErrorKind, net::Ipv4Addr, sync::Arc, time::Duration};

use commucat_mux::{Config, Refusal, Violation, accepted, dialled};
use commucat_testkit::sim::{LinkPolicy, SimNet};
use commucat_transport_api::{DialError, MuxSession as _, Net as _, Phase, Signal, Target, abort};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::support::{echo, pair, round_trip, web};

#[tokio::test(start_paused = true)]
async fn a_half_close_passes_and_the_other_direction_stays() {
    let pair = pair();
    let (mut near, mut far) = pair.stream().await;
    near.write_all(b"question").await.unwrap();
    near.shutdown().await.unwrap();
    let mut said = String::new();
    far.read_to_string(&mut said).await.unwrap();
    assert_eq!(said, "question");
    far.write_all(b"answer").await.unwrap();
    far.shutdown().await.unwrap();
    said.clear();
    near.read_to_string(&mut said).await.unwrap();
    assert_eq!(said, "answer");
    assert_eq!(near.write(b"more").await.unwrap_err().kind(), ErrorKind::BrokenPipe);
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_is_dropped_or_aborted_is_reset() {
    let pair = pair();
    for aborts in [false, true] {
        let (mut near, mut far) = pair.stream().await;
        near.write_all(b"half").await.unwrap();
        if aborts {
            abort(near)
        } else {
            drop(near)
        }
        let mut said = Vec::new();
        let error = far.read_to_end(&mut said).await.unwrap_err();
        assert_eq!((error.kind(), &*said), (ErrorKind::ConnectionReset, &b"half"[..]));
        assert_eq!(far.write(b"x").await.unwrap_err().kind(), ErrorKind::ConnectionReset);
    }
}

#[tokio::test(start_paused = true)]
async fn a_dropped_driver_fails_every_stream_at_both_ends() {
    let pair = pair();
    let (mut near, mut far) = pair.stream().await;
    near.write_all(b"x").await.unwrap();
    far.read_exact(&mut [0]).await.unwrap();
    pair.near_driver.abort();
    near.read(&mut [0]).await.unwrap_err();
    near.write(b"x").await.unwrap_err();
    assert_eq!(far.read(&mut [0]).await.unwrap_err().kind(), ErrorKind::UnexpectedEof);
    let failure = pair.far.closed().await;
    assert_eq!((failure.phase, failure.signal), (Phase::Data, Signal::UnexpectedEof));
    assert!(failure.received > 0);
    pair.near.closed().await;
    assert!(pair.near.open(&web()).await.is_err());
    assert!(pair.far.accept().await.is_none());
    pair.far_driver.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_dead_carrier_is_found_and_its_streams_time_out() {
    let net = SimNet::new(11);
    net.set_policy(LinkPolicy::with_delay(Duration::from_millis(50)));
    let (here, there) = (Ipv4Addr::new(10, 0, 0, 1).into(), Ipv4Addr::new(10, 0, 0, 2).into());
    let (client, server) = (net.for_host(here), net.for_host(there));
    let mut port = server.listen_stream("0.0.0.0:443".parse().unwrap()).await.unwrap();
    let to = "10.0.0.2:443".parse().unwrap();
    let (one, other) = tokio::join!(client.connect_stream(&to), port.accept());
    let (near, driver) = dialled(one.unwrap(), Arc::new(client.clone()), Config::default());
    let (far, far_driver) = accepted(other.unwrap().0, Arc::new(server), Config::default());
    tokio::spawn(driver);
    tokio::spawn(far_driver);
    tokio::spawn(echo(far));
    let mut stream = near.open(&web()).await.unwrap().into_stream().unwrap();
    round_trip(&mut stream, b"alive").await;
    let rtt = near.path().rtt.unwrap();
    assert!((Duration::from_millis(100)..Duration::from_millis(120)).contains(&rtt), "{rtt:?}");
    let taken = near.check(client.now() + Duration::from_secs(1)).await.unwrap();
    assert!((Duration::from_millis(100)..Duration::from_millis(120)).contains(&taken), "{taken:?}");

    net.cut(here, there);
    let began = client.now();
    near.check(client.now() + Duration::from_secs(1)).await.unwrap_err();
    stream.write_all(b"still?").await.unwrap();
    assert_eq!(stream.read(&mut [0]).await.unwrap_err().kind(), ErrorKind::TimedOut);
    let failure = near.closed().await;
    assert_eq!((failure.phase, failure.signal), (Phase::Data, Signal::Timeout));
    let silent = client.now() - began;
    assert!((Duration::from_secs(8)..Duration::from_secs(9)).contains(&silent), "{silent:?}");
}

#[tokio::test(start_paused = true)]
async fn a_session_that_nobody_holds_ends_with_its_last_stream() {
    let pair = pair();
    let (mut near, mut far) = pair.stream().await;
    drop(pair.near);
    near.write_all(b"goes on").await.unwrap();
    near.shutdown().await.unwrap();
    let mut said = Vec::new();
    far.read_to_end(&mut said).await.unwrap();
    assert_eq!(said, b"goes on");
    assert!(!pair.near_driver.is_finished());
    far.shutdown().await.unwrap();
    assert_eq!(near.read(&mut [0]).await.unwrap(), 0);
    drop(near);
    pair.near_driver.await.unwrap();
    pair.far_driver.await.unwrap();
    assert_eq!(pair.far.closed().await.signal, Signal::UnexpectedEof);
}

#[tokio::test(start_paused = true)]
async fn a_session_that_drains_takes_no_stream_and_ends_those_it_has() {
    let pair = pair();
    let (mut near, far) = pair.stream().await;
    pair.far.drain();
    pair.near.check(tokio::time::Instant::now().into_std() + Duration::from_secs(1)).await.unwrap();
    assert!(pair.near.is_going_away() && pair.far.is_going_away());
    let Err(DialError::Network { source: Some(source), .. }) = pair.near.open(&web()).await else {
        panic!("it takes no more")
    };
    assert!(matches!(source.downcast_ref(), Some(Refusal::GoingAway)));
    let mut far = far;
    near.write_all(b"as before").await.unwrap();
    far.read_exact(&mut [0; 9]).await.unwrap();
    drop((near, far));
    pair.near_driver.await.unwrap();
    pair.far_driver.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_speaks_something_else_is_told_so_and_left() {
    let (mut raw, carrier) = tokio::io::duplex(1000);
    let (session, driver) = accepted(Box::new(carrier), crate::support::net(), Config::default());
    let driver = tokio::spawn(driver);
    raw.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
    let mut answer = Vec::new();
    raw.read_to_end(&mut answer).await.unwrap();
    assert_eq!(answer, [8, 0, 0, 0, 0, 0, 1, 1]);
    drop(raw);
    assert_eq!(session.closed().await.signal, Signal::UnexpectedBytes);
    assert_eq!(session.violation(), Some(Violation::UnknownFrame(b'G')));
    assert!(session.accept().await.is_none());
    driver.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_carrier_that_takes_nothing_holds_no_driver_for_ever() {
    let (_deaf, carrier) = tokio::io::duplex(10);
    let (session, driver) = dialled(Box::new(carrier), crate::support::net(), Config::default());
    let driver = tokio::spawn(driver);
    let mut stream = session.open(&web()).await.unwrap().into_stream().unwrap();
    stream.write_all(&[1; 10_000]).await.unwrap();
    drop((stream, session));
    tokio::time::timeout(Duration::from_secs(4), driver).await.expect("it gives up").unwrap();
}

#[tokio::test(start_paused = true)]
async fn an_end_that_hears_of_nobody_lets_go() {
    let (_gone, carrier) = tokio::io::duplex(10);
    let (session, driver) = accepted(Box::new(carrier), crate::support::net(), Config::default());
    let driver = tokio::spawn(driver);
    tokio::time::timeout(Duration::from_secs(610), driver).await.expect("nobody uses it").unwrap();
    assert!(session.accept().await.is_none());
}

#[tokio::test(start_paused = true)]
async fn targets_that_no_stream_can_have_are_unsupported() {
    let pair = pair();
    for target in [Target::IpTunnel, Target::Mux] {
        assert!(matches!(pair.near.open(&target).await, Err(DialError::UnsupportedTarget)));
    }
    let bridge = pair.near.open(&Target::Bridge).await.unwrap();
    assert_eq!(pair.far.accept().await.unwrap().1, Target::Bridge);
    drop(bridge);
}
