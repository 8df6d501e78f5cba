//! The first minutes of an operator: what `up` makes, and what it says when it cannot.

use std::{fs, net::TcpListener, os::unix::fs::PermissionsExt as _, path::Path, process::Command};

use crate::support::{Bridge, commucat, run, tool, up};

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn up_makes_private_files_and_a_second_start_keeps_them() {
    let mut bridge = Bridge::start();
    let state = bridge.state_dir();
    assert_eq!(mode(&state), 0o700);
    for entry in fs::read_dir(&state).unwrap() {
        let path = entry.unwrap().path();
        assert_eq!(mode(&path) & 0o077, 0, "{} can be read by others", path.display());
    }
    bridge.restart();
}

#[test]
fn up_prints_link_qr_code_and_what_to_do_next() {
    let state = tempfile::tempdir().unwrap();
    let mut process = crate::support::Process::start(&mut up(state.path()));
    process.wait_for_all(&["█", "commucat://", "commucat connect"]);
}

#[test]
fn two_bridges_on_one_state_directory_are_refused() {
    let bridge = Bridge::start();
    let second = run(&mut up(&bridge.state_dir()));
    assert_ne!(second.code, Some(0));
    assert!(
        second.stderr.contains(&bridge.process.id().to_string()),
        "it names the other process: {second:?}"
    );
}

#[test]
fn a_taken_port_is_named() {
    let mut bridge = Bridge::start();
    let port = bridge.endpoint("websocket").endpoint.port;
    bridge.process.signal("KILL");
    bridge.process.wait();
    let _holder = TcpListener::bind(("127.0.0.1", port)).unwrap();
    let refused = run(&mut up(&bridge.state_dir()));
    assert!(refused.stderr.contains(&port.to_string()), "{refused:?}");
    assert!(refused.stderr.contains("in use"), "{refused:?}");
    assert_ne!(refused.code, Some(0));
}

#[test]
fn a_full_disk_is_named_and_leaves_nothing_half_written() {
    let folder = tempfile::tempdir().unwrap();
    let Some(mut mount) = tool("mount", "mount") else { return };
    if run(mount.args(["-t", "tmpfs", "-o", "size=16k", "tmpfs"]).arg(folder.path())).code != Some(0) {
        println!("skipped: cannot mount a small tmpfs (run as root)");
        return;
    }
    fs::write(folder.path().join("filler"), vec![0; 8 * 1024]).unwrap();
    let state = folder.path().join("state");
    let failed = run(&mut up(&state));
    let left = fs::read_dir(&state).map(|entries| entries.count()).unwrap_or(0);
    run(Command::new("umount").arg(folder.path()));
    assert!(failed.stderr.to_lowercase().contains("disk"), "{failed:?}");
    assert_ne!(failed.code, Some(0));
    assert_eq!(left, 0, "half-written files are left");
}

#[test]
fn a_broken_config_points_at_file_line_and_key() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("bridge.toml");
    fs::write(&file, "[server]\ndrain_secnds = 5\n").unwrap();
    let failed = run(commucat().args(["serve", "--config"]).arg(&file));
    assert_eq!(failed.code, Some(2), "{failed:?}");
    for word in ["bridge.toml:2", "drain_secnds", "drain_seconds"] {
        assert!(failed.stderr.contains(word), "`{word}` is missing: {failed:?}");
    }
}

#[test]
fn an_unreadable_key_file_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("tls.key");
    let file = folder.path().join("bridge.toml");
    let text = format!(
        "[server]\ntls_cert = {missing:?}\ntls_key = {missing:?}\n[[endpoints]]\ntransport = \"websocket\"\nlisten = \"127.0.0.1:0\"\n"
    );
    fs::write(&file, text).unwrap();
    let failed =
        run(commucat().args(["serve", "--config"]).arg(&file).arg("--state").arg(folder.path().join("s")));
    assert_eq!(failed.code, Some(2), "{failed:?}");
    assert!(failed.stderr.contains("tls.key"), "{failed:?}");
}

#[test]
fn users_are_managed_while_the_bridge_runs() {
    let bridge = Bridge::start();
    assert_eq!(bridge.user(&["add", "anna"]).code, Some(0));
    assert_ne!(bridge.user(&["add", "anna"]).code, Some(0), "a second anna");
    let list = bridge.user(&["list"]);
    assert!(list.stdout.contains("anna"), "{list:?}");
    let link = bridge.user(&["link", "anna", "--public", "127.0.0.1"]).stdout;
    assert!(link.trim().starts_with("commucat://"), "{link}");
    assert_eq!(bridge.user(&["disable", "anna"]).code, Some(0));
    assert!(bridge.user(&["list"]).stdout.contains("disabled"));
    assert_eq!(bridge.user(&["rm", "anna", "--yes"]).code, Some(0));
    assert!(!bridge.user(&["list"]).stdout.contains("anna"));
    let unknown = bridge.user(&["link", "anna", "--public", "127.0.0.1"]);
    assert!(unknown.stderr.contains("anna"), "{unknown:?}");
}

#[test]
fn health_and_metrics_answer_on_their_own_port() {
    let bridge = Bridge::start();
    let admin = bridge.admin.expect("`up` tells its admin address");
    for (path, word) in [("/livez", "ok"), ("/readyz", "ready"), ("/metrics", "commucat_")] {
        let Some(answer) = crate::support::curl(&["--fail", &format!("http://{admin}{path}")]) else {
            return;
        };
        assert_eq!(answer.code, Some(0), "{path}: {answer:?}");
        assert!(answer.stdout.contains(word), "{path}: {answer:?}");
    }
}
