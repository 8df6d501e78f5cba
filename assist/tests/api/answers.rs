//! What stands in an answer, and what does not.

use std::time::Duration;

use commucat_assist::{ApiToken, CheckTarget};
use commucat_transport_api::Secret;
use serde_json::{Value, json};

use crate::fixture::{Fixture, TcpClient, fixture, json_of, post, roomy, user};

fn transports(answer: &Value) -> Vec<String> {
    let endpoints = answer["endpoints"].as_array().unwrap().iter();
    endpoints
        .map(|endpoint| {
            let layers = endpoint["obfuscation"]["layers"].as_array().unwrap().iter();
            layers.map(|layer| layer.as_str().unwrap()).collect::<Vec<_>>().join("+")
        })
        .collect()
}

async fn asked(fixture: &Fixture, mut body: Value) -> Vec<String> {
    body["client_version"] = json!("0.1.0");
    transports(&fixture.assist_json("alice", &body).await)
}

#[tokio::test]
async fn an_answer_is_for_its_user_and_best_first() {
    let fixture = fixture(roomy()).await;
    let body = json!({"client_version": "0.1.0", "capabilities": ["chain"]});
    let answer = fixture.assist_json("alice", &body).await;
    assert_eq!(transports(&answer), ["websocket", "shadowsocks", "shadowsocks+websocket"]);
    let first = &answer["endpoints"][0];
    assert_eq!(first["spec"]["params"]["for"], "alice");
    assert_eq!(first["spec"]["endpoint"], fixture.address.to_string());
    assert_eq!((&first["check"]["ok"], &first["max_age_s"]), (&json!(true), &json!(180)));
    assert_eq!(first["obfuscation"]["summary"], "HTTPS to an ordinary site");
    assert_eq!(
        (&first["obfuscation"]["stream"], &first["obfuscation"]["datagram"]),
        (&json!(true), &json!(false))
    );
    let chained = &answer["endpoints"][2];
    assert_eq!(chained["obfuscation"]["summary"], "HTTPS to an ordinary site", "the censor sees the carrier");
    assert_eq!(chained["obfuscation"]["datagram"], true, "the inner one carries");
    assert_eq!(answer["min_client_version"], "0.1.0");
    assert_eq!(fixture.assist_json("bob", &body).await["endpoints"][0]["spec"]["params"]["for"], "bob");
    assert_eq!(fixture.assist.counters().answered, 2);
}

#[tokio::test]
async fn a_client_gets_what_it_can_use() {
    let fixture = fixture(roomy()).await;
    assert_eq!(asked(&fixture, json!({})).await, ["websocket", "shadowsocks"], "no chain unless it can");
    assert_eq!(asked(&fixture, json!({"transports": ["shadowsocks"]})).await, ["shadowsocks"]);
    assert_eq!(
        asked(&fixture, json!({"transports": ["shadowsocks"], "capabilities": ["chain"]})).await,
        ["shadowsocks"],
        "every layer must be one it can dial"
    );
    assert_eq!(asked(&fixture, json!({"count": 1})).await, ["websocket"]);
    assert!(asked(&fixture, json!({"transports": ["telepathy"]})).await.is_empty());
    assert_eq!(fixture.assist.counters().answered_empty, 1);
}

#[tokio::test]
async fn what_failed_for_the_client_is_left_out_and_counted() {
    let fixture = fixture(roomy()).await;
    let evidence = json!({"phase": "handshake", "signal": "reset", "elapsed_ms": 12});
    let address = fixture.address.to_string();
    let exclude = json!({"exclude": [
        {"transport": "websocket", "endpoint": address, "evidence": evidence},
        {"transport": "shadowsocks", "endpoint": "192.0.2.1:1", "evidence": evidence},
        {"transport": "made-up", "endpoint": "192.0.2.1:1", "evidence": evidence}]});
    assert_eq!(
        asked(&fixture, exclude.clone()).await,
        ["shadowsocks"],
        "another address is another endpoint"
    );
    asked(&fixture, exclude).await;
    let reports: Vec<(String, u64)> =
        fixture.assist.failure_reports().iter().map(|r| (r.transport.to_string(), r.count)).collect();
    assert_eq!(reports, [("shadowsocks".to_owned(), 2), ("websocket".to_owned(), 2)], "only what is served");
}

#[tokio::test]
async fn an_old_check_takes_its_endpoint_out() {
    let fixture = fixture(roomy()).await;
    let body = json!({"client_version": "0.1.0"});
    fixture.net.forward(Duration::from_secs(100));
    let answer = fixture.assist_json("alice", &body).await;
    assert_eq!(answer["endpoints"][0]["checked_age_s"], 100);
    assert_eq!(answer["valid_for_s"], 80);
    fixture.net.forward(Duration::from_secs(80));
    assert_eq!(asked(&fixture, json!({})).await.len(), 2);
    fixture.net.forward(Duration::from_millis(1));
    let answer = fixture.assist_json("alice", &body).await;
    assert!(answer["endpoints"].as_array().unwrap().is_empty());
    assert_eq!(answer["valid_for_s"], 60, "the next round may find it again");
    fixture.checks.check_all().await;
    assert_eq!(asked(&fixture, json!({})).await.len(), 2);
}

#[tokio::test]
async fn a_failed_check_takes_its_endpoint_out_at_once() {
    let fixture = fixture(roomy()).await;
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let target = |key: &str, address: std::net::SocketAddr| CheckTarget {
        key: key.into(),
        client: std::sync::Arc::new(TcpClient(address.into())),
    };
    fixture.checks.set_targets(vec![target("ws", port), target("ss", fixture.address)]).unwrap();
    assert!(asked(&fixture, json!({})).await.is_empty(), "nothing is known of the new clients");
    fixture.checks.check_all().await;
    assert_eq!(asked(&fixture, json!({})).await, ["shadowsocks"]);
}

#[tokio::test]
async fn a_token_says_who_asks_outside_a_tunnel() {
    let fixture = fixture(roomy()).await;
    let with = |token: &str| {
        let mut request = post(json!({"client_version": "0.1.0"}).to_string());
        request.headers_mut().insert("authorization", format!("Bearer {token}").parse().unwrap());
        request
    };
    let token = ApiToken::of(&Secret::new([2; 32])).to_text();
    let answer = json_of(fixture.send(with(token.expose())).await).await;
    assert_eq!(answer["endpoints"][0]["spec"]["params"]["for"], "bob");

    let stranger = ApiToken::of(&Secret::new([3; 32])).to_text();
    assert_eq!(fixture.send(with(stranger.expose())).await.status(), 401);
    fixture.users.replace(vec![user("alice", 1)]);
    assert_eq!(fixture.send(with(token.expose())).await.status(), 401, "bob is gone");
    assert_eq!(fixture.assist.counters().unauthorized, 2);
}
