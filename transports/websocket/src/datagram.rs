//! A datagram association over one connection: every datagram with its peer's address in front.
//!
//! In `ws` mode a binary message is a datagram. In `raw` mode a big-endian u16 stands before each with its length. Either
//! way address and datagram together have at most 65,535 bytes. What makes no sense is dropped, as on UDP.

use std::{
    io,
    num::NonZeroUsize,
    pin::Pin,
    task::{Context, Poll, ready},
};

use commucat_transport_api::{DatagramChannel, HostPort, MAX_ADDRESS_BYTES, PathInfo};
use tokio::io::{AsyncRead as _, AsyncWrite as _, ReadBuf};

use crate::{
    conn::{Conn, Next},
    raw::RawStream,
};

/// Longest message: address and datagram.
const MAX_PACKET_BYTES: usize = 65_535;
/// Longest datagram, in bytes, whatever its peer's name: 65,276.
pub(crate) const MAX_DATAGRAM_BYTES: usize = MAX_PACKET_BYTES - MAX_ADDRESS_BYTES;
const MAX_DATAGRAM: NonZeroUsize = NonZeroUsize::new(MAX_DATAGRAM_BYTES).unwrap();
/// First size of the receive buffer: the common path MTU with room for a name.
const FIRST_BUFFER_BYTES: usize = 2048;

/// The association.
#[derive(Debug)]
pub(crate) struct WsDatagrams {
    framing: Framing,
    packet: Vec<u8>,
    have: usize,
}

#[derive(Debug)]
enum Framing {
    Messages(Box<Conn>),
    Prefixed(Box<Prefixed>),
}

impl WsDatagrams {
    pub(crate) fn messages(conn: Conn) -> Self {
        Self { framing: Framing::Messages(Box::new(conn)), packet: Vec::new(), have: 0 }
    }

    pub(crate) fn prefixed(stream: RawStream) -> Self {
        Self {
            framing: Framing::Prefixed(Box::new(Prefixed { stream, waiting: Waiting::NONE })),
            packet: Vec::new(),
            have: 0,
        }
    }

    /// Collects one packet into `self.packet[..self.have]`; `false` at the end of the channel.
    fn poll_packet(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        match &mut self.framing {
            Framing::Messages(conn) => poll_message(cx, conn, &mut self.packet, &mut self.have),
            Framing::Prefixed(prefixed) => {
                let Prefixed { stream, waiting } = &mut **prefixed;
                if let Poll::Ready(Err(error)) = waiting.poll_drain(cx, stream) {
                    return Poll::Ready(Err(error));
                }
                poll_prefixed(cx, stream, &mut self.packet, &mut self.have)
            }
        }
    }
}

#[derive(Debug)]
struct Prefixed {
    stream: RawStream,
    waiting: Waiting,
}

/// A packet that is only partly written. There is never more than one.
#[derive(Debug)]
struct Waiting {
    bytes: Vec<u8>,
    at: usize,
}

impl Waiting {
    const NONE: Self = Self { bytes: Vec::new(), at: 0 };

    fn put(&mut self, datagram: &[u8], peer: &HostPort) {
        let length = u16::try_from(peer.encoded_len() + datagram.len()).unwrap_or(u16::MAX);
        self.bytes.extend_from_slice(&length.to_be_bytes());
        peer.encode(&mut self.bytes);
        self.bytes.extend_from_slice(datagram);
    }

    fn poll_drain(&mut self, cx: &mut Context<'_>, stream: &mut RawStream) -> Poll<io::Result<()>> {
        while let Some(rest) = self.bytes.get(self.at..).filter(|rest| !rest.is_empty()) {
            self.at += ready!(Pin::new(&mut *stream).poll_write(cx, rest))?;
        }
        self.bytes.clear();
        self.at = 0;
        Pin::new(stream).poll_flush(cx)
    }
}

fn poll_message(
    cx: &mut Context<'_>,
    conn: &mut Conn,
    packet: &mut Vec<u8>,
    have: &mut usize,
) -> Poll<io::Result<bool>> {
    loop {
        if *have == packet.len() && *have <= MAX_PACKET_BYTES {
            let size = (packet.len() * 4).clamp(FIRST_BUFFER_BYTES, MAX_PACKET_BYTES + 1);
            packet.resize(size, 0);
        }
        // A message that is too long is read over and over into the same place, then dropped for its length.
        let too_long = *have > MAX_PACKET_BYTES;
        let start = if too_long { 0 } else { *have };
        let mut buf = ReadBuf::new(packet.get_mut(start..).unwrap_or_default());
        let next = ready!(conn.poll_next(cx, &mut buf, true))?;
        if !too_long {
            *have += buf.filled().len();
        }
        match next {
            Next::Payload => {}
            Next::MessageEnd { .. } => return Poll::Ready(Ok(true)),
            Next::Closed | Next::Eof => return Poll::Ready(Ok(false)),
        }
    }
}

fn poll_prefixed(
    cx: &mut Context<'_>,
    stream: &mut RawStream,
    packet: &mut Vec<u8>,
    have: &mut usize,
) -> Poll<io::Result<bool>> {
    loop {
        let need = match packet.first_chunk() {
            Some(&length) if *have >= 2 => 2 + usize::from(u16::from_be_bytes(length)),
            _ => 2,
        };
        if *have >= need && *have > 2 {
            return Poll::Ready(Ok(true));
        }
        if packet.len() < need {
            packet.resize(need.max(FIRST_BUFFER_BYTES), 0);
        }
        if *have == need {
            // A packet of no bytes: skip it.
            *have = 0;
            continue;
        }
        let mut buf = ReadBuf::new(packet.get_mut(*have..need).unwrap_or_default());
        ready!(Pin::new(&mut *stream).poll_read(cx, &mut buf))?;
        match buf.filled().len() {
            0 => return Poll::Ready(Ok(false)),
            got => *have += got,
        }
    }
}

impl DatagramChannel for WsDatagrams {
    fn poll_recv(
        &mut self,
        cx: &mut Context<'_>,
        out: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<Option<HostPort>>> {
        loop {
            if !ready!(self.poll_packet(cx))? {
                return Poll::Ready(Ok(None));
            }
            let skip = if matches!(self.framing, Framing::Prefixed(_)) { 2 } else { 0 };
            let have = std::mem::take(&mut self.have);
            let mut packet = self.packet.get(skip..have).unwrap_or_default();
            if packet.len() > MAX_PACKET_BYTES {
                continue;
            }
            if let Ok(peer) = HostPort::decode(&mut packet)
                && packet.len() <= out.remaining()
            {
                out.put_slice(packet);
                return Poll::Ready(Ok(Some(peer)));
            }
        }
    }

    fn poll_send(&mut self, cx: &mut Context<'_>, datagram: &[u8], peer: &HostPort) -> Poll<io::Result<()>> {
        if datagram.len() > MAX_DATAGRAM_BYTES {
            return Poll::Ready(Err(io::ErrorKind::InvalidInput.into()));
        }
        // What does not go out now goes out with the next send or receive.
        let flushed = match &mut self.framing {
            Framing::Messages(conn) => {
                let mut address = Vec::with_capacity(MAX_ADDRESS_BYTES);
                peer.encode(&mut address);
                ready!(conn.poll_message(cx, &[&address, datagram]))?;
                conn.poll_flush(cx)
            }
            Framing::Prefixed(prefixed) => {
                let Prefixed { stream, waiting } = &mut **prefixed;
                ready!(waiting.poll_drain(cx, stream))?;
                waiting.put(datagram, peer);
                waiting.poll_drain(cx, stream)
            }
        };
        if let Poll::Ready(Err(error)) = flushed {
            return Poll::Ready(Err(error));
        }
        Poll::Ready(Ok(()))
    }

    fn max_datagram(&self) -> NonZeroUsize {
        MAX_DATAGRAM
    }

    fn path(&self) -> PathInfo {
        PathInfo::default()
    }
}
