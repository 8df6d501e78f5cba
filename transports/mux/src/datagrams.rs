//! A datagram association inside a stream: each datagram is `length u16 ‖ peer ‖ payload`, the length that of peer and
//! payload together. What is no datagram but has a length is dropped, as on UDP.

use std::{
    io,
    num::NonZeroUsize,
    pin::Pin,
    task::{Context, Poll, ready},
};

use commucat_transport_api::{DatagramChannel, HostPort, MAX_ADDRESS_BYTES, PathInfo};
use tokio::io::{AsyncRead as _, AsyncWrite as _, ReadBuf};

use crate::stream::MuxStream;

/// The field before each datagram.
const LENGTH_BYTES: usize = 2;
/// Longest datagram, in bytes, whatever its peer's name.
const MAX_DATAGRAM_BYTES: usize = 65_535 - MAX_ADDRESS_BYTES;
const MAX_DATAGRAM: NonZeroUsize = NonZeroUsize::new(MAX_DATAGRAM_BYTES).unwrap();
/// Bytes read at once: some datagrams of the common path MTU.
const READ_BYTES: usize = 8 * 1024;

/// An association.
#[derive(Debug)]
pub(crate) struct MuxDatagrams {
    stream: MuxStream,
    /// Received; what is before `at` was given out.
    received: Vec<u8>,
    at: usize,
    /// One datagram that the stream has yet to take in whole, and how much of it was taken.
    leaving: Vec<u8>,
    left: usize,
}

impl MuxDatagrams {
    pub(crate) const fn new(stream: MuxStream) -> Self {
        Self { stream, received: Vec::new(), at: 0, leaving: Vec::new(), left: 0 }
    }

    /// The next whole datagram among the bytes that were received: peer and payload.
    fn next(&mut self) -> Option<&[u8]> {
        let (field, rest) = self.received.get(self.at..)?.split_first_chunk::<LENGTH_BYTES>()?;
        let packet = rest.get(..usize::from(u16::from_be_bytes(*field)))?;
        self.at += LENGTH_BYTES + packet.len();
        Some(packet)
    }

    /// Reads more; `false` at the end of the stream.
    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        self.received.drain(..self.at);
        self.at = 0;
        let mut chunk = [0; READ_BYTES];
        let mut buf = ReadBuf::new(&mut chunk);
        let read = Pin::new(&mut self.stream).poll_read(cx, &mut buf);
        if read.is_pending() && self.received.is_empty() {
            self.received = Vec::new();
        }
        ready!(read)?;
        self.received.extend_from_slice(buf.filled());
        Poll::Ready(Ok(!buf.filled().is_empty()))
    }

    /// Hands the stream what it has yet to take.
    fn poll_leave(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while let Some(rest) = self.leaving.get(self.left..).filter(|rest| !rest.is_empty()) {
            self.left += ready!(Pin::new(&mut self.stream).poll_write(cx, rest))?;
        }
        self.leaving.clear();
        self.left = 0;
        Poll::Ready(Ok(()))
    }
}

impl DatagramChannel for MuxDatagrams {
    fn poll_recv(
        &mut self,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<Option<HostPort>>> {
        // Whoever only receives still moves the datagram that waits to leave.
        if let Poll::Ready(Err(error)) = self.poll_leave(cx) {
            return Poll::Ready(Err(error));
        }
        loop {
            while let Some(mut packet) = self.next() {
                let Ok(peer) = HostPort::decode(&mut packet) else { continue };
                if packet.len() > buf.remaining() {
                    continue;
                }
                buf.put_slice(packet);
                return Poll::Ready(Ok(Some(peer)));
            }
            if !ready!(self.poll_fill(cx))? {
                let whole = self.received.is_empty();
                return Poll::Ready(if whole { Ok(None) } else { Err(io::ErrorKind::UnexpectedEof.into()) });
            }
        }
    }

    fn poll_send(&mut self, cx: &mut Context<'_>, datagram: &[u8], peer: &HostPort) -> Poll<io::Result<()>> {
        if datagram.len() > MAX_DATAGRAM_BYTES {
            return Poll::Ready(Err(io::ErrorKind::InvalidInput.into()));
        }
        ready!(self.poll_leave(cx))?;
        let length = u16::try_from(peer.encoded_len() + datagram.len())
            .map_err(|_long: std::num::TryFromIntError| io::ErrorKind::InvalidInput)?;
        self.leaving.extend_from_slice(&length.to_be_bytes());
        peer.encode(&mut self.leaving);
        self.leaving.extend_from_slice(datagram);
        // It is taken now: what the stream has no room for goes with the next call.
        match self.poll_leave(cx) {
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Ready(Ok(())) | Poll::Pending => Poll::Ready(Ok(())),
        }
    }

    fn max_datagram(&self) -> NonZeroUsize {
        MAX_DATAGRAM
    }

    fn path(&self) -> PathInfo {
        self.stream.shared().path()
    }
}

impl Drop for MuxDatagrams {
    fn drop(&mut self) {
        // Leaving an association is no failure; leaving in the middle of a datagram is.
        if self.leaving.is_empty() {
            self.stream.end_in_order();
        }
    }
}
