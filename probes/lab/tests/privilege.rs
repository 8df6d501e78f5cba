//! Without root: a user namespace, or a plain answer. A program of its own, since a process becomes root of a user
//! namespace in place only while it has one thread, and the usual harness starts a thread for each test.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout, reason = "tests")]

use std::{
    env, fs, net::UdpSocket, os::unix::fs::PermissionsExt as _, path::Path, process::Command, thread,
    time::Duration,
};

use commucat_censor::Profile;
use commucat_lab::{Lab, LabConfig, check_privileges, ensure_privileges};

const ROLE: &str = "COMMUCAT_TEST_ROLE";
/// An ordinary user: nobody, in no group.
const NOBODY: &str = "setpriv --reuid=65534 --regid=65534 --clear-groups";
/// Root of a namespace in which there can be no further user namespaces, and then without any capability: what a
/// hardened container gives.
const CONTAINER: &str = "unshare --user --map-root-user sh -c \
    'echo 0 >/proc/sys/user/max_user_namespaces; exec setpriv --bounding-set=-all --inh-caps=-all \"$@\"' sh";

type Test = (&'static str, fn(&Path));
const TESTS: [Test; 3] = [
    ("an_ordinary_user_gets_a_lab_in_place", gets_a_lab_in_place),
    ("an_ordinary_user_with_threads_gets_a_lab_by_starting_again", gets_a_lab_by_starting_again),
    ("a_container_is_told_what_is_missing", is_told_what_is_missing),
];

fn main() {
    match env::var(ROLE).as_deref() {
        Ok("alone") => return say_what_happens(),
        Ok("threads") => return with_another_thread(say_what_happens),
        _test => {}
    }
    let args: Vec<String> = env::args().skip(1).collect();
    let has = |word: &str| args.iter().any(|arg| arg == word);
    let wanted = |name: &str| args.iter().all(|arg| arg.starts_with('-') || name.contains(arg.as_str()));
    if has("--ignored") {
        return;
    }
    if has("--list") {
        TESTS.iter().for_each(|(name, _test)| println!("{name}: test"));
        return;
    }
    if let Err(missing) = check_privileges() {
        println!("skipped: {missing}");
        return;
    }
    // The folder in which this was built may be closed to the ordinary user.
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let program = folder.path().join("program");
    fs::copy(env::current_exe().unwrap(), &program).unwrap();
    for (name, test) in TESTS.iter().filter(|(name, _test)| wanted(name)) {
        test(&program);
        println!("test {name} ... ok");
    }
}

/// What the role says, started with this before it.
fn said(program: &Path, before: &str, role: &str) -> String {
    let script = format!("exec {before} {}", program.display());
    let output = Command::new("sh").args(["-c", &script]).env(ROLE, role).current_dir("/").output().unwrap();
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

fn gets_a_lab_in_place(program: &Path) {
    let said = said(program, NOBODY, "alone");
    assert!(said.starts_with("UserNamespace: programs run as 0"), "{said}");
}

fn gets_a_lab_by_starting_again(program: &Path) {
    let said = said(program, NOBODY, "threads");
    assert!(said.starts_with("UserNamespace: programs run as 0"), "{said}");
}

fn is_told_what_is_missing(program: &Path) {
    for role in ["alone", "threads"] {
        let said = said(program, CONTAINER, role);
        let start =
            "the lab cannot run here: this process lacks CAP_NET_ADMIN, CAP_SYS_CHROOT, CAP_SYS_ADMIN";
        assert!(said.starts_with(start), "{said}");
        assert!(said.contains("No space left"), "the system's own reason is missing: {said}");
        assert!(said.contains("`sudo sysctl -w user.max_user_namespaces=10000`"), "{said}");
    }
}

/// The role: becomes privileged, runs a lab, and says how it went.
fn say_what_happens() {
    let privilege = match ensure_privileges() {
        Ok(privilege) => privilege,
        Err(missing) => return println!("{missing}"),
    };
    let lab = Lab::start(LabConfig::new(Profile::named("clean").unwrap())).unwrap();
    let server = lab.world().run(|| UdpSocket::bind("203.0.113.10:53").unwrap()).unwrap();
    let client = lab.client().run(|| UdpSocket::bind("10.73.0.2:0").unwrap()).unwrap();
    client.send_to(b"x", "203.0.113.10:53").unwrap();
    server.recv_from(&mut [0; 1]).unwrap();
    let id = lab.client().command("id").arg("-u").output(Duration::from_secs(10)).unwrap();
    println!("{privilege:?}: programs run as {}", String::from_utf8_lossy(&id.stdout).trim());
    lab.notes().iter().for_each(|note| println!("note: {note}"));
}

fn with_another_thread(code: impl FnOnce()) {
    let (end, ended) = std::sync::mpsc::sync_channel::<()>(0);
    let other = thread::spawn(move || ended.recv());
    code();
    drop(end);
    let _it_ends = other.join();
}
