//! Tests that need a process of their own. Without root there is a user namespace or a plain answer: a process becomes
//! root of a user namespace in place only while it has one thread, and the usual harness starts a thread for each test.
//! A terminal is taken and given back. What many labs used is given back, which only shows where nobody else uses any.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout, reason = "tests")]

use std::{
    env, fs,
    io::Write as _,
    net::UdpSocket,
    os::unix::fs::PermissionsExt as _,
    path::Path,
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
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
const TESTS: [Test; 5] = [
    ("an_ordinary_user_gets_a_lab_in_place", gets_a_lab_in_place),
    ("an_ordinary_user_with_threads_gets_a_lab_by_starting_again", gets_a_lab_by_starting_again),
    ("a_container_is_told_what_is_missing", is_told_what_is_missing),
    ("a_person_gets_a_shell_and_the_terminal_back", gets_a_shell),
    ("labs_give_back_what_they_used", gives_back_what_it_used),
];

fn main() {
    match env::var(ROLE).as_deref() {
        Ok("alone") => return say_what_happens(),
        Ok("threads") => return with_another_thread(say_what_happens),
        Ok("shell") => return give_a_shell(),
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

fn gets_a_shell(program: &Path) {
    // `script` of util-linux makes a terminal; the person types ahead.
    let typed = "cat /etc/resolv.conf\nsleep 1006 &\njobs\necho over $((20+22))\nexit 5\n";
    let mut script = match Command::new("script")
        .args(["--quiet", "--return", "--command", &program.display().to_string(), "/dev/null"])
        .env(ROLE, "shell")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
    {
        Ok(script) => script,
        Err(error) => return println!("skipped: cannot run `script`: {error}"),
    };
    let mut keyboard = script.stdin.take().unwrap();
    keyboard.write_all(typed.as_bytes()).unwrap();
    let screen = String::from_utf8_lossy(&script.wait_with_output().unwrap().stdout).into_owned();
    drop(keyboard);
    for expected in
        ["nameserver 192.0.2.53", "over 42", "Running", "ended with Some(5), the terminal is ours: true"]
    {
        assert!(screen.contains(expected), "{expected} is not in: {screen}");
    }
    assert!(!screen.contains("no job control"), "{screen}");
}

fn gives_back_what_it_used(_program: &Path) {
    const LABS: u32 = 20;
    let used =
        || ["fd", "task"].map(|kind| fs::read_dir(Path::new("/proc/self").join(kind)).unwrap().count());
    // The first runtime of a process makes a pair of sockets that serves all later ones.
    drop(tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap());
    let before = used();
    let (mut starting, mut stopping) = (Duration::ZERO, Duration::ZERO);
    for number in 0..LABS {
        let began = Instant::now();
        let lab = Lab::start(LabConfig::new(Profile::named("clean").unwrap())).unwrap();
        starting += began.elapsed();
        let child = lab.client().command("sleep").arg("1007").spawn().unwrap();
        let runtime = lab.world().runtime().unwrap();
        // Once, what runs inside outlives the lab in somebody's hands.
        let kept = (number == 0).then_some((child, runtime));
        let began = Instant::now();
        lab.stop().unwrap();
        stopping += began.elapsed();
        drop(kept);
    }
    println!("a lab starts in {:?} and stops in {:?}", starting / LABS, stopping / LABS);
    // Threads of a runtime that was shut down in the background take a moment.
    let deadline = Instant::now() + Duration::from_secs(10);
    while used() != before && Instant::now() < deadline {
        thread::sleep(Duration::from_millis(10));
    }
    assert_eq!(used(), before, "descriptors and threads");
}

/// The role: gives its terminal to a shell inside.
fn give_a_shell() {
    let lab = Lab::start(LabConfig::new(Profile::named("clean").unwrap())).unwrap();
    let ended = lab.client().interactive("bash", ["--norc", "--noprofile", "-i"]).unwrap();
    let ours = nix::unistd::tcgetpgrp(std::io::stdin()) == Ok(nix::unistd::getpgrp());
    println!("ended with {:?}, the terminal is ours: {ours}", ended.code());
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
