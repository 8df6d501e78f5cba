//! The machine's own sockets, clock and randomness.

use std::{
    io,
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use commucat_transport_api::{BoxFuture, BoxStream, Host, HostPort, Net, StreamPort, UdpPort};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::{TcpListener, TcpSocket, UdpSocket};

use crate::{
    connect,
    tcp::{LISTEN_BACKLOG, TcpConnection, TcpPort},
    udp::SystemUdpPort,
};

/// Receive and send buffer asked for a UDP port, in bytes: about 20 ms at 1 Gbit/s. The kernel may give less.
const UDP_BUFFER_BYTES: usize = 2 * 1024 * 1024;

/// What the sockets of a [`SystemNet`] have in common.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct SystemNetOptions {
    /// Congestion control for TCP (`bbr`…); the kernel's default when `None` or when the kernel lacks it.
    pub congestion: Option<String>,
    /// `SO_MARK` of outgoing sockets, so that a routing rule can keep them out of our own tunnel. Needs `CAP_NET_ADMIN`.
    pub mark: Option<u32>,
    /// Network device that outgoing sockets are bound to.
    pub device: Option<String>,
}

impl SystemNetOptions {
    /// The same with a congestion control for TCP; the kernel's default stays where it lacks this one.
    #[must_use]
    pub fn with_congestion(mut self, name: &str) -> Self {
        self.congestion = Some(name.to_owned());
        self
    }
}

/// The real network of this machine.
#[derive(Clone, Debug, Default)]
pub struct SystemNet {
    options: SystemNetOptions,
}

impl SystemNet {
    /// The machine's network as it is.
    pub fn new() -> Arc<Self> {
        Arc::new(Self::default())
    }

    /// The machine's network with options for every socket.
    pub fn with_options(options: SystemNetOptions) -> Arc<Self> {
        Arc::new(Self { options })
    }

    fn prepare_outgoing(&self, socket: &Socket) -> io::Result<()> {
        if let Some(mark) = self.options.mark {
            socket.set_mark(mark)?;
        }
        if let Some(device) = &self.options.device {
            socket.bind_device(Some(device.as_bytes()))?;
        }
        Ok(())
    }

    fn prepare_tcp(&self, socket: &Socket) {
        if let Some(congestion) = &self.options.congestion {
            // A kernel without the module keeps its default: slower, not broken.
            if let Err(error) = socket.set_tcp_congestion(congestion.as_bytes()) {
                tracing::debug!(%congestion, %error, "congestion control not available");
            }
        }
    }

    fn outgoing_tcp(&self, to: SocketAddr) -> io::Result<TcpSocket> {
        let socket = Socket::new(Domain::for_address(to), Type::STREAM, Some(Protocol::TCP))?;
        self.prepare_outgoing(&socket)?;
        self.prepare_tcp(&socket);
        socket.set_nonblocking(true)?;
        Ok(TcpSocket::from_std_stream(socket.into()))
    }
}

impl Net for SystemNet {
    fn connect_stream<'a>(&'a self, to: &'a HostPort) -> BoxFuture<'a, io::Result<BoxStream>> {
        Box::pin(async move {
            let addresses = self.resolve(to).await?;
            let stream = connect::first_of(addresses, |address| {
                let socket = self.outgoing_tcp(address);
                Box::pin(async move { socket?.connect(address).await })
            });
            let stream: BoxStream = Box::new(TcpConnection::new(stream.await?)?);
            Ok(stream)
        })
    }

    fn bind_datagram(&self, local: SocketAddr) -> BoxFuture<'_, io::Result<Box<dyn UdpPort>>> {
        Box::pin(async move {
            let socket = Socket::new(Domain::for_address(local), Type::DGRAM, Some(Protocol::UDP))?;
            self.prepare_outgoing(&socket)?;
            // Large bursts must survive until we are scheduled; a kernel that gives less only drops sooner.
            socket.set_recv_buffer_size(UDP_BUFFER_BYTES).ok();
            socket.set_send_buffer_size(UDP_BUFFER_BYTES).ok();
            socket.set_nonblocking(true)?;
            socket.bind(&local.into())?;
            let port: Box<dyn UdpPort> = Box::new(SystemUdpPort(UdpSocket::from_std(socket.into())?));
            Ok(port)
        })
    }

    fn listen_stream(&self, local: SocketAddr) -> BoxFuture<'_, io::Result<Box<dyn StreamPort>>> {
        Box::pin(async move {
            let socket = Socket::new(Domain::for_address(local), Type::STREAM, Some(Protocol::TCP))?;
            // A restarted bridge must not wait for connections of its former life to time out.
            socket.set_reuse_address(true)?;
            self.prepare_tcp(&socket);
            socket.set_nonblocking(true)?;
            socket.bind(&local.into())?;
            socket.listen(LISTEN_BACKLOG)?;
            let port: Box<dyn StreamPort> = Box::new(TcpPort(TcpListener::from_std(socket.into())?));
            Ok(port)
        })
    }

    fn resolve<'a>(&'a self, to: &'a HostPort) -> BoxFuture<'a, io::Result<Vec<SocketAddr>>> {
        Box::pin(async move {
            let name = match &to.host {
                Host::Ip(ip) => return Ok(vec![SocketAddr::new(*ip, to.port)]),
                Host::Name(name) => name,
            };
            let found = tokio::net::lookup_host((&**name, to.port)).await;
            // The system resolver reports "no such name" as an uncategorized error.
            let found = found.map_err(|error| io::Error::new(io::ErrorKind::NotFound, error))?;
            let addresses: Vec<_> = found.collect();
            if addresses.is_empty() {
                return Err(io::Error::new(io::ErrorKind::NotFound, "the name has no address"));
            }
            Ok(addresses)
        })
    }

    fn now(&self) -> Instant {
        // Follows a paused clock in tests.
        tokio::time::Instant::now().into_std()
    }

    fn unix_time(&self) -> Duration {
        SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
    }

    fn sleep_until(&self, at: Instant) -> BoxFuture<'static, ()> {
        Box::pin(tokio::time::sleep_until(at.into()))
    }

    fn fill_random(&self, bytes: &mut [u8]) -> io::Result<()> {
        getrandom::fill(bytes).map_err(io::Error::other)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    #[tokio::test]
    async fn streams_and_datagrams_move() {
        let net = SystemNet::new();
        let mut port = net.listen_stream("127.0.0.1:0".parse().unwrap()).await.unwrap();
        let address = HostPort::from(port.local_addr().unwrap());
        let (client, server) = tokio::join!(net.connect_stream(&address), port.accept());
        let (mut client, (mut server, _peer)) = (client.unwrap(), server.unwrap());
        client.write_all(b"hello").await.unwrap();
        client.shutdown().await.unwrap();
        let mut heard = String::new();
        server.read_to_string(&mut heard).await.unwrap();
        assert_eq!(heard, "hello");
    }

    #[tokio::test]
    async fn an_aborted_stream_is_reset() {
        let net = SystemNet::new();
        let mut port = net.listen_stream("127.0.0.1:0".parse().unwrap()).await.unwrap();
        let address = HostPort::from(port.local_addr().unwrap());
        let (client, server) = tokio::join!(net.connect_stream(&address), port.accept());
        crate::abort(client.unwrap());
        let error = server.unwrap().0.read(&mut [0; 1]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
    }

    #[tokio::test]
    async fn a_name_that_does_not_exist_is_not_found() {
        let to = HostPort::new("name.invalid", 1).unwrap();
        let error = SystemNet::new().connect_stream(&to).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
    }
}
