//! A TLS engine on a carrier stream, as a byte stream.
//!
//! Records are opened from the buffer that the carrier filled straight into the caller's, and sealed from the caller's straight
//! into the one that leaves: many records a system call, no copy and no allocation a record, no buffer while nothing moves.

mod buffer;
mod engine;
#[cfg(test)]
pub(crate) mod pair;
#[cfg(test)]
mod tests;

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, Waker, ready},
};

use commucat_mimic::{Content, Error, MAX_RECORD_BYTES, Opened, sealed_bytes};
use commucat_transport_api::BoxStream;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use self::buffer::{Inbox, Outbox};
pub(crate) use self::engine::{ClientEngine, Engine};

/// Sealed bytes that wait for the carrier; beyond it [`TlsStream::poll_room`] waits.
const MAX_WAITING_BYTES: usize = 64 << 10;
/// Plaintext taken by one write: sixteen of the longest records.
const MAX_WRITE_BYTES: usize = 256 << 10;
/// Room for what an engine says by itself: answers to new keys, an alert. More than that waits in the engine.
const OWN_BYTES: usize = 128;

/// TLS over a carrier.
#[derive(Debug)]
pub(crate) struct TlsStream<E> {
    io: BoxStream,
    engine: E,
    outbox: Outbox,
    inbox: Inbox,
    ended: bool,
    closing: bool,
    /// Our direction goes on below TLS: the engine says nothing more.
    below: bool,
    /// What broke behind bytes that were good: it is told after them.
    broken: Option<io::Error>,
    /// Whoever waits for the carrier to take more; the reader may be another task.
    writer: Option<Waker>,
}

impl<E: Engine> TlsStream<E> {
    pub(crate) fn new(io: BoxStream, mut engine: E) -> Self {
        let (opened, arrived) = engine.take_arrived();
        Self {
            io,
            engine,
            outbox: Outbox::default(),
            inbox: Inbox::new(opened, &arrived),
            ended: false,
            closing: false,
            below: false,
            broken: None,
            writer: None,
        }
    }

    /// The bytes of the record that was opened last, after [`Self::poll_plaintext`] said that there are some.
    pub(crate) fn take_plaintext(&mut self) -> Vec<u8> {
        self.inbox.take_opened()
    }

    /// The peer goes on below TLS: what arrived of that already. The rest comes from [`Self::carrier`].
    pub(crate) fn read_below(&mut self) -> Vec<u8> {
        self.inbox.take_wire()
    }

    /// We go on below TLS, once [`Self::poll_sent`] said that what was sealed has left.
    pub(crate) const fn write_below(&mut self) {
        self.below = true;
    }

    /// Whether what was sealed has left.
    pub(crate) const fn is_sent(&self) -> bool {
        self.outbox.waiting() == 0
    }

    /// The stream below.
    pub(crate) const fn carrier(&mut self) -> &mut BoxStream {
        &mut self.io
    }

    /// Waits until there is room for sealed bytes.
    pub(crate) fn poll_room(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.outbox.waiting() < MAX_WAITING_BYTES {
            return Poll::Ready(Ok(()));
        }
        self.poll_sent(cx)
    }

    /// Seals bytes as records of their own, to leave with the next [`Self::poll_sent`]; after [`Self::poll_room`].
    pub(crate) fn seal(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.seal_some(bytes)? < bytes.len() {
            return Err(io::Error::other("a block that is longer than the room for it"));
        }
        Ok(())
    }

    /// Waits until what was sealed has left.
    pub(crate) fn poll_sent(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let sent = self.outbox.poll_drain(cx, &mut self.io);
        self.writer = sent.is_pending().then(|| cx.waker().clone());
        sent
    }

    /// Reads until there is the content of a record, for [`Self::take_plaintext`], or the end: `false` at the end.
    pub(crate) fn poll_plaintext(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        loop {
            if self.inbox.has_opened() {
                return Poll::Ready(Ok(true));
            }
            if self.open_next(cx, None)? {
                continue;
            }
            if !ready!(self.poll_fill(cx))? {
                return Poll::Ready(Ok(false));
            }
        }
    }

    fn seal_some(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let room = self.outbox.room(sealed_bytes(bytes.len()) + OWN_BYTES);
        let sealed = self.engine.seal(bytes, room).map_err(broken)?;
        self.outbox.add(sealed.written);
        Ok(sealed.taken)
    }

    /// Opens the next record, into `buf` when it fits there; `false` when there is no whole one.
    fn open_next(&mut self, cx: &mut Context<'_>, buf: Option<&mut ReadBuf<'_>>) -> io::Result<bool> {
        if let Some(error) = self.broken.take() {
            return Err(error);
        }
        let wire = self.inbox.wire();
        let opened = match buf {
            None => self.engine.open(wire, &mut []),
            Some(buf) => {
                let room = buf.initialize_unfilled_to(buf.remaining().min(MAX_RECORD_BYTES));
                let opened = self.engine.open(wire, room);
                if let Ok(Some(Opened { content: Content::Out(bytes), .. })) = &opened {
                    buf.advance(*bytes);
                }
                opened
            }
        };
        let opened = match opened {
            Ok(None) => return Ok(false),
            Ok(Some(opened)) => opened,
            Err(error) => {
                // The alert that is due.
                self.say(cx)?;
                return Err(broken(error));
            }
        };
        let place = if let Content::Wire(place) = &opened.content { place.clone() } else { 0..0 };
        self.inbox.use_up(opened.used, place);
        if opened.content == Content::None {
            self.say(cx)?;
        }
        Ok(true)
    }

    /// Reads from the carrier: `false` at the end.
    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        if self.ended || self.engine.peer_closed() {
            return Poll::Ready(Ok(false));
        }
        if ready!(self.inbox.poll_fill(cx, &mut self.io))? == 0 {
            self.ended = true;
            // Without close_notify somebody may have cut the stream.
            return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()));
        }
        Poll::Ready(Ok(true))
    }

    /// Sends what the engine says by itself. What does not leave now goes with the next write or flush.
    fn say(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        self.collect();
        if self.outbox.waiting() > 0 {
            let sent = self.outbox.poll_drain(cx, &mut self.io)?;
            // The carrier knows one waiting task, and now that is the reader's.
            if let Some(writer) = self.writer.take().filter(|_| sent.is_pending()) {
                writer.wake();
            }
        }
        Ok(())
    }

    fn collect(&mut self) {
        if self.below {
            // An answer to a KeyUpdate, an alert: there is nowhere to say it.
            return self.engine.forget();
        }
        let mut own = [0; OWN_BYTES];
        let count = self.engine.transmit(&mut own);
        if let (1.., Some(own)) = (count, own.get(..count)) {
            let room = self.outbox.room(count);
            if let Some(to) = room.get_mut(..count) {
                to.copy_from_slice(own);
                self.outbox.add(count);
            }
        }
    }
}

fn broken(error: Error) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}

impl<E: Engine> AsyncRead for TlsStream<E> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let before = buf.filled().len();
        while buf.remaining() > 0 {
            if this.inbox.has_opened() {
                this.inbox.give(buf);
                continue;
            }
            match this.open_next(cx, Some(buf)) {
                Ok(true) => continue,
                Ok(false) => {}
                // What was opened before the broken record is good and is given out first.
                Err(error) if buf.filled().len() > before => this.broken = Some(error),
                Err(error) => return Poll::Ready(Err(error)),
            }
            if buf.filled().len() > before || !ready!(this.poll_fill(cx))? {
                break;
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl<E: Engine> AsyncWrite for TlsStream<E> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        let bytes = bytes.get(..bytes.len().min(MAX_WRITE_BYTES)).unwrap_or_default();
        loop {
            if this.outbox.waiting() > 0 {
                ready!(this.poll_sent(cx))?;
            }
            let taken = this.seal_some(bytes)?;
            // What the carrier does not take now goes with the next write or flush.
            let sent = this.poll_sent(cx)?;
            if taken > 0 || bytes.is_empty() {
                return Poll::Ready(Ok(taken));
            }
            ready!(sent);
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        this.collect();
        ready!(this.poll_sent(cx))?;
        Pin::new(&mut this.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if !this.below && !std::mem::replace(&mut this.closing, true) {
            this.engine.close().map_err(broken)?;
            this.collect();
        }
        ready!(this.poll_sent(cx))?;
        Pin::new(&mut this.io).poll_shutdown(cx)
    }
}
