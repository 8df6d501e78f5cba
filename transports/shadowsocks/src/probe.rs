//! Measures an endpoint step by step: look-up, connection, the shape of our first packet, and an answer that only
//! a holder of the key can give. Evidence, never a verdict.

use std::{
    io,
    sync::Arc,
    time::{Duration, Instant},
};

use commucat_transport_api::{
    BoxStream, Client as _, Cx, DialError, Failure, Phase, ProbeReport, ProbeStep, Signal, Target,
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::{buffer::Outbox, client::SsClient, fet, stream::heads::RequestOpening};

/// What the probe says to the bridge. Any answer at all proves the key.
const QUESTION: &[u8] = b"HEAD / HTTP/1.1\r\nHost: bridge.commucat.invalid\r\nConnection: close\r\n\r\n";

pub(crate) async fn probe(client: &SsClient, cx: &Cx) -> ProbeReport {
    let mut report = ProbeReport::default();
    report.steps.push(ProbeStep::new("resolve", resolve(client, cx).await));
    if report.first_failure().is_some() {
        return report;
    }
    if !client.config.mode.tcp() {
        return report;
    }
    report.steps.push(ProbeStep::new(first_packet(client, cx), Ok(Duration::ZERO)));
    let started = cx.net.now();
    let stream = match client.dial(cx, &Target::Bridge).await {
        Ok(opened) => opened.channel.into_stream().ok(),
        Err(error) => {
            report.steps.push(ProbeStep::new("connect", Err(failure_of(&error, elapsed(cx, started)))));
            return report;
        }
    };
    report.steps.push(ProbeStep::new("connect", Ok(elapsed(cx, started))));
    if let Some(stream) = stream {
        report.steps.push(ProbeStep::new("handshake", ask(stream, cx).await));
    }
    report
}

async fn resolve(client: &SsClient, cx: &Cx) -> Result<Duration, Failure> {
    let started = cx.net.now();
    match cx.until_deadline(cx.net.resolve(&client.server)).await {
        Some(Ok(_addresses)) => Ok(elapsed(cx, started)),
        Some(Err(error)) => Err(Failure::new(Phase::Resolve, Signal::from_io(&error), elapsed(cx, started))),
        None => Err(Failure::new(Phase::Resolve, Signal::Timeout, elapsed(cx, started))),
    }
}

/// Which rule of the filter would let our first packet pass, as the name of a step.
fn first_packet(client: &SsClient, cx: &Cx) -> String {
    let Some(target) = Target::Bridge.to_address() else { return "first packet".to_owned() };
    let (keys, net) = (Arc::clone(&client.config.keys), Arc::clone(&cx.net));
    let opening = RequestOpening { keys, target, started: net.now(), net, wait: None };
    let mut outbox = Outbox::default();
    if opening.seal(QUESTION, &mut outbox).is_err() {
        return "first packet: not made".to_owned();
    }
    match fet::exemption(outbox.bytes()) {
        Some(rule) => format!("first packet: exempt from the fully-encrypted rule by {}", rule.name()),
        None => "first packet: looks random, the fully-encrypted rule would match it".to_owned(),
    }
}

async fn ask(mut stream: BoxStream, cx: &Cx) -> Result<Duration, Failure> {
    let started = cx.net.now();
    let asked = async {
        stream.write_all(QUESTION).await?;
        stream.flush().await?;
        let mut first = [0; 1];
        // An end without bytes proves the key too: it is sealed, or it would have been an error.
        stream.read(&mut first).await
    };
    match cx.until_deadline(asked).await {
        Some(Ok(_bytes)) => Ok(elapsed(cx, started)),
        Some(Err(error)) => Err(evidence_of(&error, elapsed(cx, started))),
        None => Err(Failure::new(Phase::Handshake, Signal::Timeout, elapsed(cx, started))),
    }
}

fn evidence_of(error: &io::Error, elapsed: Duration) -> Failure {
    Failure::in_io(error)
        .cloned()
        .unwrap_or_else(|| Failure::new(Phase::Handshake, Signal::from_io(error), elapsed))
}

fn failure_of(error: &DialError, elapsed: Duration) -> Failure {
    error.failure().cloned().unwrap_or_else(|| Failure::new(Phase::Connect, Signal::Other, elapsed))
}

fn elapsed(cx: &Cx, since: Instant) -> Duration {
    cx.net.now().saturating_duration_since(since)
}
