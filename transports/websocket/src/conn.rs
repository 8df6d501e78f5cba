//! One WebSocket connection after its upgrade: frames in and out, control frames answered, pings, the close.
//!
//! Streams and datagrams are thin layers on this. It holds at most one outgoing frame buffer of 64 KiB; incoming
//! payload goes straight into the caller's buffer.

pub(crate) mod inbound;
mod linger;
mod outbound;

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use commucat_transport_api::Net;
use tokio::io::{AsyncWrite as _, ReadBuf};

use self::{
    inbound::{Event, Inbound, InboundError},
    linger::Linger,
    outbound::Outbound,
};
use crate::{
    carrier::Carrier,
    keepalive::{Due, Keepalive},
    wire::frame::{Opcode, Role},
};

/// Close code of an ordinary end (RFC 6455 §7.4.1).
const NORMAL: u16 = 1000;

/// What came.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// Payload was put into the buffer.
    Payload,
    /// The message is whole; `empty` when it had no byte at all.
    MessageEnd { empty: bool },
    /// The peer closed, in the WebSocket way.
    Closed,
    /// The carrier ended without a close frame.
    Eof,
}

/// A WebSocket connection.
#[derive(Debug)]
pub(crate) struct Conn {
    carrier: Carrier,
    inbound: Inbound,
    outbound: Outbound,
    keepalive: Keepalive,
    close_sent: bool,
    linger: Option<Linger>,
    net: Arc<dyn Net>,
}

impl Conn {
    /// Takes over a carrier behind its upgrade. `ping` is the quiet time before a ping.
    ///
    /// # Errors
    /// There is no randomness.
    pub(crate) fn new(
        carrier: Carrier,
        us: Role,
        net: Arc<dyn Net>,
        ping: Option<Duration>,
    ) -> io::Result<Self> {
        Ok(Self {
            carrier,
            inbound: Inbound::new(us),
            outbound: Outbound::new(us, &*net)?,
            keepalive: Keepalive::new(Arc::clone(&net), ping),
            close_sent: false,
            linger: None,
            net,
        })
    }

    /// Receives. On `Pending` everything that waits was flushed and the timer runs; with `wait` unset neither is done,
    /// for a caller that has something to return already.
    ///
    /// # Errors
    /// [`io::ErrorKind::InvalidData`] when the peer broke the protocol (it was told by a close frame),
    /// [`io::ErrorKind::TimedOut`] when it is gone, or the carrier's own.
    pub(crate) fn poll_next(
        &mut self,
        cx: &mut Context<'_>,
        out: &mut ReadBuf<'_>,
        wait: bool,
    ) -> Poll<io::Result<Next>> {
        loop {
            if let Some(linger) = &mut self.linger {
                return linger.poll(cx, &mut self.carrier, &mut self.outbound).map(Err);
            }
            if self.outbound.is_overfull() {
                ready!(self.outbound.poll_drain(cx, &mut self.carrier))?;
            }
            match self.inbound.poll(cx, &mut self.carrier, out) {
                Poll::Ready(Ok(event)) => {
                    self.keepalive.heard();
                    match event {
                        Event::Payload => return Poll::Ready(Ok(Next::Payload)),
                        Event::MessageEnd { empty } => return Poll::Ready(Ok(Next::MessageEnd { empty })),
                        Event::Eof => return Poll::Ready(Ok(Next::Eof)),
                        Event::Close => {
                            self.queue_close(NORMAL);
                            return Poll::Ready(Ok(Next::Closed));
                        }
                        Event::Ping(body) => self.outbound.push_control(Opcode::Pong, body.as_slice()),
                        Event::Pong => {}
                    }
                }
                Poll::Ready(Err(InboundError::Io(error))) => return Poll::Ready(Err(error)),
                Poll::Ready(Err(InboundError::Frame(error))) => {
                    self.queue_close(error.close_code());
                    let error = io::Error::new(io::ErrorKind::InvalidData, error);
                    self.linger = Some(Linger::new(&*self.net, error));
                }
                Poll::Pending if !wait => return Poll::Pending,
                Poll::Pending => ready!(self.poll_idle(cx))?,
            }
        }
    }

    /// Nothing to read: flush, then see to the timer. `Ready` means: look again.
    fn poll_idle(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if let Poll::Ready(Err(error)) = self.poll_flush(cx) {
            return Poll::Ready(Err(error));
        }
        let holding = self.carrier.holds_buffers() || self.outbound.holds_buffer();
        match ready!(self.keepalive.poll(cx, holding)) {
            Due::Dead => {
                Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the peer answers no ping")))
            }
            Due::Ping => {
                self.outbound.push_ping();
                Poll::Ready(Ok(()))
            }
            Due::Release => {
                self.carrier.release();
                self.outbound.release();
                Poll::Ready(Ok(()))
            }
        }
    }

    /// Frames as much of `bytes` as there is room for, in binary messages.
    ///
    /// # Errors
    /// [`io::ErrorKind::BrokenPipe`] after a close frame, or the carrier's own.
    pub(crate) fn poll_send(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if self.close_sent {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        self.outbound.poll_stream(cx, &mut self.carrier, bytes)
    }

    /// Queues one binary message of these parts, whole; `Pending` took nothing.
    ///
    /// # Errors
    /// As [`Self::poll_send`].
    pub(crate) fn poll_message(&mut self, cx: &mut Context<'_>, parts: &[&[u8]]) -> Poll<io::Result<()>> {
        if self.close_sent {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        self.outbound.poll_message(cx, &mut self.carrier, parts)
    }

    /// Queues an empty message.
    pub(crate) fn queue_empty(&mut self) {
        self.outbound.push_empty();
    }

    /// From now on the peer may leave pings unanswered: it was told that nothing more comes, and need not read on.
    pub(crate) const fn expect_no_pongs(&mut self) {
        self.keepalive.expect_no_pongs();
    }

    /// Queues a close frame, once.
    pub(crate) fn queue_close(&mut self, code: u16) {
        if !self.close_sent {
            self.close_sent = true;
            self.outbound.push_control(Opcode::Close, &code.to_be_bytes());
        }
    }

    /// Queues an ordinary close, once.
    pub(crate) fn queue_normal_close(&mut self) {
        self.queue_close(NORMAL);
    }

    /// Sends all that waits.
    ///
    /// # Errors
    /// The carrier's own.
    pub(crate) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.outbound.poll_drain(cx, &mut self.carrier))?;
        Pin::new(&mut self.carrier).poll_flush(cx)
    }

    /// Ends our direction of the carrier.
    ///
    /// # Errors
    /// The carrier's own.
    pub(crate) fn poll_carrier_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.outbound.poll_drain(cx, &mut self.carrier))?;
        Pin::new(&mut self.carrier).poll_shutdown(cx)
    }
}
