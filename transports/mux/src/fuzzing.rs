//! For `tests/fuzz` alone, no part of the API: what reads a peer's bytes, as a question about any bytes. The answer is
//! whether it keeps its promise.

use std::time::{Duration, Instant};

use crate::{
    config::Config,
    core::{Core, Side},
};

/// Any bytes of a peer end a session the same however they are cut, hold no more than the windows allow, and get no longer
/// answer than a bounded one. The first byte says where to cut. `now` is any time.
pub fn peer(now: Instant, data: &[u8]) -> bool {
    let Some((cut, data)) = data.split_first() else { return true };
    let (first, second) = data.split_at(data.len() * usize::from(*cut) / 256);
    let (mut whole, mut parts) = (core(now), core(now));
    whole.handle_input(now, data);
    parts.handle_input(now, first);
    parts.handle_input(now, second);
    let (mut said_once, mut said_twice) = (Vec::new(), Vec::new());
    whole.poll_transmit(now + Duration::from_millis(1), &mut said_once);
    parts.poll_transmit(now + Duration::from_millis(1), &mut said_twice);
    said_once == said_twice
        && whole.has_failed() == parts.has_failed()
        && whole.streams() == parts.streams()
        && whole.held() <= data.len()
        && said_once.len() <= data.len() * 4 + 64
}

fn core(now: Instant) -> Core {
    Core::new(Side::Accepted, Config::default(), now, Box::new(|_bytes| false))
}
