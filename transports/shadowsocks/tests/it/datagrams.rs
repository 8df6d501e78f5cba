//! Datagrams of all methods, and hostile ones.

use std::{future::poll_fn, io, sync::Arc, time::Duration};

use commucat_shadowsocks::Shadowsocks;
use commucat_transport_api::{
    Client, Cx, DatagramChannel, DialError, HostPort, PluggableTransport as _, Target,
};
use serde_json::json;
use tokio::{io::ReadBuf, net::UdpSocket, time::timeout};

use crate::support::{Bridge, Clock, KEY_16, OddNet, all_servers, cx, pattern, user};

async fn open(client: &dyn Client, cx: &Cx) -> Box<dyn DatagramChannel> {
    client.dial(cx, &Target::Datagrams).await.unwrap().channel.into_datagrams().unwrap()
}

async fn send(channel: &mut dyn DatagramChannel, data: &[u8], peer: &HostPort) {
    poll_fn(|cx| channel.poll_send(cx, data, peer)).await.unwrap();
}

async fn receive(channel: &mut dyn DatagramChannel) -> Option<(HostPort, Vec<u8>)> {
    let mut buffer = vec![0; 65_536];
    let mut datagram = ReadBuf::new(&mut buffer);
    let got = timeout(Duration::from_secs(2), poll_fn(|cx| channel.poll_recv(cx, &mut datagram))).await;
    let peer = got.ok()?.unwrap()?;
    let data = datagram.filled().to_vec();
    Some((peer, data))
}

#[tokio::test]
async fn every_method_carries_datagrams_of_every_length() {
    for params in all_servers() {
        let mut bridge = Bridge::start(params.clone(), cx().net).await;
        let mut channel = open(&*bridge.client(&user("ben", 2)), &cx()).await;
        for (length, peer) in [
            (0, "192.0.2.1:53"),
            (40, "dns.example:53"),
            (1300, "[2001:db8::1]:443"),
            (60_000, "192.0.2.1:9"),
        ] {
            let (data, peer) = (pattern(length), peer.parse().unwrap());
            send(&mut *channel, &data, &peer).await;
            assert_eq!(receive(&mut *channel).await, Some((peer, data)), "{params}");
        }
        let longest = channel.max_datagram().get();
        let peer: HostPort = format!("{}:1", "a".repeat(255)).parse().unwrap();
        send(&mut *channel, &pattern(longest), &peer).await;
        assert_eq!(receive(&mut *channel).await.unwrap().1.len(), longest);
        let too_long = poll_fn(|cx| channel.poll_send(cx, &vec![0; longest + 1], &peer)).await.unwrap_err();
        assert_eq!(too_long.kind(), io::ErrorKind::InvalidInput);
        let (target, who) = bridge.outcome().await.unwrap();
        assert_eq!(target, Target::Datagrams);
        assert_eq!(who.as_deref(), params.get("single_user").is_none().then_some("ben"));
    }
}

#[tokio::test]
async fn two_sessions_do_not_mix() {
    for params in all_servers() {
        let bridge = Bridge::start(params, cx().net).await;
        let client = bridge.client(&user("anna", 1));
        let (mut one, mut two) = (open(&*client, &cx()).await, open(&*client, &cx()).await);
        let peer: HostPort = "192.0.2.1:5000".parse().unwrap();
        send(&mut *one, b"one", &peer).await;
        send(&mut *two, b"two", &peer).await;
        assert_eq!(receive(&mut *two).await.unwrap().1, b"two");
        assert_eq!(receive(&mut *one).await.unwrap().1, b"one");
    }
}

/// A socket in between that keeps what passes.
struct Wire {
    socket: UdpSocket,
    bridge: std::net::SocketAddr,
}

impl Wire {
    async fn client(bridge: &Bridge, cx: &Cx) -> (Self, Box<dyn DatagramChannel>) {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let mut spec = bridge.server.client_spec(&bridge.address.into(), &user("anna", 1)).unwrap();
        spec.endpoint = socket.local_addr().unwrap().into();
        let client = Shadowsocks::new().client(&spec).unwrap();
        let channel = open(&*client, cx).await;
        (Self { socket, bridge: bridge.address }, channel)
    }

    /// The next packet of the client, and where it came from.
    async fn packet(&self) -> (Vec<u8>, std::net::SocketAddr) {
        let mut buffer = vec![0; 65_536];
        let (count, from) =
            timeout(Duration::from_secs(5), self.socket.recv_from(&mut buffer)).await.unwrap().unwrap();
        buffer.truncate(count);
        (buffer, from)
    }

    async fn to_bridge(&self, packet: &[u8]) {
        self.socket.send_to(packet, self.bridge).await.unwrap();
    }

    async fn answer(&self) -> Option<Vec<u8>> {
        let mut buffer = vec![0; 65_536];
        let got = timeout(Duration::from_millis(200), self.socket.recv_from(&mut buffer)).await.ok()?;
        buffer.truncate(got.unwrap().0);
        Some(buffer)
    }
}

#[tokio::test]
async fn a_packet_counts_once_in_both_directions() {
    for params in all_servers().into_iter().filter(|p| p["method"].as_str().unwrap().starts_with("2022")) {
        let bridge = Bridge::start(params, cx().net).await;
        let (wire, mut channel) = Wire::client(&bridge, &cx()).await;
        let peer: HostPort = "192.0.2.1:5000".parse().unwrap();
        send(&mut *channel, b"first", &peer).await;
        let (packet, client) = wire.packet().await;
        wire.to_bridge(&packet).await;
        let answer = wire.answer().await.expect("an echo");
        wire.to_bridge(&packet).await;
        assert_eq!(wire.answer().await, None, "a replayed packet is not served");
        wire.socket.send_to(&answer, client).await.unwrap();
        wire.socket.send_to(&answer, client).await.unwrap();
        send(&mut *channel, b"second", &peer).await;
        let (packet, _client) = wire.packet().await;
        wire.to_bridge(&packet).await;
        wire.socket.send_to(&wire.answer().await.unwrap(), client).await.unwrap();
        assert_eq!(receive(&mut *channel).await.unwrap().1, b"first");
        assert_eq!(receive(&mut *channel).await.unwrap().1, b"second", "a replayed answer is not heard");
    }
}

#[tokio::test]
async fn hostile_packets_are_not_answered_and_harm_nobody() {
    for params in all_servers() {
        let bridge = Bridge::start(params, cx().net).await;
        let (wire, mut channel) = Wire::client(&bridge, &cx()).await;
        for length in [0, 1, 15, 16, 17, 31, 32, 33, 48, 64, 100, 1400] {
            wire.to_bridge(&pattern(length)).await;
        }
        let peer: HostPort = "192.0.2.1:5000".parse().unwrap();
        send(&mut *channel, b"data", &peer).await;
        let (packet, _client) = wire.packet().await;
        for at in 0..packet.len() {
            let mut flipped = packet.clone();
            flipped[at] ^= 0x20;
            wire.to_bridge(&flipped).await;
        }
        wire.to_bridge(&packet[..packet.len() - 1]).await;
        assert_eq!(wire.answer().await, None);
        wire.to_bridge(&packet).await;
        assert!(wire.answer().await.is_some());
    }
}

#[tokio::test]
async fn an_old_packet_is_not_served() {
    let bridge = Bridge::start(all_servers()[0].clone(), cx().net).await;
    for seconds in [-300, 300] {
        let skewed = Cx::new(OddNet::new(Clock::Off(seconds)), Duration::from_secs(5));
        let (wire, mut channel) = Wire::client(&bridge, &skewed).await;
        send(&mut *channel, b"old", &"192.0.2.1:5000".parse().unwrap()).await;
        wire.to_bridge(&wire.packet().await.0).await;
        assert_eq!(wire.answer().await, None);
    }
}

#[tokio::test]
async fn a_session_survives_a_change_of_address() {
    let bridge = Bridge::start(all_servers()[0].clone(), cx().net).await;
    let (wire, mut channel) = Wire::client(&bridge, &cx()).await;
    let peer: HostPort = "192.0.2.1:5000".parse().unwrap();
    send(&mut *channel, b"here", &peer).await;
    wire.to_bridge(&wire.packet().await.0).await;
    assert!(wire.answer().await.is_some());
    let other = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    send(&mut *channel, b"there", &peer).await;
    other.send_to(&wire.packet().await.0, bridge.address).await.unwrap();
    let mut buffer = [0; 2048];
    timeout(Duration::from_secs(5), other.recv_from(&mut buffer)).await.unwrap().unwrap();
    assert_eq!(wire.answer().await, None);
}

#[tokio::test]
async fn a_removed_user_loses_his_session() {
    let bridge = Bridge::start(all_servers()[0].clone(), cx().net).await;
    let mut channel = open(&*bridge.client(&user("ben", 2)), &cx()).await;
    let peer: HostPort = "192.0.2.1:5000".parse().unwrap();
    send(&mut *channel, b"x", &peer).await;
    assert!(receive(&mut *channel).await.is_some());
    bridge.users.replace(vec![user("anna", 1)]);
    send(&mut *channel, b"y", &peer).await;
    assert!(receive(&mut *channel).await.is_none());
}

#[tokio::test]
async fn a_mode_without_udp_or_tcp_says_so() {
    let tcp = json!({"method": "2022-blake3-aes-128-gcm", "key": KEY_16, "mode": "tcp_only"});
    let bridge = Bridge::start(tcp, cx().net).await;
    let refused = bridge.client(&user("anna", 1)).dial(&cx(), &Target::Datagrams).await;
    assert!(matches!(refused, Err(DialError::UnsupportedTarget)));
    let udp = json!({"method": "2022-blake3-aes-128-gcm", "key": KEY_16, "mode": "udp_only"});
    let bridge = Bridge::start(udp, cx().net).await;
    let client = bridge.client(&user("anna", 1));
    assert!(matches!(client.dial(&cx(), &Target::Bridge).await, Err(DialError::UnsupportedTarget)));
    let mut channel = open(&*client, &cx()).await;
    send(&mut *channel, b"x", &"192.0.2.1:5000".parse().unwrap()).await;
    assert!(receive(&mut *channel).await.is_some());
    drop(Arc::clone(&client));
}
