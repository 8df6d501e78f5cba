//! Streams of all methods over real sockets.

use std::time::Duration;

use commucat_transport_api::{Cx, Failure, Phase, Signal, Target};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};

use crate::support::{Bridge, Clock, OddNet, all_servers, cx, dial, exchange, pattern, user};

#[tokio::test]
async fn every_method_carries_a_megabyte_both_ways() {
    for params in all_servers() {
        let mut bridge = Bridge::start(params.clone(), cx().net).await;
        let stream = dial(&*bridge.client(&user("ben", 2)), &cx(), "example.org:443").await;
        exchange(stream, pattern(1_000_003)).await;
        let (target, who) = bridge.outcome().await.unwrap();
        assert_eq!(target, Target::Stream("example.org:443".parse().unwrap()));
        let single = params.get("single_user").is_some();
        assert_eq!(who.as_deref(), (!single).then_some("ben"), "{params}");
    }
}

#[tokio::test]
async fn the_bridge_itself_can_be_dialled() {
    let mut bridge = Bridge::start(all_servers()[0].clone(), cx().net).await;
    let client = bridge.client(&user("anna", 1));
    let mut stream = client.dial(&cx(), &Target::Bridge).await.unwrap().channel.into_stream().unwrap();
    stream.shutdown().await.unwrap();
    assert_eq!(stream.read(&mut [0; 8]).await.unwrap(), 0, "an empty answer is a clean end");
    assert_eq!(bridge.outcome().await.unwrap().0, Target::Bridge);
}

#[tokio::test]
async fn header_and_first_payload_leave_as_one() {
    for params in all_servers() {
        let bridge = Bridge::start(params, cx().net).await;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut spec = bridge.server.client_spec(&bridge.address.into(), &user("anna", 1)).unwrap();
        spec.endpoint = listener.local_addr().unwrap().into();
        let client = commucat_transport_api::PluggableTransport::client(
            &commucat_shadowsocks::Shadowsocks::new(),
            &spec,
        );
        let mut stream = dial(&*client.unwrap(), &cx(), "example.org:443").await;
        let (mut server, _peer) = listener.accept().await.unwrap();
        let mut first = vec![0; 64 * 1024];
        let silent = tokio::time::timeout(Duration::from_millis(100), server.read(&mut first)).await;
        assert!(silent.is_err(), "a dial sends nothing by itself");
        let payload = pattern(700);
        stream.write_all(&payload).await.unwrap();
        let count = server.read(&mut first).await.unwrap();
        assert!(count > payload.len() + 32, "{count} bytes");
    }
}

#[tokio::test]
async fn a_stream_that_ends_unanswered_carries_evidence() {
    let bridge = Bridge::start(all_servers()[0].clone(), cx().net).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut spec = bridge.server.client_spec(&bridge.address.into(), &user("anna", 1)).unwrap();
    spec.endpoint = listener.local_addr().unwrap().into();
    let client =
        commucat_transport_api::PluggableTransport::client(&commucat_shadowsocks::Shadowsocks::new(), &spec)
            .unwrap();
    for reset in [false, true] {
        let mut stream = dial(&*client, &cx(), "example.org:443").await;
        stream.write_all(b"hello").await.unwrap();
        let (mut server, _peer) = listener.accept().await.unwrap();
        if !reset {
            let count = server.read(&mut [0; 4096]).await.unwrap();
            assert!(count > 0);
        } else {
            server.readable().await.unwrap();
        }
        drop(server);
        let error = stream.read(&mut [0; 8]).await.unwrap_err();
        let failure = Failure::in_io(&error).unwrap();
        let expected = if reset {
            (Phase::Handshake, Signal::Reset)
        } else {
            (Phase::Authenticate, Signal::UnexpectedEof)
        };
        assert_eq!((failure.phase, failure.signal.clone()), expected);
        assert_eq!(failure.received, 0);
        assert!(failure.sent > 40);
    }
    let report = client.probe(&Cx::new(cx().net, Duration::from_millis(300))).await;
    assert_eq!(report.steps.last().map(|step| &*step.name), Some("handshake"), "{report:?}");
    assert_eq!(report.first_failure().unwrap().signal, Signal::Timeout);
}

#[tokio::test]
async fn a_probe_of_a_good_bridge_has_no_failure() {
    for params in all_servers() {
        let bridge = Bridge::start(params, cx().net).await;
        let report = bridge.client(&user("anna", 1)).probe(&cx()).await;
        assert!(report.first_failure().is_none(), "{report:?}");
        assert!(report.steps.iter().any(|step| step.name.starts_with("first packet: ")), "{report:?}");
    }
}

#[tokio::test]
async fn a_verified_answer_with_another_time_is_clock_skew() {
    use std::sync::{Arc, Mutex};
    let params = all_servers()[0].clone();
    let bridge = Bridge::start(params, OddNet::new(Clock::Fixed(1_000_000))).await;
    let net = OddNet::new(Clock::Set(Mutex::new(1_000_000)));
    let cx = Cx::new(Arc::clone(&net) as _, Duration::from_secs(20));
    let mut stream = dial(&*bridge.client(&user("anna", 1)), &cx, "example.org:1").await;
    stream.write_all(b"x").await.unwrap();
    let Clock::Set(clock) = &net.clock else { unreachable!() };
    *clock.lock().unwrap() += 300;
    let error = stream.read(&mut [0; 8]).await.unwrap_err();
    assert_eq!(Failure::in_io(&error).unwrap().signal, Signal::ClockSkew(300));
}

#[tokio::test]
async fn a_full_bridge_ends_cleanly() {
    let mut bridge = Bridge::start(all_servers()[0].clone(), cx().net).await;
    bridge.users.set_full(true);
    let mut stream = dial(&*bridge.client(&user("anna", 1)), &cx(), "example.org:1").await;
    stream.write_all(&pattern(100_000)).await.unwrap();
    assert_eq!(stream.read(&mut [0; 8]).await.unwrap(), 0);
    drop(stream);
    assert!(matches!(bridge.outcome().await, Err(commucat_transport_api::AcceptError::Limit(_))));
}
