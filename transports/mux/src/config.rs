//! The limits of a session, each with its default.

use std::time::Duration;

/// What each direction of a stream may send before it was granted more, in bytes. Part of the protocol: both ends count on it.
pub(crate) const FIRST_WINDOW_BYTES: usize = 64 * 1024;

/// The default of [`Config::idle_close`].
const IDLE_CLOSE: Duration = Duration::from_secs(600);

/// Limits of one session. Values that make no sense are brought into range where they are used.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Config {
    /// Streams at a time. Default 512; further ones are refused.
    pub max_streams: usize,
    /// Streams that the peer opened and nobody accepted yet. Default 128; further ones are refused.
    pub max_unaccepted: usize,
    /// The window a stream gets as soon as it is opened, in bytes, while [`Self::max_receive`] allows. Default 256 KiB.
    pub window: usize,
    /// What a window may grow to, in bytes. Default 4 MiB: 330 Mbit/s at a round trip of 100 ms.
    pub max_window: usize,
    /// All windows of the session together, in bytes, and so what a peer can make us hold. Default 64 MiB: half of it is
    /// kept for the first 64 KiB of every stream there may be, half is for windows to grow into. Where it is too small
    /// for the former, fewer streams are let in.
    pub max_receive: usize,
    /// Ends a session in order when it had no stream for this long: without streams nothing asks whether the other end is
    /// still there. Default 10 minutes, more than the pool of the dialling end leaves a carrier unused; `None` for never.
    pub idle_close: Option<Duration>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            max_streams: 512,
            max_unaccepted: 128,
            window: 256 * 1024,
            max_window: 4 * 1024 * 1024,
            max_receive: 64 * 1024 * 1024,
            idle_close: Some(IDLE_CLOSE),
        }
    }
}

impl Config {
    /// The same, with every value in a range that works.
    pub(crate) fn checked(mut self) -> Self {
        self.max_receive = self.max_receive.max(FIRST_WINDOW_BYTES);
        self.max_streams = self.max_streams.clamp(1, self.max_receive / FIRST_WINDOW_BYTES);
        self.max_window = self.max_window.clamp(FIRST_WINDOW_BYTES, 1 << 30);
        self.window = self.window.clamp(FIRST_WINDOW_BYTES, self.max_window);
        self
    }
}
