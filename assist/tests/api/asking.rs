//! The client's side against the real API, and against things that are no API.

use std::{sync::Arc, time::Duration};

use commucat_assist::{ApiToken, AskError, ask, ask_through};
use commucat_proto::assist::{AssistRequest, MAX_RESPONSE_BYTES, ResponseError, Version};
use commucat_transport_api::{BoxStream, Cx, HostPort, Net, Secret};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::fixture::{TcpClient, fixture, limit, roomy};

fn request() -> AssistRequest {
    AssistRequest { client_version: Version::new(0, 1, 0), ..AssistRequest::default() }
}

fn token(byte: u8) -> ApiToken {
    ApiToken::of(&Secret::new([byte; 32]))
}

#[tokio::test]
async fn a_client_asks_and_learns_its_skew() {
    let fixture = fixture(roomy()).await;
    let client = TcpClient(fixture.address.into());
    let cx = Cx::new(Arc::<crate::fixture::TurnedNet>::clone(&fixture.net), Duration::from_secs(5));
    let answered = ask_through(&client, &cx, &request(), Some(&token(1))).await.unwrap();
    assert_eq!(answered.response.endpoints.len(), 2);
    assert_eq!(answered.response.unreadable, 0);
    assert_eq!(answered.clock_ahead_ms, 0, "one clock that stands still");

    // A client with a clock of its own, which began a moment later and is put five minutes ahead.
    let ahead = crate::fixture::TurnedNet::new();
    ahead.forward(Duration::from_secs(300));
    let cx = Cx::new(ahead, Duration::from_secs(5));
    let answered = ask_through(&client, &cx, &request(), Some(&token(1))).await.unwrap();
    assert!(answered.clock_ahead_ms >= 300_000, "{}", answered.clock_ahead_ms);
}

#[tokio::test]
async fn a_refusal_says_why_and_when_to_come_back() {
    let fixture = fixture(commucat_assist::RatePlan { user: limit(6, 1), ..roomy() }).await;
    let client = TcpClient(fixture.address.into());
    let cx = Cx::new(Arc::<crate::fixture::TurnedNet>::clone(&fixture.net), Duration::from_secs(5));
    let error = ask_through(&client, &cx, &request(), None).await.unwrap_err();
    assert!(matches!(&error, AskError::Refused(problem) if problem.status == 401), "{error:?}");
    assert_eq!(error.retry_after(), None);
    ask_through(&client, &cx, &request(), Some(&token(1))).await.unwrap();
    let error = ask_through(&client, &cx, &request(), Some(&token(1))).await.unwrap_err();
    assert_eq!(error.retry_after(), Some(Duration::from_secs(10)), "{error}");
}

/// Asks something that answers with these bytes.
async fn ask_liar(bytes: Vec<u8>, linger: bool) -> AskError {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address: HostPort = listener.local_addr().unwrap().into();
    tokio::spawn(async move {
        let (mut stream, _peer) = listener.accept().await.unwrap();
        let mut asked = vec![0; 4096];
        let _request = stream.read(&mut asked).await;
        let _answered = stream.write_all(&bytes).await;
        if linger {
            std::future::pending::<()>().await;
        }
    });
    let net: Arc<dyn Net> = commucat_net::SystemNet::new();
    let stream: BoxStream = net.connect_stream(&address).await.unwrap();
    let cx = Cx::new(net, Duration::from_millis(if linger { 200 } else { 5000 }));
    ask(stream, &cx, &request(), None).await.unwrap_err()
}

#[tokio::test]
async fn whatever_answers_there_is_an_end_and_a_reason() {
    let http = |status: &str, body: &str| {
        format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n{body}", body.len()).into_bytes()
    };
    let silent = ask_liar(Vec::new(), true).await;
    assert!(matches!(silent, AskError::TimedOut), "{silent:?}");
    let closed = ask_liar(Vec::new(), false).await;
    assert!(matches!(closed, AskError::Exchange(_)), "{closed:?}");
    let garbage = ask_liar(vec![0x16, 3, 1, 2, 0, 1], false).await;
    assert!(matches!(garbage, AskError::Exchange(_)), "{garbage:?}");
    let page = ask_liar(http("200 OK", "<html>login to the hotel</html>"), false).await;
    assert!(matches!(page, AskError::Answer(ResponseError::Json(_))), "{page:?}");
    let proxy = ask_liar(http("502 Bad Gateway", "<html>"), false).await;
    assert!(matches!(&proxy, AskError::Refused(problem) if problem.status == 502), "{proxy:?}");
    let newer = r#"{"version":2,"generated_at_ms":1,"valid_for_s":1,"server_time_ms":1,"endpoints":[]}"#;
    let newer = ask_liar(http("200 OK", newer), false).await;
    assert!(matches!(newer, AskError::Answer(ResponseError::Version { found: 2 })), "{newer:?}");
    let long = ask_liar(http("200 OK", &" ".repeat(MAX_RESPONSE_BYTES + 1)), false).await;
    assert!(matches!(long, AskError::Answer(ResponseError::TooLong)), "{long:?}");
    let head = format!("HTTP/1.1 200 OK\r\nX: {}\r\n\r\n", "x".repeat(1 << 20));
    let head = ask_liar(head.into_bytes(), false).await;
    assert!(matches!(head, AskError::Exchange(_)), "{head:?}");
    let fields = format!("HTTP/1.1 200 OK\r\n{}\r\n", "X: y\r\n".repeat(1000));
    let fields = ask_liar(fields.into_bytes(), false).await;
    assert!(matches!(fields, AskError::Exchange(_)), "{fields:?}");
    let slow = ask_liar(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nx".to_vec(), true).await;
    assert!(matches!(slow, AskError::TimedOut), "{slow:?}");
}
