//! Clients that do not fit: what our bridge says of them to itself, and what they get.

use std::{
    io,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
};

use commucat_tests_interop::socks_connect;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    time::timeout,
};
use tracing::subscriber::DefaultGuard;
use tracing_subscriber::fmt::MakeWriter;

use crate::ends::PATIENCE;

/// What is logged on this thread from here on. For tests whose runtime has no other thread.
pub(crate) struct Log {
    lines: Lines,
    _guard: DefaultGuard,
}

impl Log {
    pub(crate) fn start() -> Self {
        let lines = Lines::default();
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(tracing::Level::DEBUG)
            .with_ansi(false)
            .with_writer(lines.clone())
            .finish();
        Self { lines, _guard: tracing::subscriber::set_default(subscriber) }
    }

    /// The lines of the bridge about connections that it passed on.
    pub(crate) fn passed_on(&self) -> Vec<String> {
        let lines = self.lines.0.lock().unwrap();
        let text = String::from_utf8_lossy(&lines);
        text.lines().filter(|line| line.contains("passed on to the target")).map(str::to_owned).collect()
    }
}

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

/// Whether an echo behind the bridge is reached through this SOCKS5 port.
pub(crate) async fn reaches(proxy: SocketAddr, echo: SocketAddr) -> bool {
    let attempt = async {
        // Some clients say yes before they have dialled.
        let mut stream = socks_connect(proxy, &echo.into()).await.ok()?;
        stream.write_all(b"hello").await.ok()?;
        let mut heard = [0; 5];
        stream.read_exact(&mut heard).await.ok()?;
        Some(heard == *b"hello")
    };
    timeout(PATIENCE, attempt).await.expect("an end") == Some(true)
}
