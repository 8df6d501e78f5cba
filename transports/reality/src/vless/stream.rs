//! A VLESS stream: the head goes out with the first bytes, the answer's head is taken off the first that come in.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use commucat_transport_api::BoxStream;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Longest head of an answer: version, length, addons.
const MAX_RESPONSE_BYTES: usize = 2 + 255;

/// A stream with a head before what is written, and one to take off what is read.
#[derive(Debug)]
pub(crate) struct VlessStream {
    io: BoxStream,
    /// What is to be sent before anything else.
    head: Vec<u8>,
    sent: usize,
    /// What was read of the answer's head; `None` when there is none (any more).
    answer: Option<Vec<u8>>,
    /// What was read behind a head and not yet given out.
    ahead: Vec<u8>,
    given: usize,
}

impl VlessStream {
    /// The dialling end: sends `request` first, and expects an answer's head.
    pub(crate) const fn dialled(io: BoxStream, request: Vec<u8>) -> Self {
        Self { io, head: request, sent: 0, answer: Some(Vec::new()), ahead: Vec::new(), given: 0 }
    }

    /// The accepting end: sends the answer's head first; `ahead` was read behind the request.
    pub(crate) fn accepted(io: BoxStream, ahead: Vec<u8>) -> Self {
        Self { io, head: super::RESPONSE.to_vec(), sent: 0, answer: None, ahead, given: 0 }
    }

    fn poll_head(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.sent < self.head.len() {
            let rest = self.head.get(self.sent..).unwrap_or_default();
            match ready!(Pin::new(&mut self.io).poll_write(cx, rest))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                written => self.sent += written,
            }
        }
        self.head = Vec::new();
        self.sent = 0;
        Poll::Ready(Ok(()))
    }

    /// Reads the answer's head; `false` when the stream ended before it.
    fn poll_answer(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        while let Some(read) = &mut self.answer {
            let mut chunk = [0; MAX_RESPONSE_BYTES];
            let mut buf = ReadBuf::new(&mut chunk);
            ready!(Pin::new(&mut self.io).poll_read(cx, &mut buf))?;
            if buf.filled().is_empty() {
                return Poll::Ready(Ok(false));
            }
            read.extend_from_slice(buf.filled());
            let whole = super::response_bytes(read)
                .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
            if let Some(whole) = whole {
                self.ahead = read.split_off(whole);
                self.answer = None;
            }
        }
        Poll::Ready(Ok(true))
    }
}

impl AsyncRead for VlessStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        // A peer that speaks first must hear where it is to speak to.
        if !this.head.is_empty() && this.answer.is_some() {
            ready!(this.poll_head(cx))?;
            ready!(Pin::new(&mut this.io).poll_flush(cx))?;
        }
        if !ready!(this.poll_answer(cx))? {
            return Poll::Ready(Ok(()));
        }
        if this.given < this.ahead.len() {
            let rest = this.ahead.get(this.given..).unwrap_or_default();
            let count = rest.len().min(buf.remaining());
            buf.put_slice(rest.get(..count).unwrap_or_default());
            this.given += count;
            if this.given == this.ahead.len() {
                this.ahead = Vec::new();
                this.given = 0;
            }
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut this.io).poll_read(cx, buf)
    }
}

impl AsyncWrite for VlessStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        if this.head.is_empty() {
            return Pin::new(&mut this.io).poll_write(cx, bytes);
        }
        if this.sent > 0 || bytes.is_empty() {
            ready!(this.poll_head(cx))?;
            return Pin::new(&mut this.io).poll_write(cx, bytes);
        }
        // Head and first bytes as one write: one record, and a first flight whose length says less.
        let mut first = this.head.clone();
        first.extend_from_slice(bytes);
        let written = ready!(Pin::new(&mut this.io).poll_write(cx, &first))?;
        if written < this.head.len() {
            this.sent = written;
            ready!(this.poll_head(cx))?;
            return Pin::new(&mut this.io).poll_write(cx, bytes);
        }
        let taken = written - this.head.len();
        this.head = Vec::new();
        if taken == 0 && !bytes.is_empty() {
            return Pin::new(&mut this.io).poll_write(cx, bytes);
        }
        Poll::Ready(Ok(taken))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        ready!(this.poll_head(cx))?;
        Pin::new(&mut this.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        ready!(this.poll_head(cx))?;
        Pin::new(&mut this.io).poll_shutdown(cx)
    }
}
