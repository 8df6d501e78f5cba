//! The HTTP proxy: plain requests, kept connections, tunnels, and errors that name the cause.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use commucat_client::{Credentials, Options};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
};

use crate::{
    mini::Params,
    peer::{Ends, client, echo, origin, plain, read_some, within},
};

/// One message: the head, and a body by its length.
async fn message(stream: &mut BufReader<impl AsyncReadExt + Unpin>) -> Option<(String, Vec<u8>)> {
    let mut head = String::new();
    loop {
        let start = head.len();
        if within(stream.read_line(&mut head)).await.unwrap() == 0 {
            return None;
        }
        if head.as_bytes()[start..] == *b"\r\n" {
            break;
        }
    }
    let length =
        head.lines().find_map(|line| line.strip_prefix("Content-Length: ")).map_or(0, |n| n.parse().unwrap());
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.unwrap();
    Some((head, body))
}

/// A server that answers each request with the head and body it got; counts its connections.
async fn mirror() -> (SocketAddr, Arc<AtomicUsize>, Ends) {
    let connections = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&connections);
    let (address, task) = origin(move |stream| {
        count.fetch_add(1, Ordering::SeqCst);
        async move {
            let mut stream = BufReader::new(stream);
            while let Some((head, body)) = message(&mut stream).await {
                let back = [head.as_bytes(), &body].concat();
                let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", back.len());
                stream.write_all(&[answer.as_bytes(), &back].concat()).await.unwrap();
            }
        }
    })
    .await;
    (address, connections, task)
}

async fn ask(stream: &mut BufReader<TcpStream>, request: &str) -> (String, String) {
    stream.write_all(request.as_bytes()).await.unwrap();
    let (head, body) = message(stream).await.unwrap();
    (head, String::from_utf8(body).unwrap())
}

async fn connect(proxy: SocketAddr) -> BufReader<TcpStream> {
    BufReader::new(TcpStream::connect(proxy).await.unwrap())
}

#[tokio::test]
async fn requests_on_one_connection_share_one_to_the_server() {
    let (_bridge, client) = plain(Options::default()).await;
    let (server, connections, _task) = mirror().await;
    let (other, others, _other_task) = mirror().await;
    let mut stream = connect(client.local_addr()).await;
    let get =
        format!("GET http://{server}/a HTTP/1.1\r\nHost: x\r\nProxy-Connection: keep-alive\r\nTE: x\r\n\r\n");
    for _ in 0..3 {
        let (head, seen) = ask(&mut stream, &get).await;
        assert!(head.starts_with("HTTP/1.1 200 OK\r\n"));
        assert_eq!(
            seen,
            format!("GET /a HTTP/1.1\r\nHost: {server}\r\n\r\n"),
            "nothing of this hop is passed on"
        );
    }
    let post = format!("POST http://{server}/b HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello");
    assert!(ask(&mut stream, &post).await.1.ends_with("\r\n\r\nhello"));
    assert_eq!(connections.load(Ordering::SeqCst), 1);
    ask(&mut stream, &format!("GET http://{other}/ HTTP/1.1\r\n\r\n")).await;
    assert_eq!((connections.load(Ordering::SeqCst), others.load(Ordering::SeqCst)), (1, 1));
    let (head, _) =
        ask(&mut stream, &format!("GET http://{other}/ HTTP/1.1\r\nConnection: close\r\n\r\n")).await;
    assert!(head.contains("Connection: close\r\n"));
    assert_eq!(within(stream.read(&mut [0; 1])).await.unwrap(), 0, "closed");
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_order() {
    let (_bridge, client) = plain(Options::default()).await;
    let (server, _, _task) = mirror().await;
    let mut stream = connect(client.local_addr()).await;
    let requests: String = (0..5).map(|at| format!("GET http://{server}/{at} HTTP/1.1\r\n\r\n")).collect();
    stream.write_all(requests.as_bytes()).await.unwrap();
    for at in 0..5 {
        let (_, body) = message(&mut stream).await.unwrap();
        assert!(String::from_utf8(body).unwrap().starts_with(&format!("GET /{at} ")));
    }
}

#[tokio::test]
async fn bodies_of_every_framing_arrive_whole() {
    let (_bridge, client) = plain(Options::default()).await;
    let answers = [
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
            "3\r\nabc\r\n0\r\n\r\n",
        ),
        ("HTTP/1.1 200 OK\r\n\r\nuntil the end", "until the end"),
        ("HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", "ok"),
        ("HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", "ok"),
        ("HTTP/1.1 204 No Content\r\n\r\n", ""),
    ];
    for (answer, body) in answers {
        let (server, _task) = origin(move |mut stream| async move {
            read_some(&mut stream).await;
            stream.write_all(answer.as_bytes()).await.unwrap();
        })
        .await;
        let mut stream = TcpStream::connect(client.local_addr()).await.unwrap();
        let request = format!("GET http://{server}/ HTTP/1.1\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut back = String::new();
        within(stream.read_to_string(&mut back)).await.unwrap();
        assert!(back.ends_with(&format!("\r\n\r\n{body}")), "{back}");
    }
}

#[tokio::test]
async fn a_response_that_breaks_off_does_not_look_whole() {
    let (_bridge, client) = plain(Options::default()).await;
    let (server, _task) = origin(|mut stream| async move {
        read_some(&mut stream).await;
        stream.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhe").await.unwrap();
    })
    .await;
    let mut stream = TcpStream::connect(client.local_addr()).await.unwrap();
    stream.write_all(format!("GET http://{server}/ HTTP/1.1\r\n\r\n").as_bytes()).await.unwrap();
    let mut back = Vec::new();
    assert!(within(stream.read_to_end(&mut back)).await.is_err(), "reset, not an end of stream");
}

#[tokio::test]
async fn a_kept_connection_that_died_is_replaced() {
    let (_bridge, client) = plain(Options::default()).await;
    // Says that it keeps the connection, and closes it.
    let (server, _task) = origin(|mut stream| async move {
        read_some(&mut stream).await;
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await.unwrap();
    })
    .await;
    let mut stream = connect(client.local_addr()).await;
    for _ in 0..4 {
        let (_, body) = ask(&mut stream, &format!("GET http://{server}/ HTTP/1.1\r\n\r\n")).await;
        assert_eq!(body, "ok");
    }
}

#[tokio::test]
async fn a_server_may_ask_for_the_body_first() {
    let (_bridge, client) = plain(Options::default()).await;
    let (server, _task) = origin(|stream| async move {
        let mut stream = BufReader::new(stream);
        let mut line = String::new();
        while line != "\r\n" {
            line.clear();
            stream.read_line(&mut line).await.unwrap();
        }
        stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await.unwrap();
        let mut body = [0; 4];
        stream.read_exact(&mut body).await.unwrap();
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n").await.unwrap();
        stream.write_all(&body).await.unwrap();
    })
    .await;
    let mut stream = connect(client.local_addr()).await;
    let head = format!("PUT http://{server}/ HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n");
    let (interim, _) = ask(&mut stream, &head).await;
    assert_eq!(interim, "HTTP/1.1 100 Continue\r\n\r\n");
    assert_eq!(ask(&mut stream, "body").await.1, "body");
}

#[tokio::test]
async fn a_tunnel_carries_what_is_sent_ahead() {
    let (_bridge, client) = plain(Options::default()).await;
    let (echo, _task) = echo().await;
    let mut stream = connect(client.local_addr()).await;
    let (head, _) = ask(&mut stream, &format!("CONNECT {echo} HTTP/1.1\r\nHost: {echo}\r\n\r\nearly")).await;
    assert!(head.starts_with("HTTP/1.1 200 "));
    let mut back = [0; 5];
    within(stream.read_exact(&mut back)).await.unwrap();
    assert_eq!(&back, b"early");
}

#[tokio::test]
async fn errors_name_the_cause_and_what_to_do() {
    let (bridge, proxy) = plain(Options::default()).await;
    let (server, _, _task) = mirror().await;
    let cases = [
        ("GET / HTTP/1.1\r\nHost: a\r\n\r\n".to_owned(), "400", "This is a proxy"),
        ("GET https://a/ HTTP/1.1\r\n\r\n".to_owned(), "400", "CONNECT"),
        (
            format!("POST http://{server}/ HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n"),
            "400",
            "ambiguous",
        ),
        (format!("GET http://{server}/ HTTP/1.1\r\nX: {}\r\n\r\n", "x".repeat(17_000)), "431", "16 KiB"),
        ("NONSENSE\r\n\r\n".to_owned(), "400", "malformed"),
    ];
    for (request, status, text) in cases {
        let (head, body) = ask(&mut connect(proxy.local_addr()).await, &request).await;
        assert!(head.starts_with(&format!("HTTP/1.1 {status} ")) && body.contains(text), "{head}{body}");
    }
    bridge.change(|manner| manner.full = true);
    let get = format!("GET http://{server}/ HTTP/1.1\r\n\r\n");
    let (head, body) = ask(&mut connect(proxy.local_addr()).await, &get).await;
    assert!(
        head.starts_with("HTTP/1.1 502 ") && body.contains("Bridge full") && body.contains("Try again later"),
        "{body}"
    );
    let tunnel = format!("CONNECT {server} HTTP/1.1\r\n\r\n");
    let (head, body) = ask(&mut connect(proxy.local_addr()).await, &tunnel).await;
    assert!(head.starts_with("HTTP/1.1 502 ") && body.contains("Bridge full"), "{body}");

    let params = Params { key: "wrong".into(), ..Params::default() };
    let wrong = client(&[(bridge.address.clone(), params)], Options::default()).await;
    let (head, body) = ask(&mut connect(wrong.local_addr()).await, &get).await;
    assert!(head.starts_with("HTTP/1.1 502 ") && body.contains("Wrong key"), "{body}");
}

#[tokio::test]
async fn a_password_is_asked_for_when_one_is_set() {
    let credentials = Credentials::new("ann", "secret");
    let (_bridge, client) = plain(Options { credentials, ..Options::default() }).await;
    let (server, _, _task) = mirror().await;
    let get = |auth: &str| format!("GET http://{server}/ HTTP/1.1\r\n{auth}\r\n");
    let (head, _) = ask(&mut connect(client.local_addr()).await, &get("")).await;
    assert!(head.starts_with("HTTP/1.1 407 ") && head.contains("Proxy-Authenticate: Basic "), "{head}");
    // base64("ann:secret")
    let auth = "Proxy-Authorization: Basic YW5uOnNlY3JldA==\r\n";
    let (head, seen) = ask(&mut connect(client.local_addr()).await, &get(auth)).await;
    assert!(head.starts_with("HTTP/1.1 200 ") && !seen.contains("Authorization"), "{head}{seen}");
}
