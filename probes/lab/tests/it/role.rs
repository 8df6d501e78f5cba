//! Other processes for tests: this test program started again, to play one role. A role is an ignored test that does
//! nothing unless a test has asked for it.

use std::{
    env,
    io::{BufRead as _, BufReader, Read as _, Write as _, stdin, stdout},
    process::{Child, ChildStdin, Command, Stdio},
};

use commucat_lab::{Lab, Place, PlaceChild};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use crate::support::config;

const ROLE: &str = "COMMUCAT_TEST_ROLE";
const READY: &str = "role is ready:";

/// A process that plays a role.
pub(crate) struct Role {
    child: Child,
    _input: ChildStdin,
    /// What it said when it was ready.
    pub(crate) said: String,
}

impl Role {
    /// Starts a role and waits until it is ready.
    #[allow(clippy::zombie_processes, reason = "whoever ends the role waits for it")]
    pub(crate) fn start(role: &str) -> Self {
        let mut child = Command::new(env::current_exe().unwrap())
            .args(["--exact", &format!("role::{role}"), "--ignored", "--nocapture"])
            .env(ROLE, role)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let input = child.stdin.take().unwrap();
        let mut all = String::new();
        for line in BufReader::new(child.stdout.take().unwrap()).lines() {
            let line = line.unwrap();
            if let Some((_before, said)) = line.split_once(READY) {
                let said = said.trim().to_owned();
                return Self { child, _input: input, said };
            }
            all.push_str(&line);
            all.push('\n');
        }
        child.stderr.take().unwrap().read_to_string(&mut all).unwrap();
        child.wait().unwrap();
        panic!("{role} ended: {all}");
    }

    /// Ends it by a signal.
    pub(crate) fn end(mut self, signal: Signal) {
        kill(Pid::from_raw(self.child.id().try_into().unwrap()), signal).unwrap();
        self.child.wait().unwrap();
    }

    /// Ends its input, by which it goes on, and waits for its end.
    pub(crate) fn go_on(self) -> bool {
        let Self { mut child, _input, .. } = self;
        drop(_input);
        child.wait().unwrap().success()
    }
}

fn asked(role: &str) -> bool {
    env::var(ROLE).is_ok_and(|asked| asked == role)
}

fn ready(said: &str) {
    println!("{READY} {said}");
    stdout().flush().unwrap();
    let mut rest = Vec::new();
    stdin().read_to_end(&mut rest).unwrap();
}

/// The network namespace of a place, as the system names it.
pub(crate) fn namespace_of(place: &Place) -> String {
    place.run(|| std::fs::read_link("/proc/thread-self/ns/net").unwrap()).unwrap().display().to_string()
}

/// A lab with programs and daemons in it.
fn busy_lab() -> (Vec<PlaceChild>, Lab, String) {
    let lab = Lab::start(config("clean")).unwrap();
    let daemon = "setsid sleep 1001 >/dev/null 2>&1 </dev/null & sleep 1002 & wait";
    let places = [lab.client(), lab.world(), lab.prober()];
    let start = |place: &Place| place.command("sh").args(["-c", daemon]).spawn().unwrap();
    let children = places.into_iter().map(start).collect();
    let names = [lab.client(), lab.world(), lab.prober()].map(namespace_of).join(" ");
    (children, lab, names)
}

#[test]
#[ignore = "a role that other tests start"]
fn holds_a_lab() {
    if !asked("holds_a_lab") {
        return;
    }
    let (_children, _lab, names) = busy_lab();
    ready(&names);
}

#[test]
#[ignore = "a role that other tests start"]
fn panics_with_a_lab() {
    if !asked("panics_with_a_lab") {
        return;
    }
    let (_children, _lab, names) = busy_lab();
    ready(&names);
    panic!("as asked");
}
