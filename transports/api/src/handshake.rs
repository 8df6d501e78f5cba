//! A handshake as a pure state machine, and the one driver that runs it over a stream.

use std::{future::poll_fn, io, pin::Pin, time::Instant};

use bytes::{Bytes, BytesMut};
use tokio::io::ReadBuf;

use crate::{ByteStream, Net, write_all};

/// Bytes asked of the stream at once while a handshake runs.
const READ_CHUNK_BYTES: usize = 4096;

/// A stream handshake without IO: bytes and time come in, the one next thing to do comes out.
pub trait Handshake: Send {
    /// What a finished handshake gives.
    type Output;
    /// What can go wrong in the protocol.
    type Error: std::error::Error + Send + Sync + 'static;
    /// Consumes what it can from `input` and says what to do next. Bytes it leaves belong to whoever comes after it.
    ///
    /// # Errors
    /// The peer broke the protocol or a limit. The implementation bounds what it lets `input` grow to.
    fn step(&mut self, now: Instant, input: &mut BytesMut) -> Result<Step<Self::Output>, Self::Error>;
}

/// The one next thing to do.
#[derive(Debug)]
pub enum Step<O> {
    /// Send these bytes, then step again.
    Send(Bytes),
    /// Read more, then step again.
    NeedMore,
    /// Finished.
    Done(O),
}

/// Why a driven handshake failed.
#[derive(Debug, thiserror::Error)]
pub enum DriveError<E: std::error::Error + 'static> {
    /// The stream failed.
    #[error("the stream failed")]
    Io(#[source] io::Error),
    /// The protocol failed.
    #[error("the handshake failed")]
    Handshake(#[source] E),
}

/// Runs a handshake over a stream and gives its output with the bytes that were read beyond it.
///
/// # Errors
/// As [`DriveError`] tells; an end of stream before the handshake is done is [`io::ErrorKind::UnexpectedEof`].
pub async fn drive<H: Handshake>(
    mut handshake: H,
    io: &mut impl ByteStream,
    net: &dyn Net,
) -> Result<(H::Output, BytesMut), DriveError<H::Error>> {
    let mut input = BytesMut::new();
    loop {
        match handshake.step(net.now(), &mut input).map_err(DriveError::Handshake)? {
            Step::Done(output) => return Ok((output, input)),
            Step::Send(bytes) => write_all(io, &bytes).await.map_err(DriveError::Io)?,
            Step::NeedMore => receive(io, &mut input).await.map_err(DriveError::Io)?,
        }
    }
}

async fn receive(io: &mut impl ByteStream, input: &mut BytesMut) -> io::Result<()> {
    let mut chunk = [0u8; READ_CHUNK_BYTES];
    let mut buf = ReadBuf::new(&mut chunk);
    poll_fn(|cx| Pin::new(&mut *io).poll_read(cx, &mut buf)).await?;
    if buf.filled().is_empty() {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    input.extend_from_slice(buf.filled());
    Ok(())
}
