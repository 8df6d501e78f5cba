//! Ending: what runs may finish, what is new is refused, and nothing stays.

use commucat_control::{Control, ControlConfig, ControlError, wire};
use tokio::{io::AsyncWriteExt as _, net::TcpStream};

use crate::support::{config, connect, get, patiently, read_answer, rest, start, tcp_of};

#[tokio::test]
async fn a_running_request_finishes_and_idle_ones_end() {
    let server = start().await;
    let address = tcp_of(&server);
    let mut idle = connect(&server).await;
    assert_eq!(get(&mut idle, wire::TIME).await.status, 200);
    let mut running = connect(&server).await;
    running.write_all(b"GET /source?bytes=10&chunk=1&every_ms=50 HTTP/1.1\r\n\r\n").await.unwrap();
    let mut first = [0; 12];
    patiently(tokio::io::AsyncReadExt::read_exact(&mut running, &mut first)).await.unwrap();
    assert_eq!(&first, b"HTTP/1.1 200");
    let (stats, answer) = tokio::join!(server.stop(), async {
        let mut all = first.to_vec();
        all.extend(rest(&mut running).await);
        all
    });
    let mut pattern = [0; 10];
    wire::pattern(0, &mut pattern);
    assert!(answer.ends_with(&pattern), "the running request was answered whole");
    assert!(rest(&mut idle).await.is_empty());
    assert_eq!(stats.requests, 2);
    assert!(TcpStream::connect(address).await.is_err(), "nobody listens any more");
}

#[tokio::test]
async fn what_does_not_end_is_ended() {
    let server = start().await;
    let mut endless = connect(&server).await;
    endless.write_all(b"POST /sink HTTP/1.1\r\nContent-Length: 1000\r\n\r\n").await.unwrap();
    while server.stats().requests == 0 {
        tokio::task::yield_now().await;
    }
    patiently(server.stop()).await;
    assert!(rest(&mut endless).await.is_empty());
}

#[tokio::test]
async fn a_dropped_server_is_gone() {
    let server = start().await;
    let address = tcp_of(&server);
    let mut peer = connect(&server).await;
    assert_eq!(get(&mut peer, wire::TIME).await.status, 200);
    drop(server);
    assert!(rest(&mut peer).await.is_empty());
    patiently(async {
        while TcpStream::connect(address).await.is_ok() {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_taken_port_is_an_error_that_names_it() {
    let server = start().await;
    let taken = tcp_of(&server);
    let again = Control::start(ControlConfig { tcp: vec![taken.into()], ..config() }).await;
    match again {
        Err(ControlError::Bind { what: "tcp", address, .. }) => assert_eq!(address, taken),
        other => panic!("{other:?}"),
    }
    assert_eq!(get(&mut connect(&server).await, wire::TIME).await.status, 200, "the first still runs");
}

#[tokio::test]
async fn many_ports_serve_as_one() {
    let tcp = vec!["127.0.0.1:0".parse().unwrap(); 40];
    let server = Control::start(ControlConfig { tcp, ..config() }).await.unwrap();
    for address in &server.addresses().tcp {
        let mut peer = TcpStream::connect(address).await.unwrap();
        peer.write_all(b"GET /time HTTP/1.1\r\n\r\n").await.unwrap();
        assert_eq!(read_answer(&mut peer).await.status, 200);
    }
    assert_eq!(server.addresses().tcp.len(), 40);
}
