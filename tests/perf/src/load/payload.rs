//! Incompressible bytes and the shared buffers that carry them.

use std::{
    cell::RefCell,
    fs::File,
    future::poll_fn,
    io::{self, Read},
    pin::Pin,
    sync::OnceLock,
};

use tokio::{
    io::{AsyncRead, ReadBuf},
    net::TcpStream,
};

/// One write, and the largest read. It fits into a second-level cache, so that the load costs little.
pub const CHUNK_BYTES: usize = 256 * 1024;

thread_local! {
    /// One buffer a thread, shared by its streams: a read never leaves data behind in it.
    static SCRATCH: RefCell<Vec<u8>> = RefCell::new(vec![0; CHUNK_BYTES]);
}

/// Random bytes, the same in every call.
///
/// # Errors
/// When the system has no `/dev/urandom`.
pub fn incompressible() -> io::Result<&'static [u8]> {
    static BYTES: OnceLock<Vec<u8>> = OnceLock::new();
    if let Some(bytes) = BYTES.get() {
        return Ok(bytes);
    }
    let mut bytes = vec![0; CHUNK_BYTES];
    File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(BYTES.get_or_init(|| bytes))
}

/// Reads what is there and throws it away; 0 is the end.
///
/// # Errors
/// Those of the socket.
pub async fn discard_some(stream: &mut TcpStream) -> io::Result<usize> {
    poll_fn(|context| {
        SCRATCH.with_borrow_mut(|scratch| {
            let mut buffer = ReadBuf::new(scratch);
            Pin::new(&mut *stream).poll_read(context, &mut buffer).map_ok(|()| buffer.filled().len())
        })
    })
    .await
}
