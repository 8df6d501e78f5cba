//! One plain request and its response, both directions at once: a server may answer before it has read the body.

use std::{io, time::Duration};

use bytes::{Buf as _, BytesMut};
use commucat_transport_api::{BoxStream, HostPort, Target};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    time::timeout,
};

use super::Local;
use crate::{
    http::{
        body::{Body, Framing},
        reply,
        request::Request,
        response::Response,
    },
    manager::DialFailed,
};

/// Longest time without a byte in an exchange.
const IDLE: Duration = Duration::from_secs(300);
/// Bytes asked for at once.
const CHUNK_BYTES: usize = 16 * 1024;
/// Interim responses (100, 103) before the final one.
const MAX_INTERIM: usize = 16;

/// A connection to an origin server, and what was read of it beyond the last response.
#[derive(Debug)]
pub(super) struct Upstream {
    pub(super) authority: HostPort,
    stream: BoxStream,
    input: BytesMut,
    used: bool,
}

impl Upstream {
    pub(super) async fn dial(authority: HostPort, local: &Local) -> Result<Self, DialFailed> {
        let stream = local.manager.stream(&Target::from_address(authority.clone())).await?;
        Ok(Self { authority, stream, input: BytesMut::new(), used: false })
    }
}

/// What to do with the client's connection now.
pub(super) enum Outcome {
    /// Read the next request; the server's connection may be kept too.
    Keep(Option<Upstream>),
    /// All was said; close in order.
    Close,
    /// Nothing was said yet; answer with this error.
    Refuse((u16, &'static str), &'static str),
    /// The response broke off: reset, so that it does not look whole.
    Abort,
}

/// A request on its way.
pub(super) struct Exchange<'a> {
    pub(super) client: &'a mut BoxStream,
    pub(super) input: &'a mut BytesMut,
    pub(super) request: &'a Request,
}

/// How passing on the response ended.
enum Answered {
    /// `ends_client`: only the end of the connection ends the body. `keeps_alive`: the server's can be used again.
    Whole {
        ends_client: bool,
        keeps_alive: bool,
    },
    /// The server was gone before its first byte.
    Nothing,
    /// What the server sent is no HTTP.
    Nonsense,
    TimedOut,
    BrokeOff,
}

impl Exchange<'_> {
    pub(super) async fn run(mut self, mut server: Upstream, local: &Local) -> Outcome {
        let kept = server.used;
        let mut outcome = self.once(&mut server).await;
        // A kept connection that the server closed meanwhile is no failure of this request.
        if matches!(outcome, (Answered::Nothing, _)) && kept && self.request.repeatable() {
            server = match Upstream::dial(server.authority, local).await {
                Ok(fresh) => fresh,
                Err(_told) => {
                    return Outcome::Refuse(reply::BAD_GATEWAY, "The server could not be reached again.");
                }
            };
            outcome = self.once(&mut server).await;
        }
        let (answered, sent_all) = outcome;
        match answered {
            Answered::Whole { ends_client, keeps_alive } => {
                let client_stays =
                    self.request.fields.keeps_alive(self.request.minor) && sent_all && !ends_client;
                server.used = true;
                match (client_stays, keeps_alive) {
                    (true, true) => Outcome::Keep(Some(server)),
                    (true, false) => Outcome::Keep(None),
                    (false, _) => Outcome::Close,
                }
            }
            Answered::Nothing => Outcome::Refuse(
                reply::BAD_GATEWAY,
                "The server, or the bridge on the way to it, closed the connection without an answer.",
            ),
            Answered::Nonsense => Outcome::Refuse(reply::BAD_GATEWAY, "The server's answer is no HTTP."),
            Answered::TimedOut => Outcome::Refuse(
                reply::GATEWAY_TIMEOUT,
                "Nothing came back from the server or the bridge in time. Try again; `commucat doctor` tells more.",
            ),
            Answered::BrokeOff => Outcome::Abort,
        }
    }

    /// Sends the request and passes on the response; says whether the request was sent whole.
    async fn once(&mut self, server: &mut Upstream) -> (Answered, bool) {
        let Some(head) = self.request.for_origin() else { return (Answered::Nonsense, false) };
        let close = !self.request.fields.keeps_alive(self.request.minor);
        let (mut from_client, mut to_client) = tokio::io::split(&mut *self.client);
        let (mut from_server, mut to_server) = tokio::io::split(&mut server.stream);
        let mut sent_all = false;
        let send = send_request(&head, self.request.framing, self.input, &mut from_client, &mut to_server);
        let receive =
            receive(&self.request.method, close, &mut server.input, &mut from_server, &mut to_client);
        tokio::pin!(send, receive);
        let answered = tokio::select! {
            answered = &mut receive => answered,
            sent = &mut send => match sent {
                Ok(()) => {
                    sent_all = true;
                    receive.await
                }
                Err(SendError::Client) => Answered::BrokeOff,
                // The server may have answered and closed without reading all.
                Err(SendError::Server) => receive.await,
            },
        };
        (answered, sent_all)
    }
}

enum SendError {
    Client,
    Server,
}

async fn send_request(
    head: &[u8],
    framing: Framing,
    input: &mut BytesMut,
    client: &mut (impl AsyncRead + Unpin),
    server: &mut (impl AsyncWrite + Unpin),
) -> Result<(), SendError> {
    let server_failed = |_gone: io::Error| SendError::Server;
    let mut body = Body::new(framing);
    server.write_all(head).await.map_err(server_failed)?;
    loop {
        let used = body.advance(input).map_err(|_malformed| SendError::Client)?;
        server.write_all(input.get(..used).unwrap_or_default()).await.map_err(server_failed)?;
        input.advance(used);
        if body.is_done() {
            return server.flush().await.map_err(server_failed);
        }
        // A slow body must not wait in a transport's buffer.
        server.flush().await.map_err(server_failed)?;
        if !matches!(read_more(client, input).await, Ok(1..)) {
            return Err(SendError::Client);
        }
    }
}

async fn receive(
    method: &str,
    close: bool,
    input: &mut BytesMut,
    server: &mut (impl AsyncRead + Unpin),
    client: &mut (impl AsyncWrite + Unpin),
) -> Answered {
    let mut began = false;
    for _ in 0..MAX_INTERIM {
        let response = match read_response(method, input, server).await {
            Ok(response) => response,
            Err(_) if began => return Answered::BrokeOff,
            Err(failed) => return failed,
        };
        // Upgrade was not passed on, so nothing can be switched to.
        if response.status == 101 {
            return if began { Answered::BrokeOff } else { Answered::Nonsense };
        }
        let ends_here = close || response.framing == Framing::UntilClose;
        if client.write_all(&response.for_client(ends_here)).await.is_err() {
            return Answered::BrokeOff;
        }
        began = true;
        if !response.interim() {
            return pass_body(&response, input, server, client).await;
        }
    }
    Answered::BrokeOff
}

async fn read_response(
    method: &str,
    input: &mut BytesMut,
    server: &mut (impl AsyncRead + Unpin),
) -> Result<Response, Answered> {
    loop {
        match Response::parse(input, method) {
            Ok(Some((response, used))) => {
                input.advance(used);
                return Ok(response);
            }
            Ok(None) => {}
            Err(_no_http) => return Err(Answered::Nonsense),
        }
        match timeout(IDLE, read_more(server, input)).await {
            Ok(Ok(1..)) => {}
            Ok(_) if input.is_empty() => return Err(Answered::Nothing),
            Ok(_) => return Err(Answered::Nonsense),
            Err(_elapsed) => return Err(Answered::TimedOut),
        }
    }
}

async fn pass_body(
    response: &Response,
    input: &mut BytesMut,
    server: &mut (impl AsyncRead + Unpin),
    client: &mut (impl AsyncWrite + Unpin),
) -> Answered {
    let mut body = Body::new(response.framing);
    loop {
        let Ok(used) = body.advance(input) else { return Answered::BrokeOff };
        if client.write_all(input.get(..used).unwrap_or_default()).await.is_err() {
            return Answered::BrokeOff;
        }
        input.advance(used);
        if body.is_done() {
            break;
        }
        match timeout(IDLE, read_more(server, input)).await {
            Ok(Ok(1..)) => {}
            Ok(Ok(_)) if body.may_end_here() => break,
            _ => return Answered::BrokeOff,
        }
    }
    if client.flush().await.is_err() {
        return Answered::BrokeOff;
    }
    // Bytes beyond the response belong to no request: such a connection is not used again.
    let keeps_alive = response.keeps_alive && input.is_empty();
    Answered::Whole { ends_client: response.framing == Framing::UntilClose, keeps_alive }
}

/// Reads once; 0 is the end of the stream.
pub(super) async fn read_more(
    stream: &mut (impl AsyncRead + Unpin),
    input: &mut BytesMut,
) -> io::Result<usize> {
    input.reserve(CHUNK_BYTES);
    stream.read_buf(input).await
}
