//! What somebody gets who is no user: noise, foreign protocols, and first flights that were recorded on the wire.

use std::sync::Arc;

use commucat_transport_api::{BoxStream, HostPort, Net};
use futures_util::future::join_all;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::{
    CheckError, Cover, Ending, Fixture, Outcome, Stranger, pattern, report::ensure, services::Service,
    session::Session, streams::exchange,
};
use crate::wrap::Recorder;

/// Bytes of a cover's answer that are kept; a longer answer is read to its end all the same.
const ANSWER_BYTES_MAX: usize = 1 << 20;

pub(super) async fn strangers(fixture: &Fixture) -> Result<Outcome, CheckError> {
    if let Err(reason) = fixture.users {
        return Ok(Outcome::Skipped(reason));
    }
    let session = Session::start(fixture).await?;
    let public = session.public();
    let net = &fixture.client_net;
    let (noise, requests) = (noise(), fixture.cover.requests().to_vec());
    let talks =
        noise.into_iter().map(|bytes| (bytes, false)).chain(requests.into_iter().map(|bytes| (bytes, true)));
    let talks = talks.map(|(bytes, answered)| converse(fixture, net, &public, bytes, answered));
    let all = fixture.within("the strangers' conversations", join_all(talks)).await?;
    for stranger in all {
        judge(&fixture.cover, &stranger?)?;
    }
    ensure(session.bridge.log.look().accepted.is_empty(), || "a stranger was given a channel".into())?;
    let mut stream = session.dial(Service::Echo).await?;
    let got = fixture.within("an echo after strangers", exchange(&mut stream, b"a user")).await?;
    ensure(got.map_err(CheckError::io("an echo"))? == b"a user", || "the echo came changed".into())?;
    drop(stream);
    session.finish().await?;
    Ok(Outcome::Passed)
}

pub(super) async fn replay(fixture: &Fixture) -> Result<Outcome, CheckError> {
    if let Err(reason) = fixture.users {
        return Ok(Outcome::Skipped(reason));
    }
    let session = Session::start(fixture).await?;
    let recorder = Recorder::new(Arc::clone(&fixture.client_net));
    let mut stream = session.dial_by(session.client.as_ref(), &recorder.net(), Service::Echo).await?;
    let got = fixture.within("an echo", exchange(&mut stream, b"first flight")).await?;
    ensure(got.map_err(CheckError::io("an echo"))? == b"first flight", || "the echo came changed".into())?;
    let flights: Vec<_> =
        recorder.streams().into_iter().map(|stream| stream.sent).filter(|sent| !sent.is_empty()).collect();
    if flights.is_empty() {
        return Ok(Outcome::Skipped("the transport uses no streams that could be recorded"));
    }
    // Once beside the channel it was recorded from, and once after that is closed.
    let mut original = Some(stream);
    for when in ["while the first channel is open", "after the first channel was closed"] {
        for flight in &flights {
            let public = session.public();
            let talk = converse(fixture, &fixture.client_net, &public, flight.clone(), false);
            let stranger = fixture.within("a replayed conversation", talk).await??;
            let accepted = session.bridge.log.look().accepted.len();
            ensure(accepted == 1, || format!("a first flight replayed {when} opened a second channel"))?;
            judge(&fixture.replay_cover, &stranger)?;
        }
        original = None;
    }
    drop(original);
    session.finish().await?;
    Ok(Outcome::Passed)
}

/// What strangers send: too little, too much, other protocols, and nothing.
fn noise() -> Vec<Vec<u8>> {
    let mut noise: Vec<_> =
        [0, 1, 50, 517, 4096].map(|length| pattern::pattern("a stranger's noise", length)).into();
    noise.push(b"GET / HTTP/1.1\r\nHost: example.org\r\n\r\n".to_vec());
    noise.push(b"SSH-2.0-OpenSSH_9.9\r\n".to_vec());
    noise.push(b"\x05\x01\x00".to_vec());
    // A TLS record header that promises a ClientHello, with noise in it.
    noise.push([b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", &*pattern::pattern("hello", 505)].concat());
    noise.push(vec![0xff; 1024]);
    noise
}

/// Connects as a stranger, sends bytes, waits for an answer, ends his side, and waits for the end of the other.
async fn converse(
    fixture: &Fixture,
    net: &Arc<dyn Net>,
    to: &HostPort,
    sent: Vec<u8>,
    answered: bool,
) -> Result<Stranger, CheckError> {
    let mut stream = net.connect_stream(to).await.map_err(CheckError::io("connecting as a stranger"))?;
    let mut answer = Vec::new();
    // A server may have closed already; what it said before is still there to be read.
    let wrote = stream.write_all(&sent).await;
    let first = if answered { fixture.pace.linger } else { fixture.pace.quiet };
    let mut ending = listen(fixture, &mut stream, &mut answer, first).await;
    if ending == Ending::Open {
        drop(stream.shutdown().await);
        ending = match listen(fixture, &mut stream, &mut answer, fixture.pace.linger).await {
            Ending::Closed => Ending::ClosedAfterOurs,
            other => other,
        };
    }
    if wrote.is_err() && ending == Ending::Open {
        ending = Ending::Reset;
    }
    Ok(Stranger { sent, answer, ending })
}

/// Reads until the end, or until nothing came for a while: `first` before the first byte, the quiet time after it.
async fn listen(
    fixture: &Fixture,
    stream: &mut BoxStream,
    answer: &mut Vec<u8>,
    first: std::time::Duration,
) -> Ending {
    let mut chunk = vec![0; 16 * 1024];
    let mut wait = first;
    loop {
        match fixture.for_at_most(wait, stream.read(&mut chunk)).await {
            None => return Ending::Open,
            Some(Err(_)) => return Ending::Reset,
            Some(Ok(0)) => return Ending::Closed,
            Some(Ok(length)) => {
                let room = ANSWER_BYTES_MAX - answer.len();
                answer.extend_from_slice(chunk.get(..length.min(room)).unwrap_or_default());
                wait = fixture.pace.quiet;
            }
        }
    }
}

fn judge(cover: &Cover, stranger: &Stranger) -> Result<(), CheckError> {
    let start = stranger.sent.get(..stranger.sent.len().min(16)).unwrap_or_default();
    cover.judge(stranger).map_err(|wrong| {
        let length = stranger.sent.len();
        CheckError::broken(format!(
            "a stranger who sent {length} bytes (\"{}\"…): {wrong}",
            start.escape_ascii()
        ))
    })
}
