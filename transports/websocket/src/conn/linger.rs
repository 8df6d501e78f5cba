//! After a protocol error: the close frame goes out, and what the peer still sends is read for a moment. Closing with
//! unread bytes would reset the connection, and the reset would overtake the close frame.

use std::{
    fmt, io,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use commucat_transport_api::{BoxFuture, Net};
use tokio::io::{AsyncRead as _, AsyncWrite as _, ReadBuf};

use super::outbound::Outbound;
use crate::carrier::Carrier;

/// Longest time to listen on.
const LINGER: Duration = Duration::from_secs(2);
/// Most bytes thrown away meanwhile.
const DISCARD_MAX_BYTES: usize = 4 << 20;

/// What is left of a connection whose peer broke the protocol.
pub(super) struct Linger {
    error: Option<io::Error>,
    deadline: BoxFuture<'static, ()>,
    discarded: usize,
    shut: bool,
}

impl Linger {
    pub(super) fn new(net: &dyn Net, error: io::Error) -> Self {
        Self { error: Some(error), deadline: net.sleep_until(net.now() + LINGER), discarded: 0, shut: false }
    }

    /// Gives the error that ended the connection, when the peer has had time to read why.
    pub(super) fn poll(
        &mut self,
        cx: &mut Context<'_>,
        carrier: &mut Carrier,
        outbound: &mut Outbound,
    ) -> Poll<io::Error> {
        if self.error.is_none() || self.poll_end(cx, carrier, outbound).is_ready() {
            return Poll::Ready(self.error.take().unwrap_or_else(|| io::ErrorKind::InvalidData.into()));
        }
        Poll::Pending
    }

    /// An error of the carrier ends the lingering too: nobody is left to be told.
    fn poll_end(&mut self, cx: &mut Context<'_>, carrier: &mut Carrier, outbound: &mut Outbound) -> Poll<()> {
        if !self.shut {
            match outbound.poll_drain(cx, carrier) {
                Poll::Ready(Ok(())) => match Pin::new(&mut *carrier).poll_shutdown(cx) {
                    Poll::Ready(Ok(())) => self.shut = true,
                    Poll::Ready(Err(_)) => return Poll::Ready(()),
                    Poll::Pending => {}
                },
                Poll::Ready(Err(_)) => return Poll::Ready(()),
                Poll::Pending => {}
            }
        }
        let mut scratch = [0; 2048];
        loop {
            let mut buf = ReadBuf::new(&mut scratch);
            match Pin::new(&mut *carrier).poll_read(cx, &mut buf) {
                Poll::Pending => return self.deadline.as_mut().poll(cx),
                Poll::Ready(Err(_)) => return Poll::Ready(()),
                Poll::Ready(Ok(())) => {}
            }
            self.discarded += buf.filled().len();
            if buf.filled().is_empty() || self.discarded > DISCARD_MAX_BYTES {
                return Poll::Ready(());
            }
        }
    }
}

impl fmt::Debug for Linger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Linger").field("discarded", &self.discarded).finish_non_exhaustive()
    }
}
