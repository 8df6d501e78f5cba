//! Measures an endpoint step by step: connection, the handshake with the bridge's own certificate, an answer from
//! inside. Evidence, never a verdict.

use std::time::Duration;

use commucat_transport_api::{BoxStream, Cx, Failure, Phase, ProbeReport, ProbeStep, Signal, Target};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::{
    client::{Progress, RealityClient},
    vless::Command,
};

/// What the probe says to the bridge. Any answer at all proves the user.
const QUESTION: &[u8] = b"HEAD / HTTP/1.1\r\nHost: bridge.commucat.invalid\r\nConnection: close\r\n\r\n";

pub(crate) async fn probe(client: &RealityClient, cx: &Cx) -> ProbeReport {
    let mut report = ProbeReport::default();
    let mut progress = Progress::new(cx);
    let io = match client.connect(&mut progress).await {
        Ok(io) => io,
        Err(failed) => {
            report.steps.push(ProbeStep::new("connect", Err(failed.failure)));
            return report;
        }
    };
    report.steps.push(ProbeStep::new("connect", Ok(progress.elapsed())));
    let mut progress = Progress::new(cx);
    let tls = match client.handshake(io, &mut progress).await {
        Ok(tls) => tls,
        Err(failed) => {
            report.steps.push(ProbeStep::new("tls", Err(failed.failure)));
            return report;
        }
    };
    report.steps.push(ProbeStep::new("tls", Ok(progress.elapsed())));
    let stream = client.stream(tls, Command::Tcp, Target::Bridge.to_address(), &cx.net);
    report.steps.push(ProbeStep::new("user", ask(stream, cx).await));
    report
}

async fn ask(mut stream: BoxStream, cx: &Cx) -> Result<Duration, Failure> {
    let began = cx.net.now();
    let asked = async {
        stream.write_all(QUESTION).await?;
        stream.flush().await?;
        let mut first = [0; 1];
        stream.read(&mut first).await
    };
    let outcome = cx.until_deadline(asked).await;
    let elapsed = cx.net.now().saturating_duration_since(began);
    match outcome {
        // A bridge that does not know the user ends the stream without a byte.
        Some(Ok(0)) => Err(Failure::new(Phase::Authenticate, Signal::UnknownUser, elapsed)),
        Some(Ok(_)) => Ok(elapsed),
        // Others of this protocol cut the stream instead.
        Some(Err(error)) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
            Err(Failure::new(Phase::Authenticate, Signal::UnexpectedEof, elapsed))
        }
        Some(Err(error)) => Err(Failure::in_io(&error)
            .cloned()
            .unwrap_or_else(|| Failure::new(Phase::Data, Signal::from_io(&error), elapsed))),
        None => Err(Failure::new(Phase::Data, Signal::Timeout, elapsed)),
    }
}
