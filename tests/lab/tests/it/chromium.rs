//! Chromium, headless, as a person's browser.

use crate::stage::{Stage, program, run};

/// Chromium's number for a connection that was reset, `ERR_CONNECTION_RESET`.
const CONNECTION_RESET: &str = "\"net_error\":-101";

/// The document that the browser shows for that address, and the log of its network stack.
fn page(stage: &Stage, url: &str) -> (String, String) {
    let profile = tempfile::tempdir().unwrap();
    let mut chromium = stage.lab.client().command("chromium");
    chromium
        .args(["--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-sync"])
        .args(["--disable-background-networking", "--disable-component-update", "--disable-dev-shm-usage"])
        .args(["--ignore-certificate-errors", "--dump-dom"])
        .arg(format!("--user-data-dir={}", profile.path().display()))
        .arg(format!("--log-net-log={}", profile.path().join("net.json").display()))
        .arg(url);
    let shown = run(&mut chromium);
    let log = std::fs::read_to_string(profile.path().join("net.json")).unwrap();
    (String::from_utf8_lossy(&shown.stdout).into_owned(), log)
}

#[test]
fn a_blocked_name_is_reset_and_another_is_not() {
    if program("chromium", "chromium").is_none() {
        return;
    }
    let Some(stage) = Stage::with("sni-rst") else { return };
    let (innocent, log) = page(&stage, "https://innocent.example/");
    assert!(innocent.contains("<h1>innocent.example</h1>"), "{innocent}");
    assert!(!log.contains(CONNECTION_RESET));
    stage.untouched();
    let (blocked, log) = page(&stage, "https://blocked.example/");
    assert!(!blocked.contains("<h1>blocked.example</h1>"), "{blocked}");
    assert!(log.contains(CONNECTION_RESET), "{log}");
    stage.blamed("sni-rst");
}

#[test]
fn without_a_censor_the_blocked_name_is_served() {
    if program("chromium", "chromium").is_none() {
        return;
    }
    let Some(stage) = Stage::with("clean") else { return };
    let (blocked, _) = page(&stage, "https://blocked.example/");
    assert!(blocked.contains("<h1>blocked.example</h1>"), "{blocked}");
    stage.untouched();
}
