//! Echoes datagrams: each answer is one byte shorter than what it answers.

use std::{io, sync::Arc, time::Instant};

use tokio::net::UdpSocket;

use crate::{connection::Shared, limits::DATAGRAM_BYTES_MAX, rate::Rate};

/// Echoes until the server drains. The answer is the datagram without its last byte: so it never makes more traffic
/// than it gets, whoever forged the sender, and two servers that are set at each other fall silent. A datagram of one
/// byte gets no answer.
pub(crate) async fn run(socket: UdpSocket, shared: Arc<Shared>) {
    let mut rate = Rate::new(shared.limits.datagrams_per_second);
    let mut buffer = vec![0; DATAGRAM_BYTES_MAX];
    loop {
        let received = tokio::select! {
            received = socket.recv_from(&mut buffer) => received,
            () = shared.draining.cancelled() => return,
        };
        // An error here is about an earlier datagram that nobody wanted (ICMP port unreachable).
        let Ok((length, peer)) = received else { continue };
        let Some((_, answer)) = buffer.get(..length).and_then(<[u8]>::split_last) else { continue };
        if answer.is_empty() {
            continue;
        }
        if !rate.allow(Instant::now(), peer.ip()) {
            shared.counters.datagrams_dropped.add();
            continue;
        }
        match socket.try_send_to(answer, peer) {
            Ok(_) => shared.counters.datagrams.add(),
            // A full send queue drops, as any router does.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                shared.counters.datagrams_dropped.add()
            }
            Err(error) => tracing::debug!(%error, "a datagram could not be answered"),
        }
    }
}
