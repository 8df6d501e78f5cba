//! Datagrams of the reference transport: length (2) ‖ address ‖ payload, one after the other on a stream.

use std::{
    io,
    num::NonZeroUsize,
    pin::Pin,
    task::{Context, Poll, ready},
};

use commucat_transport_api::{BoxStream, DatagramChannel, HostPort, MAX_ADDRESS_BYTES};
use tokio::io::{AsyncRead as _, AsyncWrite as _, ReadBuf};

use super::Flaw;

const DATAGRAM_BYTES_MAX: usize = u16::MAX as usize - MAX_ADDRESS_BYTES;

#[derive(Debug)]
pub struct FramedDatagrams {
    stream: BoxStream,
    flaw: Flaw,
    input: Vec<u8>,
    output: Vec<u8>,
}

impl FramedDatagrams {
    pub fn new(stream: BoxStream, flaw: Flaw) -> Self {
        Self { stream, flaw, input: Vec::new(), output: Vec::new() }
    }

    fn take_frame(&mut self, buf: &mut ReadBuf<'_>) -> Option<io::Result<HostPort>> {
        let (length, rest) = self.input.split_first_chunk::<2>()?;
        let length = usize::from(u16::from_be_bytes(*length));
        let mut frame = rest.get(..length)?;
        let peer =
            HostPort::decode(&mut frame).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error));
        buf.put_slice(&frame[..frame.len().min(buf.remaining())]);
        self.input.drain(..2 + length);
        Some(peer)
    }

    fn poll_output(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.output.is_empty() {
            let sent = ready!(Pin::new(&mut self.stream).poll_write(cx, &self.output))?;
            self.output.drain(..sent);
        }
        Poll::Ready(Ok(()))
    }
}

impl DatagramChannel for FramedDatagrams {
    fn poll_recv(
        &mut self,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<Option<HostPort>>> {
        let _ = self.poll_output(cx)?;
        loop {
            if let Some(peer) = self.take_frame(buf) {
                return Poll::Ready(peer.map(Some));
            }
            let mut chunk = [0; 8192];
            let mut piece = ReadBuf::new(&mut chunk);
            ready!(Pin::new(&mut self.stream).poll_read(cx, &mut piece))?;
            if piece.filled().is_empty() {
                return Poll::Ready(Ok(None));
            }
            self.input.extend_from_slice(piece.filled());
        }
    }

    fn poll_send(
        &mut self,
        cx: &mut Context<'_>,
        mut datagram: &[u8],
        peer: &HostPort,
    ) -> Poll<io::Result<()>> {
        if datagram.len() > DATAGRAM_BYTES_MAX {
            if self.flaw != Flaw::CutsDatagrams {
                return Poll::Ready(Err(io::ErrorKind::InvalidInput.into()));
            }
            datagram = &datagram[..DATAGRAM_BYTES_MAX];
        }
        ready!(self.poll_output(cx))?;
        if self.flaw == Flaw::DropsLongest && datagram.len() == DATAGRAM_BYTES_MAX {
            return Poll::Ready(Ok(()));
        }
        let one: HostPort = "192.0.2.1:53".parse().unwrap();
        let peer = if self.flaw == Flaw::OnePeer { &one } else { peer };
        let length = u16::try_from(peer.encoded_len() + datagram.len()).unwrap();
        self.output.extend_from_slice(&length.to_be_bytes());
        peer.encode(&mut self.output);
        self.output.extend_from_slice(datagram);
        let _ = self.poll_output(cx)?;
        Poll::Ready(Ok(()))
    }

    fn max_datagram(&self) -> NonZeroUsize {
        NonZeroUsize::new(DATAGRAM_BYTES_MAX).unwrap()
    }
}
