//! Every error is a problem document, whatever the mistake.

use std::{net::SocketAddr, time::Duration};

use axum::{body::Body, http::Request};
use commucat_assist::PeerAddress;
use commucat_proto::{
    assist::MAX_REQUEST_BYTES,
    problem::{Problem, ProblemKind},
};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::fixture::{fixture, in_tunnel, json_of, limit, post, roomy};

fn get(method: &str, path: &str) -> Request<Body> {
    Request::builder().method(method).uri(path).body(Body::empty()).unwrap()
}

/// A body that does not say how long it is.
fn streamed(bytes: usize) -> Body {
    let chunks = std::iter::repeat_n(vec![b' '; 1024], bytes.div_ceil(1024));
    Body::from_stream(futures_util::stream::iter(chunks.map(Ok::<_, std::io::Error>)))
}

fn broken() -> Body {
    let chunks = [Ok(b"{".to_vec()), Err(std::io::Error::other("the peer went away"))];
    Body::from_stream(futures_util::stream::iter(chunks))
}

#[tokio::test]
async fn every_error_is_a_problem_document() {
    let fixture = fixture(roomy()).await;
    let good = json!({"client_version": "0.1.0"}).to_string();
    let alice = |request| in_tunnel(request, "alice");
    let with = |name: &'static str, value: &str| {
        let mut request = post(good.clone());
        request.headers_mut().insert(name, value.parse().unwrap());
        request
    };
    let mut text = alice(post(good.clone()));
    text.headers_mut().insert("content-type", "text/plain".parse().unwrap());
    let mut untyped = alice(post(good.clone()));
    untyped.headers_mut().remove("content-type");
    let long = " ".repeat(MAX_REQUEST_BYTES + 1);
    use ProblemKind as K;
    let cases = [
        ("no credential", post(good.clone()), K::Unauthorized),
        ("no token", with("authorization", "Bearer x"), K::Unauthorized),
        ("another scheme", with("authorization", "Basic YTpi"), K::Unauthorized),
        ("a user who is gone", in_tunnel(post(good.clone()), "mallory"), K::Unauthorized),
        ("no JSON", alice(post("<xml/>")), K::BadRequest),
        ("nothing", alice(post("")), K::BadRequest),
        ("unknown field", alice(post(r#"{"client_version":"0.1.0","fec":1}"#)), K::BadRequest),
        ("not UTF-8", alice(post(vec![0xff, 0xfe])), K::BadRequest),
        ("deep nesting", alice(post("[".repeat(10_000))), K::BadRequest),
        ("a broken body", alice(post(broken())), K::BadRequest),
        ("a long body", alice(post(long)), K::PayloadTooLarge),
        ("an endless body", alice(post(streamed(10 * MAX_REQUEST_BYTES))), K::PayloadTooLarge),
        ("text", text, K::UnsupportedMediaType),
        ("no media type", untyped, K::UnsupportedMediaType),
        ("a body that never comes", alice(post(Body::from_stream(never()))), K::RequestTimeout),
        ("unknown path", get("GET", "/"), K::NotFound),
        ("unknown path below", get("POST", "/api/p2p/assist/x"), K::NotFound),
        ("wrong method", get("GET", "/api/p2p/assist"), K::MethodNotAllowed),
        ("wrong method on livez", get("DELETE", "/livez"), K::MethodNotAllowed),
        ("made-up method", get("PURR", "/api/openapi.json"), K::MethodNotAllowed),
    ];
    for (name, request, kind) in cases {
        let response = fixture.send(request).await;
        assert_eq!(response.status(), kind.status(), "{name}");
        let headers = response.headers().clone();
        assert_eq!(headers["content-type"], "application/problem+json", "{name}");
        assert_eq!(headers["cache-control"], "no-store", "{name}");
        assert_eq!(headers.contains_key("www-authenticate"), kind == K::Unauthorized, "{name}");
        assert_eq!(headers.contains_key("allow"), kind == K::MethodNotAllowed, "{name}");
        let value = json_of(response).await;
        let problem: Problem = serde_json::from_value(value.clone()).unwrap();
        assert_eq!((problem.kind(), problem.status), (Some(kind), kind.status()), "{name}");
        crate::documents::assert_valid("Problem", &value);
    }
}

fn never() -> impl futures_util::Stream<Item = Result<Vec<u8>, std::io::Error>> {
    futures_util::stream::pending()
}

#[tokio::test]
async fn a_bad_request_says_where() {
    let fixture = fixture(roomy()).await;
    let problem =
        async |body: &str| json_of(fixture.send(in_tunnel(post(body.to_owned()), "alice")).await).await;
    let unknown = problem("{\"client_version\":\"0.1.0\",\n \"fec\": 1}").await;
    assert_eq!((&unknown["field"], &unknown["line"]), (&json!("fec"), &json!(2)));
    assert!(unknown["detail"].as_str().unwrap().contains("unknown field `fec`"), "{unknown}");
    let broken = problem("{\n\n]").await;
    assert_eq!((&broken["field"], &broken["line"], &broken["column"]), (&Value::Null, &json!(3), &json!(1)));
    let zero = problem(r#"{"client_version":"0.1.0","count":0}"#).await;
    assert_eq!((&zero["field"], &zero["line"]), (&json!("count"), &Value::Null));
    assert_eq!(fixture.assist.counters().bad_requests, 3);
}

#[tokio::test]
async fn a_wrong_method_says_which_are_right() {
    let fixture = fixture(roomy()).await;
    let allow = async |method, path| fixture.send(get(method, path)).await.headers()["allow"].clone();
    assert_eq!(allow("GET", "/api/p2p/assist").await, "POST");
    assert_eq!(allow("POST", "/livez").await, "GET,HEAD");
}

#[tokio::test]
async fn strangers_are_counted_before_their_token_is_looked_at() {
    let fixture = fixture(commucat_assist::RatePlan { stranger: limit(6, 2), ..roomy() }).await;
    let from = |address: &str| {
        let mut request = post(json!({"client_version": "0.1.0"}).to_string());
        request.extensions_mut().insert(PeerAddress(address.parse::<SocketAddr>().unwrap()));
        request
    };
    for _ in 0..2 {
        assert_eq!(fixture.send(from("192.0.2.1:1")).await.status(), 401);
    }
    let response = fixture.send(from("192.0.2.200:1")).await;
    assert_eq!(response.status(), 429, "a neighbour shares the zone");
    assert_eq!(response.headers()["retry-after"], "10");
    assert_eq!(response.headers()["content-type"], "application/problem+json");
    assert_eq!(json_of(response).await["retry_after_s"], 10);
    assert_eq!(fixture.send(from("192.0.3.1:1")).await.status(), 401, "another network has its own");
    let mut description = get("GET", "/api/openapi.json");
    description.extensions_mut().insert(PeerAddress("192.0.2.1:1".parse().unwrap()));
    assert_eq!(fixture.send(description).await.status(), 429);
    assert_eq!(fixture.send(get("GET", "/livez")).await.status(), 200);

    fixture.net.forward(Duration::from_secs(10));
    assert_eq!(fixture.send(from("192.0.2.1:1")).await.status(), 401);
    assert_eq!(fixture.assist.counters().rate_limited, 2);
}

/// Over a socket, because a refusal before the body was read must still reach a peer that is sending it.
#[tokio::test]
async fn an_announced_length_is_refused_at_once() {
    let fixture = fixture(roomy()).await;
    let token = commucat_assist::ApiToken::of(&commucat_transport_api::Secret::new([1; 32])).to_text();
    let mut stream = tokio::net::TcpStream::connect(fixture.address).await.unwrap();
    let head = format!(
        "POST /api/p2p/assist HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nAuthorization: Bearer {}\r\n\
         Content-Length: 99999999\r\n\r\n",
        token.expose()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = vec![0; 4096];
    let read = stream.read(&mut answer).await.unwrap();
    let answer = String::from_utf8_lossy(&answer[..read]).into_owned();
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
    assert!(
        answer.contains("application/problem+json") && answer.contains("\"limit_bytes\":16384"),
        "{answer}"
    );
}
