//! Checks of one stream: bytes, targets, and the two ends of stream.

use std::time::{Duration, Instant};

use commucat_transport_api::{Addressing, BoxStream};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::{
    CheckError, Fixture, Outcome,
    pattern::{self, DIGEST_BYTES, Digest},
    report::ensure,
    services::{GREETING, Service},
    session::Session,
};

/// Bytes of small exchanges: empty-ish, a segment, more than a frame of any transport.
const SMALL_SIZES: [usize; 4] = [1, 100, 1400, 70_000];

pub(super) async fn round_trip(fixture: &Fixture) -> Result<Outcome, CheckError> {
    let session = Session::start(fixture).await?;
    let mut stream = session.dial(Service::Echo).await?;
    for size in SMALL_SIZES {
        let sent = pattern::pattern("round trip", size);
        let got = fixture.within("an echo", exchange(&mut stream, &sent)).await?;
        ensure(got.map_err(CheckError::io("an echo"))? == sent, || {
            format!("{size} bytes came back changed")
        })?;
    }
    if fixture.transport.descriptor().addressing == Addressing::Proxy {
        let targets: Vec<_> =
            session.bridge.log.look().accepted.iter().map(|seen| seen.target.clone()).collect();
        ensure(targets == [Service::Echo.target()], || {
            "the bridge saw another target than was dialled".into()
        })?;
    }
    drop(stream);
    session.finish().await?;
    Ok(Outcome::Passed)
}

pub(super) async fn server_speaks_first(fixture: &Fixture) -> Result<Outcome, CheckError> {
    let session = Session::start(fixture).await?;
    let mut stream = session.dial(Service::Greeting).await?;
    let mut greeting = vec![0; GREETING.len()];
    let reading =
        fixture.within("the greeting of a server that speaks first", stream.read_exact(&mut greeting));
    reading.await?.map_err(CheckError::io("reading a greeting"))?;
    ensure(greeting == GREETING, || "the greeting came changed".into())?;
    let got = fixture.within("an echo after the greeting", exchange(&mut stream, b"HELO")).await?;
    ensure(got.map_err(CheckError::io("an echo"))? == b"HELO", || "the echo came changed".into())?;
    drop(stream);
    session.finish().await?;
    Ok(Outcome::Passed)
}

pub(super) async fn half_close(fixture: &Fixture) -> Result<Outcome, CheckError> {
    let session = Session::start(fixture).await?;
    for size in [0, 1, 70_000] {
        let mut stream = session.dial(Service::Digest).await?;
        let sent = pattern::pattern("half-close", size);
        let talk = async {
            stream.write_all(&sent).await?;
            stream.shutdown().await?;
            let mut answer = Vec::new();
            stream.read_to_end(&mut answer).await?;
            Ok(answer)
        };
        let answer = fixture.within("the answer after a half-close", talk).await?;
        let answer = answer.map_err(CheckError::io("the answer after a half-close"))?;
        ensure(answer.len() == DIGEST_BYTES, || {
            format!("after a half-close {} of {DIGEST_BYTES} bytes of the answer came", answer.len())
        })?;
        ensure(answer == Digest::of(&sent).encode(), || "the bridge got other bytes than were sent".into())?;
    }
    session.finish().await?;
    Ok(Outcome::Passed)
}

pub(super) async fn server_half_close(fixture: &Fixture) -> Result<Outcome, CheckError> {
    let session = Session::start(fixture).await?;
    let mut stream = session.dial(Service::CloseFirst).await?;
    let sent = pattern::pattern("after the end", 70_000);
    let talk = async {
        let length = stream.read(&mut [0; 16]).await?;
        stream.write_all(&sent).await?;
        stream.shutdown().await?;
        Ok(length)
    };
    let length = fixture.within("the end of stream of a server that closes first", talk).await?;
    let length = length.map_err(CheckError::io("writing after the server's end of stream"))?;
    ensure(length == 0, || "bytes came from a server that sent none".into())?;
    let log = &session.bridge.log;
    fixture
        .within("what was sent after the server's end", log.until(|log| !log.look().received.is_empty()))
        .await?;
    let received = log.look().received.first().copied();
    ensure(received == Some(Digest::of(&sent)), || {
        format!(
            "of {} bytes after the server's end of stream {:?} came",
            sent.len(),
            received.map(|digest| digest.bytes)
        )
    })?;
    drop(stream);
    session.finish().await?;
    Ok(Outcome::Passed)
}

pub(super) async fn prompt_end(fixture: &Fixture) -> Result<Outcome, CheckError> {
    let Some(delay) = fixture.exact_delay else {
        return Ok(Outcome::Skipped("needs a simulated path with a delay and no other fault"));
    };
    let session = Session::start(fixture).await?;
    let mut near = session.dial(Service::HandOver).await?;
    // The first bytes open the channel at the bridge, whatever the transport delays until then.
    near.write_all(b"open").await.map_err(CheckError::io("writing"))?;
    near.flush().await.map_err(CheckError::io("flushing"))?;
    let handed = fixture.within("the channel at the bridge", session.bridge.log.handed_over()).await?;
    let mut far = handed.ok_or_else(|| CheckError::broken("the bridge got no stream"))?;
    far.read_exact(&mut [0; 4]).await.map_err(CheckError::io("reading"))?;
    end_after(fixture, delay, &mut near, &mut far, "client").await?;
    end_after(fixture, delay, &mut far, &mut near, "server").await?;
    drop((near, far));
    session.finish().await?;
    Ok(Outcome::Passed)
}

/// Ends one direction and wants the other end to see it exactly one link delay later.
async fn end_after(
    fixture: &Fixture,
    delay: Duration,
    from: &mut BoxStream,
    to: &mut BoxStream,
    whose: &str,
) -> Result<(), CheckError> {
    let began = fixture.client_net.now();
    let ending = async { tokio::join!(from.shutdown(), end_seen(to, fixture)) };
    let (ended, seen) = fixture.within("an end of stream", ending).await?;
    ended.map_err(CheckError::io("ending a stream"))?;
    let took = seen.map_err(CheckError::io("reading to the end"))?.duration_since(began);
    ensure(took == delay, || format!("the {whose}'s end of stream took {took:?} on a path of {delay:?}"))
}

/// When the end of a stream is seen.
async fn end_seen(stream: &mut BoxStream, fixture: &Fixture) -> std::io::Result<Instant> {
    let length = stream.read(&mut [0; 16]).await?;
    if length != 0 {
        return Err(std::io::Error::new(std::io::ErrorKind::InvalidData, "bytes instead of the end"));
    }
    Ok(fixture.client_net.now())
}

/// Writes and reads as many bytes as were written.
pub(super) async fn exchange(stream: &mut BoxStream, sent: &[u8]) -> std::io::Result<Vec<u8>> {
    let (mut reader, mut writer) = tokio::io::split(stream);
    let mut got = vec![0; sent.len()];
    let write = async {
        writer.write_all(sent).await?;
        writer.flush().await
    };
    let (wrote, read) = tokio::join!(write, reader.read_exact(&mut got));
    wrote?;
    read?;
    Ok(got)
}
