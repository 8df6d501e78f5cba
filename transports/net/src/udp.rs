//! A UDP socket as the contract sees it.

use std::{
    io,
    net::SocketAddr,
    task::{Context, Poll},
};

use commucat_transport_api::UdpPort;
use tokio::{io::ReadBuf, net::UdpSocket};

#[derive(Debug)]
pub(crate) struct SystemUdpPort(pub(crate) UdpSocket);

impl UdpPort for SystemUdpPort {
    fn poll_recv_from(&self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<SocketAddr>> {
        loop {
            match self.0.poll_recv_from(cx, buf) {
                // An ICMP answer to an earlier datagram: it says nothing about this port, which serves many peers.
                Poll::Ready(Err(error)) if is_icmp_echo(&error) => buf.clear(),
                other => return other,
            }
        }
    }

    fn poll_send_to(&self, cx: &mut Context<'_>, datagram: &[u8], to: SocketAddr) -> Poll<io::Result<()>> {
        self.0.poll_send_to(cx, datagram, to).map_ok(|_sent_whole| ())
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }
}

fn is_icmp_echo(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::ConnectionRefused | io::ErrorKind::ConnectionReset)
}
