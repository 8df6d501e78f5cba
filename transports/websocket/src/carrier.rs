//! What carries the frames: the bare stream, or TLS of either make over it. Small reads are cheap on all three.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::coalesce::Coalesced;

/// A carrier, and the bytes that a handshake read beyond its end.
#[derive(Debug)]
pub(crate) struct Carrier {
    ahead: BytesMut,
    kind: Kind,
    /// Whether our close-notify (or, without TLS, nothing) stands before the carrier's own shutdown.
    tls_closed: bool,
}

#[derive(Debug)]
enum Kind {
    Plain(Coalesced),
    Boring(Box<tokio_boring::SslStream<Coalesced>>),
    Rustls(Box<tokio_rustls::server::TlsStream<Coalesced>>),
}

impl Carrier {
    pub(crate) fn plain(io: Coalesced) -> Self {
        Self::new(Kind::Plain(io))
    }

    pub(crate) fn boring(tls: tokio_boring::SslStream<Coalesced>) -> Self {
        Self::new(Kind::Boring(Box::new(tls)))
    }

    pub(crate) fn rustls(tls: tokio_rustls::server::TlsStream<Coalesced>) -> Self {
        Self::new(Kind::Rustls(Box::new(tls)))
    }

    fn new(kind: Kind) -> Self {
        Self { ahead: BytesMut::new(), kind, tls_closed: false }
    }

    /// Puts bytes back that were read too far; they are read again first.
    pub(crate) fn unread(&mut self, ahead: BytesMut) {
        debug_assert!(self.ahead.is_empty(), "bytes are put back once");
        self.ahead = ahead;
    }

    /// Gives idle buffers back.
    pub(crate) fn release(&mut self) {
        if self.ahead.is_empty() {
            self.ahead = BytesMut::new();
        }
        self.socket_mut().release();
    }

    /// Whether [`Self::release`] would free anything.
    pub(crate) fn holds_buffers(&self) -> bool {
        match &self.kind {
            Kind::Plain(io) => io,
            Kind::Boring(tls) => tls.get_ref(),
            Kind::Rustls(tls) => tls.get_ref().0,
        }
        .holds_buffers()
    }

    fn socket_mut(&mut self) -> &mut Coalesced {
        match &mut self.kind {
            Kind::Plain(io) => io,
            Kind::Boring(tls) => tls.get_mut(),
            Kind::Rustls(tls) => tls.get_mut().0,
        }
    }

    fn io(&mut self) -> Pin<&mut dyn Io> {
        match &mut self.kind {
            Kind::Plain(io) => Pin::new(io),
            Kind::Boring(tls) => Pin::new(&mut **tls),
            Kind::Rustls(tls) => Pin::new(&mut **tls),
        }
    }
}

trait Io: AsyncRead + AsyncWrite + Unpin {}
impl<T: AsyncRead + AsyncWrite + Unpin> Io for T {}

impl AsyncRead for Carrier {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        out: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if !this.ahead.is_empty() {
            let take = this.ahead.len().min(out.remaining());
            out.put_slice(this.ahead.get(..take).unwrap_or_default());
            this.ahead.advance(take);
            return Poll::Ready(Ok(()));
        }
        let polled = match &mut this.kind {
            Kind::Plain(io) => Pin::new(io).poll_read(cx, out),
            Kind::Boring(tls) => Pin::new(&mut **tls).poll_read(cx, out),
            Kind::Rustls(tls) => Pin::new(&mut **tls).poll_read(cx, out),
        };
        polled.map_err(truncation)
    }
}

/// BoringSSL reports an end without close-notify as an error of no kind.
fn truncation(error: io::Error) -> io::Error {
    let eof = error.kind() == io::ErrorKind::Other && error.to_string().contains("unexpected EOF");
    if eof { io::Error::new(io::ErrorKind::UnexpectedEof, error) } else { error }
}

impl AsyncWrite for Carrier {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match &mut self.kind {
            Kind::Plain(io) => Pin::new(io).poll_write(cx, bytes),
            Kind::Boring(tls) => Pin::new(&mut **tls).poll_write(cx, bytes),
            Kind::Rustls(tls) => Pin::new(&mut **tls).poll_write(cx, bytes),
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.io().poll_write_vectored(cx, parts)
    }

    fn is_write_vectored(&self) -> bool {
        matches!(self.kind, Kind::Plain(_) | Kind::Rustls(_))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.io().poll_flush(cx)
    }

    /// Close-notify, then the end of the carrier's own stream; reading goes on.
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.tls_closed {
            return Pin::new(self.socket_mut()).poll_shutdown(cx);
        }
        // Flushed first, so that the alert always finds room: a TLS shutdown that has to be asked twice would wait for
        // the peer's alert.
        ready!(self.io().poll_flush(cx))?;
        self.tls_closed = true;
        self.io().poll_shutdown(cx)
    }
}
