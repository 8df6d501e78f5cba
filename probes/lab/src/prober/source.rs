//! The machine's network as seen from one address of several: each probe of a censor comes from another one.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::{Duration, Instant},
};

use commucat_net::SystemNet;
use commucat_transport_api::{BoxFuture, BoxStream, HostPort, Net, StreamPort, UdpPort};
use tokio::net::TcpSocket;

/// A network whose outgoing streams come from one address. Everything else is the system's.
#[derive(Debug)]
pub struct SourceNet {
    inner: Arc<SystemNet>,
    source: IpAddr,
}

impl SourceNet {
    /// From this address, which must be of this machine.
    pub fn new(source: IpAddr) -> Arc<Self> {
        Arc::new(Self { inner: SystemNet::new(), source })
    }

    async fn connect(&self, to: SocketAddr) -> io::Result<BoxStream> {
        let socket = if to.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        socket.bind(SocketAddr::new(self.source, 0))?;
        let stream = socket.connect(to).await?;
        stream.set_nodelay(true)?;
        Ok(Box::new(stream))
    }
}

impl Net for SourceNet {
    fn connect_stream<'a>(&'a self, to: &'a HostPort) -> BoxFuture<'a, io::Result<BoxStream>> {
        Box::pin(async move {
            let addresses = self.resolve(to).await?;
            let fitting = addresses.into_iter().find(|address| address.is_ipv4() == self.source.is_ipv4());
            self.connect(fitting.ok_or(io::ErrorKind::AddrNotAvailable)?).await
        })
    }

    fn bind_datagram(&self, local: SocketAddr) -> BoxFuture<'_, io::Result<Box<dyn UdpPort>>> {
        self.inner.bind_datagram(SocketAddr::new(self.source, local.port()))
    }

    fn listen_stream(&self, local: SocketAddr) -> BoxFuture<'_, io::Result<Box<dyn StreamPort>>> {
        self.inner.listen_stream(local)
    }

    fn resolve<'a>(&'a self, to: &'a HostPort) -> BoxFuture<'a, io::Result<Vec<SocketAddr>>> {
        self.inner.resolve(to)
    }

    fn now(&self) -> Instant {
        self.inner.now()
    }

    fn unix_time(&self) -> Duration {
        self.inner.unix_time()
    }

    fn sleep_until(&self, at: Instant) -> BoxFuture<'static, ()> {
        self.inner.sleep_until(at)
    }

    fn fill_random(&self, bytes: &mut [u8]) -> io::Result<()> {
        self.inner.fill_random(bytes)
    }
}
