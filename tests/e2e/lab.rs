//! `commucat lab` as a person uses it.

use crate::support::{Output, commucat, run, tool};

/// Runs the lab; `None` after the line that says why there is none here.
fn lab(args: &[&str]) -> Option<Output> {
    let out = run(commucat().arg("lab").args(args));
    let missing = out.code == Some(2) && out.stderr.contains("/dev/net/tun");
    if missing && std::env::var("CI").is_err() {
        println!("skipped: no lab here: {}", out.stderr.lines().next().unwrap_or_default());
        return None;
    }
    Some(out)
}

#[test]
fn the_list_tells_all_and_offers_the_nearest() {
    let out = run(commucat().args(["lab", "list"]));
    assert_eq!(out.code, Some(0), "{out:?}");
    for name in ["ru-2026", "gfw-fet", "tspu-l4-25", "websocket"] {
        assert!(out.stdout.contains(name), "{name}");
    }
    let out = run(commucat().args(["lab", "list", "gfw-fet"]));
    assert!(out.stdout.contains("residual"), "{out:?}");
    let json = run(commucat().args(["lab", "list", "--json"]));
    let all: serde_json::Value = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!(all["catalogue"]["policies"].as_array().unwrap().len(), 25);
    let out = run(commucat().args(["lab", "run", "--profile", "ru-2062"]));
    assert_eq!(out.code, Some(2), "{out:?}");
    assert!(out.stderr.contains("ru-2026"), "{out:?}");
    let out = run(commucat().args(["lab", "run", "--profile", "gfw-fet?residul=10s"]));
    assert_eq!(out.code, Some(2), "{out:?}");
    assert!(out.stderr.contains("residual"), "{out:?}");
}

#[test]
fn a_transport_passes_or_the_reason_is_said() {
    let Some(out) = lab(&["run", "--profile", "clean", "--transport", "all", "--json"]) else { return };
    assert_eq!(out.code, Some(0), "{out:?}");
    let args = ["run", "--profile", "gfw-fet?p=1", "--transport", "shadowsocks,websocket", "--json"];
    let out = lab(&args).unwrap();
    assert_eq!(out.code, Some(5), "{out:?}");
    let runs: Vec<serde_json::Value> =
        out.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let of = |name: &str| runs.iter().find(|run| run["transport"] == name).unwrap();
    assert_eq!(of("websocket")["result"], "passed");
    assert_eq!(of("shadowsocks")["result"], "failed");
    assert!(of("shadowsocks")["reason"].as_str().unwrap().contains("gfw-fet"), "{out:?}");
}

#[test]
fn a_command_runs_behind_the_censor() {
    if tool("curl", "curl").is_none() {
        return;
    }
    let visit = |host: &str| {
        lab(&["shell", "--profile", "sni-rst", "--", "curl", "-sS", "-m", "10", &format!("https://{host}/")])
    };
    let Some(good) = visit("innocent.example") else { return };
    assert_eq!(good.code, Some(0), "{good:?}");
    let bad = visit("blocked.example").unwrap();
    assert_ne!(bad.code, Some(0), "{bad:?}");
    assert!(bad.stderr.contains("reset"), "{bad:?}");
    assert!(bad.stderr.contains("the censor: sni-rst"), "{bad:?}");
}
