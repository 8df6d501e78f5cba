//! The thread that makes a place and starts its programs.
//!
//! Programs get a PID namespace of their own. Its first process is a shell that waits for the end of a pipe whose other
//! end this process holds, and nobody else. When this process ends, by whatever signal, the pipe ends, the shell ends,
//! and the kernel kills every process of the PID namespace with it: also daemons, also grandchildren.

use std::{
    io::{self, Read as _},
    process::{Child, ChildStdin, Command, Stdio},
    sync::{Arc, mpsc},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use nix::sched::{CloneFlags, unshare};

use crate::{
    LabError,
    namespace::{NameFiles, Namespaces},
};

/// Requests that may wait for the thread; each caller waits for its answer, so this is the number of callers.
const REQUESTS_MAX: usize = 16;
/// The shell that POSIX promises.
const SHELL: &str = "/bin/sh";
/// How long the end of a place waits for the kernel to kill its programs.
const REAP_TIME_MAX: Duration = Duration::from_millis(200);
const REAP_PAUSE: Duration = Duration::from_millis(1);
/// The first process of the PID namespace. It mounts a `/proc` that shows this namespace (where that is refused, the
/// outer one stays, which serves all but `ps`), says that it is there, and waits. The wait must be a program's: a shell's
/// `read` is cut short when an orphan ends. Where `env` can, the kernel is told to reap orphans.
const FIRST_PROCESS: &str = "mount -t proc proc /proc 2>/dev/null; echo; \
     env --ignore-signal=CHLD true 2>/dev/null && exec env --ignore-signal=CHLD cat >/dev/null; exec cat >/dev/null";

struct Request {
    command: Command,
    answer: mpsc::SyncSender<io::Result<Child>>,
}

/// Starts programs in a place, and ends them all when dropped.
#[derive(Debug)]
pub(crate) struct Keeper {
    requests: Option<mpsc::SyncSender<Request>>,
    thread: Option<JoinHandle<()>>,
}

impl std::fmt::Debug for Request {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Request").finish_non_exhaustive()
    }
}

impl Keeper {
    /// Makes a place: its namespaces, and the thread that starts programs in them.
    pub(crate) fn start(place: &'static str, files: NameFiles) -> Result<(Self, Arc<Namespaces>), LabError> {
        let (requests, queue) = mpsc::sync_channel(REQUESTS_MAX);
        let (made, ready) = mpsc::sync_channel(1);
        let thread = thread::Builder::new()
            .name(format!("lab-{place}-keeper"))
            .spawn(move || {
                let first = match make(place, &files) {
                    Ok((namespaces, first)) => made.send(Ok(namespaces)).ok().map(|()| first),
                    Err(error) => {
                        let _starter_is_gone = made.send(Err(error));
                        None
                    }
                };
                if let Some(first) = first {
                    serve(&queue);
                    first.end();
                }
            })
            .map_err(|source| LabError::Thread { name: "keeper", source })?;
        let keeper = Self { requests: Some(requests), thread: Some(thread) };
        let namespaces = ready.recv().map_err(|_dead| LabError::Panicked(place))??;
        Ok((keeper, Arc::new(namespaces)))
    }

    /// Starts a program inside.
    pub(crate) fn spawn(&self, command: Command) -> io::Result<Child> {
        let stopped = || io::Error::new(io::ErrorKind::BrokenPipe, "the place is closed");
        let (answer, result) = mpsc::sync_channel(1);
        let requests = self.requests.as_ref().ok_or_else(stopped)?;
        requests.send(Request { command, answer }).map_err(|_closed| stopped())?;
        result.recv().map_err(|_closed| stopped())?
    }
}

impl Keeper {
    /// Begins to end every program inside, and does not wait for it.
    pub(crate) fn begin_end(&mut self) {
        drop(self.requests.take());
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.begin_end();
        if let Some(thread) = self.thread.take() {
            let _a_panic_was_printed = thread.join();
        }
    }
}

fn serve(queue: &mpsc::Receiver<Request>) {
    while let Ok(Request { mut command, answer }) = queue.recv() {
        if let Err(mpsc::SendError(Ok(mut orphan))) = answer.send(command.spawn()) {
            let _already_dead = orphan.kill();
            let _reaped = orphan.wait();
        }
    }
}

fn make(place: &'static str, files: &NameFiles) -> Result<(Namespaces, FirstProcess), LabError> {
    let namespaces = Namespaces::make(place, files)?;
    // Programs see another `/proc` than our own threads do, so they have mounts of their own.
    unshare(CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_NEWPID).map_err(|error| LabError::Namespace {
        place,
        what: "make a PID namespace",
        source: error.into(),
    })?;
    let first = FirstProcess::start().map_err(|source| LabError::Spawn {
        program: SHELL.to_owned(),
        place,
        source,
    })?;
    Ok((namespaces, first))
}

/// Process 1 of the PID namespace.
struct FirstProcess {
    child: Child,
    pipe: Option<ChildStdin>,
}

impl FirstProcess {
    fn start() -> io::Result<Self> {
        let mut child = Command::new(SHELL)
            .args(["-c", FIRST_PROCESS])
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let pipe = child.stdin.take();
        let mut line = [0; 1];
        let said = child.stdout.take().map_or(Ok(()), |mut out| out.read_exact(&mut line));
        let first = Self { child, pipe };
        match said {
            Ok(()) => Ok(first),
            Err(error) => {
                first.end();
                Err(error)
            }
        }
    }

    /// Ends every process of the namespace. The kernel lets the first process go only after all others were reaped, and
    /// those that this process started are reaped by who started them, perhaps later: that must not hold us up here.
    fn end(mut self) {
        drop(self.pipe.take());
        let _already_dead = self.child.kill();
        let deadline = Instant::now() + REAP_TIME_MAX;
        while Instant::now() < deadline {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            thread::sleep(REAP_PAUSE);
        }
        let reaper = thread::Builder::new().name("lab-reaper".to_owned());
        let _stays_a_zombie = reaper.spawn(move || self.child.wait());
    }
}
