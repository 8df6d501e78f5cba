//! First flights and packets of another implementation, recorded once: what the wire format was then, it is today.
//!
//! Origin of `vectors.txt`: the crate `shadowsocks` 1.25.0 as client, printed by `oracle::record_vectors`. Each line is
//! the parameters of the server, the time in seconds since 1970, the bytes of a stream and those of a packet. The
//! stream is a request for `example.org:443` with 18 bytes of payload, the packet carries 19 bytes to the same place.

use std::{sync::Arc, time::Duration};

use commucat_shadowsocks::{Edition, Method, TAG_BYTES};
use commucat_transport_api::{AcceptError, Target};
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpStream, UdpSocket},
    time::timeout,
};

use crate::support::{Bridge, Clock, OddNet};

const VECTORS: &str = include_str!("vectors.txt");
const PAYLOAD_BYTES: usize = 18;
const DATAGRAM_BYTES: usize = 19;
/// Type, name length, `example.org`, port.
const ADDRESS_BYTES: usize = 1 + 1 + 11 + 2;

struct Vector {
    params: Value,
    time: u64,
    stream: Vec<u8>,
    packet: Vec<u8>,
}

impl Vector {
    fn method(&self) -> Method {
        self.params["method"].as_str().unwrap().parse().unwrap()
    }

    fn user(&self) -> Option<&'static str> {
        self.params.get("single_user").is_none().then_some("ben")
    }
}

fn vectors() -> Vec<Vector> {
    VECTORS
        .lines()
        .map(|line| {
            let fields: Vec<&str> = line.split('\t').collect();
            let [_, params, time, stream, packet] = fields[..] else { panic!("{line}") };
            Vector {
                params: serde_json::from_str(params).unwrap(),
                time: time.parse().unwrap(),
                stream: unhex(stream),
                packet: unhex(packet),
            }
        })
        .collect()
}

fn unhex(text: &str) -> Vec<u8> {
    let digit = |byte: u8| u8::try_from(char::from(byte).to_digit(16).unwrap()).unwrap();
    text.as_bytes().chunks_exact(2).map(|pair| digit(pair[0]) << 4 | digit(pair[1])).collect()
}

#[tokio::test]
async fn recorded_streams_are_served() {
    let vectors = vectors();
    assert_eq!(vectors.len(), crate::support::all_servers().len());
    for vector in vectors {
        let mut bridge = Bridge::start(vector.params.clone(), OddNet::new(Clock::Fixed(vector.time))).await;
        let mut stream = TcpStream::connect(bridge.address).await.unwrap();
        stream.write_all(&vector.stream).await.unwrap();
        stream.shutdown().await.unwrap();
        let (target, user) = bridge.outcome().await.unwrap();
        assert_eq!(target, Target::Stream("example.org:443".parse().unwrap()), "{}", vector.params);
        assert_eq!(user.as_deref(), vector.user());
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        let salt = vector.method().key_bytes();
        let head = match vector.method().edition() {
            Edition::V2022 => 1 + 8 + salt + 2,
            Edition::V2017 => 2,
        };
        assert_eq!(answer.len(), salt + head + TAG_BYTES + PAYLOAD_BYTES + TAG_BYTES, "{}", vector.params);
    }
}

#[tokio::test]
async fn recorded_packets_are_served() {
    for vector in vectors() {
        let mut bridge = Bridge::start(vector.params.clone(), OddNet::new(Clock::Fixed(vector.time))).await;
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        socket.send_to(&vector.packet, bridge.address).await.unwrap();
        let (target, user) = bridge.outcome().await.unwrap();
        assert_eq!((target, user.as_deref()), (Target::Datagrams, vector.user()), "{}", vector.params);
        let mut answer = [0; 2048];
        let count = timeout(Duration::from_secs(10), socket.recv(&mut answer)).await.unwrap().unwrap();
        let head = match (vector.method().edition(), vector.method().has_identity_headers()) {
            (Edition::V2022, true) => 16 + 1 + 8 + 8 + 2,
            (Edition::V2022, false) => 24 + 16 + 1 + 8 + 8 + 2,
            (Edition::V2017, _) => vector.method().key_bytes(),
        };
        assert_eq!(count, head + ADDRESS_BYTES + DATAGRAM_BYTES + TAG_BYTES, "{}", vector.params);
    }
}

#[tokio::test]
async fn the_same_streams_half_a_minute_later_are_not() {
    for vector in vectors().into_iter().filter(|vector| vector.method().edition() == Edition::V2022) {
        for time in [vector.time - 31, vector.time + 32] {
            let net: Arc<OddNet> = OddNet::new(Clock::Fixed(time));
            let mut bridge = Bridge::start(vector.params.clone(), net).await;
            let mut stream = TcpStream::connect(bridge.address).await.unwrap();
            stream.write_all(&vector.stream).await.unwrap();
            stream.shutdown().await.unwrap();
            let mut answer = Vec::new();
            stream.read_to_end(&mut answer).await.unwrap();
            assert_eq!(answer, b"");
            assert!(matches!(bridge.outcome().await, Err(AcceptError::Unauthenticated)));
        }
    }
}
