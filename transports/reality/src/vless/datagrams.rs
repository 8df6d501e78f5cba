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
    resume::{Handover, Place},
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
    /// Where the association goes on that an id of this one's client belongs to.
    place: Option<Place>,
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

    /// The accepting end of XUDP, whose client may come back over another stream.
    pub(crate) fn accepted(io: BoxStream, place: Place) -> Self {
        let mut channel = Self::xudp(io, false);
        channel.place = Some(place);
        channel
    }

    const fn new(io: BoxStream, framing: Framing) -> Self {
        Self {
            io,
            framing,
            incoming: Vec::new(),
            read: 0,
            outgoing: Vec::new(),
            sent: 0,
            ended: false,
            place: None,
        }
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
                        Frame::New(id, peer, datagram) => {
                            let place = self.place.as_mut().zip(id);
                            if let Some(theirs) = place.and_then(|(place, id)| place.take(id)) {
                                // The frame is theirs to read, too.
                                let incoming = self.incoming.split_off(self.read);
                                let io = std::mem::replace(&mut self.io, Box::new(tokio::io::empty()));
                                theirs.send(Handover { io, incoming });
                                self.ended = true;
                                return Ok(None);
                            }
                            *last = Some(peer.clone());
                            (datagram.unwrap_or_default(), datagram.is_some().then_some(peer))
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

impl VlessDatagrams {
    /// Goes on with the stream over which the client came back, if it did. What waited for the old one is lost, as
    /// datagrams are.
    fn change_streams(&mut self, cx: &mut Context<'_>) {
        let Some(place) = &mut self.place else { return };
        while let Poll::Ready(Handover { io, incoming }) = place.poll_stream(cx) {
            self.io = io;
            self.incoming = incoming;
            self.outgoing.clear();
            (self.read, self.sent, self.ended) = (0, 0, false);
        }
    }

    /// Waits for another stream, when there may be one.
    fn park(&mut self) -> bool {
        let parked = self.place.as_mut().is_some_and(Place::park);
        if parked {
            self.io = Box::new(tokio::io::empty());
            self.incoming = Vec::new();
            self.outgoing = Vec::new();
            (self.read, self.sent) = (0, 0);
        }
        parked
    }

    fn is_parked(&self) -> bool {
        self.place.as_ref().is_some_and(Place::is_parked)
    }

    fn poll_parked(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.place.as_mut().map_or(Poll::Ready(()), |place| place.poll_given_up(cx))
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
        self.change_streams(cx);
        if self.is_parked() {
            return self.poll_parked(cx).map(|()| Ok(None));
        }
        // Who only receives still sends what waits.
        if let Poll::Ready(Err(error)) = self.poll_drain(cx)
            && !self.park()
        {
            return Poll::Ready(Err(error));
        }
        loop {
            if self.is_parked() {
                return self.poll_parked(cx).map(|()| Ok(None));
            }
            let next = self.next(buf).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
            if let Some(peer) = next {
                return Poll::Ready(Ok(Some(peer)));
            }
            if self.ended {
                return Poll::Ready(Ok(None));
            }
            match ready!(self.poll_more(cx)) {
                Ok(()) if !self.ended => {}
                // The stream is gone and nobody said that the association is over.
                Ok(()) => self.ended = !self.park(),
                Err(error) if !self.park() => return Poll::Ready(Err(error)),
                Err(_) => {}
            }
        }
    }

    fn poll_send(&mut self, cx: &mut Context<'_>, datagram: &[u8], peer: &HostPort) -> Poll<io::Result<()>> {
        if datagram.len() > MAX_DATAGRAM.get() {
            return Poll::Ready(Err(io::ErrorKind::InvalidInput.into()));
        }
        // Nobody is there to hear it; the network would lose it, too.
        if self.is_parked() {
            return Poll::Ready(Ok(()));
        }
        if self.outgoing.len() >= MAX_WAITING_BYTES
            && let Err(error) = ready!(self.poll_drain(cx))
        {
            return Poll::Ready(if self.park() { Ok(()) } else { Err(error) });
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
        match self.poll_drain(cx) {
            Poll::Ready(Err(error)) if !self.park() => Poll::Ready(Err(error)),
            _ => Poll::Ready(Ok(())),
        }
    }

    fn max_datagram(&self) -> NonZeroUsize {
        MAX_DATAGRAM
    }
}

#[cfg(test)]
mod tests;
