//! The judge in the packet loop: what it drops does not arrive, and what it did is said.

use std::{fs, io, net::UdpSocket, time::Duration};

use commucat_censor::{Done, Profile};
use commucat_lab::{Lab, LabError};

use crate::support::{allowed, config};

const BRIDGE: &str = "203.0.113.10:4000";
/// Far longer than a packet takes, also on a busy machine.
const SOON: Duration = Duration::from_secs(10);
/// What has not come after this time was dropped: nothing in these labs delays.
const NEVER: Duration = Duration::from_millis(300);

fn pair(lab: &Lab) -> (UdpSocket, UdpSocket) {
    let server = lab.world().run(|| UdpSocket::bind(BRIDGE).unwrap()).unwrap();
    let client = lab.client().run(|| UdpSocket::bind("10.73.0.2:0").unwrap()).unwrap();
    client.connect(BRIDGE).unwrap();
    (client, server)
}

fn arrives(client: &UdpSocket, server: &UdpSocket, within: Duration) -> bool {
    server.set_read_timeout(Some(within)).unwrap();
    client.send(b"datagram").unwrap();
    match server.recv(&mut [0; 16]) {
        Ok(length) => length == 8,
        Err(error) => {
            assert!(matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut), "{error}");
            false
        }
    }
}

#[test]
fn a_policy_acts_says_so_and_can_be_changed_while_the_lab_runs() {
    if !allowed() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let mut config = config("udp-off");
    config.capture_dir = Some(folder.path().to_owned());
    let lab = Lab::start(config).unwrap();
    let (client, server) = pair(&lab);
    let before = lab.next_event();
    assert!(!arrives(&client, &server, NEVER));
    let event = lab.wait_for_event(before, SOON, |event| event.policy == "udp-off").unwrap();
    assert!(event.flow.contains("203.0.113.10"), "{event}");
    assert!(matches!(event.action, Done::Drop | Done::Kill), "{event}");

    lab.set_profile(&Profile::named("clean").unwrap(), 1).unwrap();
    assert!(arrives(&client, &server, SOON));
    let after = lab.next_event();
    assert!(arrives(&client, &server, SOON));
    assert!(lab.events_since(after).events.is_empty(), "a clean network says nothing");
    assert!(lab.wait_for_event(after, NEVER, |_any| true).is_none());

    let view = lab.events_since(before);
    assert!(view.events.iter().any(|event| event.policy == "udp-off") && view.forgotten == 0);
    let summary = lab.stop().unwrap();
    let total = summary.events.iter().find(|total| total.policy == "udp-off").unwrap();
    assert!(total.packets >= 1 && total.events >= 1);
    assert!(summary.traffic.dropped.packets >= 1);
    let lines = fs::read_to_string(folder.path().join("events.jsonl")).unwrap();
    let said: u64 = summary.events.iter().map(|total| total.events).sum();
    assert_eq!(lines.lines().count() as u64, said, "a line an event");
    for line in lines.lines() {
        let event: serde_json::Value = serde_json::from_str(line).unwrap();
        assert!(event["t_ms"].is_u64() && event["policy"].is_string() && event["why"].is_object(), "{line}");
    }
}

#[test]
fn a_censor_that_cannot_be_made_is_said_before_anything_starts() {
    if !allowed() {
        return;
    }
    let mut config = config("udp-off");
    config.time_scale = 0.0;
    assert!(matches!(Lab::start(config), Err(LabError::Spec(_))));
}

#[test]
fn malformed_packets_do_no_harm() {
    if !allowed() {
        return;
    }
    let lab = Lab::start(config("ru-2026")).unwrap();
    let (client, server) = pair(&lab);
    // Fragments, as a large datagram makes them, and what only a raw socket can send: other protocols.
    let large = [0; 20_000];
    client.send(&large).unwrap();
    let ping = lab
        .client()
        .command("ping")
        .args(["-n", "-c", "3", "-i", "0.1", "-s", "8000", "203.0.113.10"])
        .output(SOON);
    assert!(ping.is_ok(), "the fragments of a large ping come back: {ping:?}");
    server.set_read_timeout(Some(SOON)).unwrap();
    assert_eq!(
        server.recv(&mut [0; 30_000]).unwrap(),
        large.len(),
        "the fragments were joined by their receiver"
    );
    assert!(arrives(&client, &server, SOON), "and the next datagram is served");
    assert_eq!(lab.traffic().overflow.packets, 0);
    lab.stop().unwrap();
}
