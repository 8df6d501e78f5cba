//! Ending a stream so that its peer sees a reset.

use std::cell::Cell;

thread_local! {
    static ABORTING: Cell<bool> = const { Cell::new(false) };
}

/// Drops a stream so that the connection below it, however deep, is reset.
///
/// Dropping alone sends an orderly end, which protocols without an authenticated end (Shadowsocks, plain TCP) cannot
/// tell from a finished transfer. A stream has no `abort` in its type, because every wrapper would have to pass it
/// on; drops reach the socket by themselves, so the wish travels beside them.
///
/// Whatever owns streams can be given: a stream, a pair, the future of a relay that must end now.
pub fn abort<T>(streams: T) {
    ABORTING.set(true);
    drop(streams);
    ABORTING.set(false);
}

/// Whether what is dropped on this thread now is to be reset: for the [`crate::Net`] whose sockets they are.
pub fn is_aborting() -> bool {
    ABORTING.get()
}
