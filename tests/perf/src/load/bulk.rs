//! Bulk transfer: N connections that send or receive as fast as they can.

use std::{
    io,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use anyhow::{Context, bail};
use tokio::{io::AsyncWriteExt, net::TcpStream, sync::oneshot, task::JoinSet};

use super::{
    STEP_LIMIT, inner,
    meter::Meter,
    mode,
    payload::{discard_some, incompressible},
    target::Target,
};
use crate::cells::{Direction, Inside};

/// A transfer under way. Dropping it closes every connection.
#[derive(Debug)]
pub struct Bulk<'a> {
    target: &'a Target,
    direction: Direction,
    streams: usize,
    shared: Arc<Shared>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    meter: Meter,
    broken: Mutex<Option<String>>,
}

impl<'a> Bulk<'a> {
    /// Opens the connections, each with TLS inside where that is asked for, and returns when each of them has moved data.
    ///
    /// # Errors
    /// When a connection fails, or some have moved nothing within [`STEP_LIMIT`].
    pub fn start(
        entry: SocketAddr,
        target: &'a Target,
        direction: Direction,
        streams: usize,
        inside: Inside,
    ) -> anyhow::Result<Self> {
        target.meter().reset();
        let shared = Arc::new(Shared::default());
        let (stop, stopped) = oneshot::channel();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let theirs = Arc::clone(&shared);
        let thread = thread::Builder::new().name("bench-load".into()).spawn(move || {
            runtime.block_on(async {
                tokio::select! {
                    () = run(entry, direction, streams, inside, &theirs) => {}
                    _ = stopped => {}
                }
            });
        })?;
        let bulk = Self { target, direction, streams, shared, stop: Some(stop), thread: Some(thread) };
        bulk.wait_for_flow()?;
        Ok(bulk)
    }

    /// Bytes received so far, by stream, where they arrive.
    #[must_use]
    pub fn received(&self) -> Vec<u64> {
        match self.direction {
            Direction::Up => self.target.meter().read(self.streams),
            Direction::Down => self.shared.meter.read(self.streams),
        }
    }

    /// # Errors
    /// The first connection that broke.
    pub fn check(&self) -> anyhow::Result<()> {
        match &*self.shared.broken.lock().unwrap_or_else(PoisonError::into_inner) {
            Some(reason) => bail!("a stream broke: {reason}"),
            None => Ok(()),
        }
    }

    fn wait_for_flow(&self) -> anyhow::Result<()> {
        let start = Instant::now();
        loop {
            self.check()?;
            let still = self.received().iter().filter(|bytes| **bytes == 0).count();
            if still == 0 {
                return Ok(());
            }
            if start.elapsed() > STEP_LIMIT {
                bail!("{still} of {} streams moved nothing in {STEP_LIMIT:?}", self.streams);
            }
            thread::sleep(Duration::from_millis(2));
        }
    }
}

impl Drop for Bulk<'_> {
    fn drop(&mut self) {
        self.stop.take();
        if let Some(thread) = self.thread.take() {
            thread.join().ok();
        }
    }
}

async fn run(entry: SocketAddr, direction: Direction, streams: usize, inside: Inside, shared: &Arc<Shared>) {
    let mut tasks = JoinSet::new();
    for _ in 0..streams {
        let shared = Arc::clone(shared);
        tasks.spawn(async move { stream(entry, direction, inside, &shared.meter).await });
    }
    while let Some(ended) = tasks.join_next().await {
        // No stream ends by itself: whatever comes here is a failure.
        let reason = match ended {
            Ok(Ok(())) => "the stream ended".to_owned(),
            Ok(Err(error)) => format!("{error:#}"),
            Err(error) => error.to_string(),
        };
        shared.broken.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(reason);
    }
}

async fn stream(
    entry: SocketAddr,
    direction: Direction,
    inside: Inside,
    meter: &Meter,
) -> anyhow::Result<()> {
    let mut stream = TcpStream::connect(entry).await.context("connecting to the inbound")?;
    stream.set_nodelay(true)?;
    let mode = match direction {
        Direction::Up => mode::SINK,
        Direction::Down => mode::SOURCE,
    };
    let payload = match inside {
        Inside::Plain => {
            stream.write_u8(mode).await?;
            incompressible()?
        }
        Inside::Tls => {
            stream = inner::connect(stream, mode).await?;
            inner::records()?
        }
    };
    match direction {
        Direction::Up => loop {
            stream.write_all(payload).await?;
        },
        Direction::Down => {
            let place = meter.take_place();
            loop {
                match discard_some(&mut stream).await? {
                    0 => return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()),
                    bytes => meter.add(place, bytes),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::meter::between;

    #[test]
    fn both_directions_flow_to_the_target_itself() {
        let ways = [Direction::Up, Direction::Down];
        for (direction, inside) in ways.into_iter().flat_map(|way| [(way, Inside::Plain), (way, Inside::Tls)])
        {
            let target = Target::start().unwrap();
            let bulk = Bulk::start(target.address(), &target, direction, 3, inside).unwrap();
            let before = bulk.received();
            let start = Instant::now();
            while between(&before, &bulk.received()).1 > 0 {
                assert!(start.elapsed() < STEP_LIMIT);
                thread::sleep(Duration::from_millis(1));
            }
            bulk.check().unwrap();
            drop(bulk);
            assert!(target.wait_idle(STEP_LIMIT));
        }
    }

    #[test]
    fn a_dead_entry_is_named() {
        let target = Target::start().unwrap();
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let error = Bulk::start(free, &target, Direction::Up, 1, Inside::Plain).unwrap_err();
        assert!(format!("{error:#}").contains("connecting to the inbound"), "{error:#}");
    }
}
