//! The listening end of a simple transport: a port of the network, and a handshake with a time limit.

use std::{fmt, io, net::SocketAddr, sync::Arc, time::Duration};

use super::{End, StreamTransport};
use crate::{
    AcceptError, Accepted, BoxFuture, BoxStream, Channel, ConfigError, Cx, HostPort, Incoming, ListenError,
    Listener, Net, Server, Spec, StreamPort, User,
};

/// The longest that a [`StreamTransport::accept`] may take, counted from the connection.
pub const SIMPLE_HANDSHAKE_MAX: Duration = Duration::from_secs(10);
const LATE: AcceptError = AcceptError::Limit("10 s for the handshake");

#[derive(Debug)]
pub(super) struct Listening<T: StreamTransport>(pub(super) Arc<End<T>>);

impl<T: StreamTransport> Server for Listening<T> {
    fn listen<'a>(&'a self, cx: &'a Cx) -> BoxFuture<'a, Result<Box<dyn Listener>, ListenError>> {
        Box::pin(async move {
            let endpoint = &self.0.endpoint;
            let bind = |source| ListenError::Bind { address: endpoint.clone(), source };
            let addresses = cx.net.resolve(endpoint).await.map_err(bind)?;
            let nowhere = || bind(io::ErrorKind::AddrNotAvailable.into());
            let local = addresses.first().copied().ok_or_else(nowhere)?;
            let port = cx.net.listen_stream(local).await.map_err(bind)?;
            let (end, net) = (Arc::clone(&self.0), Arc::clone(&cx.net));
            Ok(Box::new(Port { end, net, port }) as Box<dyn Listener>)
        })
    }

    fn client_spec(&self, public: &HostPort, _anybody: &User) -> Result<Spec, ConfigError> {
        Spec::new(T::DESCRIPTOR.id.clone(), public.clone(), &self.0.form)
    }
}

struct Port<T: StreamTransport> {
    end: Arc<End<T>>,
    net: Arc<dyn Net>,
    port: Box<dyn StreamPort>,
}

impl<T: StreamTransport> fmt::Debug for Port<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Port").field("end", &self.end).field("port", &self.port).finish_non_exhaustive()
    }
}

impl<T: StreamTransport> Listener for Port<T> {
    fn local_addr(&self) -> Option<SocketAddr> {
        self.port.local_addr().ok()
    }

    fn accept(&mut self) -> BoxFuture<'_, Result<Box<dyn Incoming>, ListenError>> {
        Box::pin(async move {
            let (carrier, peer) = self.port.accept().await.map_err(ListenError::Accept)?;
            let cx = Cx::new(Arc::clone(&self.net), SIMPLE_HANDSHAKE_MAX);
            let end = Arc::clone(&self.end);
            Ok(Box::new(Guest { end, cx, carrier, peer }) as Box<dyn Incoming>)
        })
    }
}

struct Guest<T: StreamTransport> {
    end: Arc<End<T>>,
    cx: Cx,
    carrier: BoxStream,
    peer: SocketAddr,
}

impl<T: StreamTransport> fmt::Debug for Guest<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The address of a peer does not belong in logs.
        f.debug_struct("Guest").field("end", &self.end).finish_non_exhaustive()
    }
}

impl<T: StreamTransport> Incoming for Guest<T> {
    fn peer(&self) -> Option<SocketAddr> {
        Some(self.peer)
    }

    fn handshake(self: Box<Self>) -> BoxFuture<'static, Result<Accepted, AcceptError>> {
        Box::pin(async move {
            let Self { end, cx, carrier, peer: _ } = *self;
            let handshake = end.transport.accept(&end.params, carrier);
            let (stream, target) = cx.until_deadline(handshake).await.unwrap_or(Err(LATE))?;
            Ok(Accepted::new(Channel::Stream(stream), target))
        })
    }
}
