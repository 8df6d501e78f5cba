//! Addresses and names of users in logs: hidden unless the operator asked to see them.

use std::{
    fmt,
    sync::atomic::{AtomicBool, Ordering},
};

static REVEAL: AtomicBool = AtomicBool::new(false);

/// Shows what [`Redacted`] hides, for the whole process. For an operator who debugs his own traffic.
pub fn reveal_redacted(reveal: bool) {
    REVEAL.store(reveal, Ordering::Relaxed);
}

/// Something that tells who talks to whom. Prints `[redacted]` unless [`reveal_redacted`] was called.
#[derive(Clone, Copy)]
pub struct Redacted<T>(pub T);

impl<T: fmt::Display> fmt::Display for Redacted<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if REVEAL.load(Ordering::Relaxed) { self.0.fmt(f) } else { f.write_str("[redacted]") }
    }
}

impl<T: fmt::Debug> fmt::Debug for Redacted<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if REVEAL.load(Ordering::Relaxed) { self.0.fmt(f) } else { f.write_str("[redacted]") }
    }
}
