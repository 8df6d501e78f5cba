//! A datagram association over a VLESS stream: XUDP, or VLESS UDP with its one peer.
//!
//! The stream is reliable, so nothing is lost on the way; what waits for it is bounded, and beyond that sending waits.

use std::{
    io,
    num::NonZeroUsize,
    pin::Pin,
    task::{Context, Poll, ready},
};

use commucat_transport_api::{BoxStream, DatagramChannel, HostPort};
use tokio::io::{AsyncRead as _, AsyncWrite as _, ReadBuf};

use super::{
    RequestError,
    xudp::{self, Frame},
};

/// Longest datagram that is sent: Xray has no longer buffers.
const MAX_DATAGRAM: NonZeroUsize = NonZeroUsize::new(8192).unwrap();
/// Bytes that wait for the stream; beyond it sending waits.
const MAX_WAITING_BYTES: usize = 64 << 10;
/// Bytes read from the stream at once. A frame has at most 66,050, so no more than both wait to be read.
const READ_BYTES: usize = 16 << 10;
/// Answers to frames that are not spoken here; a peer that asks for more of them at once gets none.
const MAX_REFUSALS_BYTES: usize = 1 << 10;

/// How datagrams are framed.
#[derive(Debug)]
enum Framing {
    /// Each with its peer. Whether the session began, and the last peer that was named.
    Xudp { began: bool, last: Option<HostPort> },
    /// Two bytes of length; all go to this peer and come from it.
    Fixed(HostPort),
}

/// The association.
#[derive(Debug)]
pub(crate) struct VlessDatagrams {
    io: BoxStream,
    framing: Framing,
    incoming: Vec<u8>,
    /// How much of `incoming` was read.
    read: usize,
    outgoing: Vec<u8>,
    sent: usize,
    ended: bool,
}

impl VlessDatagrams {
    /// XUDP; the dialling end begins the session.
    pub(crate) const fn xudp(io: BoxStream, dialled: bool) -> Self {
        Self::new(io, Framing::Xudp { began: !dialled, last: None })
    }

    /// The accepting end of VLESS UDP, whose datagrams all go to `peer`.
    pub(crate) const fn fixed(io: BoxStream, peer: HostPort) -> Self {
        Self::new(io, Framing::Fixed(peer))
    }

    const fn new(io: BoxStream, framing: Framing) -> Self {
        Self { io, framing, incoming: Vec::new(), read: 0, outgoing: Vec::new(), sent: 0, ended: false }
    }

    fn poll_drain(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.outgoing.is_empty() {
            return Poll::Ready(Ok(()));
        }
        while let Some(rest) = self.outgoing.get(self.sent..).filter(|rest| !rest.is_empty()) {
            match ready!(Pin::new(&mut self.io).poll_write(cx, rest))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                written => self.sent += written,
            }
        }
        ready!(Pin::new(&mut self.io).poll_flush(cx))?;
        self.outgoing.clear();
        self.sent = 0;
        Poll::Ready(Ok(()))
    }

    /// Takes the next datagram off what was read: `None` when more bytes are needed.
    fn next(&mut self, out: &mut ReadBuf<'_>) -> Result<Option<HostPort>, RequestError> {
        loop {
            let mut input = self.incoming.get(self.read..).unwrap_or_default();
            let before = input.len();
            let (datagram, peer) = match &mut self.framing {
                Framing::Fixed(peer) => match decode_fixed(&mut input) {
                    Some(datagram) => (datagram, Some(peer.clone())),
                    None => return Ok(None),
                },
                Framing::Xudp { last, .. } => {
                    let Some(frame) = xudp::decode(&mut input)? else { return Ok(None) };
                    match frame {
                        Frame::Datagram(Some(peer), datagram) => {
                            *last = Some(peer.clone());
                            (datagram, Some(peer))
                        }
                        Frame::Datagram(None, datagram) => (datagram, last.clone()),
                        Frame::Peer(peer) => {
                            *last = Some(peer);
                            (&[][..], None)
                        }
                        Frame::Foreign(session) => {
                            if self.outgoing.len() < MAX_REFUSALS_BYTES {
                                xudp::refuse(session, &mut self.outgoing);
                            }
                            (&[][..], None)
                        }
                        Frame::Nothing => (&[][..], None),
                        Frame::End => {
                            self.ended = true;
                            return Ok(None);
                        }
                    }
                }
            };
            self.read += before - input.len();
            // A datagram that its reader has no room for is lost, as on UDP.
            if let Some(peer) = peer
                && datagram.len() <= out.remaining()
            {
                out.put_slice(datagram);
                return Ok(Some(peer));
            }
        }
    }

    fn poll_more(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.incoming.drain(..self.read.min(self.incoming.len()));
        self.read = 0;
        let held = self.incoming.len();
        self.incoming.resize(held + READ_BYTES, 0);
        let mut buf = ReadBuf::new(self.incoming.get_mut(held..).unwrap_or_default());
        let polled = Pin::new(&mut self.io).poll_read(cx, &mut buf);
        let count = buf.filled().len();
        self.incoming.truncate(held + count);
        if held + count == 0 {
            // An idle association holds no buffer.
            self.incoming = Vec::new();
        }
        ready!(polled)?;
        self.ended |= count == 0;
        Poll::Ready(Ok(()))
    }
}

/// A datagram behind two bytes of length; `None` when it is not whole yet.
fn decode_fixed<'a>(input: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (length, rest) = input.split_first_chunk()?;
    let (datagram, rest) = rest.split_at_checked(u16::from_be_bytes(*length).into())?;
    *input = rest;
    Some(datagram)
}

impl DatagramChannel for VlessDatagrams {
    fn poll_recv(
        &mut self,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<Option<HostPort>>> {
        // Who only receives still sends what waits.
        let _sent = self.poll_drain(cx)?;
        loop {
            let next = self.next(buf).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
            if let Some(peer) = next {
                return Poll::Ready(Ok(Some(peer)));
            }
            if self.ended {
                return Poll::Ready(Ok(None));
            }
            ready!(self.poll_more(cx))?;
        }
    }

    fn poll_send(&mut self, cx: &mut Context<'_>, datagram: &[u8], peer: &HostPort) -> Poll<io::Result<()>> {
        if datagram.len() > MAX_DATAGRAM.get() {
            return Poll::Ready(Err(io::ErrorKind::InvalidInput.into()));
        }
        if self.outgoing.len() >= MAX_WAITING_BYTES {
            ready!(self.poll_drain(cx))?;
        }
        match &mut self.framing {
            Framing::Xudp { began, .. } => {
                xudp::encode(!std::mem::replace(began, true), peer, datagram, &mut self.outgoing);
            }
            // Somebody else wrote to the port that stands for this peer; the protocol cannot say who.
            Framing::Fixed(known) if known.host.ip().is_some() && known != peer => {
                return Poll::Ready(Ok(()));
            }
            Framing::Fixed(_) => {
                let length = u16::try_from(datagram.len()).unwrap_or(u16::MAX);
                self.outgoing.extend_from_slice(&length.to_be_bytes());
                self.outgoing.extend_from_slice(datagram);
            }
        }
        // What does not leave now leaves with the next send or receive.
        let _sent = self.poll_drain(cx)?;
        Poll::Ready(Ok(()))
    }

    fn max_datagram(&self) -> NonZeroUsize {
        MAX_DATAGRAM
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};

    use super::*;

    async fn receive(channel: &mut VlessDatagrams) -> io::Result<Option<(HostPort, Vec<u8>)>> {
        let mut bytes = vec![0; 65_536];
        let mut buf = ReadBuf::new(&mut bytes);
        let peer = poll_fn(|cx| channel.poll_recv(cx, &mut buf)).await?;
        Ok(peer.map(|peer| (peer, buf.filled().to_vec())))
    }

    #[tokio::test]
    async fn xudp_names_every_peer() {
        let (near, far) = duplex(11);
        let mut client = VlessDatagrams::xudp(Box::new(near), true);
        let mut server = VlessDatagrams::xudp(Box::new(far), false);
        for text in ["192.0.2.1:53", "a.example:9", "[2001:db8::1]:443"] {
            let peer: HostPort = text.parse().unwrap();
            let datagram = vec![7; 900];
            poll_fn(|cx| client.poll_send(cx, &datagram, &peer)).await.unwrap();
            let answered = async {
                let (from, got) = receive(&mut server).await.unwrap().unwrap();
                assert_eq!((&from, &got), (&peer, &datagram));
                poll_fn(|cx| server.poll_send(cx, &got, &from)).await.unwrap();
                receive(&mut server).await
            };
            tokio::select! {
                _never = answered => panic!("nothing more is sent"),
                back = receive(&mut client) => assert_eq!(back.unwrap().unwrap(), (peer.clone(), datagram.clone())),
            }
        }
        drop(client);
        assert_eq!(receive(&mut server).await.unwrap(), None);
    }

    #[tokio::test]
    async fn a_stalled_stream_makes_senders_wait() {
        let (near, _far) = duplex(16);
        let mut channel = VlessDatagrams::xudp(Box::new(near), true);
        let peer = "192.0.2.1:53".parse().unwrap();
        let mut sent = 0;
        let full = poll_fn(|cx| {
            while let Poll::Ready(done) = channel.poll_send(cx, &[1; 8000], &peer) {
                done.unwrap();
                sent += 1;
            }
            Poll::Ready(sent)
        });
        assert_eq!(full.await, 9, "64 KiB and the one that passes them");
        let long = poll_fn(|cx| channel.poll_send(cx, &[1; 8193], &peer)).await.unwrap_err();
        assert_eq!(long.kind(), io::ErrorKind::InvalidInput);
    }

    #[tokio::test]
    async fn fixed_ones_go_to_their_peer() {
        let (near, mut far) = duplex(1024);
        let peer: HostPort = "192.0.2.1:53".parse().unwrap();
        let mut channel = VlessDatagrams::fixed(Box::new(near), peer.clone());
        far.write_all(&[0, 2, 5, 6, 0, 0, 0, 1, 7]).await.unwrap();
        for datagram in [&[5, 6][..], &[], &[7]] {
            assert_eq!(receive(&mut channel).await.unwrap().unwrap(), (peer.clone(), datagram.to_vec()));
        }
        poll_fn(|cx| channel.poll_send(cx, b"no", &"192.0.2.2:53".parse().unwrap())).await.unwrap();
        poll_fn(|cx| channel.poll_send(cx, b"yes", &peer)).await.unwrap();
        drop(channel);
        let mut wire = Vec::new();
        far.read_to_end(&mut wire).await.unwrap();
        assert_eq!(wire, b"\0\x03yes");
    }

    #[tokio::test]
    async fn floods_of_sessions_that_are_not_spoken_are_bounded() {
        let (near, mut far) = duplex(64);
        let mut channel = VlessDatagrams::xudp(Box::new(near), false);
        let flood = async {
            for _frame in 0..5000 {
                far.write_all(&[0, 12, 0, 1, 1, 0, 1, 0, 80, 1, 192, 0, 2, 1]).await.unwrap();
            }
            far.write_all(&[0, 4, 0, 0, 3, 0]).await.unwrap();
            far
        };
        let (ended, _far) = tokio::join!(receive(&mut channel), flood);
        assert_eq!(ended.unwrap(), None);
        assert!(channel.outgoing.len() <= MAX_REFUSALS_BYTES + 6);
    }
}
