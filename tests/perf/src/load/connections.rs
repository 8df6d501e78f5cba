//! Short connections as fast as they go, a fixed number under way at once.
//!
//! A connection counts when its first byte is back; it is then closed without waiting for the other side, as a browser does. A product that is
//! slow to close pays for it only where it must: in its own processor time and in the end-of-stream visit.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread::{self, JoinHandle},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::oneshot,
    task::JoinSet,
    time::timeout,
};

use super::{STEP_LIMIT, mode};

/// The load under way. Dropping it ends it.
#[derive(Debug)]
pub struct Connections {
    counts: Arc<Counts>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Counts {
    completed: AtomicU64,
    failed: AtomicU64,
}

impl Connections {
    /// Starts the load.
    ///
    /// # Errors
    /// When no thread can be had.
    pub fn start(entry: SocketAddr, in_flight: usize) -> anyhow::Result<Self> {
        let counts = Arc::new(Counts::default());
        let (stop, stopped) = oneshot::channel();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let theirs = Arc::clone(&counts);
        let thread = thread::Builder::new().name("bench-load".into()).spawn(move || {
            runtime.block_on(async {
                let mut tasks = JoinSet::new();
                for _ in 0..in_flight {
                    tasks.spawn(repeat(entry, Arc::clone(&theirs)));
                }
                tokio::select! {
                    _ = tasks.join_all() => {}
                    _ = stopped => {}
                }
            });
        })?;
        Ok(Self { counts, stop: Some(stop), thread: Some(thread) })
    }

    /// Connections completed and failed so far.
    #[must_use]
    pub fn read(&self) -> [u64; 2] {
        [self.counts.completed.load(Ordering::Relaxed), self.counts.failed.load(Ordering::Relaxed)]
    }
}

impl Drop for Connections {
    fn drop(&mut self) {
        self.stop.take();
        if let Some(thread) = self.thread.take() {
            thread.join().ok();
        }
    }
}

async fn repeat(entry: SocketAddr, counts: Arc<Counts>) {
    loop {
        let counter = match timeout(STEP_LIMIT, ping(entry)).await {
            Ok(Ok(())) => &counts.completed,
            Ok(Err(_)) | Err(_) => {
                // A refused connection fails at once; without a pause the load would spin.
                tokio::time::sleep(std::time::Duration::from_millis(1)).await;
                &counts.failed
            }
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

async fn ping(entry: SocketAddr) -> std::io::Result<()> {
    let mut stream = TcpStream::connect(entry).await?;
    stream.set_nodelay(true)?;
    stream.write_u8(mode::ECHO).await?;
    stream.read_u8().await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;
    use crate::load::target::Target;

    #[test]
    fn connections_are_counted() {
        let target = Target::start().unwrap();
        let load = Connections::start(target.address(), 4).unwrap();
        let start = Instant::now();
        while load.read()[0] < 20 {
            assert!(start.elapsed() < STEP_LIMIT);
            thread::sleep(Duration::from_millis(1));
        }
        assert_eq!(load.read()[1], 0);
    }

    #[test]
    fn refusals_are_failures() {
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let load = Connections::start(free, 2).unwrap();
        let start = Instant::now();
        while load.read()[1] < 2 {
            assert!(start.elapsed() < STEP_LIMIT);
            thread::sleep(Duration::from_millis(1));
        }
        assert_eq!(load.read()[0], 0);
    }
}
