//! Requests over plain TCP.

use aws_lc_rs::digest;
use commucat_control::{Control, ControlConfig, ECHO_BYTES_MAX, SINK_BYTES_MAX, SOURCE_BYTES_MAX, wire};
use commucat_transport_api::Secret;
use tokio::io::AsyncWriteExt as _;

use crate::support::{
    Answer, ask, config, connect, get, patiently, post, read_answer, read_head, rest, start,
};

#[tokio::test]
async fn the_source_sends_the_pattern() {
    let server = start().await;
    let mut peer = connect(&server).await;
    for bytes in [0, 1, 7, 100_000] {
        let answer = get(&mut peer, &format!("/source?bytes={bytes}")).await;
        let mut expected = vec![0; bytes];
        wire::pattern(0, &mut expected);
        assert_eq!((answer.status, answer.body), (200, expected), "on one connection");
    }
}

#[tokio::test]
async fn the_source_keeps_a_pace() {
    let server = start().await;
    let mut peer = connect(&server).await;
    let answer = get(&mut peer, "/source?bytes=50&chunk=20&every_ms=1").await;
    let mut expected = vec![0; 50];
    wire::pattern(0, &mut expected);
    assert_eq!(answer.body, expected);
}

#[tokio::test]
async fn a_head_comes_without_its_body() {
    let server = start().await;
    let mut peer = connect(&server).await;
    let pad = "x".repeat(4_000);
    for _ in 0..16 {
        let request = format!("HEAD /source?bytes=5 HTTP/1.1\r\nX-Pad: {pad}\r\n\r\n");
        peer.write_all(request.as_bytes()).await.unwrap();
        let head = read_head(&mut peer).await;
        assert!(head.starts_with("HTTP/1.1 200 OK\r\n") && head.contains("Content-Length: 5\r\n"), "{head}");
    }
}

#[tokio::test]
async fn the_sink_counts_and_digests() {
    let server = start().await;
    let mut peer = connect(&server).await;
    for length in [0, 1, 300_000] {
        let body = vec![7; length];
        let answer: wire::SinkAnswer = post(&mut peer, "/sink", &body).await.json();
        let digest = digest::digest(&digest::SHA256, &body);
        let hex: String = digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(answer, wire::SinkAnswer { bytes: length as u64, sha256: hex });
    }
}

#[tokio::test]
async fn the_echo_sends_back_while_it_reads() {
    let server = start().await;
    let mut peer = connect(&server).await;
    peer.write_all(b"POST /echo HTTP/1.1\r\nContent-Length: 6\r\n\r\nabc").await.unwrap();
    let head = read_head(&mut peer).await;
    assert!(head.contains("Content-Length: 6\r\n"), "{head}");
    let mut half = [0; 3];
    patiently(tokio::io::AsyncReadExt::read_exact(&mut peer, &mut half)).await.unwrap();
    assert_eq!(&half, b"abc", "before the rest was sent");
    peer.write_all(b"def").await.unwrap();
    patiently(tokio::io::AsyncReadExt::read_exact(&mut peer, &mut half)).await.unwrap();
    assert_eq!(&half, b"def");
}

#[tokio::test]
async fn small_questions_are_answered() {
    let server = start().await;
    let mut peer = connect(&server).await;
    let whoami: wire::WhoamiAnswer = get(&mut peer, wire::WHOAMI).await.json();
    let own = peer.local_addr().unwrap();
    assert_eq!((whoami.address, whoami.port), (own.ip(), own.port()));
    let hello: wire::HelloAnswer = get(&mut peer, wire::HELLO).await.json();
    assert_eq!(hello, wire::HelloAnswer::default(), "plain TCP has no hello");
    let time: wire::TimeAnswer = get(&mut peer, wire::TIME).await.json();
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis();
    assert!(now.abs_diff(u128::from(time.unix_ms)) < 60_000);
}

#[tokio::test]
async fn requests_may_be_pipelined() {
    let server = start().await;
    let mut peer = connect(&server).await;
    let one = "POST /sink HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc";
    peer.write_all(format!("{one}{one}GET /time HTTP/1.1\r\n\r\n").as_bytes()).await.unwrap();
    for _ in 0..2 {
        assert_eq!(read_answer(&mut peer).await.json::<wire::SinkAnswer>().bytes, 3);
    }
    assert_eq!(read_answer(&mut peer).await.status, 200);
}

#[tokio::test]
async fn who_waits_for_continue_gets_it() {
    let server = start().await;
    let mut peer = connect(&server).await;
    peer.write_all(b"POST /sink HTTP/1.1\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n")
        .await
        .unwrap();
    assert_eq!(read_head(&mut peer).await, "HTTP/1.1 100 Continue\r\n\r\n");
    peer.write_all(b"ok").await.unwrap();
    assert_eq!(read_answer(&mut peer).await.json::<wire::SinkAnswer>().bytes, 2);
}

#[tokio::test]
async fn what_cannot_be_answered_is_refused_with_a_reason() {
    let server = start().await;
    let refused = async |request: String, status: u16| {
        let mut peer = connect(&server).await;
        let answer: Answer = ask(&mut peer, &request).await;
        assert_eq!(answer.status, status, "{request}");
        assert!(answer.head.contains("Connection: close\r\n"));
        assert!(!answer.json::<wire::ErrorAnswer>().error.is_empty());
        assert!(rest(&mut peer).await.is_empty(), "nothing follows, and it ends");
    };
    for target in [
        "/source",
        "/source?bytes=x",
        "/source?bytes=-1",
        "/source?bytes=5&size=5",
        "/source?bytes=5&chunk=0",
        "/source?bytes=5&chunk=65537",
        "/source?bytes=5&every_ms=10001",
        "/source?bytes=1000000&chunk=1&every_ms=9",
    ] {
        refused(format!("GET {target} HTTP/1.1\r\n\r\n"), 400).await;
    }
    refused(format!("GET /source?bytes={} HTTP/1.1\r\n\r\n", SOURCE_BYTES_MAX + 1), 400).await;
    refused(format!("POST /sink HTTP/1.1\r\nContent-Length: {}\r\n\r\n", SINK_BYTES_MAX + 1), 413).await;
    refused(format!("POST /echo HTTP/1.1\r\nContent-Length: {}\r\n\r\n", ECHO_BYTES_MAX + 1), 413).await;
    for target in ["/", "/nothing", "/source/", "//source", "/../source", "http://other.example/"] {
        let status = if target.starts_with('/') { 404 } else { continue };
        refused(format!("GET {target} HTTP/1.1\r\n\r\n"), status).await;
    }
    refused("GET /sink HTTP/1.1\r\n\r\n".to_owned(), 405).await;
    refused("POST /source?bytes=5 HTTP/1.1\r\nContent-Length: 0\r\n\r\n".to_owned(), 405).await;
    refused("POST /sink HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n".to_owned(), 411).await;
    refused("GET / FTP/1.1\r\n\r\n".to_owned(), 400).await;
    refused(format!("GET / HTTP/1.1\r\nA: {}\r\n\r\n", "x".repeat(17_000)), 431).await;
}

#[tokio::test]
async fn a_refused_body_does_not_hide_the_reason() {
    let server = start().await;
    let mut peer = connect(&server).await;
    let head = format!("POST /sink HTTP/1.1\r\nContent-Length: {}\r\n\r\n", SINK_BYTES_MAX + 1);
    peer.write_all(head.as_bytes()).await.unwrap();
    peer.write_all(&vec![0; 100_000]).await.unwrap();
    assert_eq!(read_answer(&mut peer).await.status, 413);
}

#[tokio::test]
async fn with_a_token_only_its_paths_exist() {
    let token = Some(Secret::new("k3y".to_owned()));
    let server = Control::start(ControlConfig { token, ..config() }).await.unwrap();
    let status = async |target: &str| get(&mut connect(&server).await, target).await.status;
    assert_eq!(status(&wire::path(Some("k3y"), wire::TIME)).await, 200);
    for target in
        ["/time", "/wrong/time", "/k3/time", "/k3yy/time", "/k3y", "/k3y/", "/k3y/nothing", "//time"]
    {
        assert_eq!(status(target).await, 404, "{target}");
    }
}
