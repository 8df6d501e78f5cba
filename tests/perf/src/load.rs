//! The load: a target that receives and answers, and the clients that drive it.
//!
//! Bulk and connection loads run on one thread for each side (a current-thread runtime), like a pair of iperf3 processes: the cost is the
//! same for every product, and it is never counted, because it lives in this process and not in theirs.

pub mod bulk;
pub mod connect;
pub mod connections;
pub mod end;
pub mod inner;
pub mod meter;
pub mod payload;
pub mod target;

use std::time::Duration;

/// How long any single step of a load may take before the visit counts as failed.
pub const STEP_LIMIT: Duration = Duration::from_secs(10);

/// The first byte of a connection tells the target what to do.
pub mod mode {
    /// Read and count until the end.
    pub const SINK: u8 = b'U';
    /// Send until the other side goes away.
    pub const SOURCE: u8 = b'D';
    /// Answer each byte with one byte.
    pub const ECHO: u8 = b'P';
    /// Answer one byte, then close the sending half.
    pub const CLOSE: u8 = b'X';
    /// Wait for the end of the stream, then answer one byte.
    pub const ANSWER_AT_END: u8 = b'H';
}
