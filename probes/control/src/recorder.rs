//! A stream that first gives bytes that were already read, and keeps a copy of how it began.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::{Buf as _, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::limits::HELLO_BYTES_MAX;

/// What TLS reads from: the hello is in the copy.
#[derive(Debug)]
pub(crate) struct Recorder<S> {
    io: S,
    first: BytesMut,
    copy: Vec<u8>,
    recording: bool,
}

impl<S> Recorder<S> {
    pub(crate) fn new(first: BytesMut, io: S) -> Self {
        Self { io, first, copy: Vec::new(), recording: true }
    }

    /// How the stream began, at most [`HELLO_BYTES_MAX`] bytes. Keeps nothing from now on.
    pub(crate) fn take_copy(&mut self) -> Vec<u8> {
        self.recording = false;
        std::mem::take(&mut self.copy)
    }

    fn keep(&mut self, bytes: &[u8]) {
        if !self.recording {
            return;
        }
        let room = HELLO_BYTES_MAX.saturating_sub(self.copy.len());
        self.copy.extend_from_slice(bytes.get(..room.min(bytes.len())).unwrap_or_default());
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Recorder<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        if self.first.is_empty() {
            std::task::ready!(Pin::new(&mut self.io).poll_read(cx, buf))?;
        } else {
            let take = self.first.len().min(buf.remaining());
            buf.put_slice(self.first.get(..take).unwrap_or_default());
            self.first.advance(take);
        }
        self.keep(buf.filled().get(before..).unwrap_or_default());
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Recorder<S> {
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
