//! `POST /api/p2p/assist` through a running client: what the bridge really serves, for the user who asks.

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::{Bridge, Client, Output, curl};

const ASSIST: &str = "http://bridge.commucat.invalid/api/p2p/assist";

fn ask(client: &Client, body: &str) -> Option<Output> {
    let proxy = client.socks();
    curl(&[
        "--proxy",
        &proxy,
        "--header",
        "content-type: application/json",
        "--data",
        body,
        "--include",
        ASSIST,
    ])
}

fn json(output: &Output) -> Value {
    let (_head, body) = output.stdout.split_once("\r\n\r\n").unwrap_or_else(|| panic!("{output:?}"));
    serde_json::from_str(body).unwrap_or_else(|error| panic!("{error}: {output:?}"))
}

#[test]
fn the_answer_holds_every_checked_endpoint_and_works_as_a_link() {
    let bridge = Bridge::start();
    for transport in ["shadowsocks", "websocket"] {
        let client = Client::start_with(&bridge.link, &["--only", transport]);
        let deadline = Instant::now() + Duration::from_secs(30);
        let answer = loop {
            let Some(output) = ask(&client, r#"{"client_version":"0.1.0"}"#) else { return };
            let answer = json(&output);
            // The bridge first has to dial itself once.
            if answer["endpoints"].as_array().is_some_and(|endpoints| endpoints.len() == 2) {
                break answer;
            }
            assert!(Instant::now() < deadline, "{output:?}");
            std::thread::sleep(Duration::from_millis(300));
        };
        for endpoint in answer["endpoints"].as_array().unwrap() {
            let spec: commucat_transport_api::Spec =
                serde_json::from_value(endpoint["spec"].clone()).unwrap();
            assert_eq!(spec, bridge.endpoint(spec.transport.as_str()), "the spec of the user who asks");
        }
    }
}

#[test]
fn what_cannot_be_read_is_a_problem_that_names_it() {
    let bridge = Bridge::start();
    let client = Client::start(&bridge.link);
    for (body, word) in [("{\"client_version\":\"0.1.0\",\"colour\":1}", "colour"), ("{", "line")] {
        let Some(output) = ask(&client, body) else { return };
        assert!(output.stdout.contains("400 Bad Request"), "{output:?}");
        assert!(output.stdout.contains("application/problem+json"), "{output:?}");
        assert!(json(&output).to_string().contains(word), "{output:?}");
    }
}
