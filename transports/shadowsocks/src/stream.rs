//! The byte stream of both ends: headers, then records; poll-based, without a task and without a buffer while idle.
//!
//! Writes are sealed at once into one buffer and leave in one call of the carrier; like every sealing stream it may
//! hold sealed bytes after `poll_write` returned, so flush what must arrive.

pub(crate) mod heads;
pub(crate) mod records;

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker, ready},
    time::{Duration, Instant},
};

use commucat_transport_api::{BoxStream, Net};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use self::{
    heads::{RequestOpening, ResponseExpected, ResponseOpening},
    records::{Opener, seal_records},
};
use crate::{
    buffer::{Inbox, Outbox},
    cipher::StreamCipher,
    error::StreamError,
    method::Method,
};

/// How long a request waits for the first payload once somebody waits for the answer. A protocol in which the
/// server speaks first pays it once; all others send header and payload as one.
const FIRST_PAYLOAD_WAIT: Duration = Duration::from_millis(20);

/// Servers that hide themselves hold a stranger about this long before they end his connection (ours a minute or
/// more, Outline's 59 s), so an end without an answer after it says that our key is a stranger's.
const STRANGERS_ARE_HELD: Duration = Duration::from_secs(55);

/// A Shadowsocks stream over a carrier.
#[derive(Debug)]
pub(crate) struct SsStream {
    io: BoxStream,
    method: Method,
    incoming: Incoming,
    outgoing: Outgoing,
    inbox: Inbox,
    outbox: Outbox,
    /// The reader sent the request and still has to see it leave; a writer that waits meanwhile is woken after.
    reader_sends: bool,
    writer: Option<Waker>,
    net: Arc<dyn Net>,
    started: Instant,
}

#[derive(Debug)]
enum Incoming {
    /// Client, before the request was sent.
    Unasked,
    /// Client, before the answer's header came.
    Expected(Box<ResponseExpected>),
    Open(Opener),
    /// The end came where it may.
    Ended,
    Broken,
}

#[derive(Debug)]
enum Outgoing {
    Request(Box<RequestOpening>),
    Response(Box<ResponseOpening>),
    Open(StreamCipher),
    /// We ended our side, or it failed.
    Closed,
}

impl SsStream {
    /// The dialling end. Nothing is sent yet.
    pub(crate) fn client(io: BoxStream, opening: RequestOpening) -> Self {
        let (method, net, started) = (opening.keys.method, Arc::clone(&opening.net), opening.started);
        let outgoing = Outgoing::Request(Box::new(opening));
        Self::new(io, method, Incoming::Unasked, outgoing, Inbox::default(), net, started)
    }

    /// The accepting end, after a request was read from the inbox.
    pub(crate) fn server(
        io: BoxStream,
        opener: Opener,
        response: ResponseOpening,
        inbox: Inbox,
        started: Instant,
    ) -> Self {
        let (method, net) = (response.method, Arc::clone(&response.net));
        let outgoing = Outgoing::Response(Box::new(response));
        Self::new(io, method, Incoming::Open(opener), outgoing, inbox, net, started)
    }

    fn new(
        io: BoxStream,
        method: Method,
        incoming: Incoming,
        outgoing: Outgoing,
        inbox: Inbox,
        net: Arc<dyn Net>,
        started: Instant,
    ) -> Self {
        let outbox = Outbox::default();
        Self {
            io,
            method,
            incoming,
            outgoing,
            inbox,
            outbox,
            reader_sends: false,
            writer: None,
            net,
            started,
        }
    }

    fn evidence(&self, error: StreamError) -> io::Error {
        let elapsed = self.net.now().saturating_duration_since(self.started);
        error.into_io(elapsed, self.outbox.sent(), self.inbox.received())
    }

    /// Seals `data`, with the header before it if that has not left. Empty data seals the header alone.
    fn seal(&mut self, data: &[u8]) -> io::Result<usize> {
        let mut taken = 0;
        match &self.outgoing {
            Outgoing::Request(opening) => {
                let (cipher, first, expected) = opening.seal(data, &mut self.outbox)?;
                self.outgoing = Outgoing::Open(cipher);
                self.incoming = Incoming::Expected(Box::new(expected));
                taken = first;
            }
            Outgoing::Response(opening) => {
                let (cipher, first) =
                    opening.seal(data, &mut self.outbox).map_err(|error| self.evidence(error))?;
                self.outgoing = Outgoing::Open(cipher);
                taken = first;
            }
            Outgoing::Open(_) | Outgoing::Closed => {}
        }
        let Outgoing::Open(cipher) = &mut self.outgoing else { return Err(io::ErrorKind::BrokenPipe.into()) };
        let rest = data.get(taken..).unwrap_or_default();
        match seal_records(cipher, self.method, rest, &mut self.outbox) {
            Ok(more) => Ok(taken + more),
            Err(error) => {
                self.outgoing = Outgoing::Closed;
                Err(self.evidence(error))
            }
        }
    }

    fn poll_drain(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.outbox.poll_drain(cx, &mut self.io) {
            Poll::Ready(Ok(())) => {
                self.reader_sends = false;
                Poll::Ready(Ok(()))
            }
            Poll::Ready(Err(error)) => {
                self.outgoing = Outgoing::Closed;
                Poll::Ready(Err(self.early_end(error)))
            }
            Poll::Pending => Poll::Pending,
        }
    }

    /// The same for whoever writes: he is remembered, in case the reader takes his place at the carrier.
    fn poll_drain_written(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let drained = self.poll_drain(cx);
        if drained.is_pending() && self.reader_sends {
            self.writer = Some(cx.waker().clone());
        }
        drained
    }

    /// Gets the request on its way when the reader comes before the writer.
    fn poll_request(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if let Outgoing::Request(opening) = &mut self.outgoing {
            let net = &self.net;
            let wait = opening.wait.get_or_insert_with(|| net.sleep_until(net.now() + FIRST_PAYLOAD_WAIT));
            ready!(wait.as_mut().poll(cx));
            self.seal(&[])?;
            self.reader_sends = true;
        }
        if self.reader_sends {
            // The carrier keeps one waker for writing: who waits there must hear that we took his place.
            ready!(self.poll_drain(cx))?;
            self.writer.take().into_iter().for_each(Waker::wake);
            ready!(Pin::new(&mut self.io).poll_flush(cx))?;
        }
        Poll::Ready(Ok(()))
    }

    /// Moves plaintext from the inbox to `buf`.
    fn open(&mut self, buf: &mut ReadBuf<'_>) -> io::Result<()> {
        let before = buf.filled().len();
        if let Incoming::Expected(expected) = &self.incoming {
            match expected.open(&mut self.inbox) {
                Ok(None) => return Ok(()),
                Ok(Some(opener)) => self.incoming = Incoming::Open(opener),
                Err(error) => return Err(self.break_incoming(error)),
            }
        }
        if let Incoming::Open(opener) = &mut self.incoming
            && let Err(error) = opener.read(&mut self.inbox, buf)
        {
            // What was opened before the broken record is good and is given out first.
            if buf.filled().len() > before {
                return Ok(());
            }
            return Err(self.break_incoming(error));
        }
        Ok(())
    }

    fn end(&mut self) -> io::Result<()> {
        match &self.incoming {
            Incoming::Open(opener) if opener.at_boundary(&self.inbox) => {
                self.incoming = Incoming::Ended;
                Ok(())
            }
            Incoming::Ended => Ok(()),
            Incoming::Open(_) => Err(self.break_incoming(StreamError::Truncated)),
            Incoming::Unasked | Incoming::Expected(_) | Incoming::Broken => {
                let age = self.net.now().saturating_duration_since(self.started);
                let ignored = age >= STRANGERS_ARE_HELD;
                Err(self.break_incoming(if ignored { StreamError::Ignored } else { StreamError::Unanswered }))
            }
        }
    }

    fn break_incoming(&mut self, error: StreamError) -> io::Error {
        self.incoming = Incoming::Broken;
        self.evidence(error)
    }

    /// A reset before a byte of the answer is evidence of its own.
    fn early_end(&mut self, error: io::Error) -> io::Error {
        let reset = matches!(
            error.kind(),
            io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionAborted | io::ErrorKind::BrokenPipe
        );
        match &self.incoming {
            Incoming::Unasked | Incoming::Expected(_) if reset && self.inbox.received() == 0 => {
                self.break_incoming(StreamError::Reset(error))
            }
            _ => error,
        }
    }
}

impl AsyncRead for SsStream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if buf.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        // Pending here must not keep us from seeing that the carrier ended, so the read below is polled as well.
        if let Poll::Ready(Err(error)) = this.poll_request(cx) {
            return Poll::Ready(Err(error));
        }
        let before = buf.filled().len();
        loop {
            match this.incoming {
                Incoming::Ended => return Poll::Ready(Ok(())),
                Incoming::Broken => return Poll::Ready(Err(io::ErrorKind::InvalidData.into())),
                Incoming::Unasked | Incoming::Expected(_) | Incoming::Open(_) => {}
            }
            this.open(buf)?;
            if buf.filled().len() > before {
                return Poll::Ready(Ok(()));
            }
            match ready!(this.inbox.poll_fill(cx, &mut this.io)) {
                Ok(0) => return Poll::Ready(this.end()),
                Ok(_) => {}
                Err(error) => return Poll::Ready(Err(this.early_end(error))),
            }
        }
    }
}

impl AsyncWrite for SsStream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if data.is_empty() {
            return Poll::Ready(Ok(0));
        }
        ready!(this.poll_drain_written(cx))?;
        let taken = this.seal(data)?;
        match this.poll_drain_written(cx) {
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            // What the carrier did not take leaves before the next write, or with a flush.
            Poll::Ready(Ok(())) | Poll::Pending => Poll::Ready(Ok(taken)),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if matches!(this.outgoing, Outgoing::Request(_)) {
            this.seal(&[])?;
        }
        ready!(this.poll_drain_written(cx))?;
        Pin::new(&mut this.io).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if matches!(this.outgoing, Outgoing::Request(_) | Outgoing::Response(_)) {
            this.seal(&[])?;
        }
        this.outgoing = Outgoing::Closed;
        ready!(this.poll_drain_written(cx))?;
        ready!(Pin::new(&mut this.io).poll_flush(cx))?;
        Pin::new(&mut this.io).poll_shutdown(cx)
    }
}
