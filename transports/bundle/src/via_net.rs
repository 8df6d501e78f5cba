//! A network whose streams are another transport's channels.

use std::{
    fmt, io,
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
    time::{Duration, Instant},
};

use commucat_transport_api::{
    Accepted, BoxFuture, BoxStream, Client, Cx, DialError, HostPort, Incoming, ListenError, Listener, Net,
    Server, StreamPort, Target, UdpPort,
};
use tokio::{
    sync::{Semaphore, mpsc},
    task::JoinSet,
};

/// Carrier connections that wait to be taken by the transport above.
const ACCEPT_QUEUE: usize = 64;
/// Carrier handshakes that run at once. More wait in the kernel's queue.
const MAX_HANDSHAKES: usize = 1024;
/// Pause after a failed accept: the usual cause, used-up descriptors, passes only with time.
const ACCEPT_RETRY: Duration = Duration::from_millis(50);

#[derive(Debug)]
enum Carrier {
    Dialling(Arc<dyn Client>),
    Listening(Arc<dyn Server>),
}

/// Time, names and randomness of the network below; streams of the carrier.
pub(crate) struct ViaNet {
    below: Cx,
    carrier: Carrier,
}

impl ViaNet {
    pub(crate) fn dialling(below: Cx, carrier: Arc<dyn Client>) -> Self {
        Self { below, carrier: Carrier::Dialling(carrier) }
    }

    pub(crate) fn listening(below: Cx, carrier: Arc<dyn Server>) -> Self {
        Self { below, carrier: Carrier::Listening(carrier) }
    }
}

impl fmt::Debug for ViaNet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ViaNet").field("carrier", &self.carrier).finish_non_exhaustive()
    }
}

impl Net for ViaNet {
    fn connect_stream<'a>(&'a self, to: &'a HostPort) -> BoxFuture<'a, io::Result<BoxStream>> {
        Box::pin(async move {
            let Carrier::Dialling(carrier) = &self.carrier else {
                return Err(io::ErrorKind::Unsupported.into());
            };
            // A carrier that says targets is a first hop; one that cannot ends where the transport above listens.
            let opened = match carrier.dial(&self.below, &Target::Stream(to.clone())).await {
                Err(DialError::UnsupportedTarget) => carrier.dial(&self.below, &Target::Bridge).await,
                other => other,
            };
            opened?.channel.into_stream().map_err(|_no_stream| io::ErrorKind::Unsupported.into())
        })
    }

    fn bind_datagram(&self, _local: SocketAddr) -> BoxFuture<'_, io::Result<Box<dyn UdpPort>>> {
        Box::pin(async {
            Err(io::Error::new(io::ErrorKind::Unsupported, "a carrier moves streams, not datagrams"))
        })
    }

    fn listen_stream(&self, _local: SocketAddr) -> BoxFuture<'_, io::Result<Box<dyn StreamPort>>> {
        Box::pin(async move {
            let Carrier::Listening(carrier) = &self.carrier else {
                return Err(io::ErrorKind::Unsupported.into());
            };
            let listener = carrier.listen(&self.below).await.map_err(listen_error)?;
            let port: Box<dyn StreamPort> = Box::new(ViaPort::start(listener, Arc::clone(&self.below.net)));
            Ok(port)
        })
    }

    fn resolve<'a>(&'a self, to: &'a HostPort) -> BoxFuture<'a, io::Result<Vec<SocketAddr>>> {
        self.below.net.resolve(to)
    }

    fn now(&self) -> Instant {
        self.below.net.now()
    }

    fn unix_time(&self) -> Duration {
        self.below.net.unix_time()
    }

    fn sleep_until(&self, at: Instant) -> BoxFuture<'static, ()> {
        self.below.net.sleep_until(at)
    }

    fn fill_random(&self, bytes: &mut [u8]) -> io::Result<()> {
        self.below.net.fill_random(bytes)
    }
}

fn listen_error(error: ListenError) -> io::Error {
    match error {
        ListenError::Bind { source, .. } | ListenError::Accept(source) => source,
        other => io::Error::other(other),
    }
}

/// The carrier's listener, with its handshakes running beside each other.
struct ViaPort {
    ready: mpsc::Receiver<(BoxStream, SocketAddr)>,
    local: Option<SocketAddr>,
    /// Ends the accept loop and every handshake when dropped.
    _running: JoinSet<()>,
}

impl fmt::Debug for ViaPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ViaPort").finish_non_exhaustive()
    }
}

impl ViaPort {
    fn start(listener: Box<dyn Listener>, net: Arc<dyn Net>) -> Self {
        let (done, ready) = mpsc::channel(ACCEPT_QUEUE);
        let local = listener.local_addr();
        let mut running = JoinSet::new();
        running.spawn(accept_loop(listener, done, net));
        Self { ready, local, _running: running }
    }
}

async fn accept_loop(
    mut listener: Box<dyn Listener>,
    done: mpsc::Sender<(BoxStream, SocketAddr)>,
    net: Arc<dyn Net>,
) {
    let slots = Arc::new(Semaphore::new(MAX_HANDSHAKES));
    let mut handshakes = JoinSet::new();
    loop {
        let Ok(slot) = Arc::clone(&slots).acquire_owned().await else { return };
        while handshakes.try_join_next().is_some() {}
        match listener.accept().await {
            Ok(incoming) => {
                let done = done.clone();
                handshakes.spawn(async move {
                    hand_over(incoming, &done).await;
                    drop(slot);
                });
            }
            Err(ListenError::Accept(error)) => {
                tracing::warn!(%error, "the carrier could not accept");
                net.sleep_until(net.now() + ACCEPT_RETRY).await;
            }
            Err(_closed) => return,
        }
    }
}

async fn hand_over(incoming: Box<dyn Incoming>, done: &mpsc::Sender<(BoxStream, SocketAddr)>) {
    // A carrier without addresses (itself carried) still has to name a peer.
    let peer = incoming.peer().unwrap_or_else(|| (Ipv4Addr::UNSPECIFIED, 0).into());
    match incoming.handshake().await {
        Ok(Accepted { channel, target: Target::Bridge, .. }) => {
            if let Ok(stream) = channel.into_stream() {
                // Fails only when the listener above is gone.
                done.send((stream, peer)).await.ok();
            }
        }
        Ok(_other_target) => tracing::debug!("a carrier connection asked for a target of its own"),
        Err(error) => tracing::debug!(%error, "a carrier handshake failed"),
    }
}

impl StreamPort for ViaPort {
    fn accept(&mut self) -> BoxFuture<'_, io::Result<(BoxStream, SocketAddr)>> {
        Box::pin(async { self.ready.recv().await.ok_or_else(|| io::ErrorKind::NotConnected.into()) })
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.local.ok_or_else(|| io::ErrorKind::AddrNotAvailable.into())
    }
}
