//! A stream whose incoming bytes are counted and, where there is a limit, held back.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll, ready},
};

use commucat_transport_api::{BoxFuture, BoxStream, Net};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::bucket::Bucket;
use crate::config::ByteLimit;

/// The stream.
pub(super) struct Metered {
    io: BoxStream,
    moved: Arc<AtomicU64>,
    limit: Option<Limit>,
}

struct Limit {
    bucket: Bucket,
    net: Arc<dyn Net>,
    timer: Option<BoxFuture<'static, ()>>,
}

impl Metered {
    pub(super) fn new(
        io: BoxStream,
        limit: Option<ByteLimit>,
        moved: &Arc<AtomicU64>,
        net: &Arc<dyn Net>,
    ) -> Self {
        let limit = limit.map(|limit| Limit {
            bucket: Bucket::new(&limit, net.now()),
            net: Arc::clone(net),
            timer: None,
        });
        Self { io, moved: Arc::clone(moved), limit }
    }
}

impl Limit {
    /// How many bytes may pass: at least one.
    fn poll_allowed(&mut self, cx: &mut Context<'_>) -> Poll<usize> {
        loop {
            if let Some(timer) = &mut self.timer {
                ready!(timer.as_mut().poll(cx));
                self.timer = None;
            }
            match self.bucket.allowed(self.net.now()) {
                Ok(bytes) => return Poll::Ready(usize::try_from(bytes).unwrap_or(usize::MAX)),
                Err(at) => self.timer = Some(self.net.sleep_until(at)),
            }
        }
    }
}

impl AsyncRead for Metered {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let before = buf.filled().len();
        match &mut this.limit {
            None => ready!(Pin::new(&mut this.io).poll_read(cx, buf))?,
            Some(limit) => {
                let most = ready!(limit.poll_allowed(cx)).min(buf.remaining());
                let mut part = ReadBuf::new(buf.initialize_unfilled_to(most));
                ready!(Pin::new(&mut this.io).poll_read(cx, &mut part))?;
                let count = part.filled().len();
                buf.advance(count);
                limit.bucket.spend(count as u64);
            }
        }
        this.moved.fetch_add((buf.filled().len() - before) as u64, Ordering::Relaxed);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Metered {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}
