//! A TLS engine on a carrier stream, as a byte stream.

#[cfg(test)]
pub(crate) mod pair;

use std::{
    fmt, io,
    pin::Pin,
    task::{Context, Poll, Waker, ready},
    time::Duration,
};

use commucat_mimic::{Client, Error, Responder};
use commucat_transport_api::BoxStream;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Bytes read from the carrier at once.
const READ_BYTES: usize = 32 << 10;
/// Sealed bytes that wait for the carrier; beyond it writes wait.
const MAX_OUTBOX_BYTES: usize = 64 << 10;
/// Plaintext taken by one write.
const MAX_WRITE_BYTES: usize = 32 << 10;

/// Either end of TLS, without a socket.
pub(crate) trait Engine: fmt::Debug + Send + Unpin + 'static {
    /// Takes what arrived.
    fn input(&mut self, bytes: &[u8]) -> Result<(), Error>;
    /// What is to be sent on its own account.
    fn transmit(&mut self, out: &mut Vec<u8>);
    /// Seals bytes.
    fn seal(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Result<(), Error>;
    /// Decrypted bytes.
    fn plaintext(&mut self) -> &mut Vec<u8>;
    /// Ends our direction.
    fn close(&mut self) -> Result<(), Error>;
    /// Whether the peer ended its direction.
    fn peer_closed(&mut self) -> bool;
    /// Whether to stop behind each record that held bytes.
    fn set_stepwise(&mut self, stepwise: bool);
    /// What arrived and was not opened.
    fn take_undecrypted(&mut self) -> Vec<u8>;
}

/// A client engine, with the time that tickets of a tunnel do not need.
#[derive(Debug)]
pub(crate) struct ClientEngine {
    client: Client,
    closed: bool,
}

impl ClientEngine {
    pub(crate) const fn new(client: Client) -> Self {
        Self { client, closed: false }
    }
}

impl Engine for ClientEngine {
    fn input(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.client.handle_input(Duration::ZERO, bytes)?;
        while let Some(event) = self.client.poll_event() {
            self.closed |= matches!(event, commucat_mimic::Event::Closed);
        }
        Ok(())
    }

    fn transmit(&mut self, out: &mut Vec<u8>) {
        self.client.poll_transmit(out);
    }

    fn seal(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Result<(), Error> {
        self.client.seal(bytes, out)
    }

    fn plaintext(&mut self) -> &mut Vec<u8> {
        self.client.plaintext()
    }

    fn close(&mut self) -> Result<(), Error> {
        self.client.close()
    }

    fn peer_closed(&mut self) -> bool {
        self.closed
    }

    fn set_stepwise(&mut self, stepwise: bool) {
        self.client.set_stepwise(stepwise);
    }

    fn take_undecrypted(&mut self) -> Vec<u8> {
        self.client.take_undecrypted()
    }
}

impl Engine for Responder {
    fn input(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.handle_input(bytes)
    }

    fn transmit(&mut self, out: &mut Vec<u8>) {
        self.poll_transmit(out);
    }

    fn seal(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Result<(), Error> {
        Self::seal(self, bytes, out)
    }

    fn plaintext(&mut self) -> &mut Vec<u8> {
        Self::plaintext(self)
    }

    fn close(&mut self) -> Result<(), Error> {
        Self::close(self)
    }

    fn peer_closed(&mut self) -> bool {
        self.is_closed()
    }

    fn set_stepwise(&mut self, stepwise: bool) {
        Self::set_stepwise(self, stepwise);
    }

    fn take_undecrypted(&mut self) -> Vec<u8> {
        Self::take_undecrypted(self)
    }
}

/// Sealed bytes on their way to the carrier.
#[derive(Debug, Default)]
struct Outbox {
    bytes: Vec<u8>,
    sent: usize,
}

impl Outbox {
    const fn waiting(&self) -> usize {
        self.bytes.len() - self.sent
    }

    fn poll_drain(&mut self, cx: &mut Context<'_>, io: &mut BoxStream) -> Poll<io::Result<()>> {
        while self.sent < self.bytes.len() {
            let rest = self.bytes.get(self.sent..).unwrap_or_default();
            match ready!(Pin::new(&mut *io).poll_write(cx, rest))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                written => self.sent += written,
            }
        }
        self.bytes.clear();
        self.sent = 0;
        Poll::Ready(Ok(()))
    }
}

/// TLS over a carrier.
#[derive(Debug)]
pub(crate) struct TlsStream<E> {
    io: BoxStream,
    engine: E,
    outbox: Outbox,
    inbox: Vec<u8>,
    /// How much of the engine's plaintext was read.
    taken: usize,
    ended: bool,
    closing: bool,
    /// The engine stops behind each record that holds bytes, and may keep more of them unopened.
    stepwise: bool,
    unopened: bool,
    /// Our direction goes on below TLS: the engine says nothing more.
    below: bool,
    /// Whoever waits for the carrier to take more; the reader may be another task.
    writer: Option<Waker>,
}

impl<E: Engine> TlsStream<E> {
    pub(crate) fn new(io: BoxStream, engine: E) -> Self {
        Self {
            io,
            engine,
            outbox: Outbox::default(),
            inbox: Vec::new(),
            taken: 0,
            ended: false,
            closing: false,
            stepwise: false,
            unopened: false,
            below: false,
            writer: None,
        }
    }

    /// The same, opening one record at a time until [`Self::open_all`].
    pub(crate) fn stepwise(io: BoxStream, mut engine: E) -> Self {
        engine.set_stepwise(true);
        // What came with the end of the handshake may wait in there.
        Self { stepwise: true, unopened: true, ..Self::new(io, engine) }
    }

    /// Opens whatever comes from here on.
    pub(crate) fn open_all(&mut self) {
        self.engine.set_stepwise(false);
        self.stepwise = false;
    }

    /// The bytes of the record that was opened last, after [`Self::poll_plaintext`] said that there are some.
    pub(crate) fn take_plaintext(&mut self) -> Vec<u8> {
        let mut bytes = std::mem::take(self.engine.plaintext());
        bytes.drain(..std::mem::take(&mut self.taken).min(bytes.len()));
        bytes
    }

    /// The peer goes on below TLS: what arrived of that already. The rest comes from [`Self::carrier`].
    pub(crate) fn read_below(&mut self) -> Vec<u8> {
        self.inbox = Vec::new();
        self.engine.take_undecrypted()
    }

    /// We go on below TLS, once [`Self::poll_sent`] said that what was sealed has left.
    pub(crate) const fn write_below(&mut self) {
        self.below = true;
    }

    /// The stream below.
    pub(crate) fn carrier(&mut self) -> Pin<&mut BoxStream> {
        Pin::new(&mut self.io)
    }

    /// Waits until there is room for sealed bytes.
    pub(crate) fn poll_room(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.outbox.waiting() < MAX_OUTBOX_BYTES {
            return Poll::Ready(Ok(()));
        }
        self.poll_sent(cx)
    }

    /// Seals bytes as records of their own, to leave with the next [`Self::poll_sent`].
    pub(crate) fn seal(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.engine.seal(bytes, &mut self.outbox.bytes).map_err(broken)
    }

    /// Waits until what was sealed has left.
    pub(crate) fn poll_sent(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let sent = self.outbox.poll_drain(cx, &mut self.io);
        self.writer = sent.is_pending().then(|| cx.waker().clone());
        sent
    }

    fn collect_engine(&mut self) {
        if self.below {
            // An answer to a KeyUpdate, an alert: there is nowhere to say it.
            self.engine.transmit(&mut Vec::new());
        } else {
            self.engine.transmit(&mut self.outbox.bytes);
        }
    }

    /// Reads until there is plaintext or the end: `false` at the end.
    pub(crate) fn poll_plaintext(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        loop {
            if self.engine.plaintext().len() > self.taken {
                return Poll::Ready(Ok(true));
            }
            if std::mem::take(&mut self.unopened) {
                self.open(cx, 0)?;
                continue;
            }
            if self.ended || self.engine.peer_closed() {
                return Poll::Ready(Ok(false));
            }
            if self.inbox.is_empty() {
                self.inbox.resize(READ_BYTES, 0);
            }
            let mut buf = ReadBuf::new(&mut self.inbox);
            let read = Pin::new(&mut self.io).poll_read(cx, &mut buf);
            let count = buf.filled().len();
            if read.is_pending() {
                // An idle connection holds no buffer.
                self.inbox = Vec::new();
                return Poll::Pending;
            }
            ready!(read)?;
            if count == 0 {
                self.ended = true;
                // Without close_notify somebody may have cut the stream.
                return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()));
            }
            self.open(cx, count)?;
        }
    }

    /// Hands that many bytes of the inbox to the engine.
    fn open(&mut self, cx: &mut Context<'_>, count: usize) -> io::Result<()> {
        let result = self.engine.input(self.inbox.get(..count).unwrap_or_default());
        self.unopened = self.stepwise && !self.engine.plaintext().is_empty();
        self.collect_engine();
        if self.outbox.waiting() > 0 {
            // What the engine says by itself is small; the next write carries what does not fit now.
            let sent = self.outbox.poll_drain(cx, &mut self.io)?;
            // The carrier knows one waiting task, and now that is the reader's.
            if let Some(writer) = self.writer.take().filter(|_| sent.is_pending()) {
                writer.wake();
            }
        }
        result.map_err(broken)
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
        if !ready!(this.poll_plaintext(cx))? {
            return Poll::Ready(Ok(()));
        }
        let plaintext = this.engine.plaintext();
        let rest = plaintext.get(this.taken..).unwrap_or_default();
        let count = rest.len().min(buf.remaining());
        buf.put_slice(rest.get(..count).unwrap_or_default());
        this.taken += count;
        if this.taken == plaintext.len() {
            plaintext.clear();
            this.taken = 0;
        }
        Poll::Ready(Ok(()))
    }
}

impl<E: Engine> AsyncWrite for TlsStream<E> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        if this.outbox.waiting() >= MAX_OUTBOX_BYTES {
            ready!(this.poll_sent(cx))?;
        }
        let taken = bytes.get(..bytes.len().min(MAX_WRITE_BYTES)).unwrap_or_default();
        this.engine.seal(taken, &mut this.outbox.bytes).map_err(broken)?;
        // What the carrier does not take now goes with the next write or flush.
        let _sent = this.poll_sent(cx)?;
        Poll::Ready(Ok(taken.len()))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        this.collect_engine();
        ready!(this.poll_sent(cx))?;
        Pin::new(&mut this.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if !this.below && !std::mem::replace(&mut this.closing, true) {
            this.engine.close().map_err(broken)?;
            this.engine.transmit(&mut this.outbox.bytes);
        }
        ready!(this.poll_sent(cx))?;
        Pin::new(&mut this.io).poll_shutdown(cx)
    }
}
