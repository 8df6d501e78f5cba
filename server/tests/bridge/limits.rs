//! How many, how often: the house is full, floods of strangers, one user who wants everything.

use std::time::Duration;

use commucat_transport_api::{BoxStream, DialError, Signal, Target};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::{
    plain::{COVER, VISIT},
    support::{BASIC, PATIENCE, World, echo, is_alive},
};

fn with_limits(limits: &str) -> String {
    format!("{BASIC}\n[limits]\n{limits}\n")
}

#[tokio::test]
async fn silent_strangers_do_not_keep_users_out() {
    let world = World::start(&with_limits("max_handshakes = 8")).await;
    let mut silent = Vec::new();
    for _ in 0..64 {
        silent.push(TcpStream::connect(world.endpoint(0)).await.unwrap());
    }
    let mut stream = world.stream(echo().await).await;
    assert!(is_alive(&mut stream).await);
    let port = world.endpoint(0).port();
    let evicted = format!(
        "commucat_handshakes_total{{endpoint=\"plain:{port}\",transport=\"plain\",outcome=\"evicted\"}}"
    );
    let mut counted = 0.0;
    for _ in 0..400 {
        counted = world.metric(&evicted).await.unwrap_or_default();
        if counted >= 56.0 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    // The self-check's own handshakes push some out as well.
    assert!((56.0..=64.0).contains(&counted), "{counted}");
    let mut oldest = silent.remove(0);
    let ended =
        tokio::time::timeout(PATIENCE, oldest.read(&mut [0; 1])).await.expect("the oldest was let go");
    assert!(matches!(ended, Ok(0) | Err(_)), "{ended:?}");
    assert!(world.metric("commucat_handshakes_active").await.unwrap() <= 8.0);
}

#[tokio::test]
async fn a_handshake_that_never_ends_is_ended() {
    let world = World::start(&with_limits("handshake_seconds = 1")).await;
    let mut silent = TcpStream::connect(world.endpoint(0)).await.unwrap();
    let ended = tokio::time::timeout(PATIENCE, silent.read(&mut [0; 1])).await.expect("it ends");
    assert!(matches!(ended, Ok(0) | Err(_)));
    let port = world.endpoint(0).port();
    let line = format!(
        "commucat_handshakes_total{{endpoint=\"plain:{port}\",transport=\"plain\",outcome=\"timeout\"}}"
    );
    world.await_metric(&line, 1.0).await;
}

/// A visit to the site that is imitated, once it has begun.
async fn visit(world: &World) -> BoxStream {
    let mut visit: BoxStream = Box::new(TcpStream::connect(world.endpoint(0)).await.unwrap());
    visit.write_all(VISIT).await.unwrap();
    let mut page = vec![0; COVER.len()];
    visit.read_exact(&mut page).await.unwrap();
    assert!(is_alive(&mut visit).await);
    visit
}

#[tokio::test]
async fn a_visit_outlives_the_limit_of_handshakes() {
    let world = World::start(&with_limits("handshake_seconds = 1\nmax_handshakes = 1")).await;
    let mut guest = visit(&world).await;
    for _ in 0..2 {
        let mut silent = TcpStream::connect(world.endpoint(0)).await.unwrap();
        tokio::time::timeout(PATIENCE, silent.read(&mut [0; 1])).await.expect("it ends").ok();
    }
    assert!(is_alive(&mut guest).await, "neither the time nor the number of handshakes is for him");
    world.await_metric("commucat_visitors_active", 1.0).await;
    drop(guest);
    world.await_metric("commucat_visitors_active", 0.0).await;
}

#[tokio::test]
async fn so_many_visits_and_no_more() {
    let world = World::start(&with_limits("max_visitors = 2")).await;
    let mut guests = [visit(&world).await, visit(&world).await, visit(&world).await];
    assert!(is_alive(&mut guests[1]).await && is_alive(&mut guests[2]).await);
    let ended = tokio::time::timeout(PATIENCE, guests[0].read(&mut [0; 1])).await.expect("the oldest left");
    assert!(matches!(ended, Ok(0) | Err(_)), "{ended:?}");
}

#[tokio::test]
async fn a_full_bridge_says_so_and_takes_the_next_when_there_is_room() {
    let world = World::start(&BASIC.replace("[server]", "[server]\nmax_connections = 1")).await;
    // The bridge's own check may hold the seat for a moment.
    world.await_self_check().await;
    let target = echo().await;
    let mut stream = world.stream(target).await;
    assert!(is_alive(&mut stream).await);
    let error = world.dial(&world.ann, Target::Stream(target.into())).await.unwrap_err();
    let DialError::Network { failure, .. } = error else { panic!("{error:?}") };
    assert_eq!(failure.signal, Signal::BridgeFull);
    assert!(is_alive(&mut stream).await, "who is in stays in");
    stream.shutdown().await.unwrap();
    stream.read_to_end(&mut Vec::new()).await.unwrap();
    let mut next = loop {
        match world.dial(&world.ann, Target::Stream(target.into())).await {
            Ok(channel) => break channel.into_stream().unwrap(),
            Err(_still_full) => tokio::time::sleep(Duration::from_millis(10)).await,
        }
    };
    assert!(is_alive(&mut next).await);
}

#[tokio::test]
async fn one_user_has_so_many_connections_and_no_more() {
    let world = World::start(&with_limits("max_connections_per_user = 2")).await;
    let bob = world.users.add("bob", "").await.unwrap();
    world.bridge.refresh_users().await.unwrap();
    let target = echo().await;
    let (mut first, mut second) = (world.stream(target).await, world.stream(target).await);
    assert!(is_alive(&mut first).await && is_alive(&mut second).await);
    assert!(!is_alive(&mut world.stream(target).await).await);
    let mut bobs = world.dial(&bob, Target::Stream(target.into())).await.unwrap().into_stream().unwrap();
    assert!(is_alive(&mut bobs).await);
    world.await_metric("commucat_refused_total{reason=\"user_limit\"}", 1.0).await;
}

#[tokio::test]
async fn one_user_connects_so_often_and_no_more() {
    let world = World::start(&format!("{BASIC}\n[rate.connect]\nper_minute = 1\nburst = 2\n")).await;
    let target = echo().await;
    let mut alive = Vec::new();
    for _ in 0..3 {
        alive.push(is_alive(&mut world.stream(target).await).await);
    }
    assert_eq!(alive, [true, true, false]);
    world.await_metric("commucat_refused_total{reason=\"rate\"}", 1.0).await;
}

#[tokio::test]
async fn a_stream_without_a_byte_ends() {
    let world = World::start(&with_limits("idle_seconds = 1")).await;
    let mut stream = world.stream(echo().await).await;
    assert!(is_alive(&mut stream).await);
    assert!(crate::support::ended_with_reset(&mut stream).await);
}
