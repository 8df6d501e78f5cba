//! The evidence of one dial: how far it is, since when, and the bytes that moved.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
    time::{Duration, Instant},
};

use commucat_transport_api::{BoxError, DialError, Failure, Net, Phase, Signal};

use crate::coalesce::Tally;

/// One dial under way.
#[derive(Debug)]
pub(crate) struct Attempt {
    net: Arc<dyn Net>,
    started: Instant,
    phase: AtomicU8,
    tally: Arc<Tally>,
}

const PHASES: [Phase; 5] =
    [Phase::Resolve, Phase::Connect, Phase::Handshake, Phase::Authenticate, Phase::Data];

impl Attempt {
    pub(crate) fn begin(net: &Arc<dyn Net>) -> Self {
        let started = net.now();
        Self { net: Arc::clone(net), started, phase: AtomicU8::new(1), tally: Arc::default() }
    }

    pub(crate) const fn net(&self) -> &Arc<dyn Net> {
        &self.net
    }

    pub(crate) const fn tally(&self) -> &Arc<Tally> {
        &self.tally
    }

    /// It came this far.
    pub(crate) fn reached(&self, phase: Phase) {
        let at = PHASES.iter().position(|known| *known == phase).unwrap_or_default();
        self.phase.store(u8::try_from(at).unwrap_or_default(), Ordering::Relaxed);
    }

    /// Time since it began.
    pub(crate) fn elapsed(&self) -> Duration {
        self.net.now().saturating_duration_since(self.started)
    }

    fn failure(&self, signal: Signal) -> Failure {
        let at = usize::from(self.phase.load(Ordering::Relaxed));
        let mut phase = PHASES.get(at).copied().unwrap_or(Phase::Connect);
        if phase == Phase::Connect && signal == Signal::NameNotFound {
            phase = Phase::Resolve;
        }
        let (sent, received) = self.tally.get();
        Failure::new(phase, signal, self.elapsed()).with_bytes(sent, received)
    }

    /// The failure at the phase it came to.
    pub(crate) fn fail(&self, signal: Signal, source: impl Into<BoxError>) -> DialError {
        DialError::Network { failure: self.failure(signal), source: Some(source.into()) }
    }

    /// The same without a library's error.
    pub(crate) fn fail_bare(&self, signal: Signal) -> DialError {
        DialError::network(self.failure(signal))
    }
}
