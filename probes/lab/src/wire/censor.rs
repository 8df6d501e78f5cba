//! What the path asks of a censor. The judge is one; tests use a scripted one.

use std::time::Duration;

use commucat_censor::{Decision, Injection, Judge, ProbeOutcome, Side};

/// A censor beside or in the path. Times are those of the packet loop, which begins at zero.
pub(super) trait Censor {
    fn handle_packet(&mut self, now: Duration, from: Side, packet: &[u8]) -> Decision;
    fn handle_timeout(&mut self, now: Duration);
    fn handle_outcome(&mut self, now: Duration, outcome: &ProbeOutcome);
    /// The end: what it still knows becomes events.
    fn finish(&mut self, now: Duration);
    fn poll_timeout(&self) -> Option<Duration>;
    fn poll_inject(&mut self) -> Option<Injection>;
}

impl Censor for Judge {
    fn handle_packet(&mut self, now: Duration, from: Side, packet: &[u8]) -> Decision {
        Self::handle_packet(self, now, from, packet)
    }

    fn handle_timeout(&mut self, now: Duration) {
        Self::handle_timeout(self, now);
    }

    fn handle_outcome(&mut self, now: Duration, outcome: &ProbeOutcome) {
        self.handle_probe(now, outcome);
    }

    fn finish(&mut self, now: Duration) {
        Self::finish(self, now);
    }

    fn poll_timeout(&self) -> Option<Duration> {
        Self::poll_timeout(self)
    }

    fn poll_inject(&mut self) -> Option<Injection> {
        Self::poll_inject(self)
    }
}
