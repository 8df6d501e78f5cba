//! A stream whose upgrade request waits for the first write, so that the first payload goes with it: one round trip less.
//!
//! The dial has returned by then, so a refusal shows as an [`io::Error`] of the first read or write; its inner error is
//! the [`DialError`] that the dial would have given.

use std::{
    fmt,
    future::poll_fn,
    io, mem,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use commucat_transport_api::{BoxFuture, BoxStream, DialError, Signal, Target};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::{attempt::Attempt, carrier::Carrier, client::WsClient};

/// How long a reader's stream waits for a first write before the request goes without one.
const WRITE_WAIT: Duration = Duration::from_millis(20);
/// Longest time until the bridge has answered.
const ANSWER_WAIT: Duration = Duration::from_secs(15);

/// The stream.
pub(crate) struct EarlyStream {
    client: WsClient,
    attempt: Arc<Attempt>,
    state: State,
}

enum State {
    /// Nothing was sent. `timer` runs since the first read.
    Unsent {
        carrier: Box<Carrier>,
        body: Vec<u8>,
        timer: Option<BoxFuture<'static, ()>>,
    },
    /// The request is on its way, or its answer.
    Asking(BoxFuture<'static, Result<BoxStream, DialError>>),
    Open(BoxStream),
    /// It failed, and said so.
    Failed,
}

impl EarlyStream {
    pub(crate) fn new(client: WsClient, carrier: Carrier, body: Vec<u8>, attempt: Arc<Attempt>) -> Self {
        Self { client, attempt, state: State::Unsent { carrier: Box::new(carrier), body, timer: None } }
    }

    /// Sends the request with this much of `payload`; says how much that was.
    fn ask(&mut self, payload: &[u8]) -> usize {
        let State::Unsent { carrier, mut body, .. } = mem::replace(&mut self.state, State::Failed) else {
            return 0;
        };
        let most = self.client.config().early_bytes;
        let now = payload.get(..most).unwrap_or(payload);
        body.extend_from_slice(now);
        let (client, attempt) = (self.client.clone(), Arc::clone(&self.attempt));
        self.state = State::Asking(Box::pin(async move { finish(client, attempt, *carrier, body).await }));
        now.len()
    }

    /// The stream behind the upgrade.
    fn poll_open(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<&mut BoxStream>> {
        if let State::Unsent { .. } = self.state {
            self.ask(&[]);
        }
        if let State::Asking(asking) = &mut self.state {
            match ready!(asking.as_mut().poll(cx)) {
                Ok(stream) => self.state = State::Open(stream),
                Err(error) => {
                    self.state = State::Failed;
                    return Poll::Ready(Err(io::Error::new(io::ErrorKind::ConnectionRefused, error)));
                }
            }
        }
        match &mut self.state {
            State::Open(stream) => Poll::Ready(Ok(stream)),
            _ => Poll::Ready(Err(io::ErrorKind::NotConnected.into())),
        }
    }
}

async fn finish(
    client: WsClient,
    attempt: Arc<Attempt>,
    carrier: Carrier,
    body: Vec<u8>,
) -> Result<BoxStream, DialError> {
    let mut deadline = attempt.net().sleep_until(attempt.net().now() + ANSWER_WAIT);
    let mut upgrade = std::pin::pin!(client.upgrade(&attempt, carrier, body));
    let carrier = poll_fn(|cx| {
        if let Poll::Ready(done) = upgrade.as_mut().poll(cx) {
            return Poll::Ready(done);
        }
        deadline.as_mut().poll(cx).map(|()| Err(attempt.fail_bare(Signal::Timeout)))
    })
    .await?;
    let channel = client.channel(attempt.net(), carrier, &Target::Bridge);
    let channel = channel.map_err(|error| attempt.fail(Signal::Other, error))?;
    channel.into_stream().map_err(|_other| DialError::UnsupportedTarget)
}

impl AsyncRead for EarlyStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        out: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if let State::Unsent { timer, .. } = &mut this.state {
            let net = this.attempt.net();
            let timer = timer.get_or_insert_with(|| net.sleep_until(net.now() + WRITE_WAIT));
            ready!(timer.as_mut().poll(cx));
        }
        let stream = ready!(this.poll_open(cx))?;
        Pin::new(stream).poll_read(cx, out)
    }
}

impl AsyncWrite for EarlyStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        if let State::Unsent { .. } = this.state {
            let taken = this.ask(bytes);
            // Sent at once; the answer is waited for by whoever comes next.
            return match this.poll_open(cx) {
                Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
                _ => Poll::Ready(Ok(taken)),
            };
        }
        let stream = ready!(this.poll_open(cx))?;
        Pin::new(stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.state {
            State::Unsent { .. } => Poll::Ready(Ok(())),
            _ => {
                let stream = ready!(self.poll_open(cx))?;
                Pin::new(stream).poll_flush(cx)
            }
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let stream = ready!(self.poll_open(cx))?;
        Pin::new(stream).poll_shutdown(cx)
    }
}

impl fmt::Debug for EarlyStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EarlyStream")
    }
}
