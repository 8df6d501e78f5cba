//! The HTTP proxy: CONNECT becomes a tunnel, plain requests are passed on one after the other.

mod exchange;

use std::{borrow::Cow, time::Duration};

use bytes::BytesMut;
use commucat_transport_api::{BoxStream, HostPort, Redacted, Signal, Target};
use tokio::{io::AsyncWriteExt as _, time::timeout};

use self::exchange::{Exchange, Outcome, Upstream, read_more};
use super::{Local, connect};
use crate::{
    http::{
        head::HeadError,
        reply,
        request::{Form, Request},
    },
    manager::DialFailed,
};

/// How long a kept connection may wait for its next request.
const KEEP_ALIVE: Duration = Duration::from_secs(120);

const ORIGIN_HINT: &str = "This is a proxy, not a web server. Enter this address as HTTP or SOCKS5 proxy in your \
                           browser's settings and open any page.";

/// Serves a connection whose first request was read.
pub(crate) async fn serve(
    mut client: BoxStream,
    mut input: BytesMut,
    first: Result<Request, HeadError>,
    local: &Local,
) {
    let mut next = first;
    let mut upstream: Option<Upstream> = None;
    loop {
        let request = match next {
            Ok(request) => request,
            Err(error) => return refuse(client, refusal(error)).await,
        };
        if let Some(credentials) = &local.credentials
            && !request.authorized(credentials)
        {
            let text = "This proxy asks for a user name and a password.";
            return refuse(client, (reply::AUTH_REQUIRED, text.into())).await;
        }
        let authority = match &request.form {
            Form::Tunnel(target) => return tunnel(client, input, target.clone(), local).await,
            Form::Origin => return refuse(client, (reply::BAD_REQUEST, ORIGIN_HINT.into())).await,
            Form::Absolute { authority, .. } => authority.clone(),
        };
        let server = match reach(upstream.take(), authority, local).await {
            Ok(server) => server,
            Err(failed) => return refuse(client, gateway_error(&failed)).await,
        };
        let exchange = Exchange { client: &mut client, input: &mut input, request: &request };
        match exchange.run(server, local).await {
            Outcome::Keep(server) => upstream = server,
            Outcome::Close => return drop(client.shutdown().await),
            Outcome::Refuse(status, text) => return refuse(client, (status, text.into())).await,
            Outcome::Abort => return commucat_net::abort(client),
        }
        next = match timeout(KEEP_ALIVE, read_request(&mut client, &mut input)).await {
            Ok(Some(next)) => next,
            Ok(None) | Err(_) => return drop(client.shutdown().await),
        };
    }
}

async fn tunnel(mut client: BoxStream, early: BytesMut, target: HostPort, local: &Local) {
    tracing::debug!(target = %Redacted(&target), "a local program asks for a tunnel");
    let remote = match local.manager.stream(&Target::from_address(target)).await {
        Ok(remote) => remote,
        Err(failed) => return refuse(client, gateway_error(&failed)).await,
    };
    match client.write_all(reply::ESTABLISHED).await {
        Ok(()) => connect::tunnel(client, early, remote).await,
        Err(error) => tracing::debug!(%error, "the local program is gone"),
    }
}

/// The connection to that server: the kept one, or a new one.
async fn reach(kept: Option<Upstream>, authority: HostPort, local: &Local) -> Result<Upstream, DialFailed> {
    match kept {
        Some(kept) if kept.authority == authority => Ok(kept),
        _ => Upstream::dial(authority, local).await,
    }
}

/// Reads the next head; `None` at the end of the stream.
async fn read_request(client: &mut BoxStream, input: &mut BytesMut) -> Option<Result<Request, HeadError>> {
    loop {
        match Request::parse(input) {
            Ok(Some((request, used))) => {
                bytes::Buf::advance(input, used);
                return Some(Ok(request));
            }
            Ok(None) => {}
            Err(error) => return Some(Err(error)),
        }
        if !matches!(read_more(client, input).await, Ok(1..)) {
            return None;
        }
    }
}

type Refusal = ((u16, &'static str), Cow<'static, str>);

async fn refuse(mut client: BoxStream, (status, text): Refusal) {
    // The program may be gone already; there is nobody else to tell.
    if client.write_all(&reply::error(status, &text)).await.is_ok() {
        client.shutdown().await.ok();
        drain(client).await;
    }
}

/// Reads what the program still sends for a moment: closing over unread bytes would reset the answer away.
async fn drain(mut client: BoxStream) {
    const MAX_READS: usize = 64;
    const PATIENCE: Duration = Duration::from_secs(2);
    let mut ignored = BytesMut::new();
    let reading = async {
        for _ in 0..MAX_READS {
            ignored.clear();
            if !matches!(read_more(&mut client, &mut ignored).await, Ok(1..)) {
                return;
            }
        }
    };
    // A program that goes on sending is cut off.
    timeout(PATIENCE, reading).await.ok();
}

fn refusal(error: HeadError) -> Refusal {
    match error {
        HeadError::TooLong => (reply::HEAD_TOO_LARGE, "The request head is longer than 16 KiB.".into()),
        HeadError::Malformed => (reply::BAD_REQUEST, "The request head is malformed.".into()),
        HeadError::Framing => (reply::BAD_REQUEST, "The length of the request body is ambiguous.".into()),
        HeadError::Target => {
            let text = "The request target must be http://host/path, or host:port with CONNECT (for https).";
            (reply::BAD_REQUEST, text.into())
        }
    }
}

fn gateway_error(failed: &DialFailed) -> Refusal {
    let timed_out = failed.failure.as_ref().is_some_and(|failure| failure.signal == Signal::Timeout);
    let status = if timed_out { reply::GATEWAY_TIMEOUT } else { reply::BAD_GATEWAY };
    (status, format!("{} {}", failed.diagnosis.sentence, failed.diagnosis.what_to_do).into())
}
