//! SOCKS over real sockets: exact ends of streams, passwords, answers that say what happened.

use std::{net::SocketAddr, str::FromStr as _};

use commucat_client::{ClientError, Credentials, Forward, Options, Runtime};
use commucat_net::SystemNet;
use commucat_transport_api::HostPort;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::{
    mini::{Params, bundle, link},
    peer::{Bridge, Manner, echo, origin, plain, within},
};

/// Asks a SOCKS5 proxy for a connection; gives the stream and the reply code.
pub(crate) async fn socks5(proxy: SocketAddr, target: &str) -> (TcpStream, u8) {
    let mut stream = TcpStream::connect(proxy).await.unwrap();
    stream.write_all(&[5, 1, 0]).await.unwrap();
    let mut method = [0; 2];
    stream.read_exact(&mut method).await.unwrap();
    assert_eq!(method, [5, 0]);
    let mut request = vec![5, 1, 0];
    HostPort::from_str(target).unwrap().encode(&mut request);
    stream.write_all(&request).await.unwrap();
    let mut reply = [0; 10];
    stream.read_exact(&mut reply).await.unwrap();
    assert_eq!(reply[0], 5);
    (stream, reply[1])
}

#[tokio::test]
async fn bytes_come_back_through_every_dialect() {
    let (_bridge, client) = plain(Options::default()).await;
    let (echo, _task) = echo().await;
    let (mut stream, code) = within(socks5(client.local_addr(), &echo.to_string())).await;
    assert_eq!(code, 0);
    stream.write_all(b"five").await.unwrap();
    let mut back = [0; 4];
    within(stream.read_exact(&mut back)).await.unwrap();
    assert_eq!(&back, b"five");

    // SOCKS4a, with a name and bytes that do not wait for the answer.
    let mut stream = TcpStream::connect(client.local_addr()).await.unwrap();
    let mut request = vec![4, 1];
    request.extend(echo.port().to_be_bytes());
    request.extend(b"\x00\x00\x00\x01user\x00localhost\x00early");
    stream.write_all(&request).await.unwrap();
    let mut answer = [0; 13];
    within(stream.read_exact(&mut answer)).await.unwrap();
    assert_eq!(answer[..2], [0, 0x5a]);
    assert_eq!(&answer[8..], b"early");
}

#[tokio::test]
async fn an_answer_to_a_half_closed_upload_arrives() {
    let (_bridge, client) = plain(Options { forwards: Vec::new(), ..Options::default() }).await;
    // Answers only after it has read to the end of the stream.
    let (server, _task) = origin(|mut stream| async move {
        let mut body = Vec::new();
        stream.read_to_end(&mut body).await.unwrap();
        stream.write_all(format!("{} bytes", body.len()).as_bytes()).await.unwrap();
    })
    .await;
    let (mut stream, code) = within(socks5(client.local_addr(), &server.to_string())).await;
    assert_eq!(code, 0);
    stream.write_all(&vec![7; 300_000]).await.unwrap();
    stream.shutdown().await.unwrap();
    let mut answer = String::new();
    within(stream.read_to_string(&mut answer)).await.unwrap();
    assert_eq!(answer, "300000 bytes");
}

#[tokio::test]
async fn an_end_of_stream_does_not_wait_for_the_other_direction() {
    let (_bridge, client) = plain(Options::default()).await;
    // Ends its own direction at once and goes on reading for ever.
    let (server, _task) = origin(|mut stream| async move {
        stream.write_all(b"bye").await.unwrap();
        stream.shutdown().await.unwrap();
        let mut rest = Vec::new();
        stream.read_to_end(&mut rest).await.ok();
    })
    .await;
    let (mut stream, _) = within(socks5(client.local_addr(), &server.to_string())).await;
    let mut answer = String::new();
    within(stream.read_to_string(&mut answer)).await.unwrap();
    assert_eq!(answer, "bye");
    stream.write_all(b"still open").await.unwrap();
}

#[tokio::test]
async fn a_forward_carries_both_directions() {
    let (echo, _task) = echo().await;
    let forward = Forward { local: "127.0.0.1:0".parse().unwrap(), target: echo.into() };
    let (_bridge, client) = plain(Options { forwards: vec![forward], ..Options::default() }).await;
    let mut stream = TcpStream::connect(client.forward_addrs()[0]).await.unwrap();
    let sent: Vec<u8> = (0..1_000_000_u32).map(|at| (at % 251) as u8).collect();
    let (mut read, mut write) = stream.split();
    let upload = async {
        write.write_all(&sent).await.unwrap();
        write.shutdown().await.unwrap();
    };
    let mut back = Vec::new();
    within(async { tokio::join!(upload, read.read_to_end(&mut back)).1.unwrap() }).await;
    assert!(back == sent);
}

#[tokio::test]
async fn reply_codes_say_what_happened() {
    let (bridge, client) = plain(Options::default()).await;
    let nobody = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap().to_string()
    };
    assert_eq!(within(socks5(client.local_addr(), &nobody)).await.1, 4, "the target is unreachable");
    bridge.change(|manner| manner.user = "somebody-else");
    assert_eq!(within(socks5(client.local_addr(), &nobody)).await.1, 2, "not allowed");
    assert_eq!(
        within(socks5(client.local_addr(), &nobody)).await.1,
        2,
        "the same while it is not asked again"
    );

    let dead = crate::peer::client(&[(nobody.parse().unwrap(), Params::default())], Options::default()).await;
    assert_eq!(within(socks5(dead.local_addr(), "a.example:1")).await.1, 5, "the bridge refuses");
}

#[tokio::test]
async fn a_password_is_asked_for_when_one_is_set() {
    let credentials = Credentials::new("ann", "secret");
    let (_bridge, client) = plain(Options { credentials, ..Options::default() }).await;
    for (password, accepted) in [("secret", 0), ("wrong", 1)] {
        let mut stream = TcpStream::connect(client.local_addr()).await.unwrap();
        let mut hello = vec![5, 1, 2, 1, 3];
        hello.extend(b"ann");
        hello.push(u8::try_from(password.len()).unwrap());
        hello.extend(password.bytes());
        stream.write_all(&hello).await.unwrap();
        let mut answer = [0; 4];
        within(stream.read_exact(&mut answer)).await.unwrap();
        assert_eq!(answer, [5, 2, 1, accepted]);
        if accepted == 1 {
            assert_eq!(within(stream.read(&mut answer)).await.unwrap(), 0, "closed");
        }
    }
}

#[tokio::test]
async fn a_port_open_to_others_needs_a_password() {
    let bridge = Bridge::start(Manner::default()).await;
    let link = link(&[(bridge.address.clone(), Params::default())]);
    let start = |options| {
        let link = link.clone();
        async move { Runtime::start(SystemNet::new(), &bundle(), &link, options).await }
    };
    let open = Options { listen: "0.0.0.0:0".parse().unwrap(), ..Options::default() };
    assert!(matches!(start(open.clone()).await, Err(ClientError::OpenToOthers { .. })));
    let forward: Forward = "0.0.0.0:0=a.example:1".parse().unwrap();
    let forwarded =
        Options { listen: "127.0.0.1:0".parse().unwrap(), forwards: vec![forward], ..Options::default() };
    assert!(matches!(start(forwarded).await, Err(ClientError::OpenToOthers { .. })));
    assert!(start(Options { credentials: Credentials::new("a", "b"), ..open }).await.is_ok());
}

#[tokio::test]
async fn a_taken_port_is_named() {
    let (bridge, client) = plain(Options::default()).await;
    let link = link(&[(bridge.address.clone(), Params::default())]);
    let options = Options { listen: client.local_addr(), ..Options::default() };
    let error = Runtime::start(SystemNet::new(), &bundle(), &link, options).await.unwrap_err();
    assert!(error.to_string().contains(&client.local_addr().to_string()), "{error}");
}
