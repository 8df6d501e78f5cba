//! The network and the clock, handed in. Real sockets live in `commucat-net`, a seeded simulator in
//! `commucat-testkit`, and a transport over another one in `commucat-bundle`.

use std::{
    fmt, io,
    net::SocketAddr,
    sync::Arc,
    task::{Context, Poll},
    time::{Duration, Instant},
};

use tokio::io::ReadBuf;

use crate::{BoxFuture, BoxStream, HostPort};

/// Everything a transport may ask of the machine it runs on.
pub trait Net: fmt::Debug + Send + Sync {
    /// Connects a byte stream; a name is resolved on the way.
    fn connect_stream<'a>(&'a self, to: &'a HostPort) -> BoxFuture<'a, io::Result<BoxStream>>;
    /// Opens a datagram port.
    fn bind_datagram(&self, local: SocketAddr) -> BoxFuture<'_, io::Result<Box<dyn UdpPort>>>;
    /// Listens for byte streams.
    fn listen_stream(&self, local: SocketAddr) -> BoxFuture<'_, io::Result<Box<dyn StreamPort>>>;
    /// Looks up a name; an address answers itself. Never empty on success.
    fn resolve<'a>(&'a self, to: &'a HostPort) -> BoxFuture<'a, io::Result<Vec<SocketAddr>>>;
    /// Monotonic time; stands still while a simulator's clock does.
    fn now(&self) -> Instant;
    /// Wall-clock time since 1970-01-01 UTC, as the machine believes it.
    fn unix_time(&self) -> Duration;
    /// Resolves at that time.
    fn sleep_until(&self, at: Instant) -> BoxFuture<'static, ()>;
    /// Fills `bytes` with randomness fit for keys; a simulator gives a seeded sequence.
    ///
    /// # Errors
    /// The system has no randomness.
    fn fill_random(&self, bytes: &mut [u8]) -> io::Result<()>;
}

/// A datagram port of the machine.
pub trait UdpPort: fmt::Debug + Send + Sync {
    /// Receives one datagram and says whose it is.
    ///
    /// # Errors
    /// The port is broken.
    fn poll_recv_from(&self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<SocketAddr>>;
    /// Sends one datagram.
    ///
    /// # Errors
    /// The system refused it; later ones may pass.
    fn poll_send_to(&self, cx: &mut Context<'_>, datagram: &[u8], to: SocketAddr) -> Poll<io::Result<()>>;
    /// The address the port has.
    ///
    /// # Errors
    /// The port is broken.
    fn local_addr(&self) -> io::Result<SocketAddr>;
}

/// A listening stream port of the machine.
pub trait StreamPort: fmt::Debug + Send {
    /// The next connection.
    fn accept(&mut self) -> BoxFuture<'_, io::Result<(BoxStream, SocketAddr)>>;
    /// The address the port has.
    ///
    /// # Errors
    /// The port is broken.
    fn local_addr(&self) -> io::Result<SocketAddr>;
}

/// What one dial, listen or probe works with.
#[derive(Clone)]
#[non_exhaustive]
pub struct Cx {
    /// Sockets, names, time.
    pub net: Arc<dyn Net>,
    /// When a dial must have ended.
    pub deadline: Instant,
    /// Who wants to know how far it is.
    pub events: Arc<dyn Events>,
}

impl Cx {
    /// A context whose dial may take `budget`, with nobody watching.
    pub fn new(net: Arc<dyn Net>, budget: Duration) -> Self {
        let deadline = net.now() + budget;
        Self { net, deadline, events: Arc::new(()) }
    }

    /// The same with somebody watching.
    #[must_use]
    pub fn with_events(mut self, events: Arc<dyn Events>) -> Self {
        self.events = events;
        self
    }

    /// The same over another network.
    #[must_use]
    pub fn with_net(mut self, net: Arc<dyn Net>) -> Self {
        self.net = net;
        self
    }

    /// Runs a future until the deadline; `None` when that came first.
    pub async fn until_deadline<T>(&self, future: impl Future<Output = T>) -> Option<T> {
        let mut sleep = self.net.sleep_until(self.deadline);
        let mut future = std::pin::pin!(future);
        std::future::poll_fn(|cx| {
            if let Poll::Ready(value) = future.as_mut().poll(cx) {
                return Poll::Ready(Some(value));
            }
            sleep.as_mut().poll(cx).map(|()| None)
        })
        .await
    }
}

impl fmt::Debug for Cx {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cx").field("net", &self.net).field("deadline", &self.deadline).finish_non_exhaustive()
    }
}

/// Watches a dial (a slow one, such as a Tor circuit, wants to show progress).
pub trait Events: Send + Sync {
    /// A stage was reached; `permille` of the whole.
    fn progress(&self, stage: &'static str, permille: u16);
}

impl Events for () {
    fn progress(&self, _stage: &'static str, _permille: u16) {}
}
