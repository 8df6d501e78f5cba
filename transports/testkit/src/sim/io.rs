//! Streams, listeners and datagram ports of the simulated network, as the contract wants them.

use std::{
    fmt,
    future::{Future, poll_fn},
    io,
    net::{IpAddr, SocketAddr},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use commucat_transport_api::{BoxFuture, BoxStream, StreamPort, UdpPort};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::{
    driver::Core,
    world::{Side, StreamId, Wait},
};

/// One end of a stream. Dropped unread, it resets the other; dropped at its end, it ends it.
pub(super) struct SimStream {
    core: Arc<Core>,
    id: StreamId,
    side: Side,
}

/// A stream that is being opened. Dropped before it is ready, it leaves nothing behind.
pub(super) struct Connecting {
    stream: Option<SimStream>,
}

/// A listening port. Dropped, it frees its address and resets whom nobody accepted.
pub(super) struct SimListener {
    core: Arc<Core>,
    address: SocketAddr,
}

/// A datagram port. Dropped, it frees its address.
pub(super) struct SimUdp {
    core: Arc<Core>,
    address: SocketAddr,
}

impl Connecting {
    pub(super) fn start(core: &Arc<Core>, host: IpAddr, to: SocketAddr) -> io::Result<Self> {
        let id = core.with(|world, now| world.connect(now, host, to))?;
        Ok(Self { stream: Some(SimStream { core: Arc::clone(core), id, side: Side::Near }) })
    }
}

impl Future for Connecting {
    type Output = io::Result<SimStream>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Some(stream) = &self.stream else { return Poll::Ready(Err(io::ErrorKind::NotConnected.into())) };
        let id = stream.id;
        let outcome = stream.core.poll(Wait::Connect(id), cx, |world, _now| world.connected(id));
        let Poll::Ready(outcome) = outcome else { return Poll::Pending };
        let stream = self.stream.take();
        Poll::Ready(outcome.and_then(|()| stream.ok_or_else(|| io::ErrorKind::NotConnected.into())))
    }
}

impl AsyncRead for SimStream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let (id, side) = (self.id, self.side);
        if buf.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        let read = self.core.poll(Wait::Read(id, side), cx, |world, now| {
            world.read(now, id, side, buf.remaining()).transpose()
        });
        read.map_ok(|bytes| buf.put_slice(&bytes))
    }
}

impl AsyncWrite for SimStream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        let (id, side) = (self.id, self.side);
        self.core.poll(Wait::Write(id, side), cx, |world, now| match world.write(now, id, side, data) {
            Ok(0) if !data.is_empty() => None,
            taken => Some(taken),
        })
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.core.with(|world, now| world.shutdown(now, self.id, self.side)))
    }
}

impl Drop for SimStream {
    fn drop(&mut self) {
        for wait in [Wait::Read(self.id, self.side), Wait::Write(self.id, self.side), Wait::Connect(self.id)]
        {
            if wait != Wait::Connect(self.id) || self.side == Side::Near {
                self.core.forget(wait);
            }
        }
        self.core.with(|world, now| world.drop_end(now, self.id, self.side));
    }
}

impl SimListener {
    pub(super) fn bind(core: &Arc<Core>, host: IpAddr, local: SocketAddr) -> io::Result<Self> {
        let address = core.with(|world, _now| world.listen(host, local))?;
        Ok(Self { core: Arc::clone(core), address })
    }
}

impl StreamPort for SimListener {
    fn accept(&mut self) -> BoxFuture<'_, io::Result<(BoxStream, SocketAddr)>> {
        Box::pin(poll_fn(|cx| {
            let at = self.address;
            let next = self.core.poll(Wait::Accept(at), cx, |world, _now| world.accept(at));
            next.map(|(id, peer)| {
                let stream = SimStream { core: Arc::clone(&self.core), id, side: Side::Far };
                Ok((Box::new(stream) as BoxStream, peer))
            })
        }))
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.address)
    }
}

impl Drop for SimListener {
    fn drop(&mut self) {
        self.core.forget(Wait::Accept(self.address));
        self.core.with(|world, now| world.close_listener(now, self.address));
    }
}

impl SimUdp {
    pub(super) fn bind(core: &Arc<Core>, host: IpAddr, local: SocketAddr) -> io::Result<Self> {
        let address = core.with(|world, _now| world.bind_udp(host, local))?;
        Ok(Self { core: Arc::clone(core), address })
    }
}

impl UdpPort for SimUdp {
    fn poll_recv_from(&self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<SocketAddr>> {
        let at = self.address;
        let received = self.core.poll(Wait::Datagram(at), cx, |world, _now| world.receive_datagram(at));
        received.map(|datagram| {
            // What does not fit is cut off, as a kernel does.
            let fits = datagram.bytes.len().min(buf.remaining());
            buf.put_slice(datagram.bytes.get(..fits).unwrap_or_default());
            Ok(datagram.from)
        })
    }

    fn poll_send_to(&self, _cx: &mut Context<'_>, datagram: &[u8], to: SocketAddr) -> Poll<io::Result<()>> {
        Poll::Ready(self.core.with(|world, now| world.send_datagram(now, self.address, to, datagram)))
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.address)
    }
}

impl Drop for SimUdp {
    fn drop(&mut self) {
        self.core.forget(Wait::Datagram(self.address));
        self.core.with(|world, _now| world.close_udp(self.address));
    }
}

macro_rules! debug_by_name {
    ($($name:ident),*) => {$(
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($name)).finish_non_exhaustive()
            }
        }
    )*};
}
debug_by_name!(SimStream, Connecting, SimListener, SimUdp);
