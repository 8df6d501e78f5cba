//! `commucat probe`, against a control server that it starts itself.

use std::fs;

use crate::support::{Process, commucat, run};

/// A control server on loopback, and a targets file that names it.
fn served(folder: &std::path::Path) -> (Process, std::path::PathBuf) {
    let mut command = commucat();
    command.args([
        "probe",
        "serve",
        "--json",
        "--tcp",
        "127.0.0.1:0",
        "--udp",
        "127.0.0.1:0",
        "--quic",
        "127.0.0.1:0",
    ]);
    let mut server = Process::start(&mut command);
    let said: serde_json::Value = serde_json::from_str(&server.wait_for("\"pin\"")).unwrap();
    let port = |kind: &str| {
        let at = said["addresses"][kind][0].as_str().unwrap();
        at.rsplit_once(':').unwrap().1.to_owned()
    };
    let targets = format!(
        "[[server]]\nkind = \"foreign\"\naddress = \"127.0.0.1\"\ntcp = [{}]\nudp = [{}]\nquic = [{}]\npin = {}\n",
        port("tcp"),
        port("udp"),
        port("quic"),
        said["pin"]
    );
    let file = folder.join("targets.toml");
    fs::write(&file, targets).unwrap();
    (server, file)
}

#[test]
fn a_subtest_finds_nothing_on_loopback_and_writes_every_form() {
    let folder = tempfile::tempdir().unwrap();
    let (_server, targets) = served(folder.path());
    for (format, mark) in [
        ("json", "\"summary\""),
        ("md", "#"),
        ("html", "<!doctype html>"),
        ("junit", "<testsuites"),
        ("prom", "# TYPE"),
    ] {
        let out = run(commucat().args(["probe", "env", "--format", format, "--targets"]).arg(&targets));
        assert_eq!(out.code, Some(0), "{out:?}");
        assert!(out.stdout.to_lowercase().contains(&mark.to_lowercase()), "{format}: {out:?}");
    }
    let runs = folder.path().join("runs.jsonl");
    let out =
        run(commucat().args(["probe", "tls", "--json", "-o"]).arg(&runs).arg("--targets").arg(&targets));
    assert_eq!(out.code, Some(0), "{out:?}");
    let row: serde_json::Value =
        serde_json::from_str(fs::read_to_string(&runs).unwrap().lines().next().unwrap()).unwrap();
    assert_eq!(row["data_format_version"], "0.2.0");
    assert_eq!(row["probe_ip"], "127.0.0.1");

    let page = folder.path().join("report.html");
    let out = run(commucat().args(["probe", "report"]).arg(&runs).arg("-o").arg(&page));
    assert_eq!(out.code, Some(0), "{out:?}");
    let page = fs::read_to_string(&page).unwrap();
    assert!(page.contains("<svg"), "a chart: {page}");
    let out = run(commucat().args(["probe", "diff"]).arg(&runs).arg(&runs));
    assert_eq!(out.code, Some(0), "nothing changed: {out:?}");
}

#[test]
fn what_cannot_be_measured_has_a_code_and_a_next_step() {
    let out = run(commucat().args(["probe", "quick"]).env_remove("COMMUCAT_PROBE_TARGETS"));
    assert_eq!(out.code, Some(64), "{out:?}");
    assert!(out.stderr.contains("--targets"), "{out:?}");
    let out = run(commucat().args(["probe", "quick", "--risk", "extreme"]));
    assert_eq!(out.code, Some(64), "{out:?}");
    let out = run(commucat().args(["probe", "explain", "flow.freeze_packet"]));
    assert_eq!(out.code, Some(64), "{out:?}");
    assert!(out.stderr.contains("flow.freeze_packets"), "the nearest is offered: {out:?}");
    let folder = tempfile::tempdir().unwrap();
    let (server, targets) = served(folder.path());
    drop(server);
    let out = run(commucat().args(["probe", "env", "--targets"]).arg(&targets));
    assert!(matches!(out.code, Some(1..=3)), "a control server that is gone: {out:?}");
    let out = run(commucat().args(["probe", "bridge", "127.0.0.1:1"]));
    assert_eq!(out.code, Some(64), "active probes need consent: {out:?}");
    assert!(out.stderr.contains("--risk high"), "{out:?}");
}
