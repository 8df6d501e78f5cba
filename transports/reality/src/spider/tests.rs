//! Visits to servers of HTTP/1.1 and, with the crate `h2`, of HTTP/2.

use std::{collections::BTreeSet, future::poll_fn};

use commucat_net::SystemNet;
use tokio::io::{DuplexStream, duplex};

use super::*;

const SITE: &str = "www.example.com";

async fn visit(
    mut stream: DuplexStream,
    alpn: &str,
    browser: Fingerprint,
    plan: &str,
) -> std::io::Result<()> {
    let net: Arc<dyn Net> = SystemNet::new();
    let plan = Plan::parse(plan).unwrap();
    Visitor { site: SITE, browser, plan: &plan, net: &net }.visit(&mut stream, Some(alpn)).await
}

#[tokio::test]
async fn http_1_is_asked_for_the_page() {
    for browser in [Fingerprint::Chromium, Fingerprint::Firefox] {
        let (near, mut far) = duplex(4096);
        let visit = tokio::spawn(visit(near, "http/1.1", browser, "/news?c=3&t=3&of=today"));
        let mut asked = Vec::new();
        while !asked.ends_with(b"\r\n\r\n") {
            asked.push(far.read_u8().await.unwrap());
        }
        let asked = String::from_utf8(asked).unwrap();
        assert!(asked.starts_with("GET /news?of=today HTTP/1.1\r\nHost: www.example.com\r\n"), "{asked}");
        assert!(asked.contains("\r\nUser-Agent: Mozilla/5.0 ") && asked.contains("\r\nSec-Fetch-Dest: "));
        far.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await.unwrap();
        assert!(!visit.is_finished(), "a browser stays");
        drop(far);
        visit.await.unwrap().unwrap();
    }
}

/// The server of the crate `h2` reads the request, and its settings and pings are answered.
#[tokio::test]
async fn http_2_is_spoken_as_a_server_of_it_expects() {
    for browser in [Fingerprint::Chromium, Fingerprint::Firefox] {
        let (near, far) = duplex(1 << 16);
        let visit = tokio::spawn(visit(near, "h2", browser, ""));
        let mut server = h2::server::handshake(far).await.unwrap();
        let (request, mut answer) = server.accept().await.unwrap().unwrap();
        assert_eq!(
            (request.method().as_str(), request.uri().to_string()),
            ("GET", format!("https://{SITE}/"))
        );
        for (name, value) in fields(browser) {
            assert_eq!(request.headers()[*name], value);
        }
        answer.send_reset(h2::Reason::NO_ERROR);
        let mut pings = server.ping_pong().unwrap();
        let mut pong = std::pin::pin!(pings.ping(h2::Ping::opaque()));
        poll_fn(|cx| {
            let ended = server.poll_closed(cx);
            assert!(ended.is_pending(), "{ended:?}");
            pong.as_mut().poll(cx)
        })
        .await
        .unwrap();
        assert!(!visit.is_finished());
        drop(server);
        visit.await.unwrap().ok();
    }
}

/// Two walkers ask for three pages each, all of them linked, each with where they came from, and then no more.
#[tokio::test(start_paused = true)]
async fn links_are_followed_as_the_plan_says() {
    const PAGE: &[u8] = br#"<p><a href="/a">a</a><a href="/b?x=1">b</a><a href="/logo.png">c</a>"#;
    for browser in [Fingerprint::Chromium, Fingerprint::Firefox] {
        let (near, far) = duplex(1 << 16);
        let visit = tokio::spawn(visit(near, "h2", browser, "/start?p=5-300&c=2&t=3&i=100-900"));
        let mut server = h2::server::handshake(far).await.unwrap();
        let mut asked = Vec::new();
        let patience = std::time::Duration::from_secs(60);
        while let Ok(Some(request)) = tokio::time::timeout(patience, server.accept()).await {
            let (request, mut respond) = request.unwrap();
            let head = h2::server::SendResponse::send_response(&mut respond, page_head(), false);
            head.unwrap().send_data(PAGE.into(), true).unwrap();
            let cookie = request.headers()["cookie"].to_str().unwrap();
            let padding = cookie.strip_prefix("padding=").unwrap().len();
            assert!((5..=300).contains(&padding), "{padding}");
            let referer = request.headers().get("referer").map(|value| value.to_str().unwrap().to_owned());
            let path = request.uri().path_and_query().unwrap().to_string();
            assert_eq!(
                request.headers()["sec-fetch-site"],
                if asked.is_empty() { "none" } else { "same-origin" }
            );
            asked.push((path, referer));
        }
        assert_eq!(asked.len(), 1 + 2 * 3, "{asked:?}");
        assert_eq!(asked[0], ("/start".to_owned(), None));
        let known = BTreeSet::from(["/start", "/a", "/b?x=1"]);
        for (path, referer) in &asked[1..] {
            assert!(known.contains(path.as_str()), "{path}");
            let referer = referer.as_deref().unwrap().strip_prefix("https://www.example.com").unwrap();
            assert!(known.contains(referer), "{referer}");
        }
        assert!(!visit.is_finished());
        drop(server);
        visit.await.unwrap().ok();
    }
}

fn page_head() -> hyper::Response<()> {
    hyper::Response::builder().status(200).header("content-type", "text/html").body(()).unwrap()
}
