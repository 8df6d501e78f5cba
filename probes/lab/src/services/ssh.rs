//! A server that opens like OpenSSH (RFC 4253 §4.2) and then sends back what it gets.
//!
//! Censors that spare or strike SSH look at the identification strings only, so nothing more is here: there is no key
//! exchange, and nobody can log in.

use std::{sync::Arc, time::Duration};

use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    time::timeout,
};

use super::accept;

/// What Debian 12's OpenSSH sends first.
pub const IDENTIFICATION: &str = "SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u10\r\n";

/// Longest identification string of a client, in bytes (RFC 4253 §4.2 allows 255).
const IDENTIFICATION_BYTES_MAX: u64 = 255;
/// Longest time without a byte from the client.
const IDLE: Duration = Duration::from_secs(30);
/// Bytes echoed at once.
const BUFFER_BYTES: usize = 16 * 1024;

/// Serves whoever connects, until its task is aborted.
pub(super) async fn serve(listener: TcpListener, slots: Arc<Semaphore>) {
    accept::serve(listener, slots, converse).await;
}

async fn converse(stream: TcpStream) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    stream.write_all(IDENTIFICATION.as_bytes()).await?;
    let mut line = Vec::new();
    timeout(IDLE, (&mut stream).take(IDENTIFICATION_BYTES_MAX).read_until(b'\n', &mut line)).await??;
    if !line.starts_with(b"SSH-") {
        return stream.write_all(b"Invalid SSH identification string.\r\n").await;
    }
    let mut buffer = vec![0; BUFFER_BYTES];
    loop {
        let read = timeout(IDLE, stream.read(&mut buffer)).await??;
        if read == 0 {
            return stream.shutdown().await;
        }
        stream.write_all(buffer.get(..read).unwrap_or_default()).await?;
    }
}
