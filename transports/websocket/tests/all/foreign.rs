//! tungstenite, an implementation that is not ours, on the other side of both ends.

use std::{sync::Arc, time::Duration};

use commucat_transport_api::{BoxStream, Channel, PluggableTransport as _, Spec, Target};
use commucat_websocket::{ID, WebSocket};
use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};
use tokio_tungstenite::{
    WebSocketStream, accept_hdr_async, client_async,
    tungstenite::{
        Message,
        handshake::server::{Request, Response},
        protocol::{Role, frame::coding::CloseCode},
    },
};

use crate::support::{Bridge, cx, exchange, params, real};

async fn carrier() -> Bridge {
    Bridge::start(real(), params(json!({ "auth": "none", "tls": "off", "path": "/ws" }))).await
}

async fn tungstenite(bridge: &Bridge) -> WebSocketStream<TcpStream> {
    let stream = TcpStream::connect(bridge.at.to_string()).await.unwrap();
    client_async(format!("ws://{}/ws", bridge.at), stream).await.unwrap().0
}

#[tokio::test]
async fn their_client_gets_its_echo_pongs_and_close() {
    let bridge = carrier().await;
    let mut socket = tungstenite(&bridge).await;
    for length in [1, 125, 126, 65_535, 65_536, 300_000] {
        let bytes = vec![5; length];
        socket.send(Message::binary(bytes.clone())).await.unwrap();
        let mut back = Vec::new();
        while back.len() < length {
            back.extend_from_slice(&socket.next().await.unwrap().unwrap().into_data());
        }
        assert_eq!(back, bytes);
    }
    socket.send(Message::Ping(b"are you there"[..].into())).await.unwrap();
    assert_eq!(socket.next().await.unwrap().unwrap(), Message::Pong(b"are you there"[..].into()));
    socket.close(None).await.unwrap();
    let mut closed = false;
    while let Some(message) = socket.next().await {
        closed |= matches!(message, Ok(Message::Close(_)));
    }
    assert!(closed, "a close frame answers theirs");
}

#[tokio::test]
async fn their_fragments_are_one_stream() {
    let bridge = carrier().await;
    let mut stream = TcpStream::connect(bridge.at.to_string()).await.unwrap();
    upgrade(&mut stream).await;
    // Two fragments with a ping between them, masked with zeros.
    stream.write_all(b"\x02\x83\0\0\0\0abc\x89\x81\0\0\0\0p\x80\x82\0\0\0\0de").await.unwrap();
    let mut back = Vec::new();
    while !back.ends_with(b"de") {
        back.push(stream.read_u8().await.unwrap());
    }
    let text = back.escape_ascii().to_string();
    assert!(text.contains("abc") && text.contains("\\x8a\\x01p"), "{text}");
}

async fn upgrade(stream: &mut TcpStream) {
    let head = "GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        answer.push(stream.read_u8().await.unwrap());
    }
    assert!(answer.starts_with(b"HTTP/1.1 101 "));
}

#[tokio::test]
async fn broken_frames_are_closed_with_the_right_code() {
    let bridge = carrier().await;
    let too_big = [&[0x82, 0xff, 0, 0, 0, 0, 0, 0x20, 0, 0, 0, 0, 0, 0][..], &[0; 100_000]].concat();
    let cases: [(&[u8], u16); 6] = [
        (&too_big, 1009),
        (b"\x81\x81\0\0\0\0a", 1003),
        (b"\x82\x01a", 1002),
        (b"\xc2\x81\0\0\0\0a", 1002),
        (b"\x80\x81\0\0\0\0a", 1002),
        (b"\x88\x81\0\0\0\0a", 1002),
    ];
    for (sent, code) in cases {
        let mut stream = TcpStream::connect(bridge.at.to_string()).await.unwrap();
        upgrade(&mut stream).await;
        stream.write_all(sent).await.unwrap();
        let mut socket = WebSocketStream::from_raw_socket(stream, Role::Client, None).await;
        let Some(Ok(Message::Close(Some(frame)))) = socket.next().await else {
            panic!("no close for {code}")
        };
        assert_eq!(frame.code, CloseCode::from(code));
    }
    // The fragments of one message together are too long.
    let mut stream = TcpStream::connect(bridge.at.to_string()).await.unwrap();
    upgrade(&mut stream).await;
    let fragment =
        |first: u8| [&[first, 0xff, 0, 0, 0, 0, 0, 0x0a, 0, 0, 0, 0, 0, 0][..], &vec![7; 0x0a_0000]].concat();
    stream.write_all(&fragment(0x02)).await.unwrap();
    let (mut read, mut write) = stream.into_split();
    let writer = tokio::spawn(async move { write.write_all(&fragment(0x00)).await.map(|()| write) });
    let mut all = Vec::new();
    read.read_to_end(&mut all).await.ok();
    assert!(all.ends_with(b"\x88\x02\x03\xf1"), "1009 at the end");
    drop(writer.await);
}

/// A tungstenite server that echoes binary messages; gives the upgrade request's fields.
async fn their_server() -> (Spec, tokio::sync::mpsc::Receiver<Vec<(String, String)>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = listener.local_addr().unwrap().into();
    let (tell, heads) = tokio::sync::mpsc::channel(10);
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let mut fields = Vec::new();
            #[allow(clippy::result_large_err, reason = "tungstenite's callback type")]
            let keep = |request: &Request, response: Response| {
                for (name, value) in request.headers() {
                    fields.push((name.to_string(), value.to_str().unwrap().to_owned()));
                }
                Ok(response)
            };
            let mut socket = accept_hdr_async(stream, keep).await.unwrap();
            tell.send(fields).await.unwrap();
            while let Some(Ok(message)) = socket.next().await {
                if message.is_binary() && socket.send(message).await.is_err() {
                    break;
                }
            }
        }
    });
    let spec = Spec::new(
        ID,
        endpoint,
        json!({ "auth": "none", "tls": "off", "path": "/up", "host": "cdn.example" }),
    );
    (spec.unwrap(), heads)
}

async fn dial(spec: &Spec) -> BoxStream {
    let client = WebSocket::new().client(spec).unwrap();
    client.dial(&cx(&real()), &Target::Bridge).await.unwrap().channel.into_stream().unwrap()
}

#[tokio::test]
async fn their_server_echoes_our_client() {
    let (spec, mut heads) = their_server().await;
    let mut stream = dial(&spec).await;
    let fields = heads.recv().await.unwrap();
    let get = |name: &str| fields.iter().find(|(field, _)| field == name).map(|(_, value)| &**value);
    assert_eq!(get("host"), Some("cdn.example"));
    assert_eq!(get("sec-websocket-extensions"), None, "a foreign server might take the offer");
    for length in [1, 200, 70_000, 1_000_000] {
        let bytes = vec![3; length];
        let (mut read, mut write) = tokio::io::split(stream);
        let sent = bytes.clone();
        let writer = tokio::spawn(async move {
            write.write_all(&sent).await.unwrap();
            write.flush().await.unwrap();
            write
        });
        let mut back = vec![0; length];
        read.read_exact(&mut back).await.unwrap();
        assert!(back == bytes);
        stream = read.unsplit(writer.await.unwrap());
    }
    let target: Target = Target::Stream("a.example:1".parse().unwrap());
    let client = WebSocket::new().client(&spec).unwrap();
    let refused = client.dial(&cx(&real()), &target).await.unwrap_err();
    assert!(matches!(refused, commucat_transport_api::DialError::UnsupportedTarget));
}

#[tokio::test]
async fn a_foreign_close_ends_both_ways_and_ours_reaches_them() {
    let bridge = carrier().await;
    let mut socket = tungstenite(&bridge).await;
    socket.send(Message::binary(&b"abc"[..])).await.unwrap();
    assert_eq!(socket.next().await.unwrap().unwrap().into_data(), &b"abc"[..]);
    // An empty message in the middle is nothing.
    socket.send(Message::binary(&b""[..])).await.unwrap();
    socket.send(Message::binary(&b"def"[..])).await.unwrap();
    assert_eq!(socket.next().await.unwrap().unwrap().into_data(), &b"def"[..]);
    socket.send(Message::Close(None)).await.unwrap();
    let answer = tokio::time::timeout(Duration::from_secs(5), socket.next()).await.unwrap();
    assert!(matches!(answer, Some(Ok(Message::Close(_)))), "{answer:?}");
}

#[tokio::test]
async fn between_our_own_ends_a_carrier_half_closes_exactly() {
    let bridge = carrier().await;
    let client = bridge.client(json!({}));
    assert_eq!(bridge.spec(json!({})).params["half_close"], Value::Bool(true));
    let opened = client.dial(&cx(&bridge.net), &Target::Bridge).await.unwrap();
    let mut stream = opened.channel.into_stream().unwrap();
    stream.write_all(&[1; 200_000]).await.unwrap();
    stream.shutdown().await.unwrap();
    let mut all = Vec::new();
    stream.read_to_end(&mut all).await.unwrap();
    assert_eq!(all.len(), 200_000);
}

#[tokio::test]
async fn datagrams_of_every_length_keep_their_bounds() {
    for over in [json!({}), json!({ "mode": "raw" }), json!({ "tls": "off" })] {
        let bridge = Bridge::start(real(), params(over)).await;
        let opened = bridge.client(json!({})).dial(&cx(&bridge.net), &Target::Datagrams).await.unwrap();
        let Channel::Datagrams(mut datagrams) = opened.channel else { panic!("no datagrams") };
        let peer = "[2001:db8::1]:53".parse().unwrap();
        let most = datagrams.max_datagram().get();
        for length in [0, 1, 1200, 1500, 9000, most] {
            let sent = vec![8; length];
            std::future::poll_fn(|cx| datagrams.poll_send(cx, &sent, &peer)).await.unwrap();
            let mut buf = vec![0; 70_000];
            let mut read = tokio::io::ReadBuf::new(&mut buf);
            let from = std::future::poll_fn(|cx| datagrams.poll_recv(cx, &mut read)).await.unwrap();
            assert_eq!((from.as_ref(), read.filled()), (Some(&peer), &sent[..]));
        }
        let long = vec![0; most + 1];
        let error = std::future::poll_fn(|cx| datagrams.poll_send(cx, &long, &peer)).await.unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput);
    }
}

#[tokio::test]
async fn a_killed_bridge_is_an_error_not_an_end() {
    let bridge = Bridge::start(real(), params(json!({}))).await;
    let mut stream = bridge.dial(json!({})).await.unwrap();
    assert_eq!(exchange(&mut stream, b"hello").await.unwrap(), b"hello");
    drop(bridge);
    let mut all = Vec::new();
    stream.read_to_end(&mut all).await.unwrap_err();
    drop(Arc::new(all));
}
