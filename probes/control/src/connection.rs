//! One TCP connection, from its first byte to its end; and what all connections share.

use std::{io, net::SocketAddr, sync::Arc};

use bytes::BytesMut;
use commucat_transport_api::Secret;
use rustls::ProtocolVersion;
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::TcpStream,
    time::{Instant, timeout, timeout_at},
};
use tokio_rustls::TlsAcceptor;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    Limits,
    detect::{Spoken, detect},
    gate::Gate,
    guarded::{Budget, Guarded},
    http,
    limits::BUFFER_BYTES,
    recorder::Recorder,
    seen,
    stats::Counters,
    wire::{Carrier, HelloAnswer},
};

/// What all connections of a server share.
pub(crate) struct Shared {
    pub(crate) limits: Limits,
    pub(crate) token: Option<Secret<String>>,
    pub(crate) raw_echo: bool,
    pub(crate) tls: TlsAcceptor,
    pub(crate) gate: Arc<Gate>,
    pub(crate) counters: Counters,
    /// Cancelled when no new connection and no new request is taken.
    pub(crate) draining: CancellationToken,
    /// Cancelled when everything ends.
    pub(crate) aborting: CancellationToken,
    pub(crate) tasks: TaskTracker,
}

/// What a request can ask about its connection.
pub(crate) struct Exchange<'a> {
    pub(crate) shared: &'a Shared,
    pub(crate) peer: SocketAddr,
    pub(crate) hello: &'a HelloAnswer,
}

/// Serves a TCP connection until it ends or a limit ends it.
pub(crate) async fn serve(shared: &Shared, stream: TcpStream, peer: SocketAddr) -> io::Result<()> {
    // The probe counts packets: what is written leaves at once.
    stream.set_nodelay(true)?;
    let whole = timeout(shared.limits.connection(), speak(shared, stream, peer));
    tokio::select! {
        served = whole => served.map_err(|_elapsed| io::ErrorKind::TimedOut)?,
        () = shared.aborting.cancelled() => Ok(()),
    }
}

async fn speak(shared: &Shared, stream: TcpStream, peer: SocketAddr) -> io::Result<()> {
    let budget = Budget::new(shared.limits.connection_bytes);
    let mut io = Guarded::new(stream, shared.limits.idle(), budget);
    let Some((first, spoken)) = begin(&mut io, shared, true).await? else { return Ok(()) };
    if spoken != Spoken::Tls {
        let hello = HelloAnswer::default();
        return inside(&mut io, first, spoken, &Exchange { shared, peer, hello: &hello }).await;
    }
    shared.counters.tls.add();
    let handshake = shared.tls.accept(Recorder::new(first, io));
    let mut tls =
        timeout(shared.limits.head(), handshake).await.map_err(|_elapsed| io::ErrorKind::TimedOut)??;
    let hello = hello(&mut tls);
    let Some((first, spoken)) = begin(&mut tls, shared, false).await? else { return tls.shutdown().await };
    inside(&mut tls, first, spoken, &Exchange { shared, peer, hello: &hello }).await
}

/// Serves what is known to be HTTP or nothing in particular.
pub(crate) async fn inside<S>(
    io: &mut S,
    first: BytesMut,
    spoken: Spoken,
    exchange: &Exchange<'_>,
) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    if spoken == Spoken::Http {
        return http::serve(io, first, exchange).await;
    }
    if !exchange.shared.raw_echo {
        return io.shutdown().await;
    }
    exchange.shared.counters.echoed.add();
    echo(io, first).await
}

/// Reads until it is clear what is spoken; `None` when the peer said nothing.
pub(crate) async fn begin<S>(io: &mut S, shared: &Shared, tls: bool) -> io::Result<Option<(BytesMut, Spoken)>>
where
    S: AsyncRead + Unpin,
{
    let mut bytes = BytesMut::with_capacity(BUFFER_BYTES);
    let first = timeout(shared.limits.first_byte(), io.read_buf(&mut bytes));
    let read = tokio::select! {
        read = first => read.map_err(|_elapsed| io::ErrorKind::TimedOut)??,
        () = shared.draining.cancelled() => 0,
    };
    if read == 0 {
        return Ok(None);
    }
    let until = Instant::now() + shared.limits.detect();
    loop {
        let spoken = detect(&bytes, tls);
        if spoken != Spoken::Undecided {
            return Ok(Some((bytes, spoken)));
        }
        match timeout_at(until, io.read_buf(&mut bytes)).await {
            // Whoever stops in the middle of a request line gets what he sent.
            Err(_) | Ok(Ok(0)) => return Ok(Some((bytes, Spoken::Other))),
            Ok(read) => read?,
        };
    }
}

async fn echo<S>(io: &mut S, mut bytes: BytesMut) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    loop {
        io.write_all(&bytes).await?;
        io.flush().await?;
        bytes.clear();
        bytes.reserve(BUFFER_BYTES);
        if io.read_buf(&mut bytes).await? == 0 {
            return io.shutdown().await;
        }
    }
}

fn hello<S>(tls: &mut tokio_rustls::server::TlsStream<Recorder<S>>) -> HelloAnswer {
    let (recorder, connection) = tls.get_mut();
    let mut hello = HelloAnswer {
        carrier: Carrier::Tls,
        alpn: connection.alpn_protocol().map(|alpn| String::from_utf8_lossy(alpn).into_owned()),
        tls_version: connection.protocol_version().and_then(version),
        ..HelloAnswer::default()
    };
    seen::read_stream(&recorder.take_copy(), &mut hello);
    hello
}

fn version(version: ProtocolVersion) -> Option<String> {
    match version {
        ProtocolVersion::TLSv1_2 => Some("1.2".to_owned()),
        ProtocolVersion::TLSv1_3 => Some("1.3".to_owned()),
        _ => None,
    }
}
