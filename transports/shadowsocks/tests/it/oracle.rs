//! The `shadowsocks` crate at the other end, both ways, for every method: it is the reference implementation in Rust.

use std::{future::poll_fn, sync::Arc, time::Duration};

use commucat_shadowsocks::{ID, Shadowsocks};
use commucat_transport_api::{HostPort, PluggableTransport as _, Spec, Target};
use serde_json::{Value, json};
use shadowsocks::{
    ProxyClientStream, ProxySocket,
    config::{ServerConfig, ServerType, ServerUser, ServerUserManager},
    context::Context,
    crypto::CipherKind,
    relay::{socks5::Address, tcprelay::ProxyServerStream, udprelay::options::UdpSocketControlData},
};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf},
    net::{TcpListener, TcpStream, UdpSocket},
    time::timeout,
};

use crate::support::{Bridge, KEY_16, KEY_32, all_servers, cx, dial, exchange, pattern, user};

const PATIENCE: Duration = Duration::from_secs(10);

fn method(params: &Value) -> CipherKind {
    params["method"].as_str().unwrap().parse().unwrap()
}

fn config(params: &Value, address: std::net::SocketAddr) -> ServerConfig {
    ServerConfig::new(address, params["key"].as_str().unwrap(), method(params)).unwrap()
}

fn control(client_session: u64, number: u64) -> UdpSocketControlData {
    let mut control = UdpSocketControlData::default();
    (control.client_session_id, control.packet_id) = (client_session, number);
    control
}

/// A target that is a name.
fn target() -> Address {
    Address::DomainNameAddress("example.org".to_owned(), 443)
}

async fn echoes(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static, data: Vec<u8>) {
    let (mut read, mut write) = tokio::io::split(stream);
    let expected = data.clone();
    let writer = tokio::spawn(async move {
        // Its first write must fit one chunk: beyond, it asserts (and without assertions loses bytes).
        for piece in data.chunks(8 * 1024) {
            write.write_all(piece).await.unwrap();
        }
        write.shutdown().await.unwrap();
    });
    let mut heard = Vec::new();
    timeout(PATIENCE, read.read_to_end(&mut heard)).await.unwrap().unwrap();
    writer.await.unwrap();
    assert!(heard == expected, "{} of {} bytes", heard.len(), expected.len());
}

#[tokio::test]
async fn its_client_reaches_our_server() {
    for params in all_servers() {
        let mut bridge = Bridge::start(params.clone(), cx().net).await;
        let spec = bridge.server.client_spec(&bridge.address.into(), &user("ben", 2)).unwrap();
        let context = Context::new_shared(ServerType::Local);
        for length in [1, 16_383, 300_000] {
            let io = TcpStream::connect(bridge.address).await.unwrap();
            let config = config(&spec.params, bridge.address);
            let stream = ProxyClientStream::from_stream(Arc::clone(&context), io, &config, target());
            echoes(stream, pattern(length)).await;
            let (target, who) = bridge.outcome().await.unwrap();
            assert_eq!(target, Target::Stream("example.org:443".parse().unwrap()), "{params}");
            assert_eq!(who.as_deref(), params.get("single_user").is_none().then_some("ben"));
        }
    }
}

/// Client parameters of each method for a server that is not ours, with two identity-header cases.
fn clients() -> Vec<Value> {
    vec![
        json!({"method": "2022-blake3-aes-128-gcm", "key": KEY_16}),
        json!({"method": "2022-blake3-aes-256-gcm", "key": KEY_32, "prefix": "POST%20"}),
        json!({"method": "2022-blake3-chacha20-poly1305", "key": KEY_32}),
        json!({"method": "aes-128-gcm", "key": "a password"}),
        json!({"method": "aes-256-gcm", "key": "a password"}),
        json!({"method": "chacha20-ietf-poly1305", "key": "a password", "prefix": "%16%03%01"}),
        json!({"method": "2022-blake3-aes-128-gcm", "key": format!("{KEY_16}:{OTHER_16}")}),
        json!({"method": "2022-blake3-aes-256-gcm", "key": format!("{KEY_32}:{OTHER_32}")}),
    ]
}

const OTHER_16: &str = "8PHy8/T19vf4+fr7/P3+/w==";
const OTHER_32: &str = "8PHy8/T19vf4+fr7/P3+/wABAgMEBQYHCAkKCwwNDg8=";

/// Its server's configuration for such a client, with the user where there is one.
fn server_side(
    params: &Value,
    address: std::net::SocketAddr,
) -> (ServerConfig, Option<Arc<ServerUserManager>>) {
    let keys = params["key"].as_str().unwrap();
    let Some((ipsk, upsk)) = keys.split_once(':') else { return (config(params, address), None) };
    let mut users = ServerUserManager::new();
    users.add_user(ServerUser::with_encoded_key("ben", upsk).unwrap());
    let mut config = ServerConfig::new(address, ipsk, method(params)).unwrap();
    config.set_user_manager(users);
    let users = config.clone_user_manager();
    (config, users)
}

#[tokio::test]
async fn our_client_reaches_its_server() {
    for params in clients() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (config, users) = server_side(&params, address);
        let server = tokio::spawn(async move {
            let context = Context::new_shared(ServerType::Server);
            loop {
                let (io, _peer) = listener.accept().await.unwrap();
                let mut stream = ProxyServerStream::from_stream_with_user_manager(
                    Arc::clone(&context),
                    io,
                    config.method(),
                    config.key(),
                    users.clone(),
                );
                assert_eq!(stream.handshake().await.unwrap(), target());
                tokio::spawn(async move {
                    let mut buffer = vec![0; 50_000];
                    loop {
                        let count = stream.read(&mut buffer).await.unwrap();
                        if count == 0 {
                            return stream.shutdown().await.unwrap();
                        }
                        stream.write_all(&buffer[..count]).await.unwrap();
                        stream.flush().await.unwrap();
                    }
                });
            }
        });
        let client = Shadowsocks::new().client(&Spec::new(ID, address.into(), params).unwrap()).unwrap();
        for length in [1, 16_383, 300_000] {
            exchange(dial(&*client, &cx(), "example.org:443").await, pattern(length)).await;
        }
        server.abort();
    }
}

#[tokio::test]
async fn its_datagrams_reach_our_server() {
    for params in all_servers() {
        let bridge = Bridge::start(params.clone(), cx().net).await;
        let spec = bridge.server.client_spec(&bridge.address.into(), &user("ben", 2)).unwrap();
        let config = config(&spec.params, bridge.address);
        let socket = ProxySocket::connect(Context::new_shared(ServerType::Local), &config).await.unwrap();
        for (number, length) in [(0, 1), (1, 0), (2, 1300)] {
            let control = control(77, number);
            socket.send_with_ctrl(&target(), &control, &pattern(length)).await.unwrap();
            let mut buffer = vec![0; 65_536];
            let heard = timeout(PATIENCE, socket.recv_with_ctrl(&mut buffer)).await.unwrap().unwrap();
            assert_eq!((&buffer[..heard.0], heard.1), (&pattern(length)[..], target()), "{params}");
            if let Some(control) = heard.3 {
                assert_eq!(control.client_session_id, 77);
                assert_eq!(control.packet_id, number);
            }
        }
    }
}

#[tokio::test]
async fn our_datagrams_reach_its_server() {
    for params in clients() {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let address = socket.local_addr().unwrap();
        let (config, _users) = server_side(&params, address);
        let server = tokio::spawn(async move {
            let socket = ProxySocket::from_socket(
                shadowsocks::relay::udprelay::proxy_socket::UdpSocketType::Server,
                Context::new_shared(ServerType::Server),
                &config,
                shadowsocks::net::UdpSocket::from(socket),
            );
            let mut buffer = vec![0; 65_536];
            let mut number = 0;
            loop {
                let (count, from, peer, _, control) = socket.recv_from_with_ctrl(&mut buffer).await.unwrap();
                let mut control = control.unwrap_or_default();
                (control.server_session_id, control.packet_id) = (99, number);
                number += 1;
                socket.send_to_with_ctrl(from, &peer, &control, &buffer[..count]).await.unwrap();
            }
        });
        let client = Shadowsocks::new().client(&Spec::new(ID, address.into(), params).unwrap()).unwrap();
        let mut channel =
            client.dial(&cx(), &Target::Datagrams).await.unwrap().channel.into_datagrams().unwrap();
        for (length, peer) in [(0, "example.org:443"), (40, "192.0.2.1:53"), (1300, "[2001:db8::1]:9")] {
            let (data, peer): (_, HostPort) = (pattern(length), peer.parse().unwrap());
            poll_fn(|cx| channel.poll_send(cx, &data, &peer)).await.unwrap();
            let mut buffer = vec![0; 65_536];
            let mut heard = ReadBuf::new(&mut buffer);
            let from =
                timeout(PATIENCE, poll_fn(|cx| channel.poll_recv(cx, &mut heard))).await.unwrap().unwrap();
            assert_eq!((from, heard.filled()), (Some(peer), &data[..]));
        }
        server.abort();
    }
}

/// Prints what `vectors.txt` holds: `cargo test -p commucat-shadowsocks --test it -- --ignored --nocapture record`.
#[tokio::test]
#[ignore = "makes new vectors"]
async fn record_vectors() {
    for params in all_servers() {
        let bridge = Bridge::start(params.clone(), cx().net).await;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let spec = bridge.server.client_spec(&bridge.address.into(), &user("ben", 2)).unwrap();
        let io = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let context = Context::new_shared(ServerType::Local);
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
        let config_tcp = config(&spec.params, bridge.address);
        let mut stream = ProxyClientStream::from_stream(Arc::clone(&context), io, &config_tcp, target());
        stream.write_all(b"a recorded payload").await.unwrap();
        stream.shutdown().await.unwrap();
        let mut flight = Vec::new();
        listener.accept().await.unwrap().0.read_to_end(&mut flight).await.unwrap();

        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let config = config(&spec.params, socket.local_addr().unwrap());
        let sender = ProxySocket::connect(context, &config).await.unwrap();
        let control = control(0x0102_0304_0506_0708, 5);
        sender.send_with_ctrl(&target(), &control, b"a recorded datagram").await.unwrap();
        let mut packet = vec![0; 2048];
        let count = socket.recv(&mut packet).await.unwrap();
        let hex = |bytes: &[u8]| bytes.iter().map(|b| format!("{b:02x}")).collect::<String>();
        eprintln!("vector\t{params}\t{now}\t{}\t{}", hex(&flight), hex(&packet[..count]));
    }
}
