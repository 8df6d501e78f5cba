//! The target: the server behind the tunnel. Every product gets one of its own, on a thread of its own.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use anyhow::Context;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpSocket, TcpStream},
    sync::oneshot,
};

use super::{
    inner,
    meter::Meter,
    mode,
    payload::{discard_some, incompressible},
};

/// Connections the kernel may hold before they are accepted.
const BACKLOG: u32 = 1024;

/// When the ends of streams happened; the end-of-stream visit reads it.
#[derive(Debug, Default)]
pub struct Marks {
    closed: Mutex<Option<Instant>>,
    ended: Mutex<Option<Instant>>,
}

impl Marks {
    /// Forgets both.
    pub fn reset(&self) {
        *lock(&self.closed) = None;
        *lock(&self.ended) = None;
    }

    /// When the target closed its sending half.
    pub fn closed(&self) -> Option<Instant> {
        *lock(&self.closed)
    }

    /// When the target saw the client's end of stream.
    pub fn ended(&self) -> Option<Instant> {
        *lock(&self.ended)
    }
}

/// What the connections of a target share.
#[derive(Debug, Default)]
struct Shared {
    meter: Meter,
    marks: Marks,
    live: AtomicUsize,
}

/// A running target. Dropping it ends it.
#[derive(Debug)]
pub struct Target {
    address: SocketAddr,
    shared: Arc<Shared>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Target {
    /// Listens on a free port of 127.0.0.1.
    ///
    /// # Errors
    /// When no port or thread can be had.
    pub fn start() -> anyhow::Result<Self> {
        incompressible().context("reading random bytes for the payload")?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let listener = runtime.block_on(async { listen() })?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared::default());
        let (stop, stopped) = oneshot::channel();
        let theirs = Arc::clone(&shared);
        let thread = thread::Builder::new().name("bench-target".into()).spawn(move || {
            runtime.block_on(async {
                tokio::select! {
                    () = accept(&listener, &theirs) => {}
                    // A closed channel and a message mean the same: the target is gone.
                    _ = stopped => {}
                }
            });
        })?;
        Ok(Self { address, shared, stop: Some(stop), thread: Some(thread) })
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// What its sinks received.
    #[must_use]
    pub fn meter(&self) -> &Meter {
        &self.shared.meter
    }

    /// When its streams ended.
    #[must_use]
    pub fn marks(&self) -> &Marks {
        &self.shared.marks
    }

    /// Waits until its connections are gone; `false` when some are left after `limit`.
    pub fn wait_idle(&self, limit: Duration) -> bool {
        let start = Instant::now();
        while self.shared.live.load(Ordering::Relaxed) > 0 {
            if start.elapsed() > limit {
                return false;
            }
            thread::sleep(Duration::from_millis(5));
        }
        true
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        self.stop.take();
        if let Some(thread) = self.thread.take() {
            // A panic of the thread was already printed; there is nothing to add while dropping.
            thread.join().ok();
        }
    }
}

fn listen() -> io::Result<TcpListener> {
    let socket = TcpSocket::new_v4()?;
    socket.bind((Ipv4Addr::LOCALHOST, 0).into())?;
    socket.listen(BACKLOG)
}

async fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            // Out of descriptors: let some connections end first.
            tokio::time::sleep(Duration::from_millis(10)).await;
            continue;
        };
        let shared = Arc::clone(shared);
        tokio::spawn(async move {
            shared.live.fetch_add(1, Ordering::Relaxed);
            // A reset by the other side is how most visits end.
            serve(stream, &shared).await.ok();
            shared.live.fetch_sub(1, Ordering::Relaxed);
        });
    }
}

async fn serve(mut stream: TcpStream, shared: &Shared) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut first = [0];
    stream.peek(&mut first).await?;
    let (mode, payload) = if first == [inner::HANDSHAKE] {
        let (inside, mode) = inner::accept(stream).await?;
        stream = inside;
        (mode, inner::records()?)
    } else {
        (stream.read_u8().await?, incompressible()?)
    };
    match mode {
        mode::SINK => {
            let place = shared.meter.take_place();
            loop {
                match discard_some(&mut stream).await? {
                    0 => return Ok(()),
                    bytes => shared.meter.add(place, bytes),
                }
            }
        }
        mode::SOURCE => loop {
            stream.write_all(payload).await?;
        },
        mode::ECHO => {
            stream.write_u8(mode::ECHO).await?;
            while let Ok(byte) = stream.read_u8().await {
                stream.write_u8(byte).await?;
            }
            Ok(())
        }
        mode::CLOSE => {
            stream.write_u8(mode::CLOSE).await?;
            // Apart from the answer, so that the end is seen as an end of its own.
            tokio::time::sleep(Duration::from_millis(20)).await;
            *lock(&shared.marks.closed) = Some(Instant::now());
            stream.shutdown().await?;
            while discard_some(&mut stream).await? > 0 {}
            Ok(())
        }
        mode::ANSWER_AT_END => {
            while discard_some(&mut stream).await? > 0 {}
            *lock(&shared.marks.ended) = Some(Instant::now());
            stream.write_u8(mode::ANSWER_AT_END).await?;
            stream.shutdown().await
        }
        _ => Ok(()),
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
