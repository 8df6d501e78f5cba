//! The acceptance suite in both modes, with and without TLS, over loopback and over bad paths.

use std::{sync::Arc, time::Duration};

use commucat_net::SystemNet;
use commucat_testkit::{
    sim::{LinkPolicy, SimNet},
    suite::{self, Cover, Fixture},
};
use commucat_websocket::WebSocket;
use serde_json::{Value, json};

const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: example.org\r\nConnection: close\r\n\r\n";

/// Without TLS every stranger talks HTTP; behind it they get no further than an alert.
fn cover(tls: bool) -> Cover {
    if tls {
        Cover::judged_by(|stranger| no_secret(&stranger.answer))
    } else {
        Cover::answers(GET, *b"HTTP/1.1 200 OK\r\n")
    }
}

/// What a TLS server says to noise: nothing, an alert, or (to a replayed hello) its own flight.
fn no_secret(answer: &[u8]) -> Result<(), String> {
    match answer.first() {
        None | Some(21 | 22) => Ok(()),
        Some(other) => Err(format!("a TLS server answered with a record of type {other}")),
    }
}

fn replayed(tls: bool) -> Cover {
    Cover::judged_by(move |stranger| match tls {
        true => no_secret(&stranger.answer),
        false if stranger.answer.starts_with(b"HTTP/1.1 404 Not Found\r\n") => Ok(()),
        false => Err("a replayed upgrade must be answered as an unknown path".into()),
    })
}

fn dress(fixture: Fixture, tls: bool, mode: &str) -> Fixture {
    let params: Value = json!({ "mode": mode, "tls": if tls { "on" } else { "off" } });
    fixture.with_params(params).with_replay_cover(replayed(tls))
}

async fn over_loopback(tls: bool, mode: &str) {
    let fixture = Fixture::over(Arc::new(WebSocket::new()), SystemNet::new(), cover(tls)).unwrap();
    passes(&dress(fixture, tls, mode)).await;
}

async fn over_a_simulated_path(tls: bool, mode: &str, policy: LinkPolicy) {
    let net = SimNet::new(7);
    net.set_policy(policy);
    let fixture = Fixture::simulated(Arc::new(WebSocket::new()), &net, cover(tls)).unwrap();
    passes(&dress(fixture, tls, mode)).await;
}

async fn passes(fixture: &Fixture) {
    if let Err(report) = suite::run_all(fixture).await.into_result() {
        panic!("{report}");
    }
}

fn lossy() -> LinkPolicy {
    LinkPolicy::with_delay(Duration::from_millis(80)).loss_percent(5)
}

fn far() -> LinkPolicy {
    LinkPolicy::with_delay(Duration::from_millis(80))
}

macro_rules! suites {
    ($($name:ident, $tls:literal, $mode:literal;)+) => {
        $(mod $name {
            #[tokio::test]
            async fn over_loopback() {
                super::over_loopback($tls, $mode).await;
            }

            #[tokio::test(start_paused = true)]
            async fn over_a_lossy_path() {
                super::over_a_simulated_path($tls, $mode, super::lossy()).await;
            }

            #[tokio::test(start_paused = true)]
            async fn over_a_far_path() {
                super::over_a_simulated_path($tls, $mode, super::far()).await;
            }
        })+
    };
}

suites! {
    frames_in_tls, true, "ws";
    frames_bare, false, "ws";
    raw_in_tls, true, "raw";
    raw_bare, false, "raw";
}
