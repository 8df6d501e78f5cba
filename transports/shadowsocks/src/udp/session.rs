//! The accepting end of a datagram channel: one session of one client, fed by the demultiplexer.

use std::{
    collections::VecDeque,
    io,
    net::SocketAddr,
    num::NonZeroUsize,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
};

use commucat_transport_api::{DatagramChannel, HostPort, Net};
use tokio::io::ReadBuf;

use super::{
    MAX_DATAGRAM_BYTES,
    client::{copy, is_transient},
    padding,
    port::SharedPort,
    sealer::PacketSealer,
};
use crate::{method::Edition, wire};

/// Packets that wait for a slow reader; the newest are dropped beyond it.
const MAX_QUEUED_PACKETS: usize = 512;
/// The same in payload bytes: 512 KiB.
const MAX_QUEUED_BYTES: usize = 512 * 1024;

/// What demultiplexer and channel share.
#[derive(Debug)]
pub(crate) struct Session(Mutex<State>);

#[derive(Debug)]
struct State {
    queue: VecDeque<(HostPort, Vec<u8>)>,
    bytes: usize,
    reader: Option<Waker>,
    /// Where the client was heard last; answers go there, so that a session survives a change of network.
    client: SocketAddr,
    closed: bool,
}

impl Session {
    pub(crate) fn new(client: SocketAddr) -> Self {
        Self(Mutex::new(State { queue: VecDeque::new(), bytes: 0, reader: None, client, closed: false }))
    }

    /// Queues a packet that verified; false when nobody will read it.
    pub(crate) fn deliver(&self, client: SocketAddr, address: HostPort, payload: &[u8]) -> bool {
        let mut state = self.lock();
        if state.closed {
            return false;
        }
        state.client = client;
        if state.queue.len() < MAX_QUEUED_PACKETS && state.bytes + payload.len() <= MAX_QUEUED_BYTES {
            state.bytes += payload.len();
            state.queue.push_back((address, payload.to_vec()));
            if let Some(reader) = state.reader.take() {
                reader.wake();
            }
        }
        true
    }

    /// Ends the channel; what is queued can still be read.
    pub(crate) fn close(&self) {
        let mut state = self.lock();
        state.closed = true;
        if let Some(reader) = state.reader.take() {
            reader.wake();
        }
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.lock().closed
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The channel that a server hands out for a session.
#[derive(Debug)]
pub(crate) struct ServerDatagrams {
    pub(crate) session: Arc<Session>,
    pub(crate) port: Arc<SharedPort>,
    pub(crate) net: Arc<dyn Net>,
    pub(crate) edition: Edition,
    pub(crate) client_session: [u8; 8],
    pub(crate) sealer: PacketSealer,
    pub(crate) scratch: Vec<u8>,
}

impl DatagramChannel for ServerDatagrams {
    fn poll_recv(
        &mut self,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<Option<HostPort>>> {
        let mut state = self.session.lock();
        if let Some((address, payload)) = state.queue.pop_front() {
            state.bytes = state.bytes.saturating_sub(payload.len());
            copy(Some(&payload), buf);
            return Poll::Ready(Ok(Some(address)));
        }
        if state.closed {
            return Poll::Ready(Ok(None));
        }
        state.reader = Some(cx.waker().clone());
        Poll::Pending
    }

    fn poll_send(&mut self, cx: &mut Context<'_>, datagram: &[u8], peer: &HostPort) -> Poll<io::Result<()>> {
        if datagram.len() > MAX_DATAGRAM_BYTES.get() {
            return Poll::Ready(Err(io::ErrorKind::InvalidInput.into()));
        }
        let (client, closed) = {
            let state = self.session.lock();
            (state.client, state.closed)
        };
        if closed {
            return Poll::Ready(Err(io::ErrorKind::NotConnected.into()));
        }
        let time = self.net.unix_time().as_secs();
        let padding = padding(peer, datagram.len(), &*self.net)?;
        let (edition, client_session) = (self.edition, self.client_session);
        self.sealer.seal(&*self.net, &mut self.scratch, |out| match edition {
            Edition::V2022 => wire::encode_server_packet(time, client_session, padding, peer, datagram, out),
            Edition::V2017 => {
                peer.encode(out);
                out.extend_from_slice(datagram);
            }
        })?;
        match self.port.poll_send_to(cx, &self.scratch, client) {
            Poll::Ready(Err(error)) if is_transient(&error) => Poll::Ready(Ok(())),
            sent => sent,
        }
    }

    fn max_datagram(&self) -> NonZeroUsize {
        MAX_DATAGRAM_BYTES
    }
}

impl Drop for ServerDatagrams {
    fn drop(&mut self) {
        self.session.close();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slow_reader_costs_a_bounded_queue() {
        let client = SocketAddr::from(([127, 0, 0, 1], 1));
        let session = Session::new(client);
        let address = HostPort::from(client);
        for _ in 0..MAX_QUEUED_PACKETS * 2 {
            assert!(session.deliver(client, address.clone(), b"x"));
        }
        assert_eq!(session.lock().queue.len(), MAX_QUEUED_PACKETS);
        session.lock().queue.clear();
        session.lock().bytes = 0;
        for _ in 0..20 {
            session.deliver(client, address.clone(), &[0; 60_000]);
        }
        assert!(session.lock().bytes <= MAX_QUEUED_BYTES);
        session.close();
        assert!(!session.deliver(client, address, b"x"));
    }
}
