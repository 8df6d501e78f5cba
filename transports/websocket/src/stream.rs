//! A byte stream over WebSocket frames, with the half-close that WebSocket lacks.
//!
//! *Exact* (our own peers): an empty binary message is the end of that direction; the other one goes on. When both have
//! ended, a close frame and the end of the carrier follow. A close frame or an end of the carrier before the empty
//! message is an error, so a transfer that was cut never looks whole.
//!
//! *Foreign* (v2ray-plugin and the like, `auth: "none"`): a close frame is the end of both directions and an empty
//! message means nothing. A server that has no more to say closes; a client that has no more to send only flushes,
//! because a close would throw away the answer it waits for. A client of ours asks for *exact* by an empty message
//! as the very first one.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, Waker, ready},
};

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::{
    conn::{Conn, Next},
    wire::frame::Role,
};

/// How ends of stream are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HalfClose {
    /// By an empty message.
    Exact,
    /// By the close frame alone; `ask`: an empty first message turns it into [`HalfClose::Exact`].
    Foreign { ask: bool },
}

/// A stream over a [`Conn`].
#[derive(Debug)]
pub(crate) struct WsStream {
    conn: Conn,
    us: Role,
    half_close: HalfClose,
    /// The peer's direction has ended.
    read_end: bool,
    write_end: WriteEnd,
    /// First payload, which came with the upgrade request.
    early: BytesMut,
    /// An error that came behind bytes which were returned first.
    late: Option<io::Error>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum WriteEnd {
    Open,
    /// The peer was told, or will be with the next flush.
    Told,
}

impl WsStream {
    pub(crate) fn new(conn: Conn, us: Role, half_close: HalfClose) -> Self {
        Self {
            conn,
            us,
            half_close,
            read_end: false,
            write_end: WriteEnd::Open,
            early: BytesMut::new(),
            late: None,
        }
    }

    /// The same with payload that is read first.
    pub(crate) fn with_early(mut self, early: &[u8]) -> Self {
        self.early.extend_from_slice(early);
        self
    }

    /// Asks a peer that could be a foreign one for exact ends. Must be the first thing on the stream.
    pub(crate) fn ask_exact(&mut self) {
        self.conn.queue_empty();
    }

    /// What a message end means.
    fn message_end(&mut self, empty: bool) {
        let first = matches!(self.half_close, HalfClose::Foreign { ask: true });
        match (empty, self.half_close) {
            (true, HalfClose::Exact) => self.read_end = true,
            (true, HalfClose::Foreign { .. }) if first => self.half_close = HalfClose::Exact,
            (false, HalfClose::Foreign { .. }) => self.half_close = HalfClose::Foreign { ask: false },
            _ => {}
        }
    }

    /// The peer's direction ended. When ours had, too, the connection is over: say so, without waiting.
    fn finish_read(&mut self, cx: &mut Context<'_>) {
        if self.write_end == WriteEnd::Told {
            self.conn.queue_normal_close();
            // Best effort: nobody has to call again.
            let _sent = self.conn.poll_carrier_shutdown(cx);
        }
    }

    fn poll_one(&mut self, cx: &mut Context<'_>, out: &mut ReadBuf<'_>, wait: bool) -> Poll<io::Result<()>> {
        match ready!(self.conn.poll_next(cx, out, wait))? {
            Next::Payload => {}
            Next::MessageEnd { empty } => self.message_end(empty),
            Next::Closed if self.half_close == HalfClose::Exact => {
                let _sent = self.conn.poll_flush(cx);
                return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
            }
            Next::Closed => {
                let _sent = self.conn.poll_flush(cx);
                self.read_end = true;
            }
            Next::Eof => return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into())),
        }
        if self.read_end {
            self.finish_read(cx);
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncRead for WsStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        out: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if let Some(error) = this.late.take() {
            return Poll::Ready(Err(error));
        }
        let before = out.filled().len();
        if !this.early.is_empty() {
            let take = this.early.len().min(out.remaining());
            out.put_slice(&this.early.split_to(take));
        }
        while !this.read_end && out.remaining() > 0 {
            let nothing_yet = out.filled().len() == before;
            match this.poll_one(cx, out, nothing_yet) {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(error)) if nothing_yet => return Poll::Ready(Err(error)),
                Poll::Ready(Err(error)) => {
                    this.late = Some(error);
                    break;
                }
                Poll::Pending if nothing_yet => return Poll::Pending,
                Poll::Pending => break,
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for WsStream {
    /// Small writes wait until 64 KiB are there, for `poll_flush`, or for a read that finds nothing.
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if self.write_end != WriteEnd::Open {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        if bytes.is_empty() {
            // It would be an empty message, which means an end.
            return Poll::Ready(Ok(0));
        }
        self.conn.poll_send(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.conn.poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.write_end == WriteEnd::Open {
            match (this.half_close, this.us) {
                (HalfClose::Exact, _) => ready!(this.conn.poll_message(cx, &[]))?,
                (HalfClose::Foreign { .. }, Role::Server) => this.conn.queue_normal_close(),
                (HalfClose::Foreign { .. }, Role::Client) => {}
            }
            this.write_end = WriteEnd::Told;
            this.conn.expect_no_pongs();
        }
        if !this.read_end {
            return this.conn.poll_flush(cx);
        }
        this.conn.queue_normal_close();
        this.conn.poll_carrier_shutdown(cx)
    }
}

impl Drop for WsStream {
    /// A foreign peer takes an end without a close frame for a fault. One that was told by an empty message does not.
    fn drop(&mut self) {
        let foreign = matches!(self.half_close, HalfClose::Foreign { .. });
        if foreign && self.write_end == WriteEnd::Told && !self.read_end {
            self.conn.queue_normal_close();
            // Best effort: nobody can wait any more.
            let _sent = self.conn.poll_carrier_shutdown(&mut Context::from_waker(Waker::noop()));
        }
    }
}
