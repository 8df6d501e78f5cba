//! A stream that ends when nothing moves for too long, or when too much moved.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Instant, Sleep, sleep},
};

/// Bytes that the streams of one connection may still move, both ways together.
#[derive(Clone, Debug)]
pub(crate) struct Budget(Arc<AtomicU64>);

impl Budget {
    pub(crate) fn new(bytes: u64) -> Self {
        Self(Arc::new(AtomicU64::new(bytes)))
    }

    fn charge(&self, bytes: usize) -> io::Result<()> {
        let take = |left: u64| left.checked_sub(bytes as u64);
        match self.0.fetch_update(Relaxed, Relaxed, take) {
            Ok(_before) => Ok(()),
            Err(_left) => Err(io::ErrorKind::QuotaExceeded.into()),
        }
    }
}

/// Fails with [`io::ErrorKind::TimedOut`] after silence, and with [`io::ErrorKind::QuotaExceeded`] above the budget.
#[derive(Debug)]
pub(crate) struct Guarded<S> {
    io: S,
    idle: Duration,
    moved: Instant,
    timer: Pin<Box<Sleep>>,
    budget: Budget,
}

impl<S> Guarded<S> {
    pub(crate) fn new(io: S, idle: Duration, budget: Budget) -> Self {
        Self { io, idle, moved: Instant::now(), timer: Box::pin(sleep(idle)), budget }
    }

    fn moved(&mut self, bytes: usize) -> io::Result<()> {
        self.moved = Instant::now();
        self.budget.charge(bytes)
    }

    /// Ready when nothing moved for too long. The timer is only set anew when it fires: that is once an idle time,
    /// not once a read.
    fn poll_idle(&mut self, cx: &mut Context<'_>) -> Poll<io::Error> {
        loop {
            ready!(self.timer.as_mut().poll(cx));
            let due = self.moved + self.idle;
            if due <= Instant::now() {
                return Poll::Ready(io::ErrorKind::TimedOut.into());
            }
            self.timer.as_mut().reset(due);
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Guarded<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        match Pin::new(&mut self.io).poll_read(cx, buf) {
            Poll::Ready(Ok(())) => Poll::Ready(self.moved(buf.filled().len().saturating_sub(before))),
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Pending => self.poll_idle(cx).map(Err),
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Guarded<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match Pin::new(&mut self.io).poll_write(cx, buf) {
            Poll::Ready(Ok(written)) => Poll::Ready(self.moved(written).map(|()| written)),
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Pending => self.poll_idle(cx).map(Err),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match Pin::new(&mut self.io).poll_flush(cx) {
            Poll::Pending => self.poll_idle(cx).map(Err),
            done @ Poll::Ready(_) => done,
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match Pin::new(&mut self.io).poll_shutdown(cx) {
            Poll::Pending => self.poll_idle(cx).map(Err),
            done @ Poll::Ready(_) => done,
        }
    }
}
