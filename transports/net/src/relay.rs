//! Moves bytes between two streams until both directions have ended.
//!
//! Exact TCP semantics: an end of stream is passed on at once as a half-close and the other direction stays open;
//! an error ends both with a reset, so that a broken transfer never looks finished. One task and no allocation per
//! read; an idle pair holds no buffer. Where a direction goes from socket to socket, or through
//! [layers](commucat_transport_api::Layer) that are out of the way, the kernel moves its bytes.

mod direction;
#[cfg(not(any(target_os = "linux", target_os = "android")))]
#[path = "relay/no_splice.rs"]
mod splice;
#[cfg(any(target_os = "linux", target_os = "android"))]
mod splice;

use std::{
    fmt, io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use commucat_transport_api::BoxStream;
use tokio::time::{Instant, Sleep};

use self::direction::{Broken, Direction};
use crate::abort;

/// A pair on which nothing moves for this long is given up: 15 minutes, past the keep-alive of common protocols.
const DEFAULT_IDLE: Duration = Duration::from_secs(15 * 60);
/// Bytes that one direction moves before other tasks get their turn: about a millisecond's work, so that a hundred
/// busy relays on one core all move within a tenth of a second.
const TURN_BYTES: u64 = 1024 * 1024;

/// How a relay behaves.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct RelayOptions {
    /// Longest time without a byte in either direction.
    pub idle: Duration,
    /// Where moved bytes are counted while they move.
    pub traffic: Option<Arc<Traffic>>,
}

impl Default for RelayOptions {
    fn default() -> Self {
        Self { idle: DEFAULT_IDLE, traffic: None }
    }
}

impl RelayOptions {
    /// The default options, counting into `traffic`.
    pub fn counting(traffic: Arc<Traffic>) -> Self {
        Self { traffic: Some(traffic), ..Self::default() }
    }

    /// The same with another idle limit.
    #[must_use]
    pub const fn with_idle(mut self, idle: Duration) -> Self {
        self.idle = idle;
        self
    }
}

/// Bytes moved so far; shared by as many relays as the owner likes.
#[derive(Debug, Default)]
pub struct Traffic {
    /// From the first stream to the second.
    pub a_to_b: AtomicU64,
    /// From the second stream to the first.
    pub b_to_a: AtomicU64,
}

/// What a finished relay moved.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Relayed {
    /// Bytes from the first stream to the second.
    pub a_to_b: u64,
    /// Bytes from the second stream to the first.
    pub b_to_a: u64,
}

/// One of the two streams of a relay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The first.
    A,
    /// The second.
    B,
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::A => "the first stream",
            Self::B => "the second stream",
        })
    }
}

/// Why a relay ended before both directions did.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RelayError {
    /// A stream failed; both were reset.
    #[error("{side} failed")]
    Stream {
        /// The one that failed.
        side: Side,
        /// What had moved until then.
        relayed: Relayed,
        /// How.
        #[source]
        source: io::Error,
    },
    /// Nothing moved for [`RelayOptions::idle`]; both were reset.
    #[error("nothing moved for {} s", idle.as_secs())]
    Idle {
        /// The limit.
        idle: Duration,
        /// What had moved until then.
        relayed: Relayed,
    },
}

impl RelayError {
    /// What had moved until the failure.
    pub const fn relayed(&self) -> Relayed {
        match self {
            Self::Stream { relayed, .. } | Self::Idle { relayed, .. } => *relayed,
        }
    }
}

/// Relays until both directions ended.
///
/// # Errors
/// [`RelayError`]; both streams were reset then.
pub async fn relay(a: BoxStream, b: BoxStream, options: &RelayOptions) -> Result<Relayed, RelayError> {
    let mut pair = Pair { a, b, to_b: Direction::default(), to_a: Direction::default() };
    let result = run(&mut pair, options).await;
    if result.is_err() {
        abort(pair.a);
        abort(pair.b);
    }
    result
}

struct Pair {
    a: BoxStream,
    b: BoxStream,
    to_b: Direction,
    to_a: Direction,
}

impl Pair {
    const fn relayed(&self) -> Relayed {
        Relayed { a_to_b: self.to_b.moved, b_to_a: self.to_a.moved }
    }
}

async fn run(pair: &mut Pair, options: &RelayOptions) -> Result<Relayed, RelayError> {
    let mut idle = Box::pin(tokio::time::sleep(options.idle));
    let mut last_moved = Instant::now();
    std::future::poll_fn(|cx| {
        let before = pair.relayed();
        let to_b = pair.to_b.poll(cx, &mut pair.a, &mut pair.b);
        let to_a = pair.to_a.poll(cx, &mut pair.b, &mut pair.a);
        let after = pair.relayed();
        if after != before {
            last_moved = Instant::now();
            if let Some(traffic) = &options.traffic {
                traffic.a_to_b.fetch_add(after.a_to_b - before.a_to_b, Ordering::Relaxed);
                traffic.b_to_a.fetch_add(after.b_to_a - before.b_to_a, Ordering::Relaxed);
            }
        }
        let failed = |side, source| Err(RelayError::Stream { side, relayed: after, source });
        match (to_b, to_a) {
            (Poll::Ready(Err(Broken::Source(error))), _) | (_, Poll::Ready(Err(Broken::Sink(error)))) => {
                Poll::Ready(failed(Side::A, error))
            }
            (Poll::Ready(Err(Broken::Sink(error))), _) | (_, Poll::Ready(Err(Broken::Source(error)))) => {
                Poll::Ready(failed(Side::B, error))
            }
            (Poll::Ready(Ok(())), Poll::Ready(Ok(()))) => Poll::Ready(Ok(after)),
            _ => poll_idle(cx, idle.as_mut(), last_moved, options.idle)
                .map(|()| Err(RelayError::Idle { idle: options.idle, relayed: after })),
        }
    })
    .await
}

/// The timer is set again only when it fires, so a busy relay never touches it.
fn poll_idle(
    cx: &mut Context<'_>,
    mut timer: Pin<&mut Sleep>,
    last_moved: Instant,
    limit: Duration,
) -> Poll<()> {
    loop {
        ready!(timer.as_mut().poll(cx));
        let due = last_moved + limit;
        if due <= Instant::now() {
            return Poll::Ready(());
        }
        timer.as_mut().reset(due);
    }
}

#[cfg(test)]
mod tests;
