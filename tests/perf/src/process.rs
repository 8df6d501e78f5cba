//! Child processes: started with their output in a file, ended when dropped, and gone when the harness dies.

use std::{
    fs::{self, File},
    net::{SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use anyhow::Context;

/// Kills a child when its parent dies, even by SIGKILL. Part of util-linux, which every Debian has.
const DEATH_WRAPPER: &str = "/usr/bin/setpriv";
/// Lines of a child's output that an error shows.
const TAIL_LINES: usize = 5;

/// A running program.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts `program`; standard output and error go to `dir/name.log`. It works in `dir` unless the command says
    /// otherwise.
    ///
    /// # Errors
    /// When the program cannot be started.
    pub fn start(name: &str, command: &Command, dir: &Path) -> anyhow::Result<Self> {
        let log = dir.join(format!("{name}.log"));
        let output = File::create(&log).with_context(|| format!("creating {}", log.display()))?;
        let mut command = bound_to_this(command);
        if command.get_current_dir().is_none() {
            // Not where a person happens to be: that place may go away during a run.
            command.current_dir(dir);
        }
        command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output);
        let child = command.spawn().with_context(|| format!("starting {name}: {command:?}"))?;
        Ok(Self { name: name.to_owned(), child, log })
    }

    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Fails with the last lines of its output when it has ended by itself.
    ///
    /// # Errors
    /// When it has ended.
    pub fn check(&mut self) -> anyhow::Result<()> {
        match self.child.try_wait()? {
            Some(status) => anyhow::bail!("{} ended ({status}): {}", self.name, self.tail()),
            None => Ok(()),
        }
    }

    /// The last lines of its output.
    #[must_use]
    pub fn tail(&self) -> String {
        let text = fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<_> = text.lines().rev().take(TAIL_LINES).collect();
        if lines.is_empty() {
            return "no output".to_owned();
        }
        lines.into_iter().rev().collect::<Vec<_>>().join(" | ")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Both fail only when it has already ended.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// A port of 127.0.0.1 that is free now.
///
/// # Errors
/// When there is none.
pub fn free_address() -> anyhow::Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0").context("looking for a free port")?;
    Ok(listener.local_addr()?)
}

/// Runs a command to its end and returns its standard output.
///
/// # Errors
/// When it cannot be started or fails; the message holds what it said.
pub fn output_of(command: &mut Command) -> anyhow::Result<String> {
    let output = command.stdin(Stdio::null()).output().with_context(|| format!("starting {command:?}"))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    if !output.status.success() {
        let errors = String::from_utf8_lossy(&output.stderr);
        anyhow::bail!("{command:?} ended with {}: {}{}", output.status, errors.trim(), text.trim());
    }
    Ok(text)
}

/// The same command, wrapped so that it dies with the harness where the wrapper exists. The wrapper replaces itself: the process id is the child's own.
fn bound_to_this(command: &Command) -> Command {
    let mut wrapped = if Path::new(DEATH_WRAPPER).exists() {
        let mut wrapper = Command::new(DEATH_WRAPPER);
        wrapper.args(["--pdeathsig", "KILL", "--"]).arg(command.get_program());
        wrapper
    } else {
        Command::new(command.get_program())
    };
    wrapped.args(command.get_args());
    for (key, value) in command.get_envs() {
        match value {
            Some(value) => wrapped.env(key, value),
            None => wrapped.env_remove(key),
        };
    }
    if let Some(dir) = command.get_current_dir() {
        wrapped.current_dir(dir);
    }
    wrapped
}

#[cfg(test)]
mod tests {
    use std::{
        thread,
        time::{Duration, Instant},
    };

    use super::*;

    #[test]
    fn an_ended_program_tells_its_last_words() {
        let dir = tempfile::tempdir().unwrap();
        let mut command = Command::new("sh");
        command
            .args(["-c", "for i in 1 2 3 4 5 6 7; do echo line $i; done; echo $WORD; exit 3"])
            .env("WORD", "bye");
        let mut process = Process::start("sh", &command, dir.path()).unwrap();
        let start = Instant::now();
        let error = loop {
            if let Err(error) = process.check() {
                break error.to_string();
            }
            assert!(start.elapsed() < Duration::from_secs(20));
            thread::sleep(Duration::from_millis(5));
        };
        assert!(error.contains("line 7 | bye") && !error.contains("line 3"), "{error}");
    }

    #[test]
    fn a_program_works_in_its_own_directory() {
        let dir = tempfile::tempdir().unwrap();
        let mut process = Process::start("pwd", &Command::new("pwd"), dir.path()).unwrap();
        while process.check().is_ok() {
            thread::sleep(Duration::from_millis(5));
        }
        assert_eq!(process.tail(), dir.path().canonicalize().unwrap().to_str().unwrap());
    }

    #[test]
    fn a_dropped_process_is_gone() {
        let dir = tempfile::tempdir().unwrap();
        let mut command = Command::new("sleep");
        command.arg("1000");
        let mut process = Process::start("sleep", &command, dir.path()).unwrap();
        let pid = process.pid();
        process.check().unwrap();
        drop(process);
        assert!(!Path::new(&format!("/proc/{pid}")).exists());
    }

    #[test]
    fn output_or_the_reason_for_none() {
        assert_eq!(output_of(Command::new("echo").arg("hi")).unwrap(), "hi\n");
        let error = output_of(Command::new("sh").args(["-c", "echo why >&2; exit 4"])).unwrap_err();
        assert!(error.to_string().contains("why"), "{error}");
    }
}
