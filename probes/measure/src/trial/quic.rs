//! Trials with QUIC: a handshake, and a request when it succeeds.

use std::{
    net::{SocketAddr, UdpSocket},
    sync::Arc,
    time::Duration,
};

use commucat_control::wire;
use commucat_transport_api::{Phase, Signal};
use commucat_verdict::observations::{Operation, Trial};
use quinn::{
    ClientConfig, Connection, ConnectionError, Endpoint, EndpointConfig, TransportConfig,
    crypto::rustls::QuicClientConfig,
};
use rustls::crypto::aws_lc_rs::kx_group;

use super::{
    Bench, Carrier, Draft,
    pin::{PinVerifier, pin_of},
    request::{client_config, request_head},
    signal_of,
    tcp::{Failed, finish},
    unspecified,
};

/// How the source port lies to the destination port. One censor reads only datagrams whose source port is larger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PortOrder {
    /// Source above destination, as nearly every client has it.
    Above,
    /// Source at or below the destination.
    NotAbove,
}

/// First port that needs no privilege.
const PORT_UNPRIVILEGED: u16 = 1024;
/// One censor looks at a copy, and acts 70 to 430 ms after it saw a name (gfw-report, USENIX Security 2025).
const REACTION: Duration = Duration::from_millis(450);
/// Most bytes of an answer.
const ANSWER_BYTES_MAX: usize = 4096;
/// Attempts to find a free source port of the wanted order.
const BIND_TRIES: u32 = 64;

/// Makes a handshake with this name, and a request a moment later.
pub(crate) async fn handshake(
    bench: &Arc<Bench>,
    address: SocketAddr,
    name: Option<&str>,
    order: PortOrder,
) -> Trial {
    let mut draft = Draft::new(bench, address, name);
    let outcome = steps(bench, &mut draft, address, name, order).await;
    finish(bench, Carrier::Quic, address, draft, outcome)
}

async fn steps(
    bench: &Bench,
    draft: &mut Draft,
    address: SocketAddr,
    name: Option<&str>,
    order: PortOrder,
) -> Result<(), Failed> {
    let fail = |draft: &Draft, signal| (Operation::QuicHandshake, draft.failure(Phase::Handshake, signal));
    let verifier = Arc::new(PinVerifier::default());
    let config =
        quic_config(Arc::clone(&verifier), name.is_some()).ok_or_else(|| fail(draft, Signal::Other))?;
    let socket = bind(address, order, &mut bench.rng()).map_err(|error| fail(draft, signal_of(&error)))?;
    if let Ok(local) = socket.local_addr() {
        draft.source_port(local.port());
    }
    let runtime = quinn::default_runtime().ok_or_else(|| fail(draft, Signal::Other))?;
    let endpoint = Endpoint::new(EndpointConfig::default(), None, socket, runtime)
        .map_err(|error| fail(draft, signal_of(&error)))?;
    // Without a name in the hello the library still wants one to verify; it is never sent.
    let named = name.unwrap_or("a.invalid");
    let connecting =
        endpoint.connect_with(config, address, named).map_err(|_refused| fail(draft, Signal::Other))?;
    let connection = match tokio::time::timeout(bench.timeout(), connecting).await {
        Ok(Ok(connection)) => connection,
        Ok(Err(error)) => return Err(fail(draft, quic_signal(&error))),
        Err(_elapsed) => return Err(fail(draft, Signal::Timeout)),
    };
    draft.done(Operation::QuicHandshake);
    let server = bench.targets.servers.iter().find(|server| server.address == address.ip());
    let pin = verifier.seen().as_ref().and_then(pin_of);
    let seen = draft.tls();
    seen.version = Some("TLSv1.3".to_owned());
    seen.pin_matches =
        server.and_then(|server| server.pin).map(|wanted| pin.is_some_and(|pin| pin == wanted));
    seen.pin = pin.map(|pin| pin.to_string());
    let matches = seen.pin_matches;
    let asked = ask_late(bench, &connection).await;
    let stats = connection.stats();
    draft.sent(usize::try_from(stats.udp_tx.bytes).unwrap_or(usize::MAX));
    draft.received(usize::try_from(stats.udp_rx.bytes).unwrap_or(usize::MAX));
    connection.close(0_u32.into(), b"");
    endpoint.close(0_u32.into(), b"");
    if matches == Some(false) {
        return Err(fail(draft, Signal::WrongCertificate));
    }
    asked.map_err(|signal| (Operation::Read, draft.failure(Phase::Data, signal)))
}

/// A request after a pause: one censor lets the hello pass and drops what follows, after a moment. One only, since other
/// networks freeze any flow after some twenty packets.
async fn ask_late(bench: &Bench, connection: &Connection) -> Result<(), Signal> {
    let server =
        bench.targets.servers.iter().find(|server| server.address == connection.remote_address().ip());
    let token = server.and_then(|server| server.token.as_deref());
    let request = request_head(token, "GET", wire::TIME, None);
    tokio::time::sleep(REACTION).await;
    let asking = async {
        let (mut send, mut receive) = connection.open_bi().await.map_err(|error| quic_signal(&error))?;
        send.write_all(&request).await.map_err(|_lost| Signal::UnexpectedEof)?;
        let _finished = send.finish();
        let answer = receive.read_to_end(ANSWER_BYTES_MAX).await.map_err(|_lost| Signal::UnexpectedEof)?;
        if answer.starts_with(b"HTTP/1.1 200") { Ok(()) } else { Err(Signal::UnexpectedBytes) }
    };
    tokio::time::timeout(bench.timeout(), asking).await.unwrap_or(Err(Signal::Timeout))
}

/// With classical groups only: a post-quantum share would cut the hello into two datagrams, and a censor that reads the
/// first one alone would find the name in it or not, by chance.
fn quic_config(verifier: Arc<PinVerifier>, name: bool) -> Option<ClientConfig> {
    let groups = vec![kx_group::X25519, kx_group::SECP256R1];
    let mut tls = client_config(verifier, name, Some(groups)).ok()?;
    tls.alpn_protocols = vec![wire::ALPN_H3.to_vec()];
    let mut config = ClientConfig::new(Arc::new(QuicClientConfig::try_from(tls).ok()?));
    let mut transport = TransportConfig::default();
    // No packets that only search for a larger size: packets are counted by some networks.
    transport.mtu_discovery_config(None);
    config.transport_config(Arc::new(transport));
    Some(config)
}

fn bind(to: SocketAddr, order: PortOrder, rng: &mut fastrand::Rng) -> std::io::Result<UdpSocket> {
    let any = unspecified(to.ip());
    for _try in 0..BIND_TRIES {
        let port = match order {
            PortOrder::Above if to.port() < u16::MAX => {
                rng.u16(to.port().max(PORT_UNPRIVILEGED).saturating_add(1)..=u16::MAX)
            }
            PortOrder::NotAbove if to.port() > PORT_UNPRIVILEGED => rng.u16(PORT_UNPRIVILEGED..=to.port()),
            PortOrder::Above | PortOrder::NotAbove => break,
        };
        if let Ok(socket) = UdpSocket::bind(SocketAddr::new(any.ip(), port)) {
            return Ok(socket);
        }
    }
    UdpSocket::bind(any)
}

fn quic_signal(error: &ConnectionError) -> Signal {
    match error {
        ConnectionError::TimedOut => Signal::Timeout,
        ConnectionError::Reset => Signal::Reset,
        ConnectionError::ConnectionClosed(_) | ConnectionError::ApplicationClosed(_) => Signal::UnexpectedEof,
        ConnectionError::VersionMismatch | ConnectionError::TransportError(_) => Signal::UnexpectedBytes,
        _ => Signal::Other,
    }
}

/// A datagram shaped like an Initial, of a version nobody speaks: a server answers with the versions it does
/// (RFC 9000 §6.1). It has the size that a real one has.
pub(crate) fn unknown_version(rng: &mut fastrand::Rng) -> Vec<u8> {
    /// Smallest datagram that may hold an Initial (RFC 9000 §14.1).
    const INITIAL_BYTES_MIN: usize = 1200;
    /// A version reserved to be unknown (RFC 9000 §15).
    const VERSION: u32 = 0x5a6a_7a8a;
    let mut datagram = vec![0xc3];
    datagram.extend(VERSION.to_be_bytes());
    for _id in ["destination", "source"] {
        datagram.push(8);
        datagram.extend((0..8).map(|_| rng.u8(..)));
    }
    datagram.resize_with(INITIAL_BYTES_MIN, || rng.u8(..));
    datagram
}

/// Whether a datagram is a version negotiation (RFC 9000 §17.2.1).
pub(crate) fn is_version_negotiation(datagram: &[u8]) -> bool {
    datagram.first().is_some_and(|first| first & 0x80 != 0) && datagram.get(1..5) == Some(&[0; 4])
}
