//! One HTTP/1.1 call over one byte stream, with limits, without a task of its own.

use std::{
    future::{Future as _, poll_fn},
    pin::pin,
};

use commucat_transport_api::{BRIDGE_HOST, BoxStream, Channel, Client, Cx, DialError, Target};
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::{
    Method, Request, Response,
    body::{Bytes, Incoming},
    client::conn::http1,
    header::{self, HeaderValue},
};
use hyper_util::rt::TokioIo;

/// Longest head of an answer, in bytes.
const MAX_HEAD_BYTES: usize = 16 * 1024;
/// Most header fields in an answer.
const MAX_HEADERS: usize = 64;

/// Why a call gave no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CallError {
    /// The stream, or the HTTP on it, failed.
    #[error("the HTTP exchange failed")]
    Http(#[source] hyper::Error),
    /// The body is longer than the caller takes.
    #[error("the answer is too long")]
    TooLong,
    /// The body broke off.
    #[error("the answer broke off")]
    Body(#[source] commucat_transport_api::BoxError),
}

/// Why there is no stream to the bridge.
#[derive(Debug)]
pub(crate) enum OpenError {
    Dial(DialError),
    NoStream,
}

/// A stream that ends at the bridge.
pub(crate) async fn open(client: &dyn Client, cx: &Cx) -> Result<BoxStream, OpenError> {
    let mut channel = client.dial(cx, &Target::Bridge).await.map_err(OpenError::Dial)?.channel;
    if let Channel::Mux(session) = &channel {
        channel = session.open(&Target::Bridge).await.map_err(OpenError::Dial)?;
    }
    channel.into_stream().map_err(|_other| OpenError::NoStream)
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) body: Bytes,
}

/// A request to the bridge's own API.
pub(crate) fn request(method: Method, path: &'static str, body: Bytes) -> Request<Full<Bytes>> {
    let mut request = Request::new(Full::new(body));
    *request.method_mut() = method;
    *request.uri_mut() = hyper::Uri::from_static(path);
    request.headers_mut().insert(header::HOST, HeaderValue::from_static(BRIDGE_HOST));
    request.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    request
}

/// Sends the request and reads the whole answer, of which the body may have `max_body` bytes. The caller limits the
/// time; a dropped call drops the stream.
pub(crate) async fn call(
    stream: BoxStream,
    request: Request<Full<Bytes>>,
    max_body: usize,
) -> Result<Reply, CallError> {
    let (mut sender, connection) = http1::Builder::new()
        .max_buf_size(MAX_HEAD_BYTES)
        .max_headers(MAX_HEADERS)
        .handshake(TokioIo::new(stream))
        .await
        .map_err(CallError::Http)?;
    // Dropped as soon as it ends: only then does an exchange that still waits for it learn so.
    let mut connection = Some(Box::pin(connection));
    let mut exchange = pin!(async {
        let response = sender.send_request(request).await.map_err(CallError::Http)?;
        read(response, max_body).await
    });
    poll_fn(|cx| {
        // What the connection fails with reaches the exchange, too.
        if connection.as_mut().is_some_and(|connection| connection.as_mut().poll(cx).is_ready()) {
            connection = None;
        }
        exchange.as_mut().poll(cx)
    })
    .await
}

async fn read(response: Response<Incoming>, max_body: usize) -> Result<Reply, CallError> {
    let status = response.status().as_u16();
    let body = Limited::new(response.into_body(), max_body).collect().await.map_err(|error| {
        if error.is::<LengthLimitError>() { CallError::TooLong } else { CallError::Body(error) }
    })?;
    Ok(Reply { status, body: body.to_bytes() })
}
