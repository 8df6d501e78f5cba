//! Counters of a running server. No peer appears in them.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use serde::Serialize;

/// What a server did since it started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Stats {
    /// Connections let in, TCP and QUIC.
    pub connections: u64,
    /// Connections turned away by a limit.
    pub refused: u64,
    /// TLS handshakes begun.
    pub tls: u64,
    /// QUIC connections made.
    pub quic: u64,
    /// Requests answered.
    pub requests: u64,
    /// Connections echoed.
    pub echoed: u64,
    /// Datagrams answered.
    pub datagrams: u64,
    /// Datagrams dropped by a limit.
    pub datagrams_dropped: u64,
}

#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) connections: Counter,
    pub(crate) refused: Counter,
    pub(crate) tls: Counter,
    pub(crate) quic: Counter,
    pub(crate) requests: Counter,
    pub(crate) echoed: Counter,
    pub(crate) datagrams: Counter,
    pub(crate) datagrams_dropped: Counter,
}

#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn add(&self) {
        self.0.fetch_add(1, Relaxed);
    }

    fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

impl Counters {
    pub(crate) fn snapshot(&self) -> Stats {
        Stats {
            connections: self.connections.get(),
            refused: self.refused.get(),
            tls: self.tls.get(),
            quic: self.quic.get(),
            requests: self.requests.get(),
            echoed: self.echoed.get(),
            datagrams: self.datagrams.get(),
            datagrams_dropped: self.datagrams_dropped.get(),
        }
    }
}
