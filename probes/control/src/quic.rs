//! QUIC: the same requests as over TLS, one or more on each bidirectional stream.

use std::{io, net::UdpSocket, sync::Arc, time::Duration};

use commucat_transport_api::Redacted;
use quinn::{
    Connection, Endpoint, EndpointConfig, Incoming, RecvStream, Runtime as _, SendStream, ServerConfig,
    TokioRuntime, TransportConfig, VarInt,
    crypto::rustls::{HandshakeData, QuicServerConfig},
};
use tokio::{task::JoinSet, time::timeout};

use crate::{
    ControlError, Limits,
    connection::{self, Exchange, Shared},
    guarded::{Budget, Guarded},
    limits::{QUIC_RETRY_ABOVE, QUIC_STREAM_WINDOW_BYTES, QUIC_STREAMS_MAX, QUIC_WINDOW_BYTES},
    seen,
    snoop::{Hellos, Snoop},
    wire::{Carrier, HelloAnswer},
};

/// What closes a connection that is done (an application code of ours: no error).
const DONE: VarInt = VarInt::from_u32(0);

/// The QUIC side of the TLS configuration.
pub(crate) fn config(tls: rustls::ServerConfig, limits: &Limits) -> Result<ServerConfig, ControlError> {
    let crypto = QuicServerConfig::try_from(tls).map_err(ControlError::QuicTls)?;
    let mut transport = TransportConfig::default();
    transport
        .max_concurrent_bidi_streams(VarInt::from_u32(QUIC_STREAMS_MAX))
        .max_concurrent_uni_streams(VarInt::from_u32(0))
        .stream_receive_window(VarInt::from_u32(QUIC_STREAM_WINDOW_BYTES))
        .receive_window(VarInt::from_u32(QUIC_WINDOW_BYTES))
        .send_window(u64::from(QUIC_WINDOW_BYTES))
        .datagram_receive_buffer_size(None)
        .max_idle_timeout(Some(idle(limits.idle())));
    let mut config = ServerConfig::with_crypto(Arc::new(crypto));
    config.transport_config(Arc::new(transport));
    Ok(config)
}

/// Makes the endpoint of a bound socket, and what it will see of hellos.
pub(crate) fn endpoint(socket: UdpSocket, config: ServerConfig) -> io::Result<(Endpoint, Arc<Hellos>)> {
    let (runtime, hellos) = (Arc::new(TokioRuntime), Arc::new(Hellos::default()));
    let socket = Arc::new(Snoop::new(runtime.wrap_udp_socket(socket)?, Arc::clone(&hellos)));
    let config = Some(config);
    let endpoint = Endpoint::new_with_abstract_socket(EndpointConfig::default(), config, socket, runtime)?;
    Ok((endpoint, hellos))
}

/// Accepts until the server drains.
pub(crate) async fn run(endpoint: Endpoint, hellos: Arc<Hellos>, shared: Arc<Shared>) {
    loop {
        let incoming = tokio::select! {
            incoming = endpoint.accept() => incoming,
            () = shared.draining.cancelled() => break,
        };
        let Some(incoming) = incoming else { return };
        admit(&shared, &hellos, incoming);
    }
    endpoint.set_server_config(None);
    tokio::select! {
        () = endpoint.wait_idle() => return,
        () = shared.aborting.cancelled() => endpoint.close(DONE, b""),
    }
    endpoint.wait_idle().await;
}

fn admit(shared: &Arc<Shared>, hellos: &Arc<Hellos>, incoming: Incoming) {
    let busy = shared.gate.total() > shared.limits.connections / QUIC_RETRY_ABOVE;
    if busy && !incoming.remote_address_validated() {
        // A forged sender must not fill the table.
        let _impossible_when_not_validated = incoming.retry();
        return;
    }
    let peer = incoming.remote_address();
    let Some(pass) = shared.gate.enter(peer.ip()) else {
        shared.counters.refused.add();
        drop(hellos.take(peer, &incoming.orig_dst_cid()));
        incoming.refuse();
        return;
    };
    shared.counters.connections.add();
    let (shared, hellos) = (Arc::clone(shared), Arc::clone(hellos));
    let tasks = shared.tasks.clone();
    tasks.spawn(async move {
        let _pass = pass;
        let whole = timeout(shared.limits.connection(), speak(&shared, &hellos, incoming));
        let ended = tokio::select! {
            ended = whole => ended.unwrap_or_else(|_elapsed| Err(io::ErrorKind::TimedOut.into())),
            () = shared.aborting.cancelled() => Ok(()),
        };
        if let Err(error) = ended {
            tracing::debug!(peer = %Redacted(peer), %error, "a QUIC connection ended");
        }
    });
}

async fn speak(shared: &Arc<Shared>, hellos: &Hellos, incoming: Incoming) -> io::Result<()> {
    let (peer, original_id) = (incoming.remote_address(), incoming.orig_dst_cid());
    let handshake = timeout(shared.limits.head(), async { incoming.accept()?.await }).await;
    // A hello may come in several datagrams: it is whole only now.
    let crypto = hellos.take(peer, &original_id);
    let connection = handshake.map_err(|_elapsed| io::ErrorKind::TimedOut)??;
    shared.counters.quic.add();
    let hello = Arc::new(hello(&connection, &crypto));
    let budget = Budget::new(shared.limits.connection_bytes);
    let mut streams = JoinSet::new();
    for _ in 0..shared.limits.requests {
        let accepted = tokio::select! {
            accepted = connection.accept_bi() => accepted,
            () = shared.draining.cancelled() => break,
        };
        let Ok((send, receive)) = accepted else { break };
        let (shared, hello) = (Arc::clone(shared), Arc::clone(&hello));
        let (peer, budget) = (connection.remote_address(), budget.clone());
        streams.spawn(async move {
            let exchange = Exchange { shared: &shared, peer, hello: &hello };
            if let Err(error) = stream(send, receive, budget, &exchange).await {
                tracing::debug!(peer = %Redacted(peer), %error, "a QUIC stream ended");
            }
        });
        // Ended tasks leave the set here, so it holds no more than the streams that may be open.
        while streams.try_join_next().is_some() {}
    }
    while streams.join_next().await.is_some() {}
    connection.close(DONE, b"");
    Ok(())
}

async fn stream(
    send: SendStream,
    receive: RecvStream,
    budget: Budget,
    exchange: &Exchange<'_>,
) -> io::Result<()> {
    let shared = exchange.shared;
    let mut io = Guarded::new(tokio::io::join(receive, send), shared.limits.idle(), budget);
    let Some((first, spoken)) = connection::begin(&mut io, shared, false).await? else { return Ok(()) };
    connection::inside(&mut io, first, spoken, exchange).await
}

fn hello(connection: &Connection, crypto: &[u8]) -> HelloAnswer {
    let data = connection.handshake_data().and_then(|data| data.downcast::<HandshakeData>().ok());
    let (server_name, alpn) = data.map_or((None, None), |data| (data.server_name, data.protocol));
    let mut hello = HelloAnswer {
        carrier: Carrier::Quic,
        server_name,
        alpn: alpn.map(|alpn| String::from_utf8_lossy(&alpn).into_owned()),
        // QUIC knows no other (RFC 9001 §4.2).
        tls_version: Some("1.3".to_owned()),
        ja4: None,
    };
    seen::read_crypto(crypto, &mut hello);
    hello
}

fn idle(after: Duration) -> quinn::IdleTimeout {
    let ms = u32::try_from(after.as_millis()).unwrap_or(u32::MAX);
    VarInt::from_u32(ms).into()
}
