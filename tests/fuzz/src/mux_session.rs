//! What the other end of a carrier says.

use std::time::Instant;

/// Frames, in either direction, cut anywhere.
pub(crate) fn run(data: &[u8]) {
    assert!(commucat_mux::fuzzing::peer(Instant::now(), data));
}
