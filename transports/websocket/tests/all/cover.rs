//! Strangers and the cover site: nothing they try looks different from a page that is not there.

use std::{collections::BTreeMap, fmt::Write as _};

use commucat_transport_api::AcceptError;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};

use crate::support::{Bridge, params, real};

/// An answer without what differs each time.
fn steady(answer: &[u8]) -> String {
    let text = String::from_utf8(answer.to_vec()).unwrap();
    let lines: Vec<&str> = text
        .split_inclusive("\r\n")
        .map(|line| match line.split_once(": ") {
            Some(("Date", _)) => "Date\r\n",
            Some(("X-Request-Id", id)) => {
                assert_eq!(id.trim().len(), 32);
                assert!(id.trim().bytes().all(|byte| byte.is_ascii_hexdigit()));
                "Id\r\n"
            }
            _ => line,
        })
        .collect();
    lines.concat()
}

fn upgrade(path: &str, protocol: &str) -> String {
    let mut head = format!(
        "GET {path} HTTP/1.1\r\nHost: site.example\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    );
    if !protocol.is_empty() {
        write!(head, "Sec-WebSocket-Protocol: {protocol}\r\n").unwrap();
    }
    head + "\r\n"
}

/// A small origin: `/` is there, the rest is 404; tells what it was asked.
async fn origin() -> (String, tokio::sync::mpsc::Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = format!("http://{}", listener.local_addr().unwrap());
    let (tell, asked) = tokio::sync::mpsc::channel(100);
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let tell = tell.clone();
            tokio::spawn(async move {
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    head.push(stream.read_u8().await.unwrap());
                }
                let head = String::from_utf8(head).unwrap();
                let (status, body) = if head.starts_with("GET / ") {
                    ("200 OK", "the real site")
                } else {
                    ("404 Nope", "not here")
                };
                let answer = format!(
                    "HTTP/1.1 {status}\r\nServer: theirs/1\r\nX-Request-Id: theirs\r\nConnection: close\r\n\
                     Content-Length: {}\r\n\r\n{body}",
                    body.len()
                );
                tell.send(head).await.ok();
                stream.write_all(answer.as_bytes()).await.unwrap();
            });
        }
    });
    (at, asked)
}

fn folder() -> (tempfile::TempDir, Value) {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("index.html"), "<h1>home</h1>").unwrap();
    std::fs::write(dir.path().join("404.html"), "<h1>lost</h1>").unwrap();
    let cover = json!({ "folder": dir.path() });
    (dir, cover)
}

#[tokio::test]
async fn a_wrong_path_or_token_is_an_unknown_page_for_every_cover() {
    let (_dir, folder) = folder();
    let (origin, _asked) = origin().await;
    for cover in [Value::Null, folder, json!({ "origin": origin })] {
        let mut bridge =
            Bridge::start(real(), params(json!({ "tls": "off", "path": "/secret", "cover": cover }))).await;
        let reference = steady(&half_closed(&bridge, upgrade("/nothing", "").as_bytes()).await);
        assert!(reference.starts_with("HTTP/1.1 404 "), "{reference}");
        let token = "A".repeat(200);
        for (path, protocol) in [
            ("/secret", ""),
            ("/secret", "chat"),
            ("/secret", &*token),
            ("/nothing", &*token),
            ("/secret", "!!, ??"),
        ] {
            let answer = steady(&half_closed(&bridge, upgrade(path, protocol).as_bytes()).await);
            assert_eq!(answer, reference, "{path} {protocol}");
            assert!(matches!(bridge.outcomes.recv().await.unwrap(), Err(AcceptError::Unauthenticated)));
        }
        let get =
            |path: &str| format!("GET {path} HTTP/1.1\r\nHost: site.example\r\nConnection: close\r\n\r\n");
        let known = steady(&bridge.raw(get("/nothing").as_bytes()).await);
        assert_eq!(steady(&bridge.raw(get("/secret").as_bytes()).await), known);
        assert!(bridge.raw(get("/").as_bytes()).await.starts_with(b"HTTP/1.1 200 OK\r\n"));
    }
}

/// Sends, half-closes and reads all.
async fn half_closed(bridge: &Bridge, sent: &[u8]) -> Vec<u8> {
    let mut stream = bridge.net.connect_stream(&bridge.at).await.unwrap();
    stream.write_all(sent).await.unwrap();
    stream.shutdown().await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    answer
}

#[tokio::test]
async fn methods_versions_and_several_requests() {
    let (_dir, cover) = folder();
    let bridge = Bridge::start(real(), params(json!({ "tls": "off", "cover": cover }))).await;
    let cases: [(&str, &str); 9] = [
        ("GET / HTTP/1.0\r\n\r\n", "HTTP/1.1 200 OK"),
        ("HEAD / HTTP/1.1\r\nConnection: close\r\n\r\n", "HTTP/1.1 200 OK"),
        (
            "POST / HTTP/1.1\r\nContent-Length: 3\r\nConnection: close\r\n\r\nabc",
            "HTTP/1.1 405 Method Not Allowed",
        ),
        ("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "HTTP/1.1 405 Method Not Allowed"),
        ("GET / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", "HTTP/1.1 400 Bad Request"),
        ("GET /../../etc/passwd HTTP/1.1\r\nConnection: close\r\n\r\n", "HTTP/1.1 404 Not Found"),
        ("\x16\x03\x01\x02\x00\x01\x00", "HTTP/1.1 400 Bad Request"),
        ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "HTTP/1.1 400 Bad Request"),
        ("GET / HTTP/1.1\r\nHost: a\r\nbroken line\r\n\r\n", "HTTP/1.1 400 Bad Request"),
    ];
    for (request, status) in cases {
        let answer = half_closed(&bridge, request.as_bytes()).await;
        let text = String::from_utf8(answer).unwrap();
        assert!(text.starts_with(&format!("{status}\r\n")), "{request:?}: {text}");
        assert!(text.contains("\r\nX-Request-Id: "), "{text}");
    }
    let huge = format!("GET / HTTP/1.1\r\nA: {}\r\n\r\n", "x".repeat(9000));
    let answer = half_closed(&bridge, huge.as_bytes()).await;
    assert!(answer.starts_with(b"HTTP/1.1 431 Request Header Fields Too Large\r\n"));
    // Three requests in one piece, on one connection.
    let get = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    let answer =
        half_closed(&bridge, format!("{get}{get}GET /x HTTP/1.1\r\nConnection: close\r\n\r\n").as_bytes())
            .await;
    let text = String::from_utf8(answer).unwrap();
    assert_eq!(text.matches("HTTP/1.1 200 OK\r\n").count(), 2);
    assert_eq!(text.matches("<h1>home</h1>").count(), 2);
    assert_eq!(text.matches("<h1>lost</h1>").count(), 1);
}

#[tokio::test]
async fn unchanged_pages_are_not_sent_again() {
    let (_dir, cover) = folder();
    for cover in [cover, Value::Null] {
        let bridge = Bridge::start(real(), params(json!({ "tls": "off", "cover": cover }))).await;
        let first = half_closed(&bridge, b"GET / HTTP/1.1\r\n\r\n").await;
        let fields: BTreeMap<String, String> = String::from_utf8(first)
            .unwrap()
            .lines()
            .filter_map(|line| line.split_once(": ").map(|(name, value)| (name.to_owned(), value.to_owned())))
            .collect();
        for (ask, told) in [("If-None-Match", "ETag"), ("If-Modified-Since", "Last-Modified")] {
            let request = format!("GET / HTTP/1.1\r\n{ask}: {}\r\n\r\n", fields[told]);
            let again = half_closed(&bridge, request.as_bytes()).await;
            assert!(again.starts_with(b"HTTP/1.1 304 Not Modified\r\n"), "{ask}");
        }
    }
}

#[tokio::test]
async fn an_origin_is_asked_plainly_and_its_answer_kept() {
    let (origin, mut asked) = origin().await;
    let bridge = Bridge::start(real(), params(json!({ "tls": "off", "cover": { "origin": origin } }))).await;
    let answer = half_closed(&bridge, upgrade("/", "abc").as_bytes()).await;
    let text = steady(&answer);
    assert_eq!(
        text,
        "HTTP/1.1 200 OK\r\nServer: theirs/1\r\nContent-Length: 13\r\nConnection: keep-alive\r\nId\r\n\r\nthe real site"
    );
    let request = asked.recv().await.unwrap();
    assert!(request.starts_with("GET / HTTP/1.1\r\nHost: 127.0.0.1:"), "{request}");
    assert!(!request.to_ascii_lowercase().contains("upgrade"), "{request}");
    assert!(request.contains("Sec-WebSocket-Protocol: abc\r\n"), "{request}");
    // A dead origin is a bad gateway.
    let bridge =
        Bridge::start(real(), params(json!({ "tls": "off", "cover": { "origin": "http://127.0.0.1:1" } })))
            .await;
    let answer = half_closed(&bridge, b"GET / HTTP/1.1\r\n\r\n").await;
    assert!(answer.starts_with(b"HTTP/1.1 502 Bad Gateway\r\n"));
}

#[tokio::test]
async fn plain_http_on_the_tls_port_gets_an_alert() {
    let bridge = Bridge::start(real(), params(json!({}))).await;
    let answer = half_closed(&bridge, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert_eq!(answer.first(), Some(&21), "a TLS alert record: {answer:02x?}");
    assert_eq!(answer.len(), 7);
}
