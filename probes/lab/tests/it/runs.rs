//! Whole runs: transports that exist, in networks where they must pass or fail, and the reason that is given.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use commucat_censor::Profile;
use commucat_lab::{
    report::{RunReport, RunResult, Standing},
    runs::{Load, MatrixConfig, MatrixEvent, RunConfig, Subject, matrix, run},
};
use commucat_transport_api::Registry;
use serde_json::json;

use crate::support::allowed;

fn registry() -> Arc<Registry> {
    let mut registry = Registry::default();
    registry.register(commucat_shadowsocks::Shadowsocks::new()).unwrap();
    registry.register(commucat_websocket::WebSocket::new()).unwrap();
    Arc::new(registry)
}

pub(crate) fn shadowsocks() -> Subject {
    Subject::of(&registry(), "shadowsocks", commucat_shadowsocks::ID, 8388, json!({}))
}

pub(crate) fn websocket() -> Subject {
    Subject::of(&registry(), "websocket", commucat_websocket::ID, 443, json!({}))
}

/// A run short enough for tests, which still moves far more than 25 packets.
pub(crate) fn short(profile: &str) -> RunConfig {
    let mut config = RunConfig::new(Profile::parse(profile).unwrap(), 7);
    config.load = Load { down: 256 * 1024, up: 64 * 1024, connections: 2 };
    config.bootstrap_max = Duration::from_secs(4);
    config.transfer_max = Duration::from_secs(6);
    config
}

fn failed(report: &RunReport) -> &str {
    match &report.result {
        RunResult::Failed { reason, .. } => reason,
        other => panic!("it did not fail: {other:?}"),
    }
}

#[test]
fn a_clean_network_passes_both() {
    if !allowed() {
        return;
    }
    for subject in [shadowsocks(), websocket()] {
        let report = run(&short("clean"), &subject);
        assert_eq!(report.result, RunResult::Passed, "{report:?}");
        assert!(report.bootstrap_ms.unwrap() < 4000);
        assert!(report.down_kbps.unwrap() > 0 && report.up_kbps.unwrap() > 0);
        assert!(report.events.is_empty(), "{:?}", report.events);
    }
}

#[test]
fn a_failing_run_names_the_policy_and_what_the_client_saw() {
    if !allowed() {
        return;
    }
    let report = run(&short("gfw-fet?p=1"), &shadowsocks());
    let reason = failed(&report);
    assert!(reason.starts_with("gfw-fet passed a sentence at packet "), "{reason}");
    assert!(reason.contains("; the start failed after "), "{reason}");
    assert_eq!(report.bootstrap_ms, None);
    assert!(report.events.contains_key("gfw-fet passed a sentence"), "{:?}", report.events);

    let report = run(&short("tspu-l4-25"), &websocket());
    let reason = failed(&report);
    assert!(reason.starts_with("tspu-l4-25 "), "{reason}");
    assert!(reason.contains("; the transfer failed after ") && reason.contains(" bytes up"), "{reason}");
    assert!(report.bootstrap_ms.is_some());
}

#[test]
fn a_matrix_counts_its_cells_and_tells_how_far_it_is() {
    if !allowed() {
        return;
    }
    let profiles = ["clean", "gfw-fet?p=1"].map(|text| Profile::parse(text).unwrap()).to_vec();
    let mut config = MatrixConfig::new(profiles, vec![shadowsocks(), websocket()]);
    config.runs = 2;
    config.at_once = 2;
    config.give_up_after = 1;
    config.load = short("clean").load;
    config.bootstrap_max = Duration::from_secs(4);
    let told = Mutex::new(Vec::new());
    let report = matrix(&config, &|event| {
        if let MatrixEvent::Ends { report, done, total } = event {
            told.lock().unwrap().push((report.transport.clone(), done, total));
        }
        true
    });
    let cell = |profile: &str, transport: &str| report.cell(profile, transport).unwrap().clone();
    assert_eq!(cell("clean", "shadowsocks").standing(), Standing::Passes);
    assert_eq!(cell("clean", "websocket").passed, 2);
    let lost = cell("gfw-fet?p=1", "shadowsocks");
    assert_eq!(lost.standing(), Standing::Fails);
    assert!(lost.reasons[0].text.contains("gfw-fet"), "{lost:?}");
    assert_eq!(cell("gfw-fet?p=1", "websocket").standing(), Standing::Passes);
    assert!(told.lock().unwrap().iter().all(|(_, done, total)| done <= total && *total == 8));
    assert_eq!(told.lock().unwrap().len(), report.runs.len());
}

#[test]
fn a_matrix_stops_when_it_is_told() {
    if !allowed() {
        return;
    }
    let config = MatrixConfig::new(vec![Profile::parse("clean").unwrap()], vec![websocket()]);
    let report = matrix(&config, &|_event| false);
    assert!(report.runs.is_empty());
    assert_eq!(report.cells[0].standing(), Standing::Unknown);
}

#[test]
fn a_subject_that_cannot_be_made_breaks_its_run_and_says_why() {
    if !allowed() {
        return;
    }
    let subject =
        Subject::of(&registry(), "broken", commucat_websocket::ID, 443, json!({ "no-such-key": 1 }));
    let report = run(&short("clean"), &subject);
    let RunResult::Broken { reason } = &report.result else { panic!("{report:?}") };
    assert!(reason.contains("no-such-key"), "{reason}");
}
