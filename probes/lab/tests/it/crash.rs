//! Nothing of a lab stays behind, however its process ended.

use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};

use nix::sys::signal::Signal;

use crate::{
    role::{Role, namespace_of},
    support::{allowed, clean_lab},
};

const PATIENCE: Duration = Duration::from_secs(10);

/// Processes that are in one of these network namespaces.
fn processes_in(names: &str) -> Vec<String> {
    let inside = |process: &Path| {
        let tasks = fs::read_dir(process.join("task")).into_iter().flatten().flatten();
        tasks
            .filter_map(|task| fs::read_link(task.path().join("ns/net")).ok())
            .any(|namespace| names.split(' ').any(|name| namespace == Path::new(name)))
    };
    fs::read_dir("/proc")
        .unwrap()
        .flatten()
        .filter(|entry| entry.file_name().to_string_lossy().bytes().all(|byte| byte.is_ascii_digit()))
        .filter(|entry| inside(&entry.path()))
        .map(|entry| fs::read_to_string(entry.path().join("cmdline")).unwrap_or_default().replace('\0', " "))
        .collect()
}

fn assert_gone(names: &str) {
    until(|| processes_in(names).is_empty());
}

/// Waits until something is so.
#[track_caller]
fn until(so: impl Fn() -> bool) {
    let began = Instant::now();
    while !so() {
        assert!(began.elapsed() < PATIENCE, "it never was so");
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn mounts_and_devices() -> (String, Vec<String>) {
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
    let devices = fs::read_to_string("/proc/self/net/dev").unwrap();
    (
        mounts,
        devices.lines().filter_map(|line| line.split_once(':')).map(|(name, _)| name.to_owned()).collect(),
    )
}

#[test]
fn nothing_stays_after_a_signal() {
    if !allowed() {
        return;
    }
    for signal in [Signal::SIGKILL, Signal::SIGINT, Signal::SIGTERM, Signal::SIGABRT] {
        let before = mounts_and_devices();
        let role = Role::start("holds_a_lab");
        let names = role.said.clone();
        assert_eq!(names.split(' ').count(), 3, "{names}");
        // Each place has process 1, a shell, a program and a daemon; and there is the lab itself.
        until(|| processes_in(&names).len() >= 13);
        assert_eq!(mounts_and_devices(), before, "a running lab is not seen from outside");
        role.end(signal);
        assert_gone(&names);
        assert_eq!(mounts_and_devices(), before);
    }
}

#[test]
fn nothing_stays_after_a_panic() {
    if !allowed() {
        return;
    }
    let role = Role::start("panics_with_a_lab");
    let names = role.said.clone();
    assert!(!processes_in(&names).is_empty());
    assert!(!role.go_on(), "it panicked");
    assert_gone(&names);
}

#[test]
fn nothing_stays_after_the_end_of_a_lab() {
    let Some(lab) = clean_lab() else { return };
    let names = [lab.client(), lab.world()].map(namespace_of).join(" ");
    let limit = Duration::from_secs(10);
    let daemon = "setsid sleep 1003 >/dev/null 2>&1 </dev/null & sleep 0.3; echo started";
    let output = lab.client().command("sh").args(["-c", daemon]).output(limit).unwrap();
    assert_eq!(output.stdout, b"started\n");
    // A daemon that keeps the pipe open does not hold up whoever reads it.
    let output = lab
        .client()
        .command("sh")
        .args(["-c", "setsid sleep 1004 & sleep 0.3; echo on"])
        .output(limit)
        .unwrap();
    assert_eq!(output.stdout, b"on\n");
    let kept = lab.world().command("sleep").arg("1005").spawn().unwrap();
    assert!(processes_in(&names).iter().filter(|line| line.contains("sleep")).count() >= 3);
    lab.stop().unwrap();
    assert_gone(&names);
    drop(kept);
}
