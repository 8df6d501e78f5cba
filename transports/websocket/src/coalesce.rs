//! Few system calls for many TLS records: reads ahead up to 64 KiB, gathers writes up to 64 KiB.
//!
//! BoringSSL asks for a five-byte header and then for one record of at most 16 KiB, rustls for four KiB at a time;
//! asked of a socket directly, that is half of all CPU time. Buffers grow with use and are given back by
//! [`Coalesced::release`].

use std::{
    io::{self, IoSlice},
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll, ready},
};

use commucat_transport_api::BoxStream;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// First size of the read buffer, in bytes: enough for a handshake flight.
const READ_MIN_BYTES: usize = 4 * 1024;
/// Largest size of the read buffer, in bytes.
const READ_MAX_BYTES: usize = 64 * 1024;
/// Gathered writes go out when this many bytes wait.
const WRITE_BYTES: usize = 64 * 1024;
/// Room above [`WRITE_BYTES`], so that four full TLS records with their overhead go out in one piece.
const WRITE_SLACK_BYTES: usize = 1024;

/// Bytes that crossed the carrier, for the evidence of a failed dial.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    sent: AtomicU64,
    received: AtomicU64,
}

impl Tally {
    /// Bytes sent and received.
    pub(crate) fn get(&self) -> (u64, u64) {
        (self.sent.load(Ordering::Relaxed), self.received.load(Ordering::Relaxed))
    }
}

/// A stream with a buffer on each side.
#[derive(Debug)]
pub(crate) struct Coalesced {
    io: BoxStream,
    tally: Arc<Tally>,
    /// Read ahead: `read[read_at..read_end]`. Its length is its size.
    read: Vec<u8>,
    read_at: usize,
    read_end: usize,
    /// Size of the next read buffer.
    read_size: usize,
    /// Not yet written: `write[write_at..]`.
    write: Vec<u8>,
    write_at: usize,
}

impl Coalesced {
    pub(crate) fn new(io: BoxStream, tally: Arc<Tally>) -> Self {
        Self {
            io,
            tally,
            read: Vec::new(),
            read_at: 0,
            read_end: 0,
            read_size: READ_MIN_BYTES,
            write: Vec::new(),
            write_at: 0,
        }
    }

    /// Gives empty buffers back. Costs the next read or write an allocation.
    pub(crate) fn release(&mut self) {
        if self.read_at == self.read_end {
            self.read = Vec::new();
            self.read_size = READ_MIN_BYTES;
        }
        if self.write.is_empty() {
            self.write = Vec::new();
        }
    }

    /// Whether [`Self::release`] would free anything.
    pub(crate) fn holds_buffers(&self) -> bool {
        !self.read.is_empty() || self.write.capacity() != 0
    }

    /// Waits until bytes are there to be read, or the end; holds no buffer while it waits.
    pub(crate) fn poll_readable(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.read_at < self.read_end { Poll::Ready(Ok(())) } else { self.poll_fill(cx) }
    }

    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let fresh = self.read.len() < self.read_size;
        if fresh {
            self.read.resize(self.read_size, 0);
        }
        let mut buf = ReadBuf::new(&mut self.read);
        let polled = Pin::new(&mut self.io).poll_read(cx, &mut buf);
        let filled = buf.filled().len();
        match polled {
            Poll::Pending => {
                if fresh && self.read_size == READ_MIN_BYTES {
                    self.read = Vec::new();
                }
                Poll::Pending
            }
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Ready(Ok(())) => {
                self.read_at = 0;
                self.read_end = filled;
                self.tally.received.fetch_add(filled as u64, Ordering::Relaxed);
                if filled == self.read.len() {
                    self.read_size = (self.read.len() * 4).min(READ_MAX_BYTES);
                }
                Poll::Ready(Ok(()))
            }
        }
    }

    fn poll_drain(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while let Some(waiting) = self.write.get(self.write_at..).filter(|waiting| !waiting.is_empty()) {
            let sent = ready!(Pin::new(&mut self.io).poll_write(cx, waiting))?;
            if sent == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.write_at += sent;
            self.tally.sent.fetch_add(sent as u64, Ordering::Relaxed);
        }
        self.write.clear();
        self.write_at = 0;
        Poll::Ready(Ok(()))
    }

    /// Makes room for `bytes` more; `Pending` when the carrier takes nothing.
    fn poll_room(&mut self, cx: &mut Context<'_>, bytes: usize) -> Poll<io::Result<()>> {
        if !self.write.is_empty() && self.write.len() + bytes > WRITE_BYTES + WRITE_SLACK_BYTES {
            ready!(self.poll_drain(cx))?;
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncRead for Coalesced {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        out: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.read_at == this.read_end {
            if out.remaining() >= READ_MAX_BYTES {
                let before = out.filled().len();
                let polled = Pin::new(&mut this.io).poll_read(cx, out);
                this.tally.received.fetch_add((out.filled().len() - before) as u64, Ordering::Relaxed);
                return polled;
            }
            ready!(this.poll_fill(cx))?;
        }
        let ahead = this.read.get(this.read_at..this.read_end).unwrap_or_default();
        let take = ahead.get(..out.remaining()).unwrap_or(ahead);
        out.put_slice(take);
        this.read_at += take.len();
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Coalesced {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        ready!(this.poll_room(cx, bytes.len()))?;
        if this.write.is_empty() && bytes.len() >= WRITE_BYTES {
            let sent = ready!(Pin::new(&mut this.io).poll_write(cx, bytes))?;
            this.tally.sent.fetch_add(sent as u64, Ordering::Relaxed);
            return Poll::Ready(Ok(sent));
        }
        this.write.extend_from_slice(bytes);
        if this.write.len() >= WRITE_BYTES {
            // What the carrier does not take now stays; the next write or flush takes it up.
            if let Poll::Ready(Err(error)) = this.poll_drain(cx) {
                return Poll::Ready(Err(error));
            }
        }
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        let total: usize = parts.iter().map(|part| part.len()).sum();
        ready!(this.poll_room(cx, total))?;
        if this.write.is_empty() && total >= WRITE_BYTES / 2 && this.io.is_write_vectored() {
            let sent = ready!(Pin::new(&mut this.io).poll_write_vectored(cx, parts))?;
            this.tally.sent.fetch_add(sent as u64, Ordering::Relaxed);
            return Poll::Ready(Ok(sent));
        }
        for part in parts {
            this.write.extend_from_slice(part);
        }
        if this.write.len() >= WRITE_BYTES
            && let Poll::Ready(Err(error)) = this.poll_drain(cx)
        {
            return Poll::Ready(Err(error));
        }
        Poll::Ready(Ok(total))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_drain(cx))?;
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_drain(cx))?;
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    #[tokio::test]
    async fn small_writes_wait_for_the_flush_and_order_is_kept() {
        let (near, mut far) = tokio::io::duplex(1 << 20);
        let tally = Arc::new(Tally::default());
        let mut stream = Coalesced::new(Box::new(near), Arc::clone(&tally));
        stream.write_all(b"one ").await.unwrap();
        stream.write_all(&[b'x'; WRITE_BYTES]).await.unwrap();
        stream.write_all(b" two").await.unwrap();
        let seen = tally.get().0;
        assert!(seen < 4 + WRITE_BYTES as u64 + 4, "something waits for the flush");
        stream.flush().await.unwrap();
        drop(stream);
        let mut all = Vec::new();
        far.read_to_end(&mut all).await.unwrap();
        assert_eq!(all.len(), 4 + WRITE_BYTES + 4);
        assert!(all.starts_with(b"one x") && all.ends_with(b"x two"));
    }

    #[tokio::test]
    async fn tiny_reads_come_from_one_big_one_and_buffers_are_given_back() {
        let (near, mut far) = tokio::io::duplex(1 << 20);
        far.write_all(&[7; 1000]).await.unwrap();
        let mut stream = Coalesced::new(Box::new(near), Arc::default());
        let mut five = [0; 5];
        for _ in 0..200 {
            stream.read_exact(&mut five).await.unwrap();
        }
        assert_eq!(stream.tally.get().1, 1000);
        assert!(stream.holds_buffers());
        stream.release();
        assert!(!stream.holds_buffers());
        drop(far);
        assert_eq!(stream.read(&mut five).await.unwrap(), 0);
    }
}
