//! Child processes: started, watched line by line, always reaped.

use std::{
    ffi::OsStr,
    io::{BufRead as _, BufReader, Read},
    process::{Child, Command, ExitStatus, Stdio},
    sync::mpsc::{Receiver, RecvTimeoutError, sync_channel},
    time::{Duration, Instant},
};

/// Longest wait for a line or an end that should come at once: a hang, not a measure of speed.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// The program under test.
pub(crate) fn commucat() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_commucat"));
    command.env("NO_COLOR", "1").env_remove("COMMUCAT_LOG");
    command
}

/// A running child, killed when dropped.
pub(crate) struct Process {
    child: Child,
    lines: Receiver<String>,
    seen: Vec<String>,
}

impl Process {
    /// Starts it; both outputs are read together, line by line.
    pub(crate) fn start(command: &mut Command) -> Self {
        let spawned = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
        let mut child = spawned.unwrap_or_else(|error| panic!("cannot start {command:?}: {error}"));
        let (send, lines) = sync_channel(10_000);
        let outputs: [Box<dyn Read + Send>; 2] =
            [Box::new(child.stdout.take().unwrap()), Box::new(child.stderr.take().unwrap())];
        for output in outputs {
            let send = send.clone();
            std::thread::spawn(move || {
                for line in BufReader::new(output).lines().map_while(Result::ok) {
                    // A test that no longer listens must not stop the child.
                    send.try_send(line).ok();
                }
            });
        }
        Self { child, lines, seen: Vec::new() }
    }

    /// The next line that holds this text.
    pub(crate) fn wait_for(&mut self, text: &str) -> String {
        self.wait_until(text, |line| line.contains(text).then(|| line.to_owned()))
    }

    /// Waits until each of these was said, in any order: the two outputs are not ordered towards each other.
    pub(crate) fn wait_for_all(&mut self, texts: &[&str]) {
        let mut missing = texts.to_vec();
        self.wait_until(&texts.join("` and `"), |line| {
            missing.retain(|text| !line.contains(text));
            missing.is_empty().then_some(())
        });
    }

    /// The next JSON line of that event.
    pub(crate) fn wait_for_event(&mut self, event: &str) -> serde_json::Value {
        self.wait_until(event, |line| {
            let value: serde_json::Value = serde_json::from_str(line).ok()?;
            (value["event"] == event).then_some(value)
        })
    }

    fn wait_until<T>(&mut self, what: &str, mut found: impl FnMut(&str) -> Option<T>) -> T {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match self.lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(line) => {
                    let hit = found(&line);
                    self.seen.push(line);
                    if let Some(hit) = hit {
                        return hit;
                    }
                }
                Err(RecvTimeoutError::Timeout) => {
                    panic!("no `{what}` in time; it said:\n{}", self.seen.join("\n"))
                }
                Err(RecvTimeoutError::Disconnected) => {
                    let status = self.child.wait();
                    panic!("it ended ({status:?}) without `{what}`; it said:\n{}", self.seen.join("\n"));
                }
            }
        }
    }

    /// Everything it has said so far.
    pub(crate) fn said(&mut self) -> String {
        self.seen.extend(self.lines.try_iter());
        self.seen.join("\n")
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Sends a signal by its name (`TERM`, `HUP`, `INT`, `KILL`).
    pub(crate) fn signal(&self, name: &str) {
        let status = Command::new("kill").args([format!("-{name}"), self.id().to_string()]).status().unwrap();
        assert!(status.success(), "kill -{name}");
    }

    /// Waits for its end.
    pub(crate) fn wait(&mut self) -> ExitStatus {
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("it did not end; it said:\n{}", self.said());
    }

    /// Open file descriptors of the child.
    pub(crate) fn descriptors(&self) -> usize {
        std::fs::read_dir(format!("/proc/{}/fd", self.id())).unwrap().count()
    }

    /// Resident memory of the child, in KiB.
    pub(crate) fn resident_kib(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// What a finished program said.
#[derive(Debug)]
pub(crate) struct Output {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// Runs a program to its end, within patience.
pub(crate) fn run(command: &mut Command) -> Output {
    let limit = PATIENCE.as_secs().to_string();
    let mut limited = Command::new("timeout");
    limited.args(["--kill-after=5", &limit]).arg(command.get_program()).args(command.get_args());
    for (key, value) in command.get_envs() {
        match value {
            Some(value) => limited.env(key, value),
            None => limited.env_remove(key),
        };
    }
    if let Some(folder) = command.get_current_dir() {
        limited.current_dir(folder);
    }
    let output = limited.stdin(Stdio::null()).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    let output =
        Output { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) };
    assert_ne!(
        output.code,
        Some(124),
        "{:?} did not end: {output:?}",
        AsRef::<OsStr>::as_ref(command.get_program())
    );
    output
}
