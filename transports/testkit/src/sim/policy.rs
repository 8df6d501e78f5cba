//! What one direction of a path does to what is sent over it.

use std::time::Duration;

use super::rng::PPM;

/// Bytes of an IPv4 and a TCP header: what a segment has less than the MTU.
pub(super) const STREAM_HEADER_BYTES: usize = 40;
/// Bytes of an IPv4 and a UDP header.
pub(super) const DATAGRAM_HEADER_BYTES: usize = 28;
/// The least MTU an IPv4 path may have (RFC 791 §3.2); smaller values are raised to it.
const MIN_MTU_BYTES: usize = 68;
const DEFAULT_MTU_BYTES: usize = 1500;
const DEFAULT_QUEUE_BYTES: usize = 256 * 1024;
const DEFAULT_WINDOW_BYTES: usize = 256 * 1024;

/// How one direction between two hosts behaves. The default is a perfect path: no delay, no loss, no limit but an
/// MTU of 1500 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinkPolicy {
    pub(super) delay: Duration,
    pub(super) jitter: Duration,
    pub(super) loss_ppm: u32,
    pub(super) reorder_ppm: u32,
    pub(super) reorder_hold: Duration,
    pub(super) rate: Option<u64>,
    pub(super) queue_bytes: usize,
    pub(super) mtu_bytes: usize,
    pub(super) fragment: bool,
    pub(super) window_bytes: usize,
}

impl Default for LinkPolicy {
    fn default() -> Self {
        Self {
            delay: Duration::ZERO,
            jitter: Duration::ZERO,
            loss_ppm: 0,
            reorder_ppm: 0,
            reorder_hold: Duration::ZERO,
            rate: None,
            queue_bytes: DEFAULT_QUEUE_BYTES,
            mtu_bytes: DEFAULT_MTU_BYTES,
            fragment: true,
            window_bytes: DEFAULT_WINDOW_BYTES,
        }
    }
}

impl LinkPolicy {
    /// A path with this one-way delay and no other fault.
    pub fn with_delay(delay: Duration) -> Self {
        Self { delay, ..Self::default() }
    }

    /// Adds up to this much delay to each packet, evenly distributed. Overtaking follows from it.
    #[must_use]
    pub const fn jitter(mut self, most: Duration) -> Self {
        self.jitter = most;
        self
    }

    /// Loses this many of a hundred packets, each on its own. A stream shows it as delay.
    #[must_use]
    pub const fn loss_percent(self, percent: u32) -> Self {
        self.loss_ppm(percent.saturating_mul(PPM / 100))
    }

    /// Loses this many of a million packets.
    #[must_use]
    pub const fn loss_ppm(mut self, ppm: u32) -> Self {
        self.loss_ppm = if ppm > PPM { PPM } else { ppm };
        self
    }

    /// Holds this many of a hundred packets back by `hold`, so that later ones overtake them.
    #[must_use]
    pub const fn reorder_percent(mut self, percent: u32, hold: Duration) -> Self {
        let ppm = percent.saturating_mul(PPM / 100);
        self.reorder_ppm = if ppm > PPM { PPM } else { ppm };
        self.reorder_hold = hold;
        self
    }

    /// Carries this many bytes a second; zero is raised to one.
    #[must_use]
    pub const fn rate(mut self, bytes_per_second: u64) -> Self {
        self.rate = Some(if bytes_per_second == 0 { 1 } else { bytes_per_second });
        self
    }

    /// Drops a datagram when more than this many bytes wait for the rate. Streams pace themselves and wait instead.
    #[must_use]
    pub const fn queue_limit(mut self, bytes: usize) -> Self {
        self.queue_bytes = bytes;
        self
    }

    /// Longest packet in bytes, headers included. Longer datagrams travel in fragments: one lost, all lost.
    #[must_use]
    pub const fn mtu(mut self, bytes: usize) -> Self {
        self.mtu_bytes = if bytes < MIN_MTU_BYTES { MIN_MTU_BYTES } else { bytes };
        self
    }

    /// Drops datagrams longer than the MTU without a word, as a path does for packets that forbid fragments.
    #[must_use]
    pub const fn without_fragments(mut self) -> Self {
        self.fragment = false;
        self
    }

    /// Bytes a stream may have under way and unread; zero is raised to one. A write beyond it waits.
    #[must_use]
    pub const fn window(mut self, bytes: usize) -> Self {
        self.window_bytes = if bytes == 0 { 1 } else { bytes };
        self
    }

    /// The one-way delay when every packet takes exactly that: no jitter, loss, reordering or rate.
    pub const fn exact_delay(&self) -> Option<Duration> {
        let exact =
            self.jitter.is_zero() && self.loss_ppm == 0 && self.reorder_ppm == 0 && self.rate.is_none();
        if exact { Some(self.delay) } else { None }
    }

    /// Payload bytes of one stream segment.
    pub(super) const fn segment_bytes(&self) -> usize {
        self.mtu_bytes.saturating_sub(STREAM_HEADER_BYTES)
    }
}
