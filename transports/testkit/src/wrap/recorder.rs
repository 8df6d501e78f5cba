//! Keeps the raw bytes of every stream, so that a test can look at them or send them again.

use std::{
    io,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll, ready},
};

use commucat_transport_api::{BoxStream, Net};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::{Wrap, Wrapped};

/// Bytes kept of each direction of a stream; what comes later is not recorded.
pub const RECORDED_BYTES_MAX: usize = 1 << 20;
/// Streams kept; later ones pass unrecorded.
const RECORDED_STREAMS_MAX: usize = 1024;

/// What one stream carried, seen from the side that holds the recorder.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Recorded {
    /// What our side wrote.
    pub sent: Vec<u8>,
    /// What our side read.
    pub received: Vec<u8>,
}

/// Records the streams of the network that [`Recorder::net`] gives.
#[derive(Clone, Debug)]
pub struct Recorder {
    net: Arc<dyn Net>,
    tape: Arc<Tape>,
}

#[derive(Debug, Default)]
struct Tape(Mutex<Vec<Arc<Mutex<Recorded>>>>);

#[derive(Debug)]
struct RecordedStream {
    inner: BoxStream,
    record: Arc<Mutex<Recorded>>,
}

impl Recorder {
    /// Records over this network.
    pub fn new(inner: Arc<dyn Net>) -> Self {
        let tape = Arc::new(Tape::default());
        Self { net: Arc::new(Wrapped { inner, around: Arc::clone(&tape) }), tape }
    }

    /// The network whose streams are recorded.
    pub fn net(&self) -> Arc<dyn Net> {
        Arc::clone(&self.net)
    }

    /// What the streams carried so far, in the order they were opened.
    pub fn streams(&self) -> Vec<Recorded> {
        let tape = self.tape.0.lock().unwrap_or_else(PoisonError::into_inner);
        tape.iter().map(|record| record.lock().unwrap_or_else(PoisonError::into_inner).clone()).collect()
    }
}

impl Wrap for Tape {
    fn wrap(&self, inner: BoxStream) -> BoxStream {
        let mut tape = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if tape.len() >= RECORDED_STREAMS_MAX {
            return inner;
        }
        let record = Arc::<Mutex<Recorded>>::default();
        tape.push(Arc::clone(&record));
        Box::new(RecordedStream { inner, record })
    }
}

impl RecordedStream {
    fn keep(&self, side: impl FnOnce(&mut Recorded) -> &mut Vec<u8>, bytes: &[u8]) {
        let mut record = self.record.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = side(&mut record);
        let room = RECORDED_BYTES_MAX - kept.len();
        kept.extend_from_slice(bytes.get(..bytes.len().min(room)).unwrap_or_default());
    }
}

impl AsyncRead for RecordedStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.inner).poll_read(cx, buf))?;
        self.keep(|record| &mut record.received, buf.filled().get(before..).unwrap_or_default());
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for RecordedStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        let taken = ready!(Pin::new(&mut self.inner).poll_write(cx, data))?;
        self.keep(|record| &mut record.sent, data.get(..taken).unwrap_or_default());
        Poll::Ready(Ok(taken))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}
