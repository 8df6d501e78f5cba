//! Rate zones of users, with the clock turned by hand.

use std::time::Duration;

use commucat_assist::{AssistOptions, RatePlan};
use serde_json::json;

use crate::fixture::{Fixture, fixture, in_tunnel, limit, post, roomy};

async fn status(fixture: &Fixture, name: &str) -> u16 {
    let body = json!({"client_version": "0.1.0"}).to_string();
    fixture.send(in_tunnel(post(body), name)).await.status().as_u16()
}

#[tokio::test]
async fn a_user_has_a_burst_and_then_a_pace_of_his_own() {
    let fixture = fixture(RatePlan { user: limit(12, 3), ..roomy() }).await;
    for _ in 0..3 {
        assert_eq!(status(&fixture, "alice").await, 200);
    }
    let body = json!({"client_version": "0.1.0"}).to_string();
    let refused = fixture.send(in_tunnel(post(body), "alice")).await;
    assert_eq!((refused.status().as_u16(), refused.headers()["retry-after"].to_str().unwrap()), (429, "5"));
    assert_eq!(status(&fixture, "bob").await, 200, "others are served");

    fixture.net.forward(Duration::from_millis(4999));
    assert_eq!(status(&fixture, "alice").await, 429);
    fixture.net.forward(Duration::from_millis(1));
    assert_eq!(status(&fixture, "alice").await, 200, "waiting as long as it said is enough");
    assert_eq!(status(&fixture, "alice").await, 429);
    fixture.net.forward(Duration::from_secs(3600));
    for _ in 0..3 {
        assert_eq!(status(&fixture, "alice").await, 200);
    }
    assert_eq!(status(&fixture, "alice").await, 429, "a long pause gives no more than the burst");
}

#[test]
fn the_limits_of_the_guide_are_the_default() {
    assert_eq!(AssistOptions::default().rates, RatePlan { user: limit(12, 6), stranger: limit(60, 20) });
}
