//! What goes wrong: a peer that breaks the protocol, a stream that broke, a session that takes no stream.

use std::{io, time::Duration};

use commucat_transport_api::Failure;

/// How a peer broke the protocol. The session ends with a go-away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Violation {
    /// A frame of a kind that this version does not know.
    #[error("a frame of the unknown kind {0}")]
    UnknownFrame(u8),
    /// A length that the frame cannot have.
    #[error("a frame of a length that its kind cannot have")]
    BadLength,
    /// A frame for a stream that cannot be, or was never opened.
    #[error("a frame for a stream that was never opened")]
    BadStream,
    /// An open frame from the end that opens nothing, or out of order.
    #[error("a stream opened by the wrong end or out of order")]
    BadOpen,
    /// An open frame whose target is none.
    #[error("a stream opened to what is no target")]
    BadTarget,
    /// More data than was granted.
    #[error("more data than the window allows")]
    WindowOverrun,
    /// More granted than a window can count.
    #[error("a window larger than can be")]
    WindowOverflow,
    /// Data, or an end, after the end.
    #[error("data after the end of its stream")]
    AfterEnd,
    /// More small frames than any honest peer needs.
    #[error("a flood of control frames")]
    Flood,
}

/// Why a session opens no stream. The source inside a [`commucat_transport_api::DialError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// The session is draining, closing or gone: open another one.
    #[error("the session takes no new streams; open another one")]
    GoingAway,
    /// It has as many streams as it may.
    #[error("the session has as many streams as it may; end some, or open another session")]
    TooManyStreams,
    /// Only the dialling end opens streams.
    #[error("only the end that dialled the session opens streams")]
    WrongEnd,
    /// The carrier does not take what is already written.
    #[error("the carrier does not take what is already written; try again later")]
    Stalled,
    /// The policy allows no further fresh connection now, and the dial's deadline comes first.
    #[error(
        "the policy allows no further fresh connection for {} s, which is after the deadline: censors count fresh \
         handshakes; try later",
        .0.as_secs()
    )]
    DialBudget(Duration),
}

/// Why a stream gives no more.
#[derive(Clone, Debug)]
pub(crate) enum Broken {
    /// The peer ended it early.
    Reset,
    /// The peer never took it up.
    Refused,
    /// We ended our direction.
    Ended,
    /// The carrier is gone.
    Carrier(Failure),
}

impl From<Broken> for io::Error {
    fn from(broken: Broken) -> Self {
        match broken {
            Broken::Reset => Self::new(io::ErrorKind::ConnectionReset, "the other end reset the stream"),
            Broken::Refused => {
                Self::new(io::ErrorKind::ConnectionRefused, "the other end takes no more streams")
            }
            Broken::Ended => Self::new(io::ErrorKind::BrokenPipe, "the stream was shut down for writing"),
            Broken::Carrier(failure) => failure.into(),
        }
    }
}
