//! For `tests/fuzz` alone, no part of the API: what reads a peer's bytes, as a question about any bytes. The answer is
//! whether it keeps its promise.

use std::{
    task::{Context, Waker},
    time::{Duration, Instant},
};

use commucat_transport_api::Target;
use tokio::io::ReadBuf;

use crate::{
    config::Config,
    core::{Core, Side},
    frame::OpenTarget,
};

/// Streams that are open when the peer begins to speak to the dialling end.
const STREAMS: u32 = 3;

/// Any bytes of a peer end a session the same however they are cut, make it hold no more than they are, and get no longer
/// answer than a bounded one. The first byte says where to cut, the second which end hears them. `now` is any time.
pub fn peer(now: Instant, data: &[u8]) -> bool {
    let [cut, side, data @ ..] = data else { return true };
    let (first, second) = data.split_at(data.len() * usize::from(*cut) / 256);
    let (Some(mut whole), Some(mut parts)) = (core(now, *side), core(now, *side)) else { return false };
    whole.handle_input(now, data);
    parts.handle_input(now, first);
    parts.handle_input(now, second);
    let bounded = whole.held() <= data.len() && whole.streams() <= Config::default().max_streams;
    bounded && after(&mut whole, now, data.len()) == after(&mut parts, now, data.len())
}

fn core(now: Instant, side: u8) -> Option<Core> {
    let side = if side.is_multiple_of(2) { Side::Accepted } else { Side::Dialled };
    let mut core = Core::new(side, Config::default(), now, Box::new(|_bytes| false));
    if side == Side::Dialled {
        let target = OpenTarget::new(&Target::Datagrams)?;
        for _stream in 0..STREAMS {
            core.open(&target).ok()?;
        }
        core.poll_transmit(now, &mut Vec::new());
    }
    Some(core)
}

/// What a core says and has to say to its owners; `None` when it says too much.
fn after(core: &mut Core, now: Instant, heard: usize) -> Option<(Vec<u8>, Vec<u8>, bool)> {
    let cx = Context::from_waker(Waker::noop());
    let mut read = Vec::new();
    let accepted = std::iter::from_fn(|| match core.poll_accept(&cx) {
        std::task::Poll::Ready(accepted) => accepted,
        std::task::Poll::Pending => None,
    });
    let accepted: Vec<u32> = accepted.map(|(id, _target)| id).collect();
    for id in (1..2 * STREAMS).step_by(2).chain(accepted) {
        let mut bytes = [0; 1000];
        let mut buf = ReadBuf::new(&mut bytes);
        let outcome = core.poll_read(&cx, id, &mut buf);
        read.extend_from_slice(buf.filled());
        read.push(u8::from(outcome.is_pending()));
        core.drop_stream(id);
    }
    let mut said = Vec::new();
    core.poll_transmit(now + Duration::from_millis(1), &mut said);
    (said.len() <= heard * 4 + 256).then(|| (said, read, core.has_failed()))
}
