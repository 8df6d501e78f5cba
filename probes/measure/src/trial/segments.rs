//! Packets of a TCP connection as the kernel counted them: `TCP_INFO`, asked over netlink (`sock_diag`, Linux), because
//! that needs no `unsafe`. What retransmission and coalescing do to writes is seen here, as a box on the way sees it.

use std::{
    io::{Read as _, Write as _},
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use socket2::{Domain, Protocol, Socket, Type};

/// Counters of one connection, since its first SYN.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Segments {
    /// Segments sent, retransmissions and pure acknowledgements included.
    pub(crate) sent: u32,
    /// Segments received.
    pub(crate) received: u32,
    /// Payload bytes that the peer has acknowledged.
    pub(crate) bytes_acked: u64,
    /// Payload bytes received, each once.
    pub(crate) bytes_received: u64,
    /// Segments with payload received, repeated ones included.
    pub(crate) data_received: u32,
    /// Segments sent more than once.
    pub(crate) retransmitted: u32,
    /// Size of received segments, as the kernel estimates it, in bytes.
    pub(crate) receive_mss: u32,
}

/// A question to the kernel, which can be asked again.
#[derive(Debug)]
pub(crate) struct Counter {
    socket: Socket,
    request: Vec<u8>,
}

const AF_NETLINK: i32 = 16;
const NETLINK_SOCK_DIAG: i32 = 4;
const SOCK_DIAG_BY_FAMILY: u16 = 20;
const NLM_F_REQUEST: u16 = 1;
const AF_INET: u8 = 2;
const AF_INET6: u8 = 10;
const IPPROTO_TCP: u8 = 6;
/// Asks for the attribute `INET_DIAG_INFO` (2): bit 2 − 1.
const WANT_INFO: u8 = 1 << 1;
const INET_DIAG_INFO: u16 = 2;
/// `struct nlmsghdr` and `struct inet_diag_msg`.
const HEADER_BYTES: usize = 16;
const DIAG_BYTES: usize = 72;
/// A netlink answer of one connection has under 1 KiB.
const ANSWER_BYTES: usize = 8 * 1024;
/// The kernel answers within the system call; this only guards against one that never does.
const ANSWER_TIMEOUT: Duration = Duration::from_millis(200);

impl Counter {
    /// Counts the connection between these two; `None` where the system cannot say.
    pub(crate) fn new(local: SocketAddr, peer: SocketAddr) -> Option<Self> {
        if !cfg!(target_os = "linux") {
            return None;
        }
        let socket =
            Socket::new(Domain::from(AF_NETLINK), Type::DGRAM, Some(Protocol::from(NETLINK_SOCK_DIAG)))
                .ok()?;
        socket.set_read_timeout(Some(ANSWER_TIMEOUT)).ok()?;
        let counter = Self { socket, request: request(local, peer) };
        counter.read().map(|_first| counter)
    }

    /// The counters now; `None` when the connection is gone.
    pub(crate) fn read(&self) -> Option<Segments> {
        let mut socket = &self.socket;
        socket.write_all(&self.request).ok()?;
        let mut answer = vec![0; ANSWER_BYTES];
        let len = socket.read(&mut answer).ok()?;
        parse(answer.get(..len)?)
    }
}

/// `struct inet_diag_req_v2` behind its header (linux/inet_diag.h).
fn request(local: SocketAddr, peer: SocketAddr) -> Vec<u8> {
    let family = if local.is_ipv4() { AF_INET } else { AF_INET6 };
    let mut body = vec![family, IPPROTO_TCP, WANT_INFO, 0];
    body.extend(u32::MAX.to_ne_bytes()); // every state
    body.extend(local.port().to_be_bytes());
    body.extend(peer.port().to_be_bytes());
    for ip in [local.ip(), peer.ip()] {
        let mut field = [0; 16];
        match ip {
            IpAddr::V4(ip) => field.iter_mut().zip(ip.octets()).for_each(|(to, from)| *to = from),
            IpAddr::V6(ip) => field = ip.octets(),
        }
        body.extend(field);
    }
    body.extend(0_u32.to_ne_bytes()); // any interface
    body.extend([u8::MAX; 8]); // no cookie
    let total = u32::try_from(HEADER_BYTES + body.len()).unwrap_or(u32::MAX);
    let mut request = total.to_ne_bytes().to_vec();
    request.extend(SOCK_DIAG_BY_FAMILY.to_ne_bytes());
    request.extend(NLM_F_REQUEST.to_ne_bytes());
    request.extend([0; 8]); // sequence number and port id
    request.extend(body);
    request
}

fn parse(answer: &[u8]) -> Option<Segments> {
    let kind = u16::from_ne_bytes(answer.get(4..6)?.try_into().ok()?);
    if kind != SOCK_DIAG_BY_FAMILY {
        return None;
    }
    let mut rest = answer.get(HEADER_BYTES + DIAG_BYTES..)?;
    loop {
        let len = usize::from(u16::from_ne_bytes(rest.get(..2)?.try_into().ok()?));
        let kind = u16::from_ne_bytes(rest.get(2..4)?.try_into().ok()?);
        if kind == INET_DIAG_INFO {
            return info(rest.get(4..len)?);
        }
        rest = rest.get(len.max(4).next_multiple_of(4)..)?;
    }
}

/// `struct tcp_info` (linux/tcp.h); its fields never move.
fn info(bytes: &[u8]) -> Option<Segments> {
    let word = |at: usize| Some(u32::from_ne_bytes(bytes.get(at..at + 4)?.try_into().ok()?));
    let long = |at: usize| Some(u64::from_ne_bytes(bytes.get(at..at + 8)?.try_into().ok()?));
    Some(Segments {
        receive_mss: word(20)?,
        retransmitted: word(100)?,
        bytes_acked: long(120)?,
        bytes_received: long(128)?,
        sent: word(136)?,
        received: word(140)?,
        data_received: word(152)?,
    })
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use super::*;

    #[test]
    fn the_kernel_counts_our_segments() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (mut server, _) = listener.accept().unwrap();
        let Some(counter) = Counter::new(client.local_addr().unwrap(), client.peer_addr().unwrap()) else {
            // A kernel without INET_DIAG: packets are then counted by construction.
            return;
        };
        let before = counter.read().unwrap();
        assert_eq!((before.sent, before.received), (2, 1), "SYN, SYN-ACK, ACK");
        client.set_nodelay(true).unwrap();
        server.set_nodelay(true).unwrap();
        let mut byte = [0; 2];
        for _round in 0..10 {
            client.write_all(b"ab").unwrap();
            server.read_exact(&mut byte).unwrap();
            server.write_all(&byte).unwrap();
            client.read_exact(&mut byte).unwrap();
        }
        let after = counter.read().unwrap();
        // bytes_acked counts the SYN as one.
        assert_eq!((after.bytes_received, after.data_received), (20, 10));
        assert!(after.sent >= 12 && after.received >= 11, "{after:?}");
        drop(client);
        assert_eq!(
            Counter::new("127.0.0.1:1".parse().unwrap(), "127.0.0.1:2".parse().unwrap()).map(|_| ()),
            None
        );
    }
}
