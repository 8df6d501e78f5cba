//! Checks of datagram channels. A path may lose datagrams: what must arrive is sent until it does.

use std::{future::poll_fn, io};

use commucat_transport_api::{DatagramChannel, HostPort};
use tokio::io::ReadBuf;

use super::{
    CheckError, Fixture, Outcome, pattern, report::ensure, services::DATAGRAM_BUFFER_BYTES, session::Session,
};

/// Tries until a datagram counts as one that does not pass. A long one is many fragments, each of which may be lost.
const TRIES_MAX: u32 = 2000;
const NO_DATAGRAMS: &str = "the transport carries no datagrams";

pub(super) async fn round_trip(fixture: &Fixture) -> Result<Outcome, CheckError> {
    let Some((session, mut channel)) = open(fixture).await? else {
        return Ok(Outcome::Skipped(NO_DATAGRAMS));
    };
    for (number, peer) in
        ["192.0.2.1:53", "[2001:db8::1]:443", "peer.testkit.invalid:1"].into_iter().enumerate()
    {
        let peer = peer_at(peer)?;
        for size in [1, 100, 1200] {
            let sent = pattern::pattern(&format!("datagram {number}"), size);
            echo(fixture, channel.as_mut(), &sent, &peer).await?;
        }
    }
    drop(channel);
    session.finish().await?;
    Ok(Outcome::Passed)
}

pub(super) async fn longest(fixture: &Fixture) -> Result<Outcome, CheckError> {
    let Some((session, mut channel)) = open(fixture).await? else {
        return Ok(Outcome::Skipped(NO_DATAGRAMS));
    };
    let sent = pattern::pattern("the longest datagram", channel.max_datagram().get());
    echo(fixture, channel.as_mut(), &sent, &peer()?).await?;
    drop(channel);
    session.finish().await?;
    Ok(Outcome::Passed)
}

pub(super) async fn oversize(fixture: &Fixture) -> Result<Outcome, CheckError> {
    let Some((session, mut channel)) = open(fixture).await? else {
        return Ok(Outcome::Skipped(NO_DATAGRAMS));
    };
    let peer = peer()?;
    let long = vec![0; channel.max_datagram().get() + 1];
    let outcome =
        fixture.within("sending an oversize datagram", poll_fn(|cx| channel.poll_send(cx, &long, &peer)));
    let kind = outcome.await?.err().map(|error| error.kind());
    ensure(kind == Some(io::ErrorKind::InvalidInput), || {
        format!("an oversize datagram should be InvalidInput, and was {kind:?}")
    })?;
    echo(fixture, channel.as_mut(), b"still here", &peer).await?;
    drop(channel);
    session.finish().await?;
    Ok(Outcome::Passed)
}

async fn open(fixture: &Fixture) -> Result<Option<(Session<'_>, Box<dyn DatagramChannel>)>, CheckError> {
    if !fixture.transport.descriptor().channels.datagram {
        return Ok(None);
    }
    let session = Session::start(fixture).await?;
    let channel = session.dial_datagrams().await?;
    Ok(Some((session, channel)))
}

fn peer() -> Result<HostPort, CheckError> {
    peer_at("192.0.2.1:53")
}

fn peer_at(text: &str) -> Result<HostPort, CheckError> {
    text.parse().map_err(|error| CheckError::broken(format!("a peer of the suite does not parse: {error}")))
}

/// Sends a datagram until its echo comes, with the same peer.
async fn echo(
    fixture: &Fixture,
    channel: &mut dyn DatagramChannel,
    sent: &[u8],
    peer: &HostPort,
) -> Result<(), CheckError> {
    let mut buffer = vec![0; DATAGRAM_BUFFER_BYTES];
    for _try in 0..TRIES_MAX {
        let sending = poll_fn(|cx| channel.poll_send(cx, sent, peer));
        fixture.within("sending a datagram", sending).await?.map_err(CheckError::io("sending a datagram"))?;
        // Late echoes of earlier datagrams may come first.
        let answered = fixture.for_at_most(fixture.pace.datagram, async {
            loop {
                let mut buf = ReadBuf::new(&mut buffer);
                let from = poll_fn(|cx| channel.poll_recv(cx, &mut buf)).await?;
                match from {
                    None => return Err(io::ErrorKind::UnexpectedEof.into()),
                    Some(from) if buf.filled() == sent => return Ok(from),
                    Some(_other) => {}
                }
            }
        });
        match answered.await {
            Some(from) => {
                let from = from.map_err(CheckError::io("receiving a datagram"))?;
                return ensure(from == *peer, || format!("a datagram to {peer} was answered by {from}"));
            }
            None => continue,
        }
    }
    Err(CheckError::broken(format!("a datagram of {} bytes never came back", sent.len())))
}
