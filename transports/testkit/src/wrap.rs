//! Networks around networks: [`Recorder`] keeps what streams carry, [`Throttle`] gives it out in small pieces or
//! loses it. Both wrap any `Net`, real or simulated, and let datagrams pass untouched.

mod recorder;
mod throttle;

use std::{
    io,
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use commucat_transport_api::{BoxFuture, BoxStream, HostPort, Net, StreamPort, UdpPort};

pub use self::{
    recorder::{RECORDED_BYTES_MAX, Recorded, Recorder},
    throttle::Throttle,
};

/// Puts something around a stream.
trait Wrap: Send + Sync + 'static {
    fn wrap(&self, stream: BoxStream) -> BoxStream;
}

/// A network whose streams are wrapped, both those that it connects and those that it accepts.
#[derive(Debug)]
struct Wrapped<W> {
    inner: Arc<dyn Net>,
    around: Arc<W>,
}

#[derive(Debug)]
struct WrappedPort<W> {
    inner: Box<dyn StreamPort>,
    around: Arc<W>,
}

impl<W: Wrap + std::fmt::Debug> Net for Wrapped<W> {
    fn connect_stream<'a>(&'a self, to: &'a HostPort) -> BoxFuture<'a, io::Result<BoxStream>> {
        Box::pin(async move { self.inner.connect_stream(to).await.map(|stream| self.around.wrap(stream)) })
    }

    fn bind_datagram(&self, local: SocketAddr) -> BoxFuture<'_, io::Result<Box<dyn UdpPort>>> {
        self.inner.bind_datagram(local)
    }

    fn listen_stream(&self, local: SocketAddr) -> BoxFuture<'_, io::Result<Box<dyn StreamPort>>> {
        Box::pin(async move {
            let inner = self.inner.listen_stream(local).await?;
            Ok(Box::new(WrappedPort { inner, around: Arc::clone(&self.around) }) as Box<dyn StreamPort>)
        })
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

impl<W: Wrap + std::fmt::Debug> StreamPort for WrappedPort<W> {
    fn accept(&mut self) -> BoxFuture<'_, io::Result<(BoxStream, SocketAddr)>> {
        Box::pin(async move {
            let (stream, peer) = self.inner.accept().await?;
            Ok((self.around.wrap(stream), peer))
        })
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.inner.local_addr()
    }
}
