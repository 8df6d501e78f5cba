//! A Vision stream over TLS: blocks first, then each direction by itself goes on inside the TLS or below it.
//!
//! A direction that went below moves bytes between the caller and the carrier, without a copy of ours. What a direction
//! leaves behind when it goes below comes in order: content of the last block, decrypted bytes behind it, bytes that
//! arrived and were not decrypted, then the carrier.

use std::{
    fmt, io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use commucat_transport_api::{BoxFuture, BoxStream, Layer, Net};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::{
    Command, Unpadder,
    detector::{Detector, Direction},
    shaper::Shaper,
};
use crate::{
    tls::{Engine, TlsStream},
    vless::{RESPONSE, UUID_BYTES, response_bytes},
};

/// A client that was given nothing to say for so long sends its request with padding alone. Xray's time.
const SILENCE: Duration = Duration::from_millis(500);

/// The stream.
pub(crate) struct VisionStream<E> {
    tls: TlsStream<E>,
    net: Arc<dyn Net>,
    detector: Detector,
    shaper: Shaper,
    writing: Command,
    /// The request or the answer's head; it goes out with the first block.
    head: Vec<u8>,
    /// The end of [`SILENCE`]; only a client has one.
    silence: Option<BoxFuture<'static, ()>>,
    reading: Reading,
    /// Bytes to be read before anything else.
    ready: Vec<u8>,
    given: usize,
}

#[derive(Debug)]
enum Reading {
    /// What there is of the answer's head.
    Answer(Vec<u8>, Unpadder),
    Blocks(Unpadder),
    Plain,
    Below,
}

impl<E: Engine> VisionStream<E> {
    /// The dialling end.
    pub(crate) fn dialled(
        tls: TlsStream<E>,
        request: Vec<u8>,
        user: [u8; UUID_BYTES],
        net: &Arc<dyn Net>,
    ) -> Self {
        let silence = net.sleep_until(net.now() + SILENCE);
        let reading = Reading::Answer(Vec::new(), Unpadder::new(user));
        Self { silence: Some(silence), ..Self::new(tls, request, reading, user, net) }
    }

    /// The accepting end; `ahead` was read behind the request.
    ///
    /// # Errors
    /// `ahead` is no beginning of blocks.
    pub(crate) fn accepted(
        tls: TlsStream<E>,
        ahead: &[u8],
        user: [u8; UUID_BYTES],
        net: &Arc<dyn Net>,
    ) -> io::Result<Self> {
        let reading = Reading::Blocks(Unpadder::new(user));
        let mut stream = Self::new(tls, RESPONSE.to_vec(), reading, user, net);
        stream.take(ahead.to_vec())?;
        Ok(stream)
    }

    #[cfg(test)]
    pub(super) const fn detector_mut(&mut self) -> &mut Detector {
        &mut self.detector
    }

    #[cfg(test)]
    pub(super) fn is_below(&self) -> bool {
        self.writing == Command::Direct
    }

    fn new(
        tls: TlsStream<E>,
        head: Vec<u8>,
        reading: Reading,
        user: [u8; UUID_BYTES],
        net: &Arc<dyn Net>,
    ) -> Self {
        Self {
            tls,
            net: Arc::clone(net),
            detector: Detector::new(),
            shaper: Shaper::new(user),
            writing: Command::Continue,
            head,
            silence: None,
            reading,
            ready: Vec::new(),
            given: 0,
        }
    }

    /// Takes the bytes of a record; what they hold for the reader goes to `ready`.
    fn take(&mut self, mut bytes: Vec<u8>) -> io::Result<()> {
        if let Reading::Answer(answer, _) = &mut self.reading {
            answer.append(&mut bytes);
            let Some(whole) = response_bytes(answer).map_err(invalid)? else { return Ok(()) };
            bytes = answer.split_off(whole);
        }
        let (ended, rest) = match &mut self.reading {
            Reading::Answer(_, unpadder) | Reading::Blocks(unpadder) => {
                let mut input = bytes.as_slice();
                let ended = unpadder.take(&mut input, &mut self.ready).map_err(invalid)?;
                (ended, input)
            }
            Reading::Plain | Reading::Below => (None, bytes.as_slice()),
        };
        let content = self.ready.len();
        self.ready.extend_from_slice(rest);
        self.detector.observe(Direction::In, self.ready.get(..content).unwrap_or_default());
        self.reading = match (std::mem::replace(&mut self.reading, Reading::Plain), ended) {
            (_, Some(Command::End)) => Reading::Plain,
            (_, Some(Command::Direct)) => {
                let mut arrived = self.tls.read_below();
                self.ready.append(&mut arrived);
                Reading::Below
            }
            (Reading::Answer(_, unpadder), _) => Reading::Blocks(unpadder),
            (other, _) => other,
        };
        Ok(())
    }

    fn give(&mut self, buf: &mut ReadBuf<'_>) {
        let rest = self.ready.get(self.given..).unwrap_or_default();
        let count = rest.len().min(buf.remaining());
        buf.put_slice(rest.get(..count).unwrap_or_default());
        self.given += count;
        if self.given == self.ready.len() {
            self.ready = Vec::new();
            self.given = 0;
        }
    }

    /// Seals a block; what stands before the first one goes into the same record.
    fn seal(&mut self, block: &[u8]) -> io::Result<()> {
        if self.head.is_empty() {
            return self.tls.seal(block);
        }
        let mut first = std::mem::take(&mut self.head);
        first.extend_from_slice(block);
        self.tls.seal(&first)
    }

    /// Sends what stands before the first block, when nothing was written so far.
    fn open_with(&mut self, command: Command) -> io::Result<()> {
        self.silence = None;
        if !self.shaper.is_fresh() {
            return Ok(());
        }
        let block = self.shaper.empty(command, draw(&*self.net)?);
        self.writing = command;
        self.seal(&block)
    }

    /// A client that has nothing to say says so after a while: who it asked for may be the one to speak first.
    fn poll_silence(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        let Some(silence) = &mut self.silence else { return Ok(()) };
        if silence.as_mut().poll(cx).is_ready() {
            self.open_with(Command::Continue)?;
            // What does not leave now goes with the next write or flush.
            let _sent = Pin::new(&mut self.tls).poll_flush(cx)?;
        }
        Ok(())
    }
}

fn invalid(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}

fn draw(net: &dyn Net) -> io::Result<u32> {
    let mut bytes = [0; 4];
    net.fill_random(&mut bytes)?;
    Ok(u32::from_le_bytes(bytes))
}

impl<E: Engine> AsyncRead for VisionStream<E> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        loop {
            if this.given < this.ready.len() {
                this.give(buf);
                return Poll::Ready(Ok(()));
            }
            match &this.reading {
                Reading::Below => return Pin::new(this.tls.carrier()).poll_read(cx, buf),
                Reading::Plain => return Pin::new(&mut this.tls).poll_read(cx, buf),
                Reading::Answer(..) | Reading::Blocks(_) => {}
            }
            this.poll_silence(cx)?;
            if !ready!(this.tls.poll_plaintext(cx))? {
                let whole = match &this.reading {
                    Reading::Blocks(unpadder) => !unpadder.is_inside(),
                    // Who does not know the user ends the stream without a byte.
                    Reading::Answer(answer, _) => answer.is_empty(),
                    Reading::Plain | Reading::Below => true,
                };
                let end = if whole { Ok(()) } else { Err(io::ErrorKind::UnexpectedEof.into()) };
                return Poll::Ready(end);
            }
            let bytes = this.tls.take_plaintext();
            this.take(bytes)?;
        }
    }
}

impl<E: Engine> AsyncWrite for VisionStream<E> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        match this.writing {
            Command::End => return Pin::new(&mut this.tls).poll_write(cx, bytes),
            Command::Direct => {
                ready!(this.tls.poll_sent(cx))?;
                return Pin::new(this.tls.carrier()).poll_write(cx, bytes);
            }
            Command::Continue => {}
        }
        ready!(this.tls.poll_room(cx))?;
        if bytes.is_empty() {
            return Poll::Ready(Ok(0));
        }
        this.silence = None;
        let mut seed = draw(&*this.net)?;
        let shaped = this.shaper.shape(&mut this.detector, bytes, &mut || {
            // One drawn number a write; a write has at most a few blocks.
            seed = seed.rotate_left(11).wrapping_mul(0x9e37_79b1);
            seed
        });
        for block in &shaped.blocks {
            this.seal(block)?;
        }
        this.writing = shaped.next;
        if shaped.next == Command::Direct {
            this.tls.write_below();
        }
        // What the carrier does not take now goes with the next write or flush.
        let _sent = this.tls.poll_sent(cx)?;
        Poll::Ready(Ok(shaped.taken))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tls).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        this.open_with(Command::End)?;
        // Below TLS this is the carrier's own end, without a close_notify.
        Pin::new(&mut this.tls).poll_shutdown(cx)
    }
}

impl<E: Engine> Layer for VisionStream<E> {
    fn read_below(&mut self) -> Option<&mut BoxStream> {
        let all_given = self.given == self.ready.len();
        (matches!(self.reading, Reading::Below) && all_given).then(|| self.tls.carrier())
    }

    fn write_below(&mut self) -> Option<&mut BoxStream> {
        (self.writing == Command::Direct && self.tls.is_sent()).then(|| self.tls.carrier())
    }
}

impl<E: fmt::Debug> fmt::Debug for VisionStream<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VisionStream")
            .field("writing", &self.writing)
            .field("detector", &self.detector)
            .finish_non_exhaustive()
    }
}
