//! A program that runs in a place: like `std::process::Command`, but it can only be started inside.

use std::{
    ffi::OsStr,
    io::{self, Read},
    os::unix::process::CommandExt as _,
    path::Path,
    process::{Child, ChildStderr, ChildStdin, ChildStdout, Command, ExitStatus, Output, Stdio},
    sync::{Arc, Mutex, PoisonError, mpsc},
    thread,
    time::{Duration, Instant},
};

use nix::{
    sys::{
        signal::{Signal, killpg},
        wait::{Id, WaitPidFlag, WaitStatus, waitid},
    },
    unistd::Pid,
};

use super::Place;
use crate::LabError;

/// Bytes of standard output, and of standard error, that [`PlaceCommand::output`] keeps; what is more is read and
/// dropped, so that the program does not block.
const OUTPUT_BYTES_MAX: usize = 16 * 1024 * 1024;
/// How long [`PlaceCommand::output`] waits for the end of a stream after the end of the program.
const STREAM_END_MAX: Duration = Duration::from_millis(500);
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

    /// Runs it to its end and keeps what it printed, 16 MiB of each stream. After this time it is killed. What it leaves
    /// running in its process group is killed with its end.
    ///
    /// # Errors
    /// [`LabError::Spawn`], [`LabError::Child`], or [`LabError::Deadline`].
    pub fn output(&mut self, limit: Duration) -> Result<Output, LabError> {
        self.command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = self.spawn()?;
        let (out, err) = (Gathered::start(child.stdout()), Gathered::start(child.stderr()));
        let deadline = Instant::now() + limit;
        while !child.has_ended()? {
            if Instant::now() >= deadline {
                return Err(LabError::Deadline { program: self.program.clone(), seconds: limit.as_secs() });
            }
            thread::sleep(WAIT_PAUSE);
        }
        child.signal(Signal::SIGKILL);
        let status = child.wait()?;
        Ok(Output { status, stdout: out.take(), stderr: err.take() })
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

    /// Sends a signal to its process group. Nothing, once its end was waited for: its number may be another's then.
    pub fn signal(&self, signal: Signal) {
        if self.ended.is_none()
            && let Ok(leader) = i32::try_from(self.child.id())
        {
            let _already_gone = killpg(Pid::from_raw(leader), signal);
        }
    }

    /// Kills it and its process group, and waits for its end.
    pub fn kill(&mut self) {
        self.signal(Signal::SIGKILL);
        if self.ended.is_none() {
            let _already_dead = self.child.kill();
            self.ended = self.child.wait().ok();
        }
    }

    /// Whether it has ended, without reaping it: its number, and that of its group, stay its own.
    fn has_ended(&self) -> Result<bool, LabError> {
        if self.ended.is_some() {
            return Ok(true);
        }
        let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
        let id = i32::try_from(self.child.id()).map_err(|error| self.lost(io::Error::other(error)))?;
        match waitid(Id::Pid(Pid::from_raw(id)), flags) {
            Ok(status) => Ok(status != WaitStatus::StillAlive),
            Err(error) => Err(self.lost(error.into())),
        }
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

/// What a stream gave, read by a thread of its own. The stream may stay open after the program's end, in the hands of a
/// daemon that it left; so nobody waits for its end longer than a moment.
struct Gathered {
    kept: Arc<Mutex<Vec<u8>>>,
    ended: mpsc::Receiver<()>,
}

impl Gathered {
    fn start(stream: Option<impl Read + Send + 'static>) -> Self {
        let kept = Arc::<Mutex<Vec<u8>>>::default();
        let (end, ended) = mpsc::sync_channel(1);
        if let Some(stream) = stream {
            let into = Arc::clone(&kept);
            let reader = thread::Builder::new().name("lab-output".to_owned());
            let _without_a_thread_nothing_is_kept = reader.spawn(move || {
                gather(stream, &into);
                let _nobody_waits = end.send(());
            });
        }
        Self { kept, ended }
    }

    fn take(self) -> Vec<u8> {
        let _all_or_what_there_is = self.ended.recv_timeout(STREAM_END_MAX);
        std::mem::take(&mut self.kept.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn gather(mut stream: impl Read, into: &Mutex<Vec<u8>>) {
    let mut scratch = [0; 8192];
    // An error ends the stream; what was read before it is still worth showing.
    while let Ok(length @ 1..) = stream.read(&mut scratch) {
        let mut kept = into.lock().unwrap_or_else(PoisonError::into_inner);
        let room = OUTPUT_BYTES_MAX.saturating_sub(kept.len());
        kept.extend(scratch.iter().take(length.min(room)));
    }
}
