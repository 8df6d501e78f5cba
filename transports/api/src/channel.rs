//! What a dial gives: a stream, a datagram association, or a session that opens more of both.

use std::{
    any::Any,
    fmt, io,
    num::NonZeroUsize,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::{BoxFuture, DialError, Failure, HostPort, Target};

/// Bytes both ways. `poll_shutdown` is a half-close: the peer reads end of stream at once, and we can still read.
///
/// It is [`Any`] so that a relay can recognise sockets of the machine, and [layers](crate::Layer) above them.
pub trait ByteStream: AsyncRead + AsyncWrite + fmt::Debug + Send + Unpin + Any {}
impl<T> ByteStream for T where T: AsyncRead + AsyncWrite + fmt::Debug + Send + Unpin + 'static {}

/// A byte stream of any make.
pub type BoxStream = Box<dyn ByteStream>;

/// Datagrams, each with the peer it comes from or goes to (as seen from the bridge).
pub trait DatagramChannel: fmt::Debug + Send + 'static {
    /// Receives one datagram into `buf`; `None` when the channel ended.
    ///
    /// # Errors
    /// The channel is broken. A single bad datagram is dropped, not an error.
    fn poll_recv(
        &mut self,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<Option<HostPort>>>;

    /// Sends one datagram. `Pending` means that the path is full; nothing was taken.
    ///
    /// # Errors
    /// [`io::ErrorKind::InvalidInput`] when it is longer than [`Self::max_datagram`]; else the channel is broken.
    fn poll_send(&mut self, cx: &mut Context<'_>, datagram: &[u8], peer: &HostPort) -> Poll<io::Result<()>>;

    /// Longest datagram that [`Self::poll_send`] takes, in bytes.
    fn max_datagram(&self) -> NonZeroUsize;

    /// What is known of the path.
    fn path(&self) -> PathInfo {
        PathInfo::default()
    }
}

/// A session that opens further channels without another handshake.
pub trait MuxSession: fmt::Debug + Send + Sync + 'static {
    /// Opens a channel.
    fn open<'a>(&'a self, target: &'a Target) -> BoxFuture<'a, Result<Channel, DialError>>;
    /// The next channel that the other end opened, and what it asks for; `None` when no more can come. Cancel-safe.
    fn accept(&self) -> BoxFuture<'_, Option<(Channel, Target)>>;
    /// Resolves when the session is gone, with what ended it.
    fn closed(&self) -> BoxFuture<'_, Failure>;
    /// What is known of the path.
    fn path(&self) -> PathInfo;
}

/// What a dial or an accepted connection carries.
#[derive(Debug)]
#[non_exhaustive]
pub enum Channel {
    /// A byte stream.
    Stream(BoxStream),
    /// Datagrams.
    Datagrams(Box<dyn DatagramChannel>),
    /// A multiplexed session.
    Mux(Arc<dyn MuxSession>),
}

impl Channel {
    /// The stream, when it is one.
    ///
    /// # Errors
    /// Gives the channel back when it is none.
    pub fn into_stream(self) -> Result<BoxStream, Self> {
        match self {
            Self::Stream(stream) => Ok(stream),
            other @ (Self::Datagrams(_) | Self::Mux(_)) => Err(other),
        }
    }

    /// The datagram channel, when it is one.
    ///
    /// # Errors
    /// Gives the channel back when it is none.
    pub fn into_datagrams(self) -> Result<Box<dyn DatagramChannel>, Self> {
        match self {
            Self::Datagrams(datagrams) => Ok(datagrams),
            other @ (Self::Stream(_) | Self::Mux(_)) => Err(other),
        }
    }
}

/// A channel that was dialled, and what the dial learnt.
#[derive(Debug)]
#[non_exhaustive]
pub struct Opened {
    /// The channel.
    pub channel: Channel,
    /// What is known of the path.
    pub path: PathInfo,
}

impl Opened {
    /// A channel of which no more is known.
    pub fn new(channel: Channel) -> Self {
        Self { channel, path: PathInfo::default() }
    }

    /// The same with what the dial learnt of the path.
    #[must_use]
    pub const fn with_path(mut self, path: PathInfo) -> Self {
        self.path = path;
        self
    }
}

/// What is known of a path.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct PathInfo {
    /// Round trip to the bridge, when the handshake showed it.
    pub rtt: Option<Duration>,
    /// Bytes the transport adds to each datagram.
    pub overhead_per_datagram: u16,
}

impl PathInfo {
    /// A path whose round trip was seen.
    pub const fn with_rtt(rtt: Duration) -> Self {
        Self { rtt: Some(rtt), overhead_per_datagram: 0 }
    }
}
