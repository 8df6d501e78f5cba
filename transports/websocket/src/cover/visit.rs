//! One connection of somebody who has not been let in: heads in, answers out, everything under a limit.

use std::{
    future::poll_fn,
    io,
    pin::{Pin, pin},
    sync::Arc,
    task::Poll,
    time::{Duration, Instant, SystemTime},
};

use bytes::{Buf, BytesMut};
use commucat_transport_api::Net;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::{
    carrier::Carrier,
    wire::head::{Body, HeadError, MAX_HEAD_BYTES, RequestHead, take_request},
};

/// Longest time to send an answer's next piece, or to receive a request body's.
const PIECE_WAIT: Duration = Duration::from_secs(30);
/// Longest request body that is read and thrown away, in bytes.
const DISCARD_MAX_BYTES: u64 = 1 << 20;
/// Bytes asked of the stream at once.
const READ_BYTES: usize = 4 * 1024;

/// The connection.
#[derive(Debug)]
pub(crate) struct Visit {
    pub(crate) carrier: Carrier,
    /// Read and not yet used.
    pub(crate) input: BytesMut,
    pub(crate) net: Arc<dyn Net>,
}

/// How reading a head ended.
#[derive(Debug)]
pub(crate) enum Head {
    Request(Box<RequestHead>),
    /// The peer closed between requests.
    End,
    /// The bytes are no head.
    Bad(HeadError),
}

impl Visit {
    pub(crate) fn new(carrier: Carrier, net: Arc<dyn Net>) -> Self {
        Self { carrier, input: BytesMut::new(), net }
    }

    /// Reads the next head, until `deadline` whatever trickles in.
    ///
    /// # Errors
    /// [`io::ErrorKind::TimedOut`], or the stream failed.
    pub(crate) async fn read_head(&mut self, deadline: Instant) -> io::Result<Head> {
        let net = Arc::clone(&self.net);
        within(&*net, deadline, async {
            loop {
                match take_request(&mut self.input) {
                    Ok(Some(head)) => return Ok(Head::Request(Box::new(head))),
                    Ok(None) => {}
                    Err(error) => return Ok(Head::Bad(error)),
                }
                let room = (MAX_HEAD_BYTES + 1).saturating_sub(self.input.len()).clamp(1, READ_BYTES);
                if self.fill(room).await? == 0 {
                    return if self.input.is_empty() {
                        Ok(Head::End)
                    } else {
                        Err(io::ErrorKind::UnexpectedEof.into())
                    };
                }
            }
        })
        .await
    }

    /// Reads up to `most` bytes more into `input`.
    async fn fill(&mut self, most: usize) -> io::Result<usize> {
        let mut chunk = [0; READ_BYTES];
        let got = self.carrier.read(chunk.get_mut(..most).unwrap_or_default()).await?;
        self.input.extend_from_slice(chunk.get(..got).unwrap_or_default());
        Ok(got)
    }

    /// Reads the next piece of a request body of which `left` bytes are to come.
    ///
    /// # Errors
    /// The stream failed or ended.
    pub(crate) async fn read_body(&mut self, left: u64) -> io::Result<BytesMut> {
        if self.input.is_empty() {
            let net = Arc::clone(&self.net);
            if within(&*net, net.now() + PIECE_WAIT, self.fill(READ_BYTES)).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        let take = usize::try_from(left).unwrap_or(usize::MAX).min(self.input.len());
        Ok(self.input.split_to(take))
    }

    /// Throws a request body away; `false` when it is not worth reading, and the connection should end.
    ///
    /// # Errors
    /// The stream failed or ended.
    pub(crate) async fn discard_body(&mut self, body: Body) -> io::Result<bool> {
        let Body::Length(mut left) = body else { return Ok(false) };
        if left > DISCARD_MAX_BYTES {
            return Ok(false);
        }
        while left > 0 {
            left -= self.read_body(left).await?.len() as u64;
        }
        Ok(true)
    }

    /// Sends one piece.
    ///
    /// # Errors
    /// The stream failed, or took too long.
    pub(crate) async fn send(&mut self, mut bytes: impl Buf) -> io::Result<()> {
        let net = Arc::clone(&self.net);
        within(&*net, net.now() + PIECE_WAIT, async { self.carrier.write_all_buf(&mut bytes).await }).await
    }

    /// Sends what still waits in buffers.
    ///
    /// # Errors
    /// The stream failed, or took too long.
    pub(crate) async fn flush(&mut self) -> io::Result<()> {
        let net = Arc::clone(&self.net);
        within(&*net, net.now() + PIECE_WAIT, self.carrier.flush()).await
    }

    /// Ends our direction, then reads on for a moment: a close with unread bytes would overtake the answer.
    pub(crate) async fn close(mut self) {
        let net = Arc::clone(&self.net);
        let deadline = net.now() + Duration::from_secs(2);
        let end = async {
            self.carrier.shutdown().await?;
            let mut scratch = [0; READ_BYTES];
            let mut left = DISCARD_MAX_BYTES;
            while left > 0 {
                match self.carrier.read(&mut scratch).await? {
                    0 => break,
                    got => left = left.saturating_sub(got as u64),
                }
            }
            Ok(())
        };
        if let Err(error) = within(&*net, deadline, end).await {
            tracing::trace!(%error, "a visitor's connection did not end well");
        }
    }

    /// The `Date` header for now (RFC 9110 §6.6.1).
    pub(crate) fn date(&self) -> String {
        httpdate::fmt_http_date(SystemTime::UNIX_EPOCH + self.net.unix_time())
    }
}

/// Runs `work` until `deadline`.
///
/// # Errors
/// Its own, or [`io::ErrorKind::TimedOut`].
pub(crate) async fn within<T>(
    net: &dyn Net,
    deadline: Instant,
    work: impl Future<Output = io::Result<T>>,
) -> io::Result<T> {
    let mut sleep = net.sleep_until(deadline);
    let mut work = pin!(work);
    poll_fn(|cx| {
        if let Poll::Ready(done) = work.as_mut().poll(cx) {
            return Poll::Ready(done);
        }
        Pin::new(&mut sleep).poll(cx).map(|()| Err(io::ErrorKind::TimedOut.into()))
    })
    .await
}
