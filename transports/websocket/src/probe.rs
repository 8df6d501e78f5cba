//! Measures an endpoint step by step: name, connection, TLS, the cover site as control, the upgrade, a round trip to the
//! bridge's own HTTP.

use std::{io, sync::Arc, time::Duration};

use bytes::BytesMut;
use commucat_transport_api::{
    Channel, Cx, DialError, Failure, Phase, ProbeReport, ProbeStep, Signal, Target,
};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use crate::{
    attempt::Attempt,
    carrier::Carrier,
    client::{WsClient, broken},
    wire::{
        head::{ResponseHead, take_response},
        upgrade::USER_AGENT,
    },
};

/// Runs all steps until one fails.
pub(crate) async fn run(client: &WsClient, cx: &Cx) -> ProbeReport {
    let mut steps = Vec::new();
    let resolved = step(cx, Phase::Resolve, |attempt| async move {
        cx.net.resolve(&client.config().endpoint).await.map_err(|error| broken(&attempt, error)).map(drop)
    });
    if push(&mut steps, "resolve", resolved.await).is_none() {
        return ProbeReport::new(steps);
    }
    let Some(carrier) = reach(client, cx, &mut steps).await else { return ProbeReport::new(steps) };
    control(client, cx, &mut steps).await;
    let authenticated = client.config().credentials.is_some();
    let name = if authenticated { "authenticate" } else { "upgrade" };
    let upgraded = step(cx, Phase::Authenticate, |attempt| async move {
        let body = client.request_body(&*cx.net, &Target::Bridge)?;
        let carrier = client.upgrade(&attempt, carrier, body).await?;
        client.channel(&cx.net, carrier, &Target::Bridge).map_err(|error| broken(&attempt, error))
    });
    if let Some(channel) = push(&mut steps, name, upgraded.await)
        && authenticated
    {
        push(&mut steps, "round-trip", step(cx, Phase::Data, |attempt| round_trip(attempt, channel)).await);
    }
    ProbeReport::new(steps)
}

/// Connects and shakes hands, as two steps.
async fn reach(client: &WsClient, cx: &Cx, steps: &mut Vec<ProbeStep>) -> Option<Carrier> {
    let connected = step(cx, Phase::Connect, |attempt| async move {
        cx.net.connect_stream(&client.config().endpoint).await.map_err(|error| broken(&attempt, error))
    });
    let io = push(steps, "connect", connected.await)?;
    let secured = step(cx, Phase::Handshake, |attempt| async move { client.secure(&attempt, io).await });
    push(steps, "tls", secured.await)
}

/// A plain page over the same TLS: works wherever only the upgrade is hindered.
async fn control(client: &WsClient, cx: &Cx, steps: &mut Vec<ProbeStep>) {
    let answer = step(cx, Phase::Connect, |attempt| async move {
        let mut carrier = client.connect(&attempt).await?;
        attempt.reached(Phase::Data);
        let request = format!(
            "GET / HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nUser-Agent: {USER_AGENT}\r\nAccept: */*\r\n\r\n",
            client.config().authority
        );
        let head = ask(&mut carrier, &request).await.map_err(|error| broken(&attempt, error))?;
        if head.status >= 500 { Err(attempt.fail_bare(Signal::HttpStatus(head.status))) } else { Ok(()) }
    });
    let outcome = answer.await.map(|(took, ())| took);
    steps.push(ProbeStep::control("cover page", outcome));
}

/// HEAD / of the bridge's own HTTP: any answer will do.
async fn round_trip(attempt: Arc<Attempt>, channel: Channel) -> Result<(), DialError> {
    let Ok(mut stream) = channel.into_stream() else { return Err(DialError::UnsupportedTarget) };
    let request = "HEAD / HTTP/1.1\r\nHost: bridge.commucat.invalid\r\nConnection: close\r\n\r\n";
    ask(&mut stream, request).await.map(drop).map_err(|error| broken(&attempt, error))
}

async fn ask(io: &mut (impl AsyncRead + AsyncWrite + Unpin), request: &str) -> io::Result<ResponseHead> {
    io.write_all(request.as_bytes()).await?;
    io.flush().await?;
    let mut input = BytesMut::new();
    loop {
        let taken =
            take_response(&mut input).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
        if let Some(head) = taken {
            return Ok(head);
        }
        if io.read_buf(&mut input).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
}

/// Times one step, until the deadline of the whole probe.
async fn step<T, F>(
    cx: &Cx,
    phase: Phase,
    work: impl FnOnce(Arc<Attempt>) -> F,
) -> Result<(Duration, T), Failure>
where
    F: Future<Output = Result<T, DialError>>,
{
    let attempt = Arc::new(Attempt::begin(&cx.net));
    attempt.reached(phase);
    let done = cx.until_deadline(work(Arc::clone(&attempt))).await;
    match done.unwrap_or_else(|| Err(attempt.fail_bare(Signal::Timeout))) {
        Ok(value) => Ok((attempt.elapsed(), value)),
        Err(DialError::Network { failure, .. }) => Err(failure),
        Err(_) => Err(Failure::new(phase, Signal::Other, attempt.elapsed())),
    }
}

fn push<T>(
    steps: &mut Vec<ProbeStep>,
    name: &'static str,
    outcome: Result<(Duration, T), Failure>,
) -> Option<T> {
    match outcome {
        Ok((took, value)) => {
            steps.push(ProbeStep::new(name, Ok(took)));
            Some(value)
        }
        Err(failure) => {
            steps.push(ProbeStep::new(name, Err(failure)));
            None
        }
    }
}
