//! Trials over plain TCP: a hello and its answer, first payloads and their echoes.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use commucat_transport_api::{Failure, Phase, Signal};
use commucat_verdict::observations::{Operation, Trial};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::{Instant, timeout_at},
};

use super::{Bench, Carrier, Draft, hello::BuiltHello, signal_of};

/// A failed step and its evidence.
pub(crate) type Failed = (Operation, Failure);

/// TLS record types (RFC 8446 §5.1).
const ALERT: u8 = 21;
const HANDSHAKE: u8 = 22;
/// Handshake type of a ServerHello (RFC 8446 §4).
const SERVER_HELLO: u8 = 2;
/// Record header and handshake type.
const ANSWER_HEAD_BYTES: usize = 6;
/// Most bytes of an answer that are read to see what it is.
const ANSWER_BYTES_MAX: usize = 16 * 1024;

/// Opens a connection.
pub(crate) async fn connect(
    draft: &mut Draft,
    address: SocketAddr,
    timeout: Duration,
) -> Result<TcpStream, Failed> {
    let fail = |draft: &Draft, signal| (Operation::Connect, draft.failure(Phase::Connect, signal));
    let stream = match tokio::time::timeout(timeout, TcpStream::connect(address)).await {
        Err(_elapsed) => return Err(fail(draft, Signal::Timeout)),
        Ok(Err(error)) => return Err(fail(draft, signal_of(&error))),
        Ok(Ok(stream)) => stream,
    };
    if let Ok(local) = stream.local_addr() {
        draft.source_port(local.port());
    }
    draft.done(Operation::Connect);
    match stream.set_nodelay(true) {
        Ok(()) => Ok(stream),
        Err(error) => Err(fail(draft, signal_of(&error))),
    }
}

/// Sends everything.
pub(crate) async fn write(
    draft: &mut Draft,
    stream: &mut TcpStream,
    bytes: &[u8],
    phase: Phase,
    timeout: Duration,
) -> Result<(), Failed> {
    let signal = match tokio::time::timeout(timeout, stream.write_all(bytes)).await {
        Ok(Ok(())) => {
            draft.sent(bytes.len());
            return Ok(());
        }
        Ok(Err(error)) => signal_of(&error),
        Err(_elapsed) => Signal::Timeout,
    };
    Err((Operation::Write, draft.failure(phase, signal)))
}

/// Receives something; the end of the stream is a failure.
pub(crate) async fn read(
    draft: &mut Draft,
    stream: &mut TcpStream,
    buffer: &mut [u8],
    phase: Phase,
    until: Instant,
) -> Result<usize, Failed> {
    let signal = match timeout_at(until, stream.read(buffer)).await {
        Ok(Ok(0)) => Signal::UnexpectedEof,
        Ok(Ok(len)) => {
            draft.received(len);
            return Ok(len);
        }
        Ok(Err(error)) => signal_of(&error),
        Err(_elapsed) => Signal::Timeout,
    };
    Err((Operation::Read, draft.failure(phase, signal)))
}

/// Sends a hello and waits for a ServerHello. The handshake is never finished: the key shares are random.
pub(crate) async fn hello(bench: &Arc<Bench>, address: SocketAddr, hello: &BuiltHello) -> Trial {
    let mut draft = Draft::new(bench, address, hello.name.as_deref());
    draft.tls().ja4_sent = Some(hello.ja4.clone());
    let outcome = hello_steps(bench, &mut draft, address, &hello.bytes).await;
    finish(bench, Carrier::Tcp, address, draft, outcome.map(drop))
}

/// As [`hello`], but keeps the connection open and hands it over.
pub(crate) async fn hello_kept(
    bench: &Arc<Bench>,
    address: SocketAddr,
    hello: &BuiltHello,
) -> (Trial, Option<TcpStream>) {
    let mut draft = Draft::new(bench, address, hello.name.as_deref());
    draft.tls().ja4_sent = Some(hello.ja4.clone());
    let (outcome, stream) = match hello_steps(bench, &mut draft, address, &hello.bytes).await {
        Ok(stream) => (Ok(()), Some(stream)),
        Err(failed) => (Err(failed), None),
    };
    (finish(bench, Carrier::Tcp, address, draft, outcome), stream)
}

async fn hello_steps(
    bench: &Bench,
    draft: &mut Draft,
    address: SocketAddr,
    hello: &[u8],
) -> Result<TcpStream, Failed> {
    let timeout = bench.timeout();
    let mut stream = connect(draft, address, timeout).await?;
    write(draft, &mut stream, hello, Phase::Handshake, timeout).await?;
    let until = Instant::now() + timeout;
    let mut answer = Vec::new();
    let mut buffer = vec![0; ANSWER_BYTES_MAX];
    while answer.len() < ANSWER_HEAD_BYTES + 1 {
        let len = read(draft, &mut stream, &mut buffer, Phase::Handshake, until).await?;
        answer.extend_from_slice(buffer.get(..len).unwrap_or_default());
    }
    let signal = match (answer.first(), answer.get(ANSWER_HEAD_BYTES - 1), answer.get(ANSWER_HEAD_BYTES)) {
        (Some(&HANDSHAKE), Some(&SERVER_HELLO), _) => {
            draft.done(Operation::TlsHandshake);
            return Ok(stream);
        }
        (Some(&ALERT), _, Some(&description)) => Signal::TlsAlert(description),
        _ => Signal::UnexpectedBytes,
    };
    Err((Operation::TlsHandshake, draft.failure(Phase::Handshake, signal)))
}

/// Sends the messages one after the other and awaits the echo of each before the next.
pub(crate) async fn echo(bench: &Arc<Bench>, address: SocketAddr, messages: &[Vec<u8>]) -> Trial {
    let mut draft = Draft::new(bench, address, None);
    let outcome = echo_steps(bench, &mut draft, address, messages).await;
    finish(bench, Carrier::Tcp, address, draft, outcome)
}

async fn echo_steps(
    bench: &Bench,
    draft: &mut Draft,
    address: SocketAddr,
    messages: &[Vec<u8>],
) -> Result<(), Failed> {
    let timeout = bench.timeout();
    let mut stream = connect(draft, address, timeout).await?;
    let mut buffer = vec![0; ANSWER_BYTES_MAX];
    for (at, message) in messages.iter().enumerate() {
        let phase = if at == 0 { Phase::Handshake } else { Phase::Data };
        write(draft, &mut stream, message, phase, timeout).await?;
        let until = Instant::now() + timeout;
        let mut expected = message.as_slice();
        while !expected.is_empty() {
            let len = read(draft, &mut stream, &mut buffer, phase, until).await?;
            let got = buffer.get(..len).unwrap_or_default();
            expected = expected
                .strip_prefix(got)
                .ok_or_else(|| (Operation::Read, draft.failure(phase, Signal::UnexpectedBytes)))?;
        }
    }
    Ok(())
}

/// Sends a request in the clear and wants a successful answer.
pub(crate) async fn http(bench: &Arc<Bench>, address: SocketAddr, request: &str) -> Trial {
    let mut draft = Draft::new(bench, address, None);
    let outcome = http_steps(bench, &mut draft, address, request).await;
    finish(bench, Carrier::Tcp, address, draft, outcome)
}

async fn http_steps(
    bench: &Bench,
    draft: &mut Draft,
    address: SocketAddr,
    request: &str,
) -> Result<(), Failed> {
    let timeout = bench.timeout();
    let mut stream = connect(draft, address, timeout).await?;
    write(draft, &mut stream, request.as_bytes(), Phase::Handshake, timeout).await?;
    let until = Instant::now() + timeout;
    let mut answer = Vec::new();
    let mut buffer = vec![0; ANSWER_BYTES_MAX];
    loop {
        let len = read(draft, &mut stream, &mut buffer, Phase::Handshake, until).await?;
        answer.extend_from_slice(buffer.get(..len).unwrap_or_default());
        if let Some(head) = commucat_dissect::http::response_head(&answer) {
            return match head.status {
                200..=299 => Ok(()),
                status => Err((Operation::Read, draft.failure(Phase::Handshake, Signal::HttpStatus(status)))),
            };
        }
        if answer.len() >= ANSWER_BYTES_MAX {
            return Err((Operation::Read, draft.failure(Phase::Handshake, Signal::UnexpectedBytes)));
        }
    }
}

/// Ends a trial. Where it failed, the port is not used again.
pub(crate) fn finish(
    bench: &Bench,
    carrier: Carrier,
    address: SocketAddr,
    draft: Draft,
    outcome: Result<(), Failed>,
) -> Trial {
    if outcome.is_err() {
        bench.poison(carrier, address);
    }
    draft.end(outcome)
}
