//! Datagram ports of the simulated network.

use std::{
    collections::VecDeque,
    io,
    net::{IpAddr, SocketAddr},
};

use bytes::Bytes;

use super::{Happening, PacketKind, Wait, World, routed};
use crate::sim::{Fate, link::SimTime};

/// Longest UDP payload over IPv4, in bytes.
const DATAGRAM_BYTES_MAX: usize = 65_507;
/// Bytes a port holds unread; more are dropped, as a kernel does.
const RECEIVE_BUFFER_BYTES: usize = 1 << 20;

#[derive(Debug, Default)]
pub(super) struct UdpSocket {
    inbox: VecDeque<Received>,
    inbox_bytes: usize,
}

/// A datagram that arrived.
#[derive(Debug)]
pub(in crate::sim) struct Received {
    pub(in crate::sim) from: SocketAddr,
    pub(in crate::sim) bytes: Bytes,
}

impl World {
    pub(in crate::sim) fn bind_udp(&mut self, host: IpAddr, local: SocketAddr) -> io::Result<SocketAddr> {
        let address =
            self.bind_address(host, local, |world, address| world.sockets.contains_key(&address))?;
        self.sockets.insert(address, UdpSocket::default());
        Ok(address)
    }

    pub(in crate::sim) fn close_udp(&mut self, address: SocketAddr) {
        self.sockets.remove(&address);
    }

    pub(in crate::sim) fn send_datagram(
        &mut self,
        now: SimTime,
        from: SocketAddr,
        to: SocketAddr,
        datagram: &[u8],
    ) -> io::Result<()> {
        if datagram.len() > DATAGRAM_BYTES_MAX {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "longer than a UDP datagram"));
        }
        let to = routed(from.ip(), to);
        let fate = self.link(from.ip(), to.ip()).send_datagram(now, datagram.len());
        self.note(now, from, to, PacketKind::Datagram, datagram.len(), fate);
        if let Fate::Arrives(at) = fate {
            let received = Received { from, bytes: Bytes::copy_from_slice(datagram) };
            self.at(at, Happening::Datagram(to, received));
        }
        Ok(())
    }

    pub(in crate::sim) fn receive_datagram(&mut self, at: SocketAddr) -> Option<Received> {
        let socket = self.sockets.get_mut(&at)?;
        let received = socket.inbox.pop_front()?;
        socket.inbox_bytes -= received.bytes.len();
        Some(received)
    }

    pub(super) fn datagram_arrives(&mut self, to: SocketAddr, datagram: Received) {
        let Some(socket) = self.sockets.get_mut(&to) else { return };
        if socket.inbox_bytes + datagram.bytes.len() > RECEIVE_BUFFER_BYTES {
            return;
        }
        socket.inbox_bytes += datagram.bytes.len();
        socket.inbox.push_back(datagram);
        self.ready.insert(Wait::Datagram(to));
    }
}
