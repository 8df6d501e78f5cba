//! Trials with datagrams. Each is sent up to three times, as the protocols that are imitated do: one lost datagram is
//! no observation.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use commucat_transport_api::{Phase, Signal};
use commucat_verdict::observations::{Operation, Trial};
use tokio::{
    net::UdpSocket,
    time::{Instant, timeout_at},
};

use super::{
    Bench, Carrier, Draft, signal_of,
    tcp::{Failed, finish},
    unspecified,
};

/// How often a datagram is sent before silence counts.
const SENDS: u32 = 3;
/// Largest datagram received.
const DATAGRAM_BYTES_MAX: usize = 2048;

/// Sends the datagrams one after the other from one port and awaits the echo of each (itself without its last byte)
/// before the next.
pub(crate) async fn echo(bench: &Arc<Bench>, address: SocketAddr, datagrams: &[Vec<u8>]) -> Trial {
    let mut draft = Draft::new(bench, address, None);
    let outcome = echo_steps(bench, &mut draft, address, datagrams).await;
    finish(bench, Carrier::Udp, address, draft, outcome)
}

async fn echo_steps(
    bench: &Bench,
    draft: &mut Draft,
    address: SocketAddr,
    datagrams: &[Vec<u8>],
) -> Result<(), Failed> {
    let socket = open(draft, address).await?;
    let timeout = bench.timeout();
    for (at, datagram) in datagrams.iter().enumerate() {
        let phase = if at == 0 { Phase::Handshake } else { Phase::Data };
        let expected = datagram.split_last().map(|(_, rest)| rest).unwrap_or_default();
        exchange(draft, &socket, datagram, phase, timeout, |answer| answer == expected).await?;
    }
    Ok(())
}

/// Sends one datagram and wants any answer that `wanted` accepts.
pub(crate) async fn ask(
    bench: &Arc<Bench>,
    carrier: Carrier,
    address: SocketAddr,
    datagram: &[u8],
    wanted: impl Fn(&[u8]) -> bool,
) -> Trial {
    let mut draft = Draft::new(bench, address, None);
    let timeout = bench.timeout();
    let outcome = match open(&mut draft, address).await {
        Ok(socket) => exchange(&mut draft, &socket, datagram, Phase::Handshake, timeout, wanted).await,
        Err(failed) => Err(failed),
    };
    finish(bench, carrier, address, draft, outcome)
}

async fn open(draft: &mut Draft, address: SocketAddr) -> Result<UdpSocket, Failed> {
    let opened = async {
        let socket = UdpSocket::bind(unspecified(address.ip())).await?;
        socket.connect(address).await?;
        Ok(socket)
    };
    let socket = opened
        .await
        .map_err(|error| (Operation::Connect, draft.failure(Phase::Connect, signal_of(&error))))?;
    if let Ok(local) = socket.local_addr() {
        draft.source_port(local.port());
    }
    Ok(socket)
}

async fn exchange(
    draft: &mut Draft,
    socket: &UdpSocket,
    datagram: &[u8],
    phase: Phase,
    timeout: Duration,
    wanted: impl Fn(&[u8]) -> bool,
) -> Result<(), Failed> {
    let mut buffer = vec![0; DATAGRAM_BYTES_MAX];
    let mut seen = Signal::Timeout;
    for _send in 0..SENDS {
        if let Err(error) = socket.send(datagram).await {
            seen = signal_of(&error);
        } else {
            draft.sent(datagram.len());
        }
        let until = Instant::now() + timeout / SENDS;
        loop {
            match timeout_at(until, socket.recv(&mut buffer)).await {
                Err(_elapsed) => break,
                Ok(Ok(len)) => {
                    draft.received(len);
                    if wanted(buffer.get(..len).unwrap_or_default()) {
                        return Ok(());
                    }
                }
                Ok(Err(error)) => {
                    // An ICMP error; it may be forged, so the next send is made all the same.
                    seen = signal_of(&error);
                    tokio::time::sleep_until(until).await;
                    break;
                }
            }
        }
    }
    Err((Operation::Read, draft.failure(phase, seen)))
}
