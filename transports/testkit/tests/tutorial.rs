//! The transport of the tutorial passes the suite: on a lossy path, on a clean one, and over loopback. And the chapter
//! shows what is here.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

#[path = "../examples/minimal_transport/plainxor.rs"]
#[allow(unreachable_pub, reason = "written as in a crate of its own")]
mod plainxor;

use std::{path::Path, sync::Arc, time::Duration};

use commucat_net::SystemNet;
use commucat_testkit::{
    sim::{LinkPolicy, SimNet},
    suite::{self, Behaviour, Cover, Fixture, Scale},
    wrap::Recorder,
};
use commucat_transport_api::{
    Cx, HostPort, Net, PluggableTransport as _, Registry, Simple, Spec, StreamTransport as _, Target,
};
use plainxor::PlainXor;

/// Why the suite leaves out what it cannot find here.
const NO_USERS: &str = "plainxor lets everybody in";
/// Lines of code that the chapter promises at most.
const LINES_MAX: usize = 60;

/// What cannot be checked of a transport that has no users, no datagrams and no links.
const SKIPPED: [Behaviour; 9] = [
    Behaviour::Replay,
    Behaviour::Strangers,
    Behaviour::WrongSecret,
    Behaviour::TwoUsers,
    Behaviour::UserRemoved,
    Behaviour::Datagrams,
    Behaviour::LongestDatagram,
    Behaviour::OversizeDatagram,
    Behaviour::Link,
];

// ANCHOR: passes
async fn passes(fixture: Fixture, also_skipped: &[Behaviour]) {
    let report = suite::run_all(&fixture.without_users(NO_USERS)).await.into_result().unwrap();
    for (behaviour, _reason) in report.skipped() {
        assert!(SKIPPED.contains(&behaviour) || also_skipped.contains(&behaviour), "{report}");
    }
}

fn simulated(policy: LinkPolicy) -> Fixture {
    let net = SimNet::new(7);
    net.set_policy(policy);
    Fixture::simulated(Arc::new(Simple::new(PlainXor)), &net, Cover::silence()).unwrap()
}

#[tokio::test(start_paused = true)]
async fn on_a_lossy_path() {
    let policy = LinkPolicy::with_delay(Duration::from_millis(80)).loss_percent(5);
    passes(simulated(policy), &[Behaviour::PromptEnd]).await;
}

#[tokio::test(start_paused = true)]
async fn on_a_clean_path() {
    passes(simulated(LinkPolicy::with_delay(Duration::from_millis(80))), &[]).await;
}

// ANCHOR_END: passes

#[tokio::test(start_paused = true)]
async fn on_a_narrow_path_that_reorders() {
    let policy = LinkPolicy::with_delay(Duration::from_millis(20))
        .jitter(Duration::from_millis(10))
        .reorder_percent(10, Duration::from_millis(30))
        .rate(10_000_000)
        .window(32 * 1024);
    passes(simulated(policy), &[Behaviour::PromptEnd]).await;
}

/// What leaves the client is the target and nothing else, and none of it in clear.
#[tokio::test(start_paused = true)]
async fn the_wire_carries_the_masked_target() {
    let net = SimNet::new(7);
    let bridge: Arc<dyn Net> = Arc::new(net.for_host([10, 99, 0, 1].into()));
    let recorder = Recorder::new(Arc::new(net));
    let params = serde_json::json!({ "key": 0x5a });
    let spec = Spec::new(PlainXor::DESCRIPTOR.id.clone(), "10.99.0.1:4000".parse().unwrap(), params).unwrap();
    let server = Simple::new(PlainXor).server(&spec, &Arc::default()).unwrap();
    let _listener = server.listen(&Cx::new(bridge, Duration::from_secs(60))).await.unwrap();
    let client = Simple::new(PlainXor).client(&spec).unwrap();
    let address: HostPort = "example.org:443".parse().unwrap();
    let cx = Cx::new(recorder.net(), Duration::from_secs(60));
    client.dial(&cx, &Target::Stream(address.clone())).await.unwrap();
    let mut clear = Vec::new();
    address.encode(&mut clear);
    let masked: Vec<u8> = clear.iter().map(|byte| byte ^ 0x5a).collect();
    assert_eq!(recorder.streams()[0].sent, masked);
}

// ANCHOR: loopback
#[tokio::test]
async fn over_loopback_with_64_mib() {
    let fixture = Fixture::over(Arc::new(Simple::new(PlainXor)), SystemNet::new(), Cover::silence()).unwrap();
    passes(fixture.with_scale(Scale::Full), &[Behaviour::PromptEnd]).await;
}
// ANCHOR_END: loopback

// ANCHOR: register
#[test]
fn a_registry_knows_it() {
    let mut registry = Registry::default();
    registry.register(Simple::new(PlainXor)).unwrap();
    let spec = r#"{ "transport": "plainxor", "endpoint": "bridge.example:4000", "params": { "key": 90 } }"#;
    assert!(registry.client(&serde_json::from_str(spec).unwrap()).is_ok());
    let broken = spec.replace("90", "900");
    assert!(
        registry.client(&serde_json::from_str(&broken).unwrap()).is_err(),
        "found before a packet leaves"
    );
}
// ANCHOR_END: register

/// The chapter's includes point at code that is there, and its table names every behaviour.
#[test]
fn the_chapter_shows_what_is_here() {
    let folder = Path::new(&std::env::var_os("CARGO_MANIFEST_DIR").unwrap()).join("../../docs/src");
    let chapter = std::fs::read_to_string(folder.join("add-a-transport.md")).unwrap();
    let mut included = Vec::new();
    for include in chapter.split("{{#include ").skip(1) {
        let (file, anchor) = include.split("}}").next().unwrap().split_once(':').unwrap();
        let code = std::fs::read_to_string(folder.join(file)).unwrap();
        assert!(code.contains(&format!("// ANCHOR: {anchor}\n")), "{file} has no anchor {anchor}");
        assert!(
            code.contains(&format!("// ANCHOR_END: {anchor}\n")),
            "{file} does not end the anchor {anchor}"
        );
        included.push(anchor);
    }
    for anchor in ["transport", "stream", "passes", "loopback", "register"] {
        assert!(included.contains(&anchor), "the chapter does not show {anchor}");
    }
    for behaviour in Behaviour::ALL {
        assert!(chapter.contains(&format!("| {behaviour} |")), "the chapter does not name `{behaviour}`");
    }
}

/// The whole transport, with its imports, is as short as the chapter says.
#[test]
fn the_transport_is_as_short_as_the_chapter_says() {
    let code = include_str!("../examples/minimal_transport/plainxor.rs");
    let count = lines_of_code(code);
    assert!(count <= LINES_MAX, "{count} lines of code");
    let chapter = include_str!("../../../docs/src/add-a-transport.md");
    assert!(chapter.contains(&format!("{count} lines of code")), "the chapter does not say {count}");
    let parts = code.split("// ANCHOR: ").skip(1).map(|part| part.split("// ANCHOR_END").next().unwrap());
    let shown: usize = parts.map(|part| lines_of_code(part.split_once('\n').unwrap().1)).sum();
    assert_eq!(shown, count, "the chapter shows all of it");
}

fn lines_of_code(code: &str) -> usize {
    code.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with("//")).count()
}
