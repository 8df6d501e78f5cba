//! Several endpoints: a dead one is left, the winner is remembered, and the cause stands in the status.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use commucat_client::{ClientState, EndpointState, Options, Runtime, Status};
use commucat_transport_api::HostPort;
use commucat_verdict::CauseKind;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::{
    mini::Params,
    peer::{AfterHello, Bridge, Manner, client, echo, within},
    socks::socks5,
};

async fn two(first: &Bridge, second: &Bridge, params: Params, options: Options) -> Runtime {
    let endpoints = [(first.address.clone(), params.clone()), (second.address.clone(), params)];
    client(&endpoints, options).await
}

async fn bridges() -> (Bridge, Bridge) {
    (Bridge::start(Manner::default()).await, Bridge::start(Manner::default()).await)
}

/// One request through the proxy; `false` when no answer comes within `patience`.
async fn answered(client: &Runtime, echo: SocketAddr, patience: Duration) -> bool {
    let asking = async {
        let (mut stream, code) = socks5(client.local_addr(), &echo.to_string()).await;
        if code != 0 {
            return false;
        }
        stream.write_all(b"ping").await.unwrap();
        stream.read_exact(&mut [0; 4]).await.is_ok()
    };
    tokio::time::timeout(patience, asking).await.unwrap_or(false)
}

/// Waits until the status satisfies `wanted`.
async fn status(client: &Runtime, wanted: impl Fn(&Status) -> bool) -> Status {
    let mut status = client.status();
    within(status.wait_for(wanted)).await.unwrap().clone()
}

const PATIENCE: Duration = Duration::from_secs(20);

#[tokio::test]
async fn a_refusing_endpoint_is_followed_at_once_and_left_alone() {
    let (first, second) = bridges().await;
    first.change(|manner| manner.after_hello = AfterHello::Reset);
    let (echo, _task) = echo().await;
    let client = two(&first, &second, Params::default(), Options::default()).await;
    for _ in 0..5 {
        assert!(answered(&client, echo, PATIENCE).await);
    }
    assert!(second.dials() >= 5);
    assert!(first.dials() <= 2, "one dial and one check, not one a connection: {}", first.dials());
    let status = status(&client, |status| status.active.is_some()).await;
    assert_eq!(status.active.unwrap().name, "mini #2");
}

#[tokio::test]
async fn a_silent_handshake_is_overtaken() {
    let (first, second) = bridges().await;
    first.change(|manner| manner.after_hello = AfterHello::Silence);
    let (echo, _task) = echo().await;
    let client = two(&first, &second, Params::default(), Options::default()).await;
    let began = Instant::now();
    assert!(answered(&client, echo, PATIENCE).await);
    assert!(began.elapsed() < Duration::from_secs(15), "not after the dial's own limit");
    assert!(answered(&client, echo, PATIENCE).await);
    let status = status(&client, |status| status.active.is_some()).await;
    assert_eq!(status.active.unwrap().name, "mini #2");
    assert_ne!(status.endpoints[0].state, EndpointState::Proven);
}

/// The peers' weakest point: a path that worked and now swallows everything, behind a transport whose dial proves
/// nothing.
#[tokio::test]
async fn a_silent_black_hole_is_left_and_named() {
    let (first, second) = bridges().await;
    let (echo, _task) = echo().await;
    for bridge in [&first, &second] {
        bridge.change(|manner| manner.answers = false);
    }
    let unproven = Params { proof: false, ..Params::default() };
    let client = two(&first, &second, unproven, Options::default()).await;
    assert!(answered(&client, echo, PATIENCE).await);
    first.change(|manner| manner.after_hello = AfterHello::Silence);
    assert!(!answered(&client, echo, Duration::from_millis(200)).await);
    // That connection is gone; the next one waits, and its silence is what moves everybody else.
    let waiting = answered(&client, echo, PATIENCE);
    let moved = async {
        status(&client, |status| doubted(status.endpoints[0].state)).await;
        assert!(answered(&client, echo, PATIENCE).await, "a new connection takes the other");
    };
    tokio::select! {
        _ = waiting => panic!("nothing answers through a black hole"),
        () = moved => {}
    }
    let status = status(&client, |status| status.last_cause.is_some()).await;
    let cause = status.last_cause.unwrap();
    assert_eq!(cause.endpoint, "mini #1");
    assert!(cause.diagnosis.sentence.contains("nothing comes back"), "{}", cause.diagnosis.sentence);
}

fn doubted(state: EndpointState) -> bool {
    matches!(state, EndpointState::Suspect | EndpointState::Resting)
}

#[tokio::test]
async fn the_winner_is_remembered_over_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let (first, second) = bridges().await;
    first.change(|manner| manner.after_hello = AfterHello::Reset);
    let (echo, _task) = echo().await;
    let options = || Options { state_dir: Some(directory.path().to_owned()), ..Options::default() };
    let before = two(&first, &second, Params::default(), options()).await;
    assert!(answered(&before, echo, PATIENCE).await);
    before.shutdown().await;
    let text = std::fs::read_to_string(directory.path().join(commucat_client::STATE_FILE)).unwrap();
    assert!(!text.contains("127.0.0.1"), "no address is written down");
    assert!(ClientState::load(directory.path()).last_winner.is_some());

    first.change(|manner| manner.after_hello = AfterHello::Serve);
    let dials = first.dials();
    let after = two(&first, &second, Params::default(), options()).await;
    assert!(answered(&after, echo, PATIENCE).await);
    assert_eq!(first.dials(), dials, "the first of the link was not tried");
    let active = status(&after, |status| status.active.is_some()).await.active.unwrap();
    assert_eq!(active.name, "mini #2");
}

#[tokio::test]
async fn every_cause_stands_in_the_status() {
    type Mistake = fn(&mut Manner);
    let cases: [(Mistake, CauseKind); 5] = [
        (|manner| manner.key = "other", CauseKind::WrongKey),
        (|manner| manner.user = "other", CauseKind::WrongUser),
        (|manner| manner.min_version = 9, CauseKind::VersionTooOld),
        (|manner| manner.full = true, CauseKind::BridgeFull),
        (|manner| manner.after_hello = AfterHello::Reset, CauseKind::CannotTell),
    ];
    for (mistake, kind) in cases {
        let bridge = Bridge::start(Manner::default()).await;
        bridge.change(mistake);
        let client = client(&[(bridge.address.clone(), Params::default())], Options::default()).await;
        let (_, code) = within(socks5(client.local_addr(), "192.0.2.1:1")).await;
        assert_ne!(code, 0);
        let cause = status(&client, |status| status.last_cause.is_some()).await.last_cause.unwrap();
        assert_eq!(cause.diagnosis.cause.kind(), kind);
    }
}

#[tokio::test]
async fn a_bridge_that_refuses_is_not_hammered() {
    let bridge = Bridge::start(Manner { user: "other", ..Manner::default() }).await;
    let client = client(&[(bridge.address.clone(), Params::default())], Options::default()).await;
    for _ in 0..50 {
        assert_eq!(within(socks5(client.local_addr(), "192.0.2.1:1")).await.1, 2);
    }
    assert!(bridge.dials() <= 3, "{} dials for 50 connections", bridge.dials());
}

#[tokio::test]
async fn a_bridge_that_comes_back_is_used_again() {
    let address: HostPort = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap().into()
    };
    let client = client(&[(address.clone(), Params::default())], Options::default()).await;
    let (echo, _task) = echo().await;
    assert!(!answered(&client, echo, PATIENCE).await);
    let socket = address.socket_addr().unwrap();
    let bridge = Bridge::start_at(socket, Manner::default()).await;
    // It still rests, but there is no other: it is tried all the same.
    assert!(answered(&client, echo, PATIENCE).await);
    assert!(bridge.dials() > 0);
}

#[tokio::test]
async fn bytes_and_connections_are_counted() {
    let (first, second) = bridges().await;
    let (echo, _task) = echo().await;
    let client = two(&first, &second, Params::default(), Options::default()).await;
    let (mut stream, _) = within(socks5(client.local_addr(), &echo.to_string())).await;
    stream.write_all(&[7; 5000]).await.unwrap();
    within(stream.read_exact(&mut [0; 5000])).await.unwrap();
    let seen = status(&client, |status| status.down_bytes == 5000).await;
    assert_eq!((seen.up_bytes, seen.connections), (5000, 1));
    drop(stream);
    status(&client, |status| status.connections == 0).await;
    let json = serde_json::to_string(&*client.status().borrow()).unwrap();
    assert!(!json.contains("127.0.0.1"), "{json}");
}
