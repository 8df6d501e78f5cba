//! The network as the bridge sees it when it dials itself: its public addresses stand for the sockets behind them.
//! So the check needs no way round through the provider's router, which often does not exist, and the name in the
//! client's spec (for TLS) stays what users have.

use std::{
    io,
    net::SocketAddr,
    sync::{Arc, PoisonError, RwLock},
    time::{Duration, Instant},
};

use commucat_transport_api::{BoxFuture, BoxStream, HostPort, Net, StreamPort, UdpPort};

/// A network with a few addresses turned inward.
#[derive(Debug)]
pub(crate) struct InwardNet {
    net: Arc<dyn Net>,
    inward: RwLock<Vec<(HostPort, SocketAddr)>>,
}

impl InwardNet {
    pub(crate) fn new(net: Arc<dyn Net>) -> Self {
        Self { net, inward: RwLock::default() }
    }

    pub(crate) fn set(&self, inward: Vec<(HostPort, SocketAddr)>) {
        *self.inward.write().unwrap_or_else(PoisonError::into_inner) = inward;
    }

    fn turned(&self, to: &HostPort) -> Option<SocketAddr> {
        let inward = self.inward.read().unwrap_or_else(PoisonError::into_inner);
        inward.iter().find(|(public, _local)| public == to).map(|(_public, local)| *local)
    }
}

impl Net for InwardNet {
    fn connect_stream<'a>(&'a self, to: &'a HostPort) -> BoxFuture<'a, io::Result<BoxStream>> {
        match self.turned(to) {
            Some(local) => Box::pin(async move { self.net.connect_stream(&local.into()).await }),
            None => self.net.connect_stream(to),
        }
    }

    fn bind_datagram(&self, local: SocketAddr) -> BoxFuture<'_, io::Result<Box<dyn UdpPort>>> {
        self.net.bind_datagram(local)
    }

    fn listen_stream(&self, local: SocketAddr) -> BoxFuture<'_, io::Result<Box<dyn StreamPort>>> {
        self.net.listen_stream(local)
    }

    fn resolve<'a>(&'a self, to: &'a HostPort) -> BoxFuture<'a, io::Result<Vec<SocketAddr>>> {
        match self.turned(to) {
            Some(local) => Box::pin(async move { Ok(vec![local]) }),
            None => self.net.resolve(to),
        }
    }

    fn now(&self) -> Instant {
        self.net.now()
    }

    fn unix_time(&self) -> Duration {
        self.net.unix_time()
    }

    fn sleep_until(&self, at: Instant) -> BoxFuture<'static, ()> {
        self.net.sleep_until(at)
    }

    fn fill_random(&self, bytes: &mut [u8]) -> io::Result<()> {
        self.net.fill_random(bytes)
    }
}
