//! SOCKS5 UDP ASSOCIATE (RFC 1928 §7): full-cone, without fragments, tied to its TCP connection.
//!
//! Nothing is queued here: a datagram that the channel cannot take now stays the only one in hand, and what arrives
//! meanwhile waits in the kernel's buffer or is lost there, as datagrams may be.

use std::{
    future::poll_fn,
    io,
    net::{IpAddr, SocketAddr},
    pin::Pin,
    task::{Context, Poll},
};

use commucat_transport_api::{BoxStream, DatagramChannel, HostPort, UdpPort};
use tokio::io::{AsyncRead as _, AsyncWriteExt as _, ReadBuf};

use super::Local;
use crate::socks::{Reply, udp, v5};

/// Longest datagram that is read, in bytes.
const MAX_DATAGRAM_BYTES: usize = 65_535;
/// Datagrams that are moved in one go before others get a turn.
const BURST: usize = 64;
/// Times a channel that broke is replaced in one association.
const MAX_REDIALS: usize = 8;

pub(crate) async fn serve(mut control: BoxStream, peer: SocketAddr, from: &HostPort, local: &Local) {
    let opened = open(local).await;
    let reply = match &opened {
        Ok((_, _, bound)) => v5::reply(Reply::Succeeded, Some(*bound)),
        Err(code) => v5::reply(*code, None),
    };
    if let Err(error) = control.write_all(&reply).await {
        return tracing::debug!(%error, "the local program is gone");
    }
    let Ok((mut channel, port, _)) = opened else {
        // Ends the answer; the program may be gone already.
        return drop(control.shutdown().await);
    };
    let mut association = Association::new(port, peer, from);
    for _ in 0..MAX_REDIALS {
        match poll_fn(|cx| association.poll(cx, &mut control, &mut *channel)).await {
            End::Released => return,
            End::Port(error) => return tracing::debug!(%error, "the local datagram port broke"),
            End::Channel(error) => tracing::debug!(?error, "a datagram channel ended; dialling another"),
        }
        channel = match local.manager.datagrams().await {
            Ok(channel) => channel,
            Err(failed) => return tracing::debug!(%failed, "no other datagram channel"),
        };
    }
}

type Opened = (Box<dyn DatagramChannel>, Box<dyn UdpPort>, SocketAddr);

async fn open(local: &Local) -> Result<Opened, Reply> {
    let channel = local.manager.datagrams().await.map_err(|failed| {
        if failed.unsupported {
            Reply::CommandNotSupported
        } else {
            Reply::from_evidence(failed.failure.as_ref())
        }
    })?;
    let failed = |error: io::Error| {
        tracing::warn!(%error, "could not open a local datagram port");
        Reply::GeneralFailure
    };
    let port = local.net.bind_datagram((local.address.ip(), 0).into()).await.map_err(failed)?;
    let bound = port.local_addr().map_err(failed)?;
    Ok((channel, port, bound))
}

/// Why an association, or its channel, ended.
enum End {
    /// The program closed its TCP connection.
    Released,
    Port(io::Error),
    Channel(Option<io::Error>),
}

struct Association {
    port: Box<dyn UdpPort>,
    /// Only datagrams from here are taken: the host of the TCP connection.
    host: IpAddr,
    /// The program's port: as it said, or that of its first datagram.
    program: Option<SocketAddr>,
    program_port: Option<u16>,
    /// A datagram from the program that the channel did not take yet.
    in_hand: Option<(HostPort, Vec<u8>)>,
    buffer: Vec<u8>,
    out: Vec<u8>,
}

impl Association {
    fn new(port: Box<dyn UdpPort>, peer: SocketAddr, from: &HostPort) -> Self {
        Self {
            port,
            host: peer.ip().to_canonical(),
            program: None,
            program_port: Some(from.port).filter(|port| *port != 0),
            in_hand: None,
            buffer: vec![0; MAX_DATAGRAM_BYTES],
            out: Vec::new(),
        }
    }

    fn poll(
        &mut self,
        cx: &mut Context<'_>,
        control: &mut BoxStream,
        channel: &mut dyn DatagramChannel,
    ) -> Poll<End> {
        if poll_released(cx, control) {
            return Poll::Ready(End::Released);
        }
        for _ in 0..BURST {
            let (up, down) = (self.poll_up(cx, channel), self.poll_down(cx, channel));
            match (up, down) {
                (Poll::Ready(Err(end)), _) | (_, Poll::Ready(Err(end))) => return Poll::Ready(end),
                (Poll::Pending, Poll::Pending) => return Poll::Pending,
                _ => {}
            }
        }
        // More is there: let others run first.
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// One datagram from the program towards the bridge.
    fn poll_up(&mut self, cx: &mut Context<'_>, channel: &mut dyn DatagramChannel) -> Poll<Result<(), End>> {
        if self.in_hand.is_none() {
            let mut buf = ReadBuf::new(&mut self.buffer);
            let from = match self.port.poll_recv_from(cx, &mut buf) {
                Poll::Ready(Ok(from)) => from,
                Poll::Ready(Err(error)) => return Poll::Ready(Err(End::Port(error))),
                Poll::Pending => return Poll::Pending,
            };
            let taken = udp::decode(buf.filled()).map(|(to, payload)| (to, payload.to_vec()));
            match taken {
                Ok(datagram) if self.admits(from) => self.in_hand = Some(datagram),
                Ok(_foreign) => tracing::debug!("a datagram from somebody else was dropped"),
                Err(error) => tracing::debug!(%error, "a datagram was dropped"),
            }
        }
        let Some((to, payload)) = &self.in_hand else { return Poll::Ready(Ok(())) };
        match channel.poll_send(cx, payload, to) {
            Poll::Pending => return Poll::Pending,
            Poll::Ready(Ok(())) => {}
            Poll::Ready(Err(error)) if error.kind() == io::ErrorKind::InvalidInput => {
                tracing::debug!(
                    bytes = payload.len(),
                    "a datagram is too long for the channel and was dropped"
                );
            }
            Poll::Ready(Err(error)) => return Poll::Ready(Err(End::Channel(Some(error)))),
        }
        self.in_hand = None;
        Poll::Ready(Ok(()))
    }

    /// One datagram from the bridge to the program.
    fn poll_down(
        &mut self,
        cx: &mut Context<'_>,
        channel: &mut dyn DatagramChannel,
    ) -> Poll<Result<(), End>> {
        let mut buf = ReadBuf::new(&mut self.buffer);
        let from = match channel.poll_recv(cx, &mut buf) {
            Poll::Ready(Ok(Some(from))) => from,
            Poll::Ready(Ok(None)) => return Poll::Ready(Err(End::Channel(None))),
            Poll::Ready(Err(error)) => return Poll::Ready(Err(End::Channel(Some(error)))),
            Poll::Pending => return Poll::Pending,
        };
        let Some(program) = self.program else { return Poll::Ready(Ok(())) };
        udp::encode(&from, buf.filled(), &mut self.out);
        // A full or unwilling socket loses the datagram, as a network would.
        if let Poll::Ready(Err(error)) = self.port.poll_send_to(cx, &self.out, program) {
            tracing::debug!(%error, "a datagram to the program was lost");
        }
        Poll::Ready(Ok(()))
    }

    fn admits(&mut self, from: SocketAddr) -> bool {
        let known = self.program.is_none_or(|program| program == from);
        let port = self.program_port.is_none_or(|port| port == from.port());
        let ours = known && port && from.ip().to_canonical() == self.host;
        if ours {
            self.program = Some(from);
        }
        ours
    }
}

/// Whether the TCP connection ended; what the program sends on it means nothing.
fn poll_released(cx: &mut Context<'_>, control: &mut BoxStream) -> bool {
    let mut ignored = [0; 64];
    loop {
        let mut buf = ReadBuf::new(&mut ignored);
        match Pin::new(&mut *control).poll_read(cx, &mut buf) {
            Poll::Pending => return false,
            Poll::Ready(Ok(())) if !buf.filled().is_empty() => {}
            Poll::Ready(_) => return true,
        }
    }
}
