//! The `raw` mode: the carrier's own bytes behind the 101. Half-close is that of TLS (close-notify) or TCP.
//!
//! A middle box that ends a connection as soon as one side does (nginx does) cannot carry it; the `ws` mode can.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use commucat_transport_api::Net;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::{
    carrier::Carrier,
    keepalive::{Due, Keepalive},
};

/// A stream of bare bytes.
#[derive(Debug)]
pub(crate) struct RawStream {
    carrier: Carrier,
    /// Gives buffers back; there are no pings here.
    idle: Keepalive,
    unflushed: bool,
    /// Our direction has ended.
    ended: bool,
}

impl RawStream {
    pub(crate) fn new(carrier: Carrier, net: Arc<dyn Net>) -> Self {
        Self { carrier, idle: Keepalive::new(net, None), unflushed: false, ended: false }
    }

    /// Nothing to read: what was written must not wait for it, and buffers need not be kept for it.
    fn poll_idle(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        if self.unflushed
            && let Poll::Ready(flushed) = Pin::new(&mut self.carrier).poll_flush(cx)
        {
            flushed?;
            self.unflushed = false;
        }
        while self.idle.poll(cx, self.carrier.holds_buffers()) == Poll::Ready(Due::Release) {
            self.carrier.release();
        }
        Ok(())
    }
}

impl AsyncRead for RawStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        out: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let before = out.filled().len();
        // TLS gives a record at a time; a big buffer holds several.
        while out.remaining() > 0 {
            let filled = out.filled().len();
            match Pin::new(&mut this.carrier).poll_read(cx, out) {
                Poll::Ready(Ok(())) if out.filled().len() > filled => this.idle.heard(),
                Poll::Pending if out.filled().len() == before => {
                    this.poll_idle(cx)?;
                    return Poll::Pending;
                }
                Poll::Ready(Err(error)) if out.filled().len() == before => return Poll::Ready(Err(error)),
                // An end or an error behind bytes shows again with the next read.
                _ => break,
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for RawStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        if this.ended {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        let mut taken = 0;
        while let Some(rest) = bytes.get(taken..).filter(|rest| !rest.is_empty()) {
            match Pin::new(&mut this.carrier).poll_write(cx, rest) {
                Poll::Ready(Ok(0)) => break,
                Poll::Ready(Ok(sent)) => taken += sent,
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending if taken == 0 => return Poll::Pending,
                Poll::Pending => break,
            }
        }
        this.unflushed = true;
        Poll::Ready(Ok(taken))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.unflushed = false;
        Pin::new(&mut self.carrier).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.ended = true;
        Pin::new(&mut self.carrier).poll_shutdown(cx)
    }
}
