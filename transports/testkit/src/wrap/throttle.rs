//! Gives streams out in small pieces, and can swallow them after a number of bytes: what a hostile peer or a censor
//! does to a parser that expects whole messages.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use commucat_transport_api::{BoxStream, Net};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::{Wrap, Wrapped};

/// Largest piece that [`Throttle`] reads at once, in bytes.
const PIECE_BYTES_MAX: usize = 4096;

/// How streams are held up.
#[derive(Clone, Copy, Debug, Default)]
pub struct Throttle {
    piece: Option<usize>,
    pause: bool,
    budget: Option<u64>,
}

impl Throttle {
    /// One byte a read and a write, with `Pending` before each: every await point of a parser is met.
    pub const fn one_byte() -> Self {
        Self::pieces(1)
    }

    /// At most this many bytes a read and a write (1 to 4096), with `Pending` before each.
    pub const fn pieces(bytes: usize) -> Self {
        let piece = if bytes == 0 { 1 } else { bytes };
        Self { piece: Some(piece), pause: true, budget: None }
    }

    /// After this many bytes, both directions together, a stream is a black hole: nothing is read or written any
    /// more, and nobody is told.
    pub const fn black_hole_after(bytes: u64) -> Self {
        Self { piece: None, pause: false, budget: Some(bytes) }
    }

    /// The network with its streams held up.
    pub fn over(self, inner: Arc<dyn Net>) -> Arc<dyn Net> {
        Arc::new(Wrapped { inner, around: Arc::new(self) })
    }
}

impl Wrap for Throttle {
    fn wrap(&self, inner: BoxStream) -> BoxStream {
        Box::new(ThrottledStream {
            inner,
            piece: self.piece.unwrap_or(PIECE_BYTES_MAX).min(PIECE_BYTES_MAX),
            pause: self.pause,
            left: self.budget,
            read_paused: false,
            write_paused: false,
        })
    }
}

#[derive(Debug)]
struct ThrottledStream {
    inner: BoxStream,
    piece: usize,
    pause: bool,
    left: Option<u64>,
    read_paused: bool,
    write_paused: bool,
}

impl ThrottledStream {
    /// Bytes the next read or write may move; none in the black hole.
    fn allowed(&self) -> usize {
        self.left.map_or(self.piece, |left| usize::try_from(left).unwrap_or(self.piece).min(self.piece))
    }

    fn spend(&mut self, bytes: usize) {
        self.left = self.left.map(|left| left.saturating_sub(bytes as u64));
    }
}

/// True when the caller must return `Pending` this time; it is woken at once.
fn pauses(paused: &mut bool, cx: &Context<'_>) -> bool {
    *paused = !*paused;
    if *paused {
        cx.waker().wake_by_ref();
    }
    *paused
}

impl AsyncRead for ThrottledStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let allowed = this.allowed().min(buf.remaining());
        if allowed == 0 && buf.remaining() > 0 {
            return Poll::Pending;
        }
        if this.pause && pauses(&mut this.read_paused, cx) {
            return Poll::Pending;
        }
        let mut piece = vec![0; allowed];
        let mut small = ReadBuf::new(&mut piece);
        let outcome = Pin::new(&mut this.inner).poll_read(cx, &mut small);
        if outcome.is_pending() {
            // The next poll is the awaited one: it should not pause again.
            this.read_paused = true;
        }
        ready!(outcome)?;
        buf.put_slice(small.filled());
        let moved = small.filled().len();
        this.spend(moved);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for ThrottledStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        let allowed = this.allowed();
        if allowed == 0 && !data.is_empty() {
            return Poll::Pending;
        }
        if this.pause && pauses(&mut this.write_paused, cx) {
            return Poll::Pending;
        }
        let data = data.get(..data.len().min(allowed)).unwrap_or_default();
        let outcome = Pin::new(&mut this.inner).poll_write(cx, data);
        if outcome.is_pending() {
            this.write_paused = true;
        }
        let taken = ready!(outcome)?;
        this.spend(taken);
        Poll::Ready(Ok(taken))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.left == Some(0) {
            return Poll::Pending;
        }
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.left == Some(0) {
            return Poll::Pending;
        }
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}
