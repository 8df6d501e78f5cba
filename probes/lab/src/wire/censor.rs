//! What the path asks of a censor. The judge is one; tests use a scripted one.

use std::time::Duration;

use commucat_censor::{Event, Injection, ProbeOutcome, ProbeRequest, Side};

/// What is to happen to a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ruling {
    /// It passes.
    Forward,
    /// It passes at that time.
    Hold(Duration),
    /// It vanishes.
    Drop,
}

/// A censor beside or in the path. Times are those of the packet loop, which begins at zero.
pub(super) trait Censor {
    fn handle_packet(&mut self, now: Duration, from: Side, packet: &[u8]) -> Ruling;
    fn handle_timeout(&mut self, now: Duration);
    fn handle_outcome(&mut self, now: Duration, outcome: ProbeOutcome);
    fn poll_timeout(&self) -> Option<Duration>;
    fn poll_inject(&mut self) -> Option<Injection>;
    fn poll_event(&mut self) -> Option<Event>;
    fn poll_probe(&mut self) -> Option<ProbeRequest>;
}

/// The censor of a country that has none.
#[derive(Clone, Copy, Debug)]
pub(super) struct PassAll;

impl Censor for PassAll {
    fn handle_packet(&mut self, _now: Duration, _from: Side, _packet: &[u8]) -> Ruling {
        Ruling::Forward
    }
    fn handle_timeout(&mut self, _now: Duration) {}
    fn handle_outcome(&mut self, _now: Duration, _outcome: ProbeOutcome) {}
    fn poll_timeout(&self) -> Option<Duration> {
        None
    }
    fn poll_inject(&mut self) -> Option<Injection> {
        None
    }
    fn poll_event(&mut self) -> Option<Event> {
        None
    }
    fn poll_probe(&mut self) -> Option<ProbeRequest> {
        None
    }
}
