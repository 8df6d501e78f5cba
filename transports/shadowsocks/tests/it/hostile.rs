//! Peers that have no key, a wrong one, a recording, or bad manners: none gets an answer, and nobody else suffers.

use std::{io, sync::Arc, time::Duration};

use commucat_shadowsocks::Shadowsocks;
use commucat_transport_api::{AcceptError, Cx, Failure, PluggableTransport as _, Signal};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    time::timeout,
};

use crate::support::{Bridge, Clock, OddNet, all_servers, cx, dial, exchange, pattern, user};

/// Long enough to see that a server on this machine says nothing.
const SILENCE: Duration = Duration::from_millis(150);

/// The bytes with which this client would begin.
async fn first_flight(bridge: &Bridge, name: &str, secret: u8, payload: &[u8]) -> Vec<u8> {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut spec = bridge.server.client_spec(&bridge.address.into(), &user(name, secret)).unwrap();
    spec.endpoint = listener.local_addr().unwrap().into();
    let client = Shadowsocks::new().client(&spec).unwrap();
    let mut stream = dial(&*client, &cx(), "example.org:443").await;
    stream.write_all(payload).await.unwrap();
    stream.shutdown().await.unwrap();
    let (mut server, _peer) = listener.accept().await.unwrap();
    let mut bytes = Vec::new();
    server.read_to_end(&mut bytes).await.unwrap();
    bytes
}

/// Sends bytes as a stranger and makes sure that he hears nothing, not even an end, until he ends himself.
async fn gets_silence(bridge: &Bridge, bytes: &[u8]) {
    let mut stream = TcpStream::connect(bridge.address).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    let heard = timeout(SILENCE, stream.read(&mut [0; 64])).await;
    assert!(heard.is_err(), "{} bytes were answered with {heard:?}", bytes.len());
    stream.shutdown().await.unwrap();
    let heard = timeout(Duration::from_secs(10), stream.read(&mut [0; 64])).await.unwrap();
    assert_eq!(heard.unwrap(), 0, "an end, not a reset");
}

async fn still_serves(bridge: &Bridge) {
    let stream = dial(&*bridge.client(&user("anna", 1)), &cx(), "example.org:443").await;
    exchange(stream, pattern(10_000)).await;
}

#[tokio::test]
async fn garbage_of_any_length_is_met_with_silence() {
    for params in all_servers() {
        let bridge = Bridge::start(params, cx().net).await;
        let garbage = pattern(400_000);
        let lengths = [1, 15, 16, 31, 32, 34, 50, 58, 59, 60, 75, 76, 200, 5000, 400_000];
        let all = lengths.map(|length| gets_silence(&bridge, &garbage[..length]));
        futures_util::future::join_all(all).await;
        still_serves(&bridge).await;
    }
}

#[tokio::test]
async fn a_wrong_key_is_met_with_silence() {
    for params in all_servers().into_iter().filter(|params| params.get("single_user").is_none()) {
        let mut bridge = Bridge::start(params, cx().net).await;
        let flight = first_flight(&bridge, "anna", 99, b"hello").await;
        gets_silence(&bridge, &flight).await;
        assert!(matches!(bridge.outcome().await, Err(AcceptError::Unauthenticated)));
        still_serves(&bridge).await;
    }
}

#[tokio::test]
async fn a_replay_is_met_with_silence() {
    for params in all_servers() {
        let mut bridge = Bridge::start(params, cx().net).await;
        let flight = first_flight(&bridge, "anna", 1, b"hello").await;
        let mut original = TcpStream::connect(bridge.address).await.unwrap();
        original.write_all(&flight).await.unwrap();
        assert!(original.read(&mut [0; 64]).await.unwrap() > 0);
        assert!(bridge.outcome().await.is_ok());
        gets_silence(&bridge, &flight).await;
        assert!(matches!(bridge.outcome().await, Err(AcceptError::Replayed)));
        // The head alone, with another tail.
        let mut changed = flight.clone();
        *changed.last_mut().unwrap() ^= 1;
        gets_silence(&bridge, &changed).await;
        assert!(matches!(bridge.outcome().await, Err(AcceptError::Replayed)));
        still_serves(&bridge).await;
    }
}

#[tokio::test]
async fn an_answer_sent_back_is_met_with_silence() {
    for params in all_servers() {
        let mut bridge = Bridge::start(params, cx().net).await;
        let flight = first_flight(&bridge, "anna", 1, b"\x01\x7f\x00\x00\x01\x00\x50 reflected").await;
        let mut original = TcpStream::connect(bridge.address).await.unwrap();
        original.write_all(&flight).await.unwrap();
        original.shutdown().await.unwrap();
        let mut answer = Vec::new();
        original.read_to_end(&mut answer).await.unwrap();
        assert!(bridge.outcome().await.is_ok());
        gets_silence(&bridge, &answer).await;
        assert!(bridge.outcome().await.is_err());
    }
}

#[tokio::test]
async fn every_flipped_bit_of_a_first_flight_is_met_with_silence() {
    let bridge = Bridge::start(all_servers()[0].clone(), cx().net).await;
    let mut flights = Vec::new();
    for at in [0, 15, 16, 31, 32, 42, 43, 58, 59, 70] {
        let mut flight = first_flight(&bridge, "anna", 1, b"hello").await;
        flight[at] ^= 0x40;
        flights.push(flight);
    }
    futures_util::future::join_all(flights.iter().map(|flight| gets_silence(&bridge, flight))).await;
    still_serves(&bridge).await;
}

#[tokio::test]
async fn one_byte_at_a_time_is_served() {
    for params in all_servers() {
        let mut bridge = Bridge::start(params, cx().net).await;
        let flight = first_flight(&bridge, "ben", 2, b"slow").await;
        let mut stream = TcpStream::connect(bridge.address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        for byte in &flight {
            stream.write_all(&[*byte]).await.unwrap();
            tokio::task::yield_now().await;
        }
        stream.shutdown().await.unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        assert!(answer.len() > 4 + 16, "{} bytes", answer.len());
        assert!(bridge.outcome().await.is_ok());
    }
}

#[tokio::test]
async fn a_clock_five_minutes_off_is_met_with_silence() {
    for seconds in [-300, 300] {
        let mut bridge = Bridge::start(all_servers()[0].clone(), cx().net).await;
        let skewed = Cx::new(OddNet::new(Clock::Off(seconds)), Duration::from_secs(20));
        let mut stream = dial(&*bridge.client(&user("anna", 1)), &skewed, "example.org:443").await;
        stream.write_all(b"hello").await.unwrap();
        assert!(timeout(SILENCE, stream.read(&mut [0; 8])).await.is_err());
        stream.shutdown().await.unwrap();
        let error = stream.read(&mut [0; 8]).await.unwrap_err();
        assert_eq!(Failure::in_io(&error).unwrap().signal, Signal::UnexpectedEof);
        assert!(matches!(bridge.outcome().await, Err(AcceptError::Unauthenticated)));
    }
}

#[tokio::test]
async fn a_clock_half_a_minute_off_is_served() {
    for seconds in [-28, 28] {
        let bridge = Bridge::start(all_servers()[0].clone(), cx().net).await;
        let skewed = Cx::new(OddNet::new(Clock::Off(seconds)), Duration::from_secs(20));
        exchange(dial(&*bridge.client(&user("anna", 1)), &skewed, "example.org:443").await, pattern(1000))
            .await;
    }
}

#[tokio::test]
async fn slow_readers_and_writers_hold_nobody_up() {
    let bridge = Bridge::start(all_servers()[0].clone(), cx().net).await;
    let client = bridge.client(&user("anna", 1));
    // One that never reads what comes back, one that sends half a record and stops.
    let mut lazy = dial(&*client, &cx(), "example.org:1").await;
    let stuck = async {
        loop {
            lazy.write_all(&[7; 65_536]).await?;
        }
    };
    let stuck: Result<io::Result<()>, _> = timeout(Duration::from_millis(500), stuck).await;
    assert!(stuck.is_err(), "the bridge must push back");
    let flight = first_flight(&bridge, "ben", 2, &pattern(50_000)).await;
    let mut half = TcpStream::connect(bridge.address).await.unwrap();
    half.write_all(&flight[..30_000]).await.unwrap();
    still_serves(&bridge).await;
    drop((lazy, half));
}

#[tokio::test]
async fn a_thousand_half_open_connections_hold_nobody_up() {
    let bridge = Bridge::start(all_servers()[0].clone(), cx().net).await;
    let mut open = Vec::new();
    for n in 0..1000usize {
        let mut stream = TcpStream::connect(bridge.address).await.unwrap();
        stream.write_all(&pattern(n % 40)).await.unwrap();
        open.push(stream);
    }
    still_serves(&bridge).await;
    assert_eq!(open.len(), 1000);
}

#[tokio::test]
async fn a_user_who_was_removed_is_a_stranger() {
    let mut bridge = Bridge::start(all_servers()[0].clone(), cx().net).await;
    let client = bridge.client(&user("ben", 2));
    let mut before = dial(&*client, &cx(), "example.org:1").await;
    before.write_all(b"x").await.unwrap();
    before.read_exact(&mut [0; 1]).await.unwrap();
    assert!(bridge.outcome().await.is_ok());
    bridge.users.replace(vec![user("anna", 1)]);
    let mut after = dial(&*client, &cx(), "example.org:1").await;
    after.write_all(b"x").await.unwrap();
    assert!(timeout(SILENCE, after.read(&mut [0; 1])).await.is_err());
    before.write_all(b"y").await.unwrap();
    before.read_exact(&mut [0; 1]).await.unwrap();
}

#[tokio::test]
async fn a_record_that_is_cut_or_changed_is_an_error_for_the_client() {
    let bridge = Arc::new(Bridge::start(all_servers()[0].clone(), cx().net).await);
    for (damage, kind) in [("cut", io::ErrorKind::UnexpectedEof), ("changed", io::ErrorKind::InvalidData)] {
        let relay = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut spec = bridge.server.client_spec(&bridge.address.into(), &user("anna", 1)).unwrap();
        spec.endpoint = relay.local_addr().unwrap().into();
        let client = Shadowsocks::new().client(&spec).unwrap();
        let mut stream = dial(&*client, &cx(), "example.org:1").await;
        stream.write_all(&pattern(200_000)).await.unwrap();
        stream.shutdown().await.unwrap();
        let (mut near, _peer) = relay.accept().await.unwrap();
        let mut far = TcpStream::connect(bridge.address).await.unwrap();
        let mut sent = Vec::new();
        near.read_to_end(&mut sent).await.unwrap();
        far.write_all(&sent).await.unwrap();
        far.shutdown().await.unwrap();
        let mut answer = Vec::new();
        far.read_to_end(&mut answer).await.unwrap();
        if damage == "changed" {
            answer[150_000] ^= 1;
        } else {
            answer.truncate(150_000);
        }
        tokio::spawn(async move {
            near.write_all(&answer).await.ok();
            near.shutdown().await.ok();
        });
        let mut heard = Vec::new();
        let error = stream.read_to_end(&mut heard).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{damage}");
        assert!(pattern(200_000).starts_with(&heard) && heard.len() > 30_000, "{damage}");
    }
}
