//! How many carriers there are, how long they live, and how often a fresh one may be dialled.

use std::{ops::Range, time::Duration};

use crate::config::Config;

/// The rules of a pool. The networks of 2026 count fresh TLS handshakes per (server network, SNI, fingerprint) and drop
/// what comes after about six a minute; browsers that speak HTTP/2 hold one to three connections to a site.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct CarrierPolicy {
    /// Carriers at a time. Default 3. During a hand-over there may be one more.
    pub max_carriers: usize,
    /// Another carrier is dialled when each one has this many streams. Default 8.
    pub streams_before_another: usize,
    /// A carrier is replaced after a time from this range. Default 20 to 60 minutes.
    pub lifetime: Range<Duration>,
    /// A carrier is replaced after it moved a number of bytes from this range. Default 0.5 to 4 GiB.
    pub volume: Range<u64>,
    /// A carrier without streams ends after a time from this range. Default 60 to 180 s.
    pub idle: Range<Duration>,
    /// A carrier that was silent for longer is asked before a stream is put on it. Default 30 s.
    pub check_after: Duration,
    /// How long its answer may take. Default 1.5 s.
    pub check_within: Duration,
    /// A dial that nobody waits for begins after a time from this range. Default 0 to 2 s.
    pub jitter: Range<Duration>,
    /// Fresh dials in [`Self::dials_within`]. Default 6.
    pub max_dials: usize,
    /// The time in which they are counted. Default 60 s.
    pub dials_within: Duration,
    /// The limits of each carrier's session; the pool sets [`Config::idle_close`] itself.
    pub session: Config,
}

impl Default for CarrierPolicy {
    fn default() -> Self {
        const MINUTE: Duration = Duration::from_secs(60);
        const GIB: u64 = 1 << 30;
        Self {
            max_carriers: 3,
            streams_before_another: 8,
            lifetime: 20 * MINUTE..60 * MINUTE,
            volume: GIB / 2..4 * GIB,
            idle: MINUTE..3 * MINUTE,
            check_after: Duration::from_secs(30),
            check_within: Duration::from_millis(1500),
            jitter: Duration::ZERO..Duration::from_secs(2),
            max_dials: 6,
            dials_within: MINUTE,
            session: Config::default(),
        }
    }
}
