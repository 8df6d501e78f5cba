//! curl, with the TLS library that Debian gives it.

use std::process::Output;

use crate::stage::{Stage, program, run};

/// curl's own numbers: the TLS handshake failed, receiving failed (libcurl-errors(3)).
const TLS_FAILED: i32 = 35;
const RECEIVE_FAILED: i32 = 56;

fn curl(stage: &Stage, args: &[&str], url: &str) -> Output {
    let mut curl = stage.lab.client().command("curl");
    curl.args(["--disable", "--silent", "--show-error", "--max-time", "20", "--noproxy", "*"]);
    curl.args(["--output", "/dev/null", "--write-out", "%{http_code}"]).args(args).arg(url);
    run(&mut curl)
}

#[track_caller]
fn fetched(output: &Output) {
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!((out.as_ref(), output.status.code()), ("200", Some(0)), "{err}");
}

#[track_caller]
fn reset(output: &Output) {
    let err = String::from_utf8_lossy(&output.stderr);
    let code = output.status.code();
    assert!(matches!(code, Some(TLS_FAILED | RECEIVE_FAILED)), "{code:?}: {err}");
    assert!(err.contains("reset by peer"), "{err}");
}

#[test]
fn a_blocked_name_is_reset_and_another_is_not() {
    if program("curl", "curl").is_none() {
        return;
    }
    for version in [["--tlsv1.2", "--tls-max", "1.2"], ["--tlsv1.3", "--tls-max", "1.3"]] {
        let Some(stage) = Stage::with("sni-rst") else { return };
        fetched(&curl(&stage, &version, "https://innocent.example/bytes/100000"));
        stage.untouched();
        reset(&curl(&stage, &version, "https://www.blocked.example/"));
        stage.blamed("sni-rst");
    }
}

#[test]
fn without_a_censor_every_name_is_served() {
    if program("curl", "curl").is_none() {
        return;
    }
    let Some(stage) = Stage::with("clean") else { return };
    for name in
        ["www.blocked.example", "blocked.example", "twitter.com", "innocent.example", "domestic.example"]
    {
        fetched(&curl(&stage, &[], &format!("https://{name}/")));
        fetched(&curl(&stage, &[], &format!("http://{name}/bytes/100000")));
    }
    fetched(&curl(&stage, &[], "https://control.example/source?bytes=100000"));
    stage.untouched();
}

#[test]
fn sixty_four_kilobytes_from_abroad_freeze() {
    if program("curl", "curl").is_none() {
        return;
    }
    let Some(stage) = Stage::with("tspu-l4-25") else { return };
    let abroad = curl(&stage, &["--max-time", "3"], "https://control.example/source?bytes=65536");
    // 28: the operation timed out. No reset, no end: it stands still.
    assert_eq!(abroad.status.code(), Some(28), "{}", String::from_utf8_lossy(&abroad.stderr));
    stage.blamed("tspu-l4-25");
    fetched(&curl(&stage, &[], "https://domestic.example/bytes/65536"));
}

#[test]
fn a_forged_address_leads_nowhere() {
    if program("curl", "curl").is_none() {
        return;
    }
    let Some(stage) = Stage::with("dns-inject") else { return };
    fetched(&curl(&stage, &[], "https://innocent.example/"));
    stage.untouched();
    let blocked = curl(&stage, &["--max-time", "3"], "https://twitter.com/");
    assert!(!blocked.status.success());
    stage.blamed("dns-inject");
}
