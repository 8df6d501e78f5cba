//! The connections that are open: bytes counted, first bytes noticed, silence found. On the data path this costs two
//! relaxed additions; time is a counter that one task moves on.

use std::{
    collections::BTreeMap,
    io::{self, IoSlice},
    num::NonZeroUsize,
    pin::Pin,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
    task::{Context, Poll, ready},
};

use commucat_transport_api::{BoxStream, DatagramChannel, HostPort, Layer, Layered, PathInfo};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Somebody who wants to know how flows begin and end.
pub(crate) trait Watcher: std::fmt::Debug + Send + Sync {
    /// The first byte came back through the endpoint.
    fn first_byte(&self, at: usize);
    /// A flow ended after it had sent and before anything came back.
    fn early_end(&self, at: usize);
}

/// All open flows.
#[derive(Debug, Default)]
pub(crate) struct Flows {
    tick: AtomicU64,
    next: AtomicU64,
    open: AtomicUsize,
    up: AtomicU64,
    down: AtomicU64,
    live: Mutex<BTreeMap<u64, Arc<Flow>>>,
}

/// When an endpoint was last heard, in ticks; shared by its flows.
pub(crate) type Heard = Arc<AtomicU64>;

#[derive(Debug)]
struct Flow {
    at: usize,
    heard: Heard,
    /// Tick of the first byte sent since the last one received, plus one; 0 when nothing is awaited.
    waiting_since: AtomicU64,
    sent: AtomicU64,
    answered: AtomicBool,
}

/// An endpoint on which bytes went out and nothing came back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Silence {
    pub(crate) at: usize,
    pub(crate) ticks: u64,
    pub(crate) sent: u64,
}

impl Flows {
    pub(crate) fn open(&self) -> usize {
        self.open.load(Relaxed)
    }

    /// Bytes sent and received so far.
    pub(crate) fn totals(&self) -> (u64, u64) {
        (self.up.load(Relaxed), self.down.load(Relaxed))
    }

    /// Moves time on by one tick and finds the endpoints that owe an answer for `limit` ticks, each once: a flow
    /// waits, and no other flow of its endpoint heard anything since.
    pub(crate) fn tick(&self, limit: u64) -> Vec<Silence> {
        let now = self.tick.fetch_add(1, Relaxed) + 1;
        let mut silent: BTreeMap<usize, Silence> = BTreeMap::new();
        for flow in self.live.lock().unwrap_or_else(PoisonError::into_inner).values() {
            let Some(since) = flow.waiting_since.load(Relaxed).checked_sub(1) else { continue };
            let ticks = now.saturating_sub(since);
            // Heard within the tick in which it was sent may mean before it was sent.
            if ticks < limit || flow.heard.load(Relaxed) > since + 1 {
                continue;
            }
            // Reported once: it waits anew from its next byte.
            flow.waiting_since.store(0, Relaxed);
            let sent = flow.sent.load(Relaxed);
            silent.entry(flow.at).or_insert(Silence { at: flow.at, ticks, sent });
        }
        silent.into_values().collect()
    }

    /// Follows a stream of that endpoint.
    pub(crate) fn follow_stream(
        self: &Arc<Self>,
        inner: BoxStream,
        at: usize,
        heard: Heard,
        watcher: Arc<dyn Watcher>,
    ) -> BoxStream {
        Layered::boxed(MeteredStream { inner, meter: self.meter(at, heard, watcher) })
    }

    /// Follows a datagram channel of that endpoint.
    pub(crate) fn follow_datagrams(
        self: &Arc<Self>,
        inner: Box<dyn DatagramChannel>,
        at: usize,
        heard: Heard,
        watcher: Arc<dyn Watcher>,
    ) -> Box<dyn DatagramChannel> {
        Box::new(MeteredDatagrams { inner, meter: self.meter(at, heard, watcher) })
    }

    fn meter(self: &Arc<Self>, at: usize, heard: Heard, watcher: Arc<dyn Watcher>) -> Meter {
        let flow = Arc::new(Flow {
            at,
            heard,
            waiting_since: AtomicU64::new(0),
            sent: AtomicU64::new(0),
            answered: AtomicBool::new(false),
        });
        let number = self.next.fetch_add(1, Relaxed);
        self.live.lock().unwrap_or_else(PoisonError::into_inner).insert(number, Arc::clone(&flow));
        self.open.fetch_add(1, Relaxed);
        Meter { flows: Arc::clone(self), flow, number, watcher }
    }
}

/// Counts for one flow; takes it out of the list when dropped.
#[derive(Debug)]
struct Meter {
    flows: Arc<Flows>,
    flow: Arc<Flow>,
    number: u64,
    watcher: Arc<dyn Watcher>,
}

impl Meter {
    fn sent(&self, bytes: usize) {
        if bytes == 0 {
            return;
        }
        self.flows.up.fetch_add(bytes as u64, Relaxed);
        self.flow.sent.fetch_add(bytes as u64, Relaxed);
        if self.flow.waiting_since.load(Relaxed) == 0 {
            self.flow.waiting_since.store(self.flows.tick.load(Relaxed) + 1, Relaxed);
        }
    }

    fn received(&self, bytes: usize) {
        self.flows.down.fetch_add(bytes as u64, Relaxed);
        self.flow.heard.store(self.flows.tick.load(Relaxed) + 1, Relaxed);
        if self.flow.waiting_since.load(Relaxed) != 0 {
            self.flow.waiting_since.store(0, Relaxed);
        }
        if !self.flow.answered.load(Relaxed) && !self.flow.answered.swap(true, Relaxed) {
            self.watcher.first_byte(self.flow.at);
        }
    }

    fn ended(&self) {
        self.flow.waiting_since.store(0, Relaxed);
        if self.flow.sent.load(Relaxed) > 0 && !self.flow.answered.swap(true, Relaxed) {
            self.watcher.early_end(self.flow.at);
        }
    }
}

impl Drop for Meter {
    fn drop(&mut self) {
        self.flows.live.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.number);
        self.flows.open.fetch_sub(1, Relaxed);
    }
}

#[derive(Debug)]
struct MeteredStream {
    inner: BoxStream,
    meter: Meter,
}

impl AsyncRead for MeteredStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let room = buf.remaining() > 0;
        let result = ready!(Pin::new(&mut self.inner).poll_read(cx, buf));
        let read = buf.filled().len().saturating_sub(before);
        if read > 0 {
            self.meter.received(read);
        } else if room || result.is_err() {
            self.meter.ended();
        }
        Poll::Ready(result)
    }
}

impl AsyncWrite for MeteredStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.inner).poll_write(cx, buf))?;
        self.meter.sent(written);
        Poll::Ready(Ok(written))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.inner).poll_write_vectored(cx, bufs))?;
        self.meter.sent(written);
        Poll::Ready(Ok(written))
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

/// Bytes may go past it: it only counts.
impl Layer for MeteredStream {
    fn read_below(&mut self) -> Option<&mut BoxStream> {
        Some(&mut self.inner)
    }

    fn write_below(&mut self) -> Option<&mut BoxStream> {
        Some(&mut self.inner)
    }

    fn passed_in(&mut self, bytes: usize) {
        self.meter.received(bytes);
    }

    fn passed_out(&mut self, bytes: usize) {
        self.meter.sent(bytes);
    }
}

#[derive(Debug)]
struct MeteredDatagrams {
    inner: Box<dyn DatagramChannel>,
    meter: Meter,
}

impl DatagramChannel for MeteredDatagrams {
    fn poll_recv(
        &mut self,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<Option<HostPort>>> {
        let before = buf.filled().len();
        let result = ready!(self.inner.poll_recv(cx, buf));
        match &result {
            Ok(Some(_)) => self.meter.received(buf.filled().len().saturating_sub(before)),
            Ok(None) | Err(_) => self.meter.ended(),
        }
        Poll::Ready(result)
    }

    fn poll_send(&mut self, cx: &mut Context<'_>, datagram: &[u8], peer: &HostPort) -> Poll<io::Result<()>> {
        let result = ready!(self.inner.poll_send(cx, datagram, peer));
        if result.is_ok() {
            self.meter.sent(datagram.len());
        }
        Poll::Ready(result)
    }

    fn max_datagram(&self) -> NonZeroUsize {
        self.inner.max_datagram()
    }

    fn path(&self) -> PathInfo {
        self.inner.path()
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};

    use super::*;

    #[derive(Debug, Default)]
    struct Seen {
        first: AtomicU64,
        early: AtomicU64,
    }

    impl Watcher for Seen {
        fn first_byte(&self, _at: usize) {
            self.first.fetch_add(1, Relaxed);
        }

        fn early_end(&self, _at: usize) {
            self.early.fetch_add(1, Relaxed);
        }
    }

    fn flow(flows: &Arc<Flows>, heard: &Heard, seen: &Arc<Seen>) -> (BoxStream, tokio::io::DuplexStream) {
        let (near, far) = duplex(1024);
        let watcher: Arc<dyn Watcher> = Arc::clone(seen) as _;
        (flows.follow_stream(Box::new(near), 0, Arc::clone(heard), watcher), far)
    }

    #[tokio::test]
    async fn bytes_are_counted_and_the_first_one_is_noticed_once() {
        let (flows, heard, seen) = (Arc::new(Flows::default()), Heard::default(), Arc::new(Seen::default()));
        let (mut near, mut far) = flow(&flows, &heard, &seen);
        near.write_all(b"hello").await.unwrap();
        far.write_all(b"hi").await.unwrap();
        near.read_exact(&mut [0; 2]).await.unwrap();
        far.write_all(b"!").await.unwrap();
        near.read_exact(&mut [0; 1]).await.unwrap();
        assert_eq!((flows.totals(), flows.open()), ((5, 3), 1));
        drop(near);
        assert_eq!(flows.open(), 0);
        assert_eq!((seen.first.load(Relaxed), seen.early.load(Relaxed)), (1, 0));
    }

    #[tokio::test]
    async fn silence_is_found_once_and_only_where_nothing_is_heard() {
        let (flows, heard, seen) = (Arc::new(Flows::default()), Heard::default(), Arc::new(Seen::default()));
        let (mut silent, _far) = flow(&flows, &heard, &seen);
        silent.write_all(b"hello").await.unwrap();
        assert!(flows.tick(3).is_empty());
        assert!(flows.tick(3).is_empty());
        assert_eq!(flows.tick(3), [Silence { at: 0, ticks: 3, sent: 5 }]);
        assert!(flows.tick(3).is_empty(), "once");

        silent.write_all(b"again").await.unwrap();
        flows.tick(3);
        let (mut other, mut far) = flow(&flows, &heard, &seen);
        far.write_all(b"x").await.unwrap();
        other.read_exact(&mut [0; 1]).await.unwrap();
        for _ in 0..9 {
            assert!(flows.tick(3).is_empty(), "another flow heard the endpoint since");
        }
    }

    #[tokio::test]
    async fn what_was_heard_just_before_does_not_hide_silence() {
        let (flows, heard, seen) = (Arc::new(Flows::default()), Heard::default(), Arc::new(Seen::default()));
        let (mut near, mut far) = flow(&flows, &heard, &seen);
        far.write_all(b"x").await.unwrap();
        near.read_exact(&mut [0; 1]).await.unwrap();
        near.write_all(b"into the void").await.unwrap();
        let found: Vec<_> = (0..4).flat_map(|_| flows.tick(3)).collect();
        assert_eq!(found.len(), 1);
    }

    #[tokio::test]
    async fn an_idle_flow_is_not_silent() {
        let (flows, heard, seen) = (Arc::new(Flows::default()), Heard::default(), Arc::new(Seen::default()));
        let (_near, _far) = flow(&flows, &heard, &seen);
        assert!((0..9).all(|_| flows.tick(1).is_empty()));
    }

    #[tokio::test]
    async fn an_end_before_the_first_byte_is_early() {
        let (flows, heard, seen) = (Arc::new(Flows::default()), Heard::default(), Arc::new(Seen::default()));
        let (mut near, far) = flow(&flows, &heard, &seen);
        near.write_all(b"hello").await.unwrap();
        drop(far);
        assert_eq!(near.read(&mut [0; 1]).await.unwrap(), 0);
        assert_eq!(near.read(&mut [0; 1]).await.unwrap(), 0);
        assert_eq!(seen.early.load(Relaxed), 1);
    }
}
