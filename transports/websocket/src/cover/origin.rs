//! A web server that is asked for every answer: one request, one connection to it, everything streamed and bounded.
//!
//! The request goes on without its hop-by-hop fields (RFC 9110 §7.6.1), so an upgrade asked for by a stranger arrives as
//! the plain request that it is to this origin. The answer comes back as the origin wrote it, but for `Connection` and
//! the id header, which replaces one of the same name.

use std::{fmt::Write as _, io, sync::Arc, time::Duration};

use bytes::{Bytes, BytesMut};
use commucat_transport_api::{BoxStream, ConfigError, ConfigProblem, HostPort};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::{
    local,
    visit::{Visit, within},
};
use crate::wire::{
    head::{Body, Fields, HeadError, RequestHead, ResponseHead, take_response},
    verdict::ID_HEADER,
};

/// Longest time to reach the origin.
const CONNECT_WAIT: Duration = Duration::from_secs(5);
/// Longest time until its answer begins.
const ANSWER_WAIT: Duration = Duration::from_secs(20);
/// Longest time between two pieces of the answer.
const PIECE_WAIT: Duration = Duration::from_secs(30);
/// Longest request body that is passed on, in bytes.
const MAX_REQUEST_BODY_BYTES: u64 = 8 << 20;
/// Bytes passed on at once.
const PIECE_BYTES: usize = 16 * 1024;
/// Fields that concern one hop only.
const HOP_FIELDS: [&str; 8] =
    ["Connection", "Keep-Alive", "Proxy-Connection", "TE", "Trailer", "Transfer-Encoding", "Upgrade", "Host"];

/// The origin.
#[derive(Debug)]
pub(crate) struct Origin {
    address: HostPort,
    authority: String,
}

impl Origin {
    pub(super) fn parse(url: &str) -> Result<Self, ConfigError> {
        let bad = |why: &'static str| ConfigError::with_source(Some("cover"), ConfigProblem::BadValue, why);
        let parsed = url::Url::parse(url)
            .map_err(|error| ConfigError::with_source(Some("cover"), ConfigProblem::BadValue, error))?;
        let plain = parsed.scheme() == "http"
            && parsed.path() == "/"
            && parsed.query().is_none()
            && parsed.username().is_empty();
        if !plain {
            return Err(bad("the origin must be http://host:port"));
        }
        let host = parsed.host_str().ok_or_else(|| bad("the origin has no host"))?;
        let port = parsed.port_or_known_default().unwrap_or(80);
        let address = HostPort::new(host.trim_matches(['[', ']']), port)
            .map_err(|error| ConfigError::with_source(Some("cover"), ConfigProblem::BadValue, error))?;
        let authority = match parsed.port() {
            Some(port) => format!("{host}:{port}"),
            None => host.to_owned(),
        };
        Ok(Self { address, authority })
    }

    /// Passes one request on and its answer back; `false` when the visitor's connection ends with it.
    pub(super) async fn answer(&self, visit: &mut Visit, head: &RequestHead, id: &str) -> io::Result<bool> {
        let body = match head.body() {
            Ok(Body::Length(length)) if length <= MAX_REQUEST_BODY_BYTES => length,
            Ok(Body::Length(_)) => return local::fail(visit, 413, id).await,
            Ok(_) => return local::fail(visit, 411, id).await,
            Err(error) => return local::refuse(visit, error, id).await,
        };
        let net = Arc::clone(&visit.net);
        let connect = net.connect_stream(&self.address);
        let Ok(mut origin) = within(&*net, net.now() + CONNECT_WAIT, connect).await else {
            return local::fail(visit, 502, id).await;
        };
        if self.send_request(visit, &mut origin, head, body).await.is_err() {
            return local::fail(visit, 502, id).await;
        }
        let mut input = BytesMut::new();
        let answer = within(&*net, net.now() + ANSWER_WAIT, read_answer(&mut origin, &mut input)).await;
        let answer = match answer {
            Ok(answer) => answer,
            Err(error) if error.kind() == io::ErrorKind::TimedOut => {
                return local::fail(visit, 504, id).await;
            }
            Err(_) => return local::fail(visit, 502, id).await,
        };
        let Ok(body) = answer.body(&head.method) else { return local::fail(visit, 502, id).await };
        let keep = head.keeps_alive() && matches!(body, Body::Length(_));
        visit.send(answer_head(&answer, body, keep, id)).await?;
        pass_body(visit, &mut origin, input, body).await?;
        visit.flush().await?;
        Ok(keep)
    }

    async fn send_request(
        &self,
        visit: &mut Visit,
        origin: &mut BoxStream,
        head: &RequestHead,
        mut body: u64,
    ) -> io::Result<()> {
        let mut text =
            format!("{} {} HTTP/1.1\r\nHost: {}\r\n", head.method, head.target, self.authority).into_bytes();
        push_end_to_end(&mut text, &head.fields, &[]);
        text.extend_from_slice(b"Connection: close\r\n\r\n");
        let net = Arc::clone(&visit.net);
        within(&*net, net.now() + PIECE_WAIT, origin.write_all(&text)).await?;
        while body > 0 {
            let piece = visit.read_body(body).await?;
            within(&*net, net.now() + PIECE_WAIT, origin.write_all(&piece)).await?;
            body -= piece.len() as u64;
        }
        within(&*net, net.now() + PIECE_WAIT, origin.flush()).await
    }
}

/// The fields that are not for one hop, as they came.
fn push_end_to_end(text: &mut Vec<u8>, fields: &Fields, others: &[&str]) {
    for (name, value) in fields.iter() {
        let drop = HOP_FIELDS.iter().chain(others).any(|hop| name.eq_ignore_ascii_case(hop))
            || fields.has_token("Connection", name);
        if !drop {
            text.extend_from_slice(name.as_bytes());
            text.extend_from_slice(b": ");
            text.extend_from_slice(value);
            text.extend_from_slice(b"\r\n");
        }
    }
}

async fn read_answer(origin: &mut BoxStream, input: &mut BytesMut) -> io::Result<ResponseHead> {
    let bad = |error: HeadError| io::Error::new(io::ErrorKind::InvalidData, error);
    loop {
        match take_response(input).map_err(bad)? {
            Some(interim) if interim.status / 100 == 1 => {}
            Some(head) => return Ok(head),
            None => {
                let mut chunk = [0; 4096];
                let got = origin.read(&mut chunk).await?;
                if got == 0 {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
                input.extend_from_slice(chunk.get(..got).unwrap_or_default());
            }
        }
    }
}

fn answer_head(answer: &ResponseHead, body: Body, keep: bool, id: &str) -> Bytes {
    let mut head = String::new();
    // Writing to a string cannot fail.
    let _infallible = write!(head, "HTTP/1.1 {} {}\r\n", answer.status, answer.reason);
    let mut bytes = head.into_bytes();
    push_end_to_end(&mut bytes, &answer.fields, &[ID_HEADER]);
    if body == Body::Chunked {
        bytes.extend_from_slice(b"Transfer-Encoding: chunked\r\n");
    }
    bytes.extend_from_slice(if keep { b"Connection: keep-alive\r\n" } else { b"Connection: close\r\n" });
    bytes.extend_from_slice(format!("{ID_HEADER}: {id}\r\n\r\n").as_bytes());
    bytes.into()
}

/// Passes the body on: its length, or (chunked as it came, or without a length) until the origin closes.
async fn pass_body(
    visit: &mut Visit,
    origin: &mut BoxStream,
    mut input: BytesMut,
    body: Body,
) -> io::Result<()> {
    let mut left = match body {
        Body::Length(length) => length,
        Body::Chunked | Body::UntilClose => u64::MAX,
    };
    let net = Arc::clone(&visit.net);
    let mut piece = vec![0; PIECE_BYTES];
    while left > 0 {
        if input.is_empty() {
            let got = within(&*net, net.now() + PIECE_WAIT, origin.read(&mut piece)).await?;
            if got == 0 {
                return if left > u64::MAX / 2 { Ok(()) } else { Err(io::ErrorKind::UnexpectedEof.into()) };
            }
            input.extend_from_slice(piece.get(..got).unwrap_or_default());
        }
        let take = usize::try_from(left).unwrap_or(usize::MAX).min(input.len());
        visit.send(input.split_to(take)).await?;
        left -= take as u64;
    }
    Ok(())
}
