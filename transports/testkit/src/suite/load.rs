//! Checks under load: bulk, slow peers, bytes one by one, many channels.

use std::{io, sync::Arc};

use commucat_transport_api::BoxStream;
use futures_util::future::{join_all, try_join_all};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::{
    CheckError, Fixture, Outcome, Scale,
    pattern::{self, Digest},
    report::ensure,
    services::Service,
    session::Session,
    streams::exchange,
};
use crate::wrap::Throttle;

/// Channels that are open at once.
const CHANNELS: usize = 200;
/// Bytes each of them echoes.
const CHANNEL_BYTES: usize = 1024;

pub(super) async fn bulk(fixture: &Fixture) -> Result<Outcome, CheckError> {
    let session = Session::start(fixture).await?;
    let stream = session.dial(Service::Echo).await?;
    let (sent, got) =
        fixture.within("bulk both ways", echo_bulk(stream, "bulk", fixture.scale.bulk_bytes())).await??;
    ensure(sent == got, || format!("of {} bytes {} came back, or changed", sent.bytes, got.bytes))?;
    session.finish().await?;
    Ok(Outcome::Passed)
}

pub(super) async fn slow_reader(fixture: &Fixture) -> Result<Outcome, CheckError> {
    let session = Session::start(fixture).await?;
    let slow = session.dial(Service::Echo).await?;
    let fast = session.dial(Service::Echo).await?;
    let (slow_bytes, fast_bytes) = (fixture.scale.slow_bytes(), Scale::Quick.bulk_bytes());
    let (mut slow_reader, mut slow_writer) = tokio::io::split(slow);
    let write_slow = async {
        let sent = pattern::send(&mut slow_writer, "slow", slow_bytes).await?;
        slow_writer.shutdown().await?;
        Ok::<_, io::Error>(sent)
    };
    // Nobody reads the slow channel before the fast one is through.
    let fast_then_slow = async {
        let (sent, got) = echo_bulk(fast, "fast", fast_bytes).await?;
        ensure(sent == got, || "the fast channel's bytes came back changed".into())?;
        pattern::receive(&mut slow_reader).await.map_err(CheckError::io("reading the slow channel"))
    };
    let both = Box::pin(async { tokio::join!(write_slow, fast_then_slow) });
    let (sent, got) = fixture.within("a fast channel beside one that nobody reads", both).await?;
    ensure(sent.map_err(CheckError::io("writing the slow channel"))? == got?, || {
        "the slow channel's bytes came back changed".into()
    })?;
    drop((slow_reader, slow_writer));
    session.finish().await?;
    Ok(Outcome::Passed)
}

pub(super) async fn one_byte_at_a_time(fixture: &Fixture) -> Result<Outcome, CheckError> {
    let throttle = |net| Throttle::one_byte().over(Arc::clone(net));
    let nets = (throttle(&fixture.client_net), throttle(&fixture.server_net));
    let throttled = fixture.clone().with_nets(nets.0, nets.1);
    let session = Session::start(&throttled).await?;
    let mut stream = session.dial(Service::Digest).await?;
    let sent = pattern::pattern("one by one", 3000);
    let talk = async {
        for byte in &sent {
            stream.write_all(&[*byte]).await?;
            stream.flush().await?;
        }
        stream.shutdown().await?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await?;
        Ok(answer)
    };
    let answer = fixture.within("an exchange one byte at a time", talk).await?;
    let answer = answer.map_err(CheckError::io("an exchange one byte at a time"))?;
    ensure(answer == Digest::of(&sent).encode(), || "bytes sent one at a time came changed".into())?;
    drop(stream);
    session.finish().await?;
    Ok(Outcome::Passed)
}

pub(super) async fn concurrent(fixture: &Fixture) -> Result<Outcome, CheckError> {
    let session = Session::start(fixture).await?;
    let mut streams = try_join_all((0..CHANNELS).map(|_| session.dial(Service::Echo))).await?;
    let talk = streams.iter_mut().enumerate().map(|(number, stream)| async move {
        let sent = pattern::pattern(&number.to_string(), CHANNEL_BYTES);
        Ok::<_, io::Error>(exchange(stream, &sent).await? == sent)
    });
    for (number, same) in
        fixture.within("many channels at once", join_all(talk)).await?.into_iter().enumerate()
    {
        let same = same.map_err(CheckError::io("one of many channels"))?;
        ensure(same, || format!("channel {number} of {CHANNELS} got other bytes than it sent"))?;
    }
    let accepted = session.bridge.log.look().accepted.len();
    ensure(accepted == CHANNELS, || format!("{CHANNELS} channels were dialled, {accepted} accepted"))?;
    drop(streams);
    session.finish().await?;
    Ok(Outcome::Passed)
}

/// Sends bulk through an echo and reads it at the same time.
async fn echo_bulk(stream: BoxStream, name: &str, total: u64) -> Result<(Digest, Digest), CheckError> {
    let (mut reader, mut writer) = tokio::io::split(stream);
    let write = async {
        let sent = pattern::send(&mut writer, name, total).await?;
        writer.shutdown().await?;
        Ok(sent)
    };
    let (sent, got) = tokio::join!(write, pattern::receive(&mut reader));
    let sent = sent.map_err(CheckError::io("writing bulk"))?;
    Ok((sent, got.map_err(CheckError::io("reading bulk"))?))
}
