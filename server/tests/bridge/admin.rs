//! The admin pages: alive, ready, counted; and nothing of anybody in them.

use crate::support::{BASIC, World, echo, is_alive};

#[tokio::test]
async fn alive_and_ready() {
    let world = World::start(BASIC).await;
    assert_eq!(world.admin("/livez", "").await, (200, "ok\n".to_owned()));
    world.await_self_check().await;
    let (status, body) = world.admin("/readyz", "").await;
    assert_eq!(status, 200, "{body}");
    let body: serde_json::Value = serde_json::from_str(&body).unwrap();
    assert_eq!(body["endpoints"][0]["self_check"], true);
    assert_eq!(body["tasks_down"], serde_json::json!([]));
    assert_eq!(world.admin("/nothing", "").await.0, 404);
}

#[tokio::test]
async fn metrics_say_nothing_of_anybody() {
    let world = World::start(BASIC).await;
    let mut stream = world.stream(echo().await).await;
    assert!(is_alive(&mut stream).await);
    world.users.add("bob.the.builder", "").await.unwrap();
    world.bridge.refresh_users().await.unwrap();
    let (status, text) = world.admin("/metrics", "").await;
    assert_eq!(status, 200);
    for task in ["users", "admin", "self-check"] {
        assert!(text.contains(&format!("commucat_background_task_up{{task=\"{task}\"}} 1")), "{text}");
    }
    for (name, _help) in commucat_server::METRICS {
        let optional = *name == "commucat_assist_requests_total";
        assert!(optional || text.lines().any(|line| line.starts_with(name)), "{name} is missing\n{text}");
        assert!(optional || text.contains(&format!("# HELP {name} ")), "{name} is not explained");
    }
    for private in ["127.0.0.1", "ann", "bob", "localhost", "internal"] {
        assert!(!crate::support::says(&text, private), "{private} is in\n{text}");
    }
}

#[tokio::test]
async fn a_token_guards_the_metrics() {
    let world = World::start(&format!("{BASIC}\n[admin]\ntoken = \"s3cret\"\n")).await;
    assert_eq!(world.admin("/metrics", "").await.0, 401);
    assert_eq!(world.admin("/metrics", "authorization: Bearer s3cre\r\n").await.0, 401);
    assert_eq!(world.admin("/metrics", "authorization: Bearer s3cret\r\n").await.0, 200);
    assert_eq!(world.admin("/livez", "").await.0, 200, "a supervisor needs no token");
}

#[tokio::test]
async fn a_storage_that_fails_is_not_ready_and_users_stay() {
    let world = World::start(BASIC).await;
    world.await_self_check().await;
    world.storage.close().await;
    world.await_metric("commucat_storage_up", 0.0).await;
    assert_eq!(world.admin("/readyz", "").await.0, 503);
    assert!(is_alive(&mut world.stream(echo().await).await).await);
}
