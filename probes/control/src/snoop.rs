//! Looks over QUIC's shoulder: reads the hello out of Initial packets as a censor on the way would, because the QUIC
//! library keeps it to itself.

use std::{
    collections::HashMap,
    fmt,
    io::{self, IoSliceMut},
    net::SocketAddr,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll, ready},
    time::Instant,
};

use commucat_dissect::quic::{Crypto, initial, join_crypto};
use quinn::{
    AsyncUdpSocket, UdpPoller,
    udp::{RecvMeta, Transmit},
};

use crate::limits::{HELLO_BYTES_MAX, QUIC_HELLO_LIFE, QUIC_HELLOS_MAX};

/// Whose hello: an address, and the connection ID that its client made up.
type Key = (SocketAddr, Vec<u8>);

/// Hellos under way and whole, until their connection asks for them.
#[derive(Debug, Default)]
pub(crate) struct Hellos {
    table: Mutex<HashMap<Key, Pieces>>,
}

#[derive(Debug)]
struct Pieces {
    crypto: Vec<Crypto>,
    bytes: usize,
    since: Instant,
}

impl Hellos {
    /// The CRYPTO stream of a client from its beginning to the first gap; forgets it.
    pub(crate) fn take(&self, peer: SocketAddr, original_id: &[u8]) -> Vec<u8> {
        let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        let pieces = table.remove(&(peer, original_id.to_vec()));
        pieces.map(|pieces| join_crypto(&pieces.crypto)).unwrap_or_default()
    }

    fn look(&self, now: Instant, peer: SocketAddr, datagram: &[u8]) {
        // Only Initials of clients open here; everything else ends after a few bytes.
        let Some(initial) = initial(datagram).filter(|initial| !initial.crypto.is_empty()) else { return };
        let key = (peer, initial.destination_id);
        let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        if !table.contains_key(&key) && table.len() >= QUIC_HELLOS_MAX {
            table.retain(|_, pieces| now.saturating_duration_since(pieces.since) < QUIC_HELLO_LIFE);
            if table.len() >= QUIC_HELLOS_MAX {
                return;
            }
        }
        let pieces = table.entry(key).or_insert_with(|| Pieces { crypto: Vec::new(), bytes: 0, since: now });
        for piece in initial.crypto {
            pieces.bytes = pieces.bytes.saturating_add(piece.data.len());
            if pieces.bytes <= HELLO_BYTES_MAX {
                pieces.crypto.push(piece);
            }
        }
    }
}

/// A UDP socket that shows [`Hellos`] what it receives.
pub(crate) struct Snoop {
    socket: Arc<dyn AsyncUdpSocket>,
    hellos: Arc<Hellos>,
}

impl Snoop {
    pub(crate) fn new(socket: Arc<dyn AsyncUdpSocket>, hellos: Arc<Hellos>) -> Self {
        Self { socket, hellos }
    }
}

impl fmt::Debug for Snoop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Snoop").finish_non_exhaustive()
    }
}

impl AsyncUdpSocket for Snoop {
    fn create_io_poller(self: Arc<Self>) -> Pin<Box<dyn UdpPoller>> {
        Arc::clone(&self.socket).create_io_poller()
    }

    fn try_send(&self, transmit: &Transmit<'_>) -> io::Result<()> {
        self.socket.try_send(transmit)
    }

    fn poll_recv(
        &self,
        cx: &mut Context<'_>,
        bufs: &mut [IoSliceMut<'_>],
        meta: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        let received = ready!(self.socket.poll_recv(cx, bufs, meta))?;
        let now = Instant::now();
        for (buffer, meta) in bufs.iter().zip(meta.iter()).take(received) {
            let bytes = buffer.get(..meta.len).unwrap_or_default();
            for datagram in bytes.chunks(meta.stride.max(1)) {
                self.hellos.look(now, meta.addr, datagram);
            }
        }
        Poll::Ready(Ok(received))
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    fn max_transmit_segments(&self) -> usize {
        self.socket.max_transmit_segments()
    }

    fn max_receive_segments(&self) -> usize {
        self.socket.max_receive_segments()
    }

    fn may_fragment(&self) -> bool {
        self.socket.may_fragment()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use commucat_dissect::quic::{InitialSpec, crypto_frame, seal_initial};

    use super::*;

    fn datagram(id: &[u8], offset: u64, data: &[u8]) -> Vec<u8> {
        let frames = crypto_frame(offset, data);
        seal_initial(&InitialSpec::first(id, b"source", &frames)).unwrap()
    }

    fn peer(last: u8) -> SocketAddr {
        ([192, 0, 2, last], 443).into()
    }

    #[test]
    fn pieces_are_joined_in_any_order() {
        let (hellos, now) = (Hellos::default(), Instant::now());
        hellos.look(now, peer(1), &datagram(b"12345678", 3, b"def"));
        hellos.look(now, peer(1), &datagram(b"12345678", 0, b"abc"));
        hellos.look(now, peer(2), &datagram(b"12345678", 0, b"zzz"));
        assert_eq!(hellos.take(peer(1), b"12345678"), b"abcdef");
        assert_eq!(hellos.take(peer(1), b"12345678"), b"", "it is forgotten");
        assert_eq!(hellos.take(peer(2), b"12345678"), b"zzz");
    }

    #[test]
    fn a_flood_of_hellos_is_bounded_and_passes() {
        let (hellos, now) = (Hellos::default(), Instant::now());
        for number in 0..u64::try_from(QUIC_HELLOS_MAX + 10).unwrap() {
            hellos.look(now, peer(1), &datagram(&number.to_be_bytes(), 0, b"abc"));
        }
        assert_eq!(hellos.table.lock().unwrap().len(), QUIC_HELLOS_MAX);
        hellos.look(
            now + QUIC_HELLO_LIFE + Duration::from_secs(1),
            peer(1),
            &datagram(b"later-on", 0, b"abc"),
        );
        assert_eq!(hellos.take(peer(1), b"later-on"), b"abc");
    }

    #[test]
    fn one_hello_is_bounded() {
        let (hellos, now) = (Hellos::default(), Instant::now());
        for _ in 0..100 {
            hellos.look(now, peer(1), &datagram(b"12345678", 0, &[7; 1_000]));
        }
        let table = hellos.table.lock().unwrap();
        let held: usize =
            table.values().flat_map(|pieces| &pieces.crypto).map(|piece| piece.data.len()).sum();
        assert!(held <= HELLO_BYTES_MAX, "{held}");
    }
}
