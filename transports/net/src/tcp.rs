//! A TCP connection that can be told apart from a broken one: [`abort`] resets, a plain drop closes.

use std::{
    io::{self, IoSlice},
    net::SocketAddr,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

pub use commucat_transport_api::abort;
use commucat_transport_api::{BoxFuture, BoxStream, StreamPort, is_aborting};
use socket2::SockRef;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
};

/// Connections that wait for `accept` (the kernel cuts this to `net.core.somaxconn`).
pub(crate) const LISTEN_BACKLOG: i32 = 4096;

/// A connected TCP socket.
#[derive(Debug)]
pub(crate) struct TcpConnection(TcpStream);

impl TcpConnection {
    pub(crate) fn new(stream: TcpStream) -> io::Result<Self> {
        // Small writes are protocol messages here; the layers above gather what belongs together.
        stream.set_nodelay(true)?;
        Ok(Self(stream))
    }

    pub(crate) const fn socket(&self) -> &TcpStream {
        &self.0
    }
}

impl Drop for TcpConnection {
    fn drop(&mut self) {
        if is_aborting() {
            // Fails only on a socket that is gone already.
            SockRef::from(&self.0).set_linger(Some(Duration::ZERO)).ok();
        }
    }
}

impl AsyncRead for TcpConnection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl AsyncWrite for TcpConnection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match Pin::new(&mut self.0).poll_shutdown(cx) {
            // The peer reset first; there is nothing left to say to it.
            Poll::Ready(Err(error)) if error.kind() == io::ErrorKind::NotConnected => Poll::Ready(Ok(())),
            other => other,
        }
    }
}

/// A listening TCP socket.
#[derive(Debug)]
pub(crate) struct TcpPort(pub(crate) TcpListener);

impl StreamPort for TcpPort {
    fn accept(&mut self) -> BoxFuture<'_, io::Result<(BoxStream, SocketAddr)>> {
        Box::pin(async {
            let (stream, peer) = self.0.accept().await?;
            let stream: BoxStream = Box::new(TcpConnection::new(stream)?);
            Ok((stream, peer))
        })
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }
}
