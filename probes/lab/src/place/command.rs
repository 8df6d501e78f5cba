//! A program that runs in a place: like `std::process::Command`, but it can only be started inside.

use std::{
    ffi::OsStr,
    io::{self, Read},
    os::unix::process::CommandExt as _,
    path::Path,
    process::{Child, ChildStderr, ChildStdin, ChildStdout, Command, ExitStatus, Output, Stdio},
    thread,
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{Signal, killpg},
    unistd::Pid,
};

use super::Place;
use crate::LabError;

/// Bytes of standard output, and of standard error, that [`PlaceCommand::output`] keeps; what is more is read and
/// dropped, so that the program does not block.
const OUTPUT_BYTES_MAX: u64 = 16 * 1024 * 1024;
/// How often a wait with a deadline looks at the program.
const WAIT_PAUSE: Duration = Duration::from_millis(2);

/// A program to run in a place.
#[derive(Debug)]
pub struct PlaceCommand<'a> {
    place: &'a Place,
    command: Command,
    program: String,
}

impl<'a> PlaceCommand<'a> {
    pub(super) fn new(place: &'a Place, program: &OsStr) -> Self {
        let mut command = Command::new(program);
        command.stdin(Stdio::null());
        Self { place, command, program: program.to_string_lossy().into_owned() }
    }

    /// Adds an argument.
    pub fn arg(&mut self, arg: impl AsRef<OsStr>) -> &mut Self {
        self.command.arg(arg);
        self
    }

    /// Adds arguments.
    pub fn args(&mut self, args: impl IntoIterator<Item = impl AsRef<OsStr>>) -> &mut Self {
        self.command.args(args);
        self
    }

    /// Sets an environment variable.
    pub fn env(&mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> &mut Self {
        self.command.env(name, value);
        self
    }

    /// Sets environment variables.
    pub fn envs(
        &mut self,
        variables: impl IntoIterator<Item = (impl AsRef<OsStr>, impl AsRef<OsStr>)>,
    ) -> &mut Self {
        self.command.envs(variables);
        self
    }

    /// Takes an environment variable away.
    pub fn env_remove(&mut self, name: impl AsRef<OsStr>) -> &mut Self {
        self.command.env_remove(name);
        self
    }

    /// Sets the working directory.
    pub fn current_dir(&mut self, folder: impl AsRef<Path>) -> &mut Self {
        self.command.current_dir(folder);
        self
    }

    /// Sets standard input; none, when nothing is said.
    pub fn stdin(&mut self, stdin: impl Into<Stdio>) -> &mut Self {
        self.command.stdin(stdin);
        self
    }

    /// Sets standard output.
    pub fn stdout(&mut self, stdout: impl Into<Stdio>) -> &mut Self {
        self.command.stdout(stdout);
        self
    }

    /// Sets standard error.
    pub fn stderr(&mut self, stderr: impl Into<Stdio>) -> &mut Self {
        self.command.stderr(stderr);
        self
    }

    /// Starts it, as the leader of a process group of its own.
    ///
    /// # Errors
    /// [`LabError::Spawn`].
    pub fn spawn(&mut self) -> Result<PlaceChild, LabError> {
        self.command.process_group(0);
        self.start()
    }

    /// Runs it to its end and keeps what it printed, 16 MiB of each stream. After this time it is killed.
    ///
    /// # Errors
    /// [`LabError::Spawn`], [`LabError::Child`], or [`LabError::Deadline`].
    pub fn output(&mut self, limit: Duration) -> Result<Output, LabError> {
        self.command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = self.spawn()?;
        let (out, err) = (child.stdout(), child.stderr());
        let ended = thread::scope(|scope| {
            let out = scope.spawn(move || read_bounded(out));
            let err = scope.spawn(move || read_bounded(err));
            let ended = child.wait_for(limit);
            // Whatever it started in its group may still hold the pipes.
            child.kill_group();
            let stdout = out.join().unwrap_or_default();
            let stderr = err.join().unwrap_or_default();
            ended.map(|status| status.map(|status| Output { status, stdout, stderr }))
        })?;
        ended.ok_or_else(|| LabError::Deadline { program: self.program.clone(), seconds: limit.as_secs() })
    }

    /// Starts it in the process group of this process, with its terminal.
    pub(super) fn spawn_in_our_group(&mut self) -> Result<PlaceChild, LabError> {
        self.command.stdin(Stdio::inherit());
        self.start()
    }

    fn start(&mut self) -> Result<PlaceChild, LabError> {
        // A `std::process::Command` cannot be cloned and must start on the keeper's thread: it moves there, and the
        // builder is spent.
        let command = std::mem::replace(&mut self.command, Command::new(&self.program));
        let child = self.place.keeper.spawn(command).map_err(|source| LabError::Spawn {
            program: self.program.clone(),
            place: self.place.name,
            source,
        })?;
        Ok(PlaceChild { child, program: self.program.clone(), ended: None })
    }
}

/// A program that runs in a place. Dropping it kills it and its process group.
#[derive(Debug)]
pub struct PlaceChild {
    child: Child,
    program: String,
    ended: Option<ExitStatus>,
}

impl PlaceChild {
    /// Its process id, as seen from outside.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Its standard input, once, when it was piped.
    pub const fn stdin(&mut self) -> Option<ChildStdin> {
        self.child.stdin.take()
    }

    /// Its standard output, once, when it was piped.
    pub const fn stdout(&mut self) -> Option<ChildStdout> {
        self.child.stdout.take()
    }

    /// Its standard error, once, when it was piped.
    pub const fn stderr(&mut self) -> Option<ChildStderr> {
        self.child.stderr.take()
    }

    /// Whether it has ended, and how.
    ///
    /// # Errors
    /// [`LabError::Child`].
    pub fn try_wait(&mut self) -> Result<Option<ExitStatus>, LabError> {
        if self.ended.is_none() {
            self.ended = self.child.try_wait().map_err(|source| self.lost(source))?;
        }
        Ok(self.ended)
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// [`LabError::Child`].
    pub fn wait(&mut self) -> Result<ExitStatus, LabError> {
        if let Some(status) = self.ended {
            return Ok(status);
        }
        let status = self.child.wait().map_err(|source| self.lost(source))?;
        self.ended = Some(status);
        Ok(status)
    }

    /// Waits for its end, but no longer than this; `None` when it still runs.
    ///
    /// # Errors
    /// [`LabError::Child`].
    pub fn wait_for(&mut self, limit: Duration) -> Result<Option<ExitStatus>, LabError> {
        let deadline = Instant::now() + limit;
        loop {
            let ended = self.try_wait()?;
            if ended.is_some() || Instant::now() >= deadline {
                return Ok(ended);
            }
            thread::sleep(WAIT_PAUSE);
        }
    }

    /// Sends a signal to its process group; to a program that has ended, nothing.
    pub fn signal(&mut self, signal: Signal) {
        if matches!(self.try_wait(), Ok(None))
            && let Ok(leader) = i32::try_from(self.child.id())
        {
            let _already_gone = killpg(Pid::from_raw(leader), signal);
        }
    }

    /// Kills it and its process group, and waits for its end.
    pub fn kill(&mut self) {
        self.kill_group();
        if self.ended.is_none() {
            let _already_dead = self.child.kill();
            self.ended = self.child.wait().ok();
        }
    }

    /// Kills the group. Its number can only be given anew once it is empty and its leader was reaped, so a group whose
    /// leader we have reaped is left to the end of the place.
    fn kill_group(&mut self) {
        self.signal(Signal::SIGKILL);
    }

    fn lost(&self, source: io::Error) -> LabError {
        LabError::Child { program: self.program.clone(), source }
    }
}

impl Drop for PlaceChild {
    fn drop(&mut self) {
        self.kill();
    }
}

fn read_bounded(stream: Option<impl Read>) -> Vec<u8> {
    let mut kept = Vec::new();
    let Some(mut stream) = stream else { return kept };
    // What was read before an error is still worth showing.
    let _cut_short = stream.by_ref().take(OUTPUT_BYTES_MAX).read_to_end(&mut kept);
    let mut scratch = [0; 4096];
    while matches!(stream.read(&mut scratch), Ok(1..)) {}
    kept
}
