//! Answers HTTP/1.1 requests on any stream.

use std::{
    fmt::Write as _,
    io,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use aws_lc_rs::digest;
use bytes::{Bytes, BytesMut};
use serde::Serialize;
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    time::{sleep, timeout},
};

use crate::{
    ECHO_BYTES_MAX, PACE_MAX, SINK_BYTES_MAX, SOURCE_BYTES_MAX, SOURCE_CHUNK_MAX,
    connection::{Exchange, Shared},
    head::{Head, Method, Refusal, Request, Status, parse},
    limits::BUFFER_BYTES,
    wire,
};

/// How long a peer may go on sending after it was refused, so that it can still read why.
const LINGER: Duration = Duration::from_secs(1);
/// How much it may send meanwhile.
const LINGER_BYTES: usize = 256 * 1024;

/// Answers requests until the peer, a limit or the end of the server ends it. `buffer` holds what was read already.
pub(crate) async fn serve<S>(io: &mut S, mut buffer: BytesMut, exchange: &Exchange<'_>) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let shared = exchange.shared;
    for left in (0..shared.limits.requests).rev() {
        let request = match next(io, &mut buffer, shared).await? {
            Next::Request(request) => request,
            Next::Refused(refusal) => return refuse(io, &refusal).await,
            Next::Ended => return io.shutdown().await,
        };
        shared.counters.requests.add();
        let keep = request.keep_alive && left > 0 && !shared.draining.is_cancelled();
        if let Err(refusal) = answer(io, &mut buffer, exchange, &request, keep).await? {
            return refuse(io, &refusal).await;
        }
        if !keep {
            break;
        }
    }
    io.shutdown().await
}

enum Next {
    Request(Request),
    Refused(Refusal),
    Ended,
}

/// The next request: waits for its first byte as long as for the first of a connection, then for the head as a whole.
async fn next<S>(io: &mut S, buffer: &mut BytesMut, shared: &Shared) -> io::Result<Next>
where
    S: AsyncRead + Unpin,
{
    if buffer.is_empty() {
        let first = timeout(shared.limits.first_byte(), fill(io, buffer));
        let read = tokio::select! {
            read = first => read.map_err(|_elapsed| io::ErrorKind::TimedOut)??,
            () = shared.draining.cancelled() => 0,
        };
        if read == 0 {
            return Ok(Next::Ended);
        }
    }
    let whole = async {
        loop {
            match parse(buffer) {
                Ok(Head::Complete(request, length)) => {
                    drop(buffer.split_to(length));
                    return Ok(Next::Request(request));
                }
                Ok(Head::Incomplete) => {}
                Err(refusal) => return Ok(Next::Refused(refusal)),
            }
            if fill(io, buffer).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    };
    timeout(shared.limits.head(), whole).await.map_err(|_elapsed| io::ErrorKind::TimedOut)?
}

/// Answers one request; a refusal is for the caller to send.
async fn answer<S>(
    io: &mut S,
    buffer: &mut BytesMut,
    exchange: &Exchange<'_>,
    request: &Request,
    keep: bool,
) -> io::Result<Result<(), Refusal>>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let path = match route(exchange.shared, &request.path) {
        Ok(path) => path,
        Err(refusal) => return Ok(Err(refusal)),
    };
    match (path, request.method) {
        (wire::SOURCE, Method::Get | Method::Head) => {
            let asked = match Asked::read(&request.query, exchange.shared) {
                Ok(asked) => asked,
                Err(refusal) => return Ok(Err(refusal)),
            };
            io.write_all(head(OCTETS, asked.bytes, keep).as_bytes()).await?;
            if request.method == Method::Get {
                source(io, &asked).await?;
            }
            io.flush().await?;
        }
        (wire::SINK, Method::Post) if request.body <= SINK_BYTES_MAX => {
            go_on(io, request).await?;
            let answer = sink(io, buffer, request.body).await?;
            json(io, &answer, keep).await?;
        }
        (wire::ECHO, Method::Post) if request.body <= ECHO_BYTES_MAX => {
            go_on(io, request).await?;
            io.write_all(head(OCTETS, request.body, keep).as_bytes()).await?;
            let mut left = request.body;
            while left > 0 {
                let piece = body(io, buffer, &mut left).await?;
                io.write_all(&piece).await?;
                io.flush().await?;
            }
        }
        (wire::SINK | wire::ECHO, Method::Post) => {
            return Ok(Err(Refusal::new(Status::TooLarge, "sink takes 64 MiB, echo 16 MiB")));
        }
        (wire::WHOAMI, Method::Get) => {
            let (address, port) = (exchange.peer.ip().to_canonical(), exchange.peer.port());
            json(io, &wire::WhoamiAnswer { address, port }, keep).await?;
        }
        (wire::HELLO, Method::Get) => json(io, exchange.hello, keep).await?,
        (wire::TIME, Method::Get) => json(io, &time(), keep).await?,
        _ => return Ok(Err(Refusal::new(Status::MethodNotAllowed, "this path takes another method"))),
    }
    Ok(Ok(()))
}

const OCTETS: &str = "application/octet-stream";
const JSON: &str = "application/json";

/// The path below the token, when it is one of ours.
fn route<'a>(shared: &Shared, path: &'a str) -> Result<&'a str, Refusal> {
    let unknown = Refusal::new(Status::NotFound, "no such path");
    let below = match &shared.token {
        None => Some(path),
        Some(token) => path.strip_prefix('/').and_then(|path| {
            let (first, _) = path.split_once('/')?;
            let same = aws_lc_rs::constant_time::verify_slices_are_equal(
                first.as_bytes(),
                token.expose().as_bytes(),
            );
            same.ok()?;
            path.strip_prefix(first)
        }),
    };
    let known = [wire::SOURCE, wire::SINK, wire::ECHO, wire::WHOAMI, wire::HELLO, wire::TIME];
    below.filter(|below| known.contains(below)).ok_or(unknown)
}

/// What a `GET /source` asks for.
struct Asked {
    bytes: u64,
    chunk: usize,
    every: Duration,
}

impl Asked {
    fn read(query: &str, shared: &Shared) -> Result<Self, Refusal> {
        let bad = |why| Refusal::new(Status::BadRequest, why);
        let (mut bytes, mut chunk, mut every_ms) = (None, None, 0);
        for (name, value) in query.split('&').filter_map(|pair| pair.split_once('=')) {
            let value: u64 =
                value.parse().map_err(|_text| bad("bytes=, chunk= and every_ms= take whole numbers"))?;
            match name {
                "bytes" => bytes = Some(value),
                "chunk" => chunk = Some(value),
                "every_ms" => every_ms = value,
                _ => return Err(bad("source takes bytes=, chunk= and every_ms=")),
            }
        }
        let bytes = bytes.ok_or_else(|| bad("source needs bytes="))?;
        if bytes > SOURCE_BYTES_MAX {
            return Err(bad("source gives at most 64 MiB"));
        }
        let most = SOURCE_CHUNK_MAX as u64;
        let chunk = chunk.unwrap_or(most);
        let every = Duration::from_millis(every_ms);
        if chunk == 0 || chunk > most || every > PACE_MAX || every >= shared.limits.idle() {
            return Err(bad("chunk= is 1 to 65536, every_ms= at most 10000 and below the idle limit"));
        }
        let pauses = u128::from(bytes.div_ceil(chunk).saturating_sub(1));
        if pauses * every.as_millis() > shared.limits.connection().as_millis() {
            return Err(bad("this would take longer than a connection may last"));
        }
        let chunk = usize::try_from(chunk).unwrap_or(SOURCE_CHUNK_MAX);
        Ok(Self { bytes, chunk, every })
    }
}

async fn source<S: AsyncWrite + Unpin>(io: &mut S, asked: &Asked) -> io::Result<()> {
    let mut block = vec![0; asked.chunk];
    let mut offset = 0;
    while offset < asked.bytes {
        let left = usize::try_from(asked.bytes - offset).unwrap_or(usize::MAX).min(block.len());
        let now = block.get_mut(..left).unwrap_or_default();
        wire::pattern(offset, now);
        io.write_all(now).await?;
        offset += left as u64;
        if !asked.every.is_zero() && offset < asked.bytes {
            io.flush().await?;
            sleep(asked.every).await;
        }
    }
    Ok(())
}

async fn sink<S>(io: &mut S, buffer: &mut BytesMut, bytes: u64) -> io::Result<wire::SinkAnswer>
where
    S: AsyncRead + Unpin,
{
    let mut digest = digest::Context::new(&digest::SHA256);
    let mut left = bytes;
    while left > 0 {
        digest.update(&body(io, buffer, &mut left).await?);
    }
    let mut sha256 = String::new();
    for byte in digest.finish().as_ref() {
        // Writing to a String does not fail.
        let _infallible = write!(sha256, "{byte:02x}");
    }
    Ok(wire::SinkAnswer { bytes, sha256 })
}

/// The next piece of a body, never empty.
async fn body<S>(io: &mut S, buffer: &mut BytesMut, left: &mut u64) -> io::Result<Bytes>
where
    S: AsyncRead + Unpin,
{
    if buffer.is_empty() && fill(io, buffer).await? == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    let take = usize::try_from(*left).unwrap_or(usize::MAX).min(buffer.len());
    *left -= take as u64;
    Ok(buffer.split_to(take).freeze())
}

async fn fill<S: AsyncRead + Unpin>(io: &mut S, buffer: &mut BytesMut) -> io::Result<usize> {
    buffer.reserve(BUFFER_BYTES);
    (&mut *io).take(BUFFER_BYTES as u64).read_buf(buffer).await
}

async fn go_on<S: AsyncWrite + Unpin>(io: &mut S, request: &Request) -> io::Result<()> {
    if request.expects_continue {
        io.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await?;
        io.flush().await?;
    }
    Ok(())
}

fn time() -> wire::TimeAnswer {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    wire::TimeAnswer { unix_ms: u64::try_from(since.as_millis()).unwrap_or(u64::MAX) }
}

fn head(content_type: &str, length: u64, keep: bool) -> String {
    head_with("200 OK", content_type, length, keep)
}

fn head_with(status: &str, content_type: &str, length: u64, keep: bool) -> String {
    let connection = if keep { "keep-alive" } else { "close" };
    format!(
        "HTTP/1.1 {status}\r\nContent-Type: {content_type}\r\nContent-Length: {length}\r\n\
         Cache-Control: no-store\r\nConnection: {connection}\r\n\r\n"
    )
}

async fn json<S, T>(io: &mut S, answer: &T, keep: bool) -> io::Result<()>
where
    S: AsyncWrite + Unpin,
    T: Serialize,
{
    let text = serde_json::to_string(answer)?;
    let whole = head(JSON, text.len() as u64, keep) + &text;
    io.write_all(whole.as_bytes()).await?;
    io.flush().await
}

/// Says why, and closes so that the peer can read it: an unread body would turn the close into a reset.
async fn refuse<S>(io: &mut S, refusal: &Refusal) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let text = serde_json::to_string(&wire::ErrorAnswer { error: refusal.why.to_owned() })?;
    let whole = head_with(refusal.status.line(), JSON, text.len() as u64, false) + &text;
    io.write_all(whole.as_bytes()).await?;
    io.flush().await?;
    io.shutdown().await?;
    let mut waste = vec![0; BUFFER_BYTES];
    let drain = async {
        let mut drained = 0;
        while drained < LINGER_BYTES {
            match io.read(&mut waste).await {
                Ok(0) | Err(_) => break,
                Ok(read) => drained += read,
            }
        }
    };
    // Whether the peer finished in time makes no difference: the connection ends here.
    let _in_time = timeout(LINGER, drain).await;
    Ok(())
}
