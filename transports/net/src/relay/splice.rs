//! Bytes from socket to socket through a pipe: the kernel moves pages, and no byte comes to user space (splice(2)).

use std::{
    cell::RefCell,
    io,
    os::fd::{AsFd as _, OwnedFd},
    sync::atomic::{AtomicUsize, Ordering},
    task::{Context, Poll, ready},
};

use rustix::{
    io::Errno,
    pipe::{PipeFlags, SpliceFlags, fcntl_getpipe_size, fcntl_setpipe_size, pipe_with, splice},
};
use tokio::{io::Interest, net::TcpStream};

/// Bytes that a pipe should hold: what a user may ask for (`fs.pipe-max-size`). A relay on a busy machine took 0.75 of a
/// copying one's processor time with it, 0.85 with half of it and 0.93 with a quarter.
const PIPE_BYTES: usize = 1 << 20;
/// A pipe that holds less than this is worse than copying. The kernel gives so short ones to a user who has many
/// (`fs.pipe-user-pages-soft`, 64 MiB in all).
const MIN_PIPE_BYTES: usize = 64 << 10;
/// Pipes of the process: 64 MiB of them, and two descriptors each. Directions beyond it copy.
const MAX_PIPES: usize = 64;
/// Pipes that a thread keeps for reuse.
const MAX_KEPT: usize = 16;

/// Pipes there are.
static PIPES: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    static FREE: RefCell<Vec<Pipe>> = const { RefCell::new(Vec::new()) };
}

/// What the kernel does of one direction.
#[derive(Default)]
pub(super) struct Kernel {
    pipe: Option<Pipe>,
    /// Bytes in the pipe.
    held: usize,
    refused: bool,
}

impl Kernel {
    /// Bytes that were read and not yet written.
    pub(super) const fn held(&self) -> usize {
        self.held
    }

    /// Whether it is worth asking.
    pub(super) const fn can(&self) -> bool {
        !self.refused
    }

    /// Reads what the socket has; 0 is its end, `None` that the kernel will not: then copy. Nothing may be held.
    pub(super) fn poll_fill(
        &mut self,
        cx: &mut Context<'_>,
        source: &TcpStream,
    ) -> Poll<io::Result<Option<usize>>> {
        loop {
            ready!(source.poll_read_ready(cx))?;
            let Some(pipe) = self.pipe.take().or_else(Pipe::take) else { return Poll::Ready(Ok(None)) };
            let pipe = self.pipe.insert(pipe);
            let moved = source.try_io(Interest::READABLE, || {
                Ok(splice(source.as_fd(), None, pipe.write.as_fd(), None, pipe.bytes, SpliceFlags::NONBLOCK)?)
            });
            match moved {
                Ok(count) => {
                    self.held = count;
                    return Poll::Ready(Ok(Some(count)));
                }
                Err(error) if is_later(&error) => {}
                Err(error) if is_refusal(&error) => {
                    self.refused = true;
                    return Poll::Ready(Ok(None));
                }
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }

    /// Writes some of what is held: how many bytes.
    pub(super) fn poll_drain(&mut self, cx: &mut Context<'_>, sink: &TcpStream) -> Poll<io::Result<usize>> {
        let Some(pipe) = &self.pipe else { return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())) };
        loop {
            ready!(sink.poll_write_ready(cx))?;
            // No more is asked for than there is: the kernel would hold the last packet back for it.
            let moved = sink.try_io(Interest::WRITABLE, || {
                Ok(splice(pipe.read.as_fd(), None, sink.as_fd(), None, self.held, SpliceFlags::NONBLOCK)?)
            });
            match moved {
                Ok(0) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Ok(count) => {
                    self.held = self.held.saturating_sub(count);
                    return Poll::Ready(Ok(count));
                }
                Err(error) if is_later(&error) => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }

    /// Gives the pipe back; bytes that are in it are lost.
    pub(super) fn release(&mut self) {
        let held = std::mem::take(&mut self.held);
        if let Some(pipe) = self.pipe.take().filter(|_| held == 0) {
            pipe.give();
        }
    }
}

fn is_later(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
}

/// A kernel, or a guard before it, that does not know the call or will not do it with these.
fn is_refusal(error: &io::Error) -> bool {
    let errno = Errno::from_io_error(error);
    matches!(errno, Some(Errno::INVAL | Errno::NOSYS | Errno::PERM | Errno::NOTSUP))
}

/// An empty pipe.
struct Pipe {
    read: OwnedFd,
    write: OwnedFd,
    bytes: usize,
}

impl Pipe {
    /// One that was used before, or a new one; `None` when there are enough.
    fn take() -> Option<Self> {
        if let Some(pipe) = FREE.with_borrow_mut(Vec::pop) {
            return Some(pipe);
        }
        let more = |count: usize| (count < MAX_PIPES).then_some(count + 1);
        PIPES.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).ok()?;
        let Ok((read, write)) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK) else {
            PIPES.fetch_sub(1, Ordering::Relaxed);
            return None;
        };
        // A kernel that gives less says so below.
        fcntl_setpipe_size(&write, PIPE_BYTES).ok();
        let bytes = fcntl_getpipe_size(&write).unwrap_or_default();
        // Dropping it counts it off.
        Some(Self { read, write, bytes }).filter(|pipe| pipe.bytes >= MIN_PIPE_BYTES)
    }

    fn give(self) {
        // A thread that is ending has no store any more; then the pipe is closed.
        FREE.try_with(|free| {
            if let Ok(mut free) = free.try_borrow_mut()
                && free.len() < MAX_KEPT
            {
                free.push(self);
            }
        })
        .ok();
    }
}

impl Drop for Pipe {
    fn drop(&mut self) {
        PIPES.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pipes_are_reused_and_bounded() {
        let all: Vec<Pipe> = std::iter::from_fn(Pipe::take).take(MAX_PIPES + 1).collect();
        assert!(all.len() <= MAX_PIPES);
        for pipe in all {
            pipe.give();
        }
        FREE.with_borrow(|free| assert!(!free.is_empty() && free.len() <= MAX_KEPT));
        assert!(PIPES.load(Ordering::Relaxed) < MAX_PIPES);
        FREE.with_borrow_mut(Vec::clear);
    }

    #[test]
    fn a_pipe_with_bytes_is_not_reused() {
        let mut kernel = Kernel { pipe: Pipe::take(), held: 1, refused: false };
        assert!(kernel.pipe.is_some());
        kernel.release();
        FREE.with_borrow(|free| assert!(free.is_empty()));
    }
}
