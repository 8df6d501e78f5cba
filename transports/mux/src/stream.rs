//! One stream of a session, with exact TCP semantics.

use std::{
    fmt, io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use commucat_transport_api::is_aborting;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::session::Shared;

/// A stream. Dropped before both directions came to their ends (or by [`commucat_transport_api::abort`]), it is reset:
/// the other end reads what arrived, then [`io::ErrorKind::ConnectionReset`], never a clean end.
pub(crate) struct MuxStream {
    shared: Arc<Shared>,
    id: u32,
}

impl MuxStream {
    pub(crate) const fn new(shared: Arc<Shared>, id: u32) -> Self {
        Self { shared, id }
    }

    pub(crate) fn shared(&self) -> &Shared {
        &self.shared
    }

    /// Ends our direction, for an owner that drops the stream in order.
    pub(crate) fn end_in_order(&self) {
        if !is_aborting() {
            // A stream that is broken already needs no end.
            let _broken = self.shared.with(|core| core.shutdown(self.id)).is_err();
        }
    }
}

impl AsyncRead for MuxStream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.shared.with(|core| core.poll_read(cx, self.id, buf)).map_err(io::Error::from)
    }
}

impl AsyncWrite for MuxStream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.shared.with(|core| core.poll_write(cx, self.id, buf)).map_err(io::Error::from)
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // The driver sends whatever was written without being asked.
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.shared.with(|core| core.shutdown(self.id)).map_err(io::Error::from))
    }
}

impl Drop for MuxStream {
    fn drop(&mut self) {
        self.shared.with(|core| core.drop_stream(self.id));
    }
}

impl fmt::Debug for MuxStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MuxStream").field("id", &self.id).finish_non_exhaustive()
    }
}
