//! A small SOCKS5 client (RFC 1928), to reach what stands behind the SOCKS ports of foreign programs.

use std::net::SocketAddr;

use anyhow::{Result, ensure};
use commucat_transport_api::HostPort;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpStream, UdpSocket},
};

const CONNECT: u8 = 1;
const ASSOCIATE: u8 = 3;
/// Before the address of a datagram: two reserved bytes and the fragment number.
const UDP_HEAD_BYTES: usize = 3;

/// Connects to a target through a SOCKS5 port.
///
/// # Errors
/// The proxy refused.
pub async fn socks_connect(proxy: SocketAddr, target: &HostPort) -> Result<TcpStream> {
    let (stream, _bound) = request(proxy, CONNECT, target).await?;
    Ok(stream)
}

/// A UDP association; it lives as long as its TCP connection.
#[derive(Debug)]
pub struct SocksUdp {
    _control: TcpStream,
    socket: UdpSocket,
}

impl SocksUdp {
    /// Asks for one.
    ///
    /// # Errors
    /// The proxy refused.
    pub async fn open(proxy: SocketAddr) -> Result<Self> {
        let any = HostPort::from(SocketAddr::from(([0, 0, 0, 0], 0)));
        let (control, bound) = request(proxy, ASSOCIATE, &any).await?;
        let socket = UdpSocket::bind("127.0.0.1:0").await?;
        socket.connect(bound.socket_addr().unwrap_or(proxy)).await?;
        Ok(Self { _control: control, socket })
    }

    /// Sends a datagram to a target.
    ///
    /// # Errors
    /// The system refused.
    pub async fn send(&self, target: SocketAddr, data: &[u8]) -> Result<()> {
        let mut datagram = vec![0; UDP_HEAD_BYTES];
        HostPort::from(target).encode(&mut datagram);
        datagram.extend_from_slice(data);
        self.socket.send(&datagram).await?;
        Ok(())
    }

    /// The next datagram and where it came from.
    ///
    /// # Errors
    /// It has no SOCKS header.
    pub async fn receive(&self) -> Result<(HostPort, Vec<u8>)> {
        let mut buffer = vec![0; 65_536];
        let count = self.socket.recv(&mut buffer).await?;
        let mut rest = buffer.get(UDP_HEAD_BYTES..count).unwrap_or_default();
        let from = HostPort::decode(&mut rest)?;
        Ok((from, rest.to_vec()))
    }
}

async fn request(proxy: SocketAddr, command: u8, target: &HostPort) -> Result<(TcpStream, HostPort)> {
    let mut stream = TcpStream::connect(proxy).await?;
    stream.write_all(&[5, 1, 0]).await?;
    let mut choice = [0; 2];
    stream.read_exact(&mut choice).await?;
    ensure!(choice == [5, 0], "the proxy wants authentication");
    let mut request = vec![5, command, 0];
    target.encode(&mut request);
    stream.write_all(&request).await?;
    let mut head = [0; 3];
    stream.read_exact(&mut head).await?;
    ensure!(head.starts_with(&[5, 0]), "the proxy refused: {head:?}");
    let mut address = Vec::new();
    let bound = loop {
        address.push(stream.read_u8().await?);
        if let Ok(bound) = HostPort::decode(&mut address.as_slice()) {
            break bound;
        }
        ensure!(address.len() < 300, "the proxy sent no address");
    };
    Ok((stream, bound))
}
