//! One direction of a relay: through a buffer of ours, or past us where both its ends are sockets of the machine.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use commucat_transport_api::{BoxStream, passed_in, passed_out, reader_below, writer_below};
use tokio::io::{AsyncRead as _, AsyncWrite as _, ReadBuf};

use super::{TURN_BYTES, splice::Kernel};
use crate::{pool, tcp::TcpConnection};

/// Which end of a direction failed.
pub(super) enum Broken {
    Source(io::Error),
    Sink(io::Error),
}

/// One direction: what was read and not yet written, and how far its end has come.
#[derive(Default)]
pub(super) struct Direction {
    buffer: Option<Box<[u8]>>,
    /// Unwritten bytes are `buffer[start..end]`, and what the kernel holds.
    start: usize,
    end: usize,
    kernel: Kernel,
    /// Index into [`pool::SIZES`] for the next buffer. Beyond the first the kernel is asked: what comes in drops is copied.
    class: usize,
    pub(super) moved: u64,
    /// Of these, what the kernel moved.
    #[cfg(test)]
    pub(super) spliced: u64,
    unflushed: bool,
    phase: Phase,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Phase {
    #[default]
    Open,
    /// The source ended; the sink has yet to hear of it.
    Ending,
    Ended,
}

impl Direction {
    pub(super) fn poll(
        &mut self,
        cx: &mut Context<'_>,
        source: &mut BoxStream,
        sink: &mut BoxStream,
    ) -> Poll<Result<(), Broken>> {
        let turn_ends = self.moved + TURN_BYTES;
        loop {
            if self.kernel.held() > 0 {
                ready!(self.poll_drain(cx, sink)).map_err(Broken::Sink)?;
                continue;
            }
            if self.start < self.end {
                ready!(self.poll_write(cx, sink)).map_err(Broken::Sink)?;
                continue;
            }
            if self.moved >= turn_ends {
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            match self.phase {
                Phase::Open => {
                    if self.poll_fill(cx, source, sink).map_err(Broken::Source)?.is_pending() {
                        self.release();
                        if self.unflushed
                            && Pin::new(&mut *sink).poll_flush(cx).map_err(Broken::Sink)?.is_ready()
                        {
                            self.unflushed = false;
                        }
                        return Poll::Pending;
                    }
                }
                Phase::Ending => {
                    self.release();
                    ready!(Pin::new(&mut *sink).poll_shutdown(cx)).map_err(Broken::Sink)?;
                    self.phase = Phase::Ended;
                }
                Phase::Ended => return Poll::Ready(Ok(())),
            }
        }
    }

    fn poll_fill(
        &mut self,
        cx: &mut Context<'_>,
        source: &mut BoxStream,
        sink: &mut BoxStream,
    ) -> Poll<io::Result<()>> {
        if self.class > 0
            && self.kernel.can()
            && writer_below::<TcpConnection>(sink).is_some()
            && let Some(socket) = reader_below::<TcpConnection>(source)
            // The end is read below, so that every layer of the source hears of it.
            && let Some(count @ 1..) = ready!(self.kernel.poll_fill(cx, socket.socket()))?
        {
            passed_in(source, count);
            self.resize(count);
            return Poll::Ready(Ok(()));
        }
        let wanted = pool::SIZES.get(self.class).copied().unwrap_or_default();
        if self.buffer.as_ref().is_none_or(|buffer| buffer.len() != wanted) {
            self.release();
        }
        let buffer = self.buffer.get_or_insert_with(|| pool::take(self.class));
        let mut read = ReadBuf::new(buffer);
        ready!(Pin::new(source).poll_read(cx, &mut read))?;
        (self.start, self.end) = (0, read.filled().len());
        if self.end == 0 {
            self.phase = Phase::Ending;
        } else {
            self.resize(self.end);
        }
        Poll::Ready(Ok(()))
    }

    /// So many bytes came at once: the next buffer may have to be another.
    fn resize(&mut self, count: usize) {
        let size = pool::SIZES.get(self.class).copied().unwrap_or_default();
        if count >= size {
            self.class = (self.class + 1).min(pool::SIZES.len() - 1);
        } else if count < size / 8 {
            self.class = self.class.saturating_sub(1);
        }
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, sink: &mut BoxStream) -> Poll<io::Result<()>> {
        let buffer = self.buffer.as_deref().unwrap_or_default();
        let rest = buffer.get(self.start..self.end).unwrap_or_default();
        let written = ready!(Pin::new(sink).poll_write(cx, rest))?;
        if written == 0 {
            return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
        }
        self.start += written;
        self.moved += written as u64;
        self.unflushed = true;
        Poll::Ready(Ok(()))
    }

    fn poll_drain(&mut self, cx: &mut Context<'_>, sink: &mut BoxStream) -> Poll<io::Result<()>> {
        let Some(socket) = writer_below::<TcpConnection>(sink) else {
            return Poll::Ready(Err(io::Error::other("a stream took back its way past it")));
        };
        let count = ready!(self.kernel.poll_drain(cx, socket.socket()))?;
        passed_out(sink, count);
        self.moved += count as u64;
        #[cfg(test)]
        {
            self.spliced += count as u64;
        }
        Poll::Ready(Ok(()))
    }

    fn release(&mut self) {
        if let Some(buffer) = self.buffer.take() {
            pool::give(buffer);
        }
        self.kernel.release();
    }
}

impl Drop for Direction {
    fn drop(&mut self) {
        self.release();
    }
}
