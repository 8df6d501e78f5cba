//! The pool's rules: how many carriers, one dial at a time, how long they live, how many fresh dials.

use std::{
    io,
    net::Ipv4Addr,
    ops::Range,
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use commucat_mux::{CarrierPolicy, Carriers, Config, Refusal, accepted};
use commucat_testkit::sim::SimNet;
use commucat_transport_api::{BoxFuture, BoxStream, Cx, DialError, Failure, Net, Opened, Phase, Signal};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, DuplexStream, ReadBuf},
    task::JoinHandle,
};

use crate::support::{PIPE_BYTES, echo, round_trip, web};

const SECOND: Duration = Duration::from_secs(1);

/// A bridge that echoes, and counts who dials it.
struct Bridge {
    net: Arc<dyn Net>,
    dials: Arc<AtomicUsize>,
    /// How long a dial takes.
    dial_time: Duration,
    /// The far ends' drivers: aborted, they take their carriers down.
    far: Arc<Mutex<Vec<JoinHandle<()>>>>,
    /// The next dials fail.
    down: Arc<AtomicUsize>,
    /// Carriers that were dialled so far say and hear nothing any more, when this is above their number.
    mute_below: Arc<AtomicUsize>,
}

/// A carrier that can lose its network without a word.
#[derive(Debug)]
struct Fragile {
    io: DuplexStream,
    number: usize,
    mute_below: Arc<AtomicUsize>,
}

impl Fragile {
    fn is_mute(&self) -> bool {
        self.number < self.mute_below.load(Ordering::SeqCst)
    }
}

impl AsyncRead for Fragile {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.is_mute() { Poll::Pending } else { Pin::new(&mut self.io).poll_read(cx, buf) }
    }
}

impl AsyncWrite for Fragile {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        if self.is_mute() { Poll::Ready(Ok(buf.len())) } else { Pin::new(&mut self.io).poll_write(cx, buf) }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.is_mute() { Poll::Ready(Ok(())) } else { Pin::new(&mut self.io).poll_shutdown(cx) }
    }
}

impl Bridge {
    fn new() -> Self {
        let net = Arc::new(SimNet::new(3).for_host(Ipv4Addr::new(10, 0, 0, 1).into()));
        Self {
            net,
            dials: Arc::default(),
            dial_time: Duration::from_millis(300),
            far: Arc::default(),
            down: Arc::default(),
            mute_below: Arc::default(),
        }
    }

    fn cx(&self, seconds: u64) -> Cx {
        Cx::new(Arc::clone(&self.net), SECOND * u32::try_from(seconds).unwrap())
    }

    fn dials(&self) -> usize {
        self.dials.load(Ordering::SeqCst)
    }

    fn connect(&self) -> BoxFuture<'static, Result<BoxStream, DialError>> {
        let (net, dials, far, down) =
            (Arc::clone(&self.net), Arc::clone(&self.dials), Arc::clone(&self.far), Arc::clone(&self.down));
        let (dial_time, mute_below) = (self.dial_time, Arc::clone(&self.mute_below));
        Box::pin(async move {
            let number = dials.fetch_add(1, Ordering::SeqCst);
            tokio::time::sleep(dial_time).await;
            if down.load(Ordering::SeqCst) > 0 {
                down.fetch_sub(1, Ordering::SeqCst);
                let refused = io::Error::from(io::ErrorKind::ConnectionRefused);
                return Err(DialError::io(Phase::Connect, dial_time, refused));
            }
            let (one, other) = tokio::io::duplex(PIPE_BYTES);
            let (session, driver) = accepted(Box::new(other), net, Config::default());
            far.lock().unwrap().push(tokio::spawn(driver));
            tokio::spawn(echo(session));
            Ok(Box::new(Fragile { io: one, number, mute_below }) as BoxStream)
        })
    }

    async fn open(&self, pool: &Carriers) -> Result<BoxStream, DialError> {
        let opened: Opened = pool.open(&self.cx(10), &web(), || self.connect()).await?;
        let mut stream = opened.channel.into_stream().unwrap();
        round_trip(&mut stream, b"hello").await;
        Ok(stream)
    }
}

fn pool(change: impl FnOnce(&mut CarrierPolicy)) -> Carriers {
    let mut policy = CarrierPolicy::default();
    change(&mut policy);
    Carriers::new(policy, |driver| drop(tokio::spawn(driver)))
}

fn just(time: Duration) -> Range<Duration> {
    time..time
}

#[tokio::test(start_paused = true)]
async fn streams_share_at_most_three_carriers() {
    let (bridge, pool) = (Bridge::new(), pool(|_default| ()));
    let mut streams = Vec::new();
    for number in 1..=60 {
        streams.push(bridge.open(&pool).await.unwrap());
        tokio::time::sleep(3 * SECOND).await;
        let expected = match number {
            ..8 => 1,
            8..16 => 2,
            _ => 3,
        };
        assert_eq!((bridge.dials(), pool.carriers().len()), (expected, expected), "{number} streams");
    }
    let loads: Vec<usize> = pool.carriers().iter().map(|carrier| carrier.streams()).collect();
    assert_eq!(loads, [20, 20, 20]);
}

/// However fast they come: what has no room on one carrier makes another, and what has none on all is told so.
#[tokio::test(start_paused = true)]
async fn full_carriers_get_no_more_streams() {
    let bridge = Bridge::new();
    let pool = pool(|policy| policy.session.max_streams = 8);
    let mut streams = Vec::new();
    for _number in 0..18 {
        streams.push(bridge.open(&pool).await.unwrap());
    }
    assert_eq!(bridge.dials(), 3);
    let Err(DialError::Network { source: Some(source), .. }) = bridge.open(&pool).await else {
        panic!("there is no room");
    };
    assert!(matches!(source.downcast_ref(), Some(Refusal::TooManyStreams)), "{source}");
    streams.pop();
    tokio::time::sleep(SECOND).await;
    bridge.open(&pool).await.unwrap();
    assert_eq!(bridge.dials(), 3);
}

#[tokio::test(start_paused = true)]
async fn opens_at_one_time_wait_for_one_dial() {
    let (bridge, pool) = (Arc::new(Bridge::new()), pool(|_default| ()));
    let opens: Vec<_> = (0..30)
        .map(|_open| {
            let (bridge, pool) = (Arc::clone(&bridge), pool.clone());
            tokio::spawn(async move { bridge.open(&pool).await.map(drop) })
        })
        .collect();
    tokio::time::sleep(Duration::from_millis(100)).await;
    // Whoever began the dial leaves; the others go on with it.
    opens[0].abort();
    for open in opens.into_iter().skip(1) {
        open.await.unwrap().unwrap();
    }
    let fresh = bridge.dials();
    assert!(fresh <= 2, "one for those who wait, one more for those to come: {fresh}");
}

#[tokio::test(start_paused = true)]
async fn a_failed_dial_fails_all_who_wait_with_its_cause_and_the_next_tries_again() {
    let (bridge, pool) = (Bridge::new(), pool(|_default| ()));
    bridge.down.store(1, Ordering::SeqCst);
    let (one, other) = tokio::join!(bridge.open(&pool), bridge.open(&pool));
    for error in [one.unwrap_err(), other.unwrap_err()] {
        let DialError::Network { failure, source: Some(source) } = error else {
            panic!("the network said no")
        };
        assert_eq!((failure.phase, failure.signal), (Phase::Connect, Signal::Refused));
        assert_eq!(source.to_string(), io::Error::from(io::ErrorKind::ConnectionRefused).to_string());
    }
    assert_eq!(bridge.dials(), 1);
    bridge.open(&pool).await.unwrap();
    assert_eq!(bridge.dials(), 2);
}

#[tokio::test(start_paused = true)]
async fn an_abandoned_dial_serves_the_next() {
    let (bridge, pool) = (Bridge::new(), pool(|_default| ()));
    // More often than there may be dials.
    for _impatient in 0..20 {
        let open = tokio::time::timeout(Duration::from_millis(10), bridge.open(&pool)).await;
        assert!(open.is_err());
    }
    bridge.open(&pool).await.unwrap();
    assert_eq!((bridge.dials(), pool.carriers().len()), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_dial_for_a_pool_that_is_gone_leaves_nothing_behind() {
    let (bridge, pool) = (Bridge::new(), pool(|_default| ()));
    assert!(tokio::time::timeout(Duration::from_millis(10), bridge.open(&pool)).await.is_err());
    drop(pool);
    tokio::time::sleep(10 * SECOND).await;
    let far: Vec<_> = bridge.far.lock().unwrap().drain(..).collect();
    for carrier in far {
        carrier.await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_deadline_ends_the_wait_for_a_dial() {
    let (mut bridge, pool) = (Bridge::new(), pool(|_default| ()));
    bridge.dial_time = 60 * SECOND;
    let error = pool.open(&bridge.cx(2), &web(), || bridge.connect()).await.unwrap_err();
    let Some(Failure { phase: Phase::Connect, signal: Signal::Timeout, elapsed, .. }) = error.failure()
    else {
        panic!("{error:?}")
    };
    assert_eq!(*elapsed, 2 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn an_old_carrier_is_replaced_before_it_goes() {
    for by_volume in [false, true] {
        let bridge = Bridge::new();
        let pool = pool(|policy| {
            policy.lifetime = if by_volume { just(3600 * SECOND) } else { just(100 * SECOND) };
            policy.volume = if by_volume { 5_000..5_001 } else { u64::MAX - 1..u64::MAX };
            policy.jitter = just(SECOND);
        });
        let mut long = bridge.open(&pool).await.unwrap();
        if by_volume {
            round_trip(&mut long, &[1; 4_000]).await;
        } else {
            tokio::time::sleep(99 * SECOND).await;
            drop(bridge.open(&pool).await.unwrap());
            assert_eq!(bridge.dials(), 1);
            tokio::time::sleep(2 * SECOND).await;
        }
        // It still takes this stream: its replacement is only being dialled.
        let mut second = bridge.open(&pool).await.unwrap();
        assert_eq!(pool.carriers()[0].streams(), 2);
        tokio::time::sleep(2 * SECOND).await;
        assert_eq!((bridge.dials(), pool.carriers().len()), (2, 2));
        assert!(pool.carriers()[0].is_going_away() && !pool.carriers()[1].is_going_away());
        let _third = bridge.open(&pool).await.unwrap();
        assert_eq!(pool.carriers()[1].streams(), 1);
        round_trip(&mut long, b"not broken").await;
        round_trip(&mut second, b"not broken").await;
        drop((long, second));
        tokio::time::sleep(SECOND).await;
        assert_eq!(pool.carriers().len(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_carrier_without_streams_ends_in_order() {
    let bridge = Bridge::new();
    let pool = pool(|policy| policy.idle = just(90 * SECOND));
    drop(bridge.open(&pool).await.unwrap());
    tokio::time::sleep(89 * SECOND).await;
    assert_eq!(pool.carriers().len(), 1);
    tokio::time::sleep(2 * SECOND).await;
    assert!(pool.carriers().is_empty());
    assert!(bridge.far.lock().unwrap()[0].is_finished());
    bridge.open(&pool).await.unwrap();
    assert_eq!(bridge.dials(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_dead_carrier_gets_no_stream() {
    let (bridge, pool) = (Bridge::new(), pool(|_default| ()));
    drop(bridge.open(&pool).await.unwrap());
    bridge.far.lock().unwrap()[0].abort();
    tokio::task::yield_now().await;
    bridge.open(&pool).await.unwrap();
    assert_eq!(bridge.dials(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_carrier_that_was_idle_is_asked_and_replaced_when_it_says_nothing() {
    let (bridge, pool) = (Bridge::new(), pool(|_default| ()));
    let held = bridge.open(&pool).await.unwrap();
    // Alive, it answers, and takes the stream.
    tokio::time::sleep(35 * SECOND).await;
    drop(bridge.open(&pool).await.unwrap());
    assert_eq!(bridge.dials(), 1);
    drop(held);
    tokio::time::sleep(35 * SECOND).await;
    bridge.mute_below.store(1, Ordering::SeqCst);
    let began = bridge.net.now();
    let _fresh = bridge.open(&pool).await.unwrap();
    assert_eq!(bridge.dials(), 2);
    let taken = bridge.net.now() - began;
    assert!((Duration::from_millis(1800)..Duration::from_millis(2000)).contains(&taken), "{taken:?}");
    tokio::time::sleep(10 * SECOND).await;
    assert_eq!(pool.carriers().len(), 1, "the mute one is gone");
}

#[tokio::test(start_paused = true)]
async fn a_carrier_that_is_silent_in_the_middle_gets_no_stream() {
    let (bridge, pool) = (Bridge::new(), pool(|_default| ()));
    let mut held = bridge.open(&pool).await.unwrap();
    bridge.mute_below.store(1, Ordering::SeqCst);
    held.write_all(b"anybody?").await.unwrap();
    tokio::time::sleep(3 * SECOND).await;
    let _fresh = bridge.open(&pool).await.unwrap();
    assert_eq!(bridge.dials(), 2);
    assert_eq!(held.read(&mut [0]).await.unwrap_err().kind(), io::ErrorKind::TimedOut);
    assert_eq!(pool.carriers().len(), 1, "though a stream of the dead one is still held");
}

#[tokio::test(start_paused = true)]
async fn fresh_dials_have_a_budget() {
    let (bridge, pool) = (Bridge::new(), pool(|_default| ()));
    for _dial in 0..6 {
        drop(bridge.open(&pool).await.unwrap());
        pool.drain();
        tokio::time::sleep(SECOND).await;
    }
    assert_eq!(bridge.dials(), 6);
    let error = bridge.open(&pool).await.unwrap_err();
    let DialError::Network { source: Some(source), .. } = error else { panic!("{error:?}") };
    assert!(source.to_string().contains("censors count fresh handshakes"), "{source}");
    assert_eq!(bridge.dials(), 6);
    let began = bridge.net.now();
    pool.open(&bridge.cx(100), &web(), || bridge.connect()).await.unwrap();
    assert_eq!(bridge.dials(), 7);
    assert!(bridge.net.now() - began > 50 * SECOND);
}
