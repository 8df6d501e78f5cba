//! The stock of connections and the pace of dials, with a real site on loopback.

use commucat_net::SystemNet;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::mpsc,
    time::timeout,
};

use super::*;

const PATIENCE: Duration = Duration::from_secs(20);

/// A site that hands over whoever came.
async fn site() -> (HostPort, mpsc::Receiver<TcpStream>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = HostPort::from(listener.local_addr().unwrap());
    let (came, visitors) = mpsc::channel(1000);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            if came.send(stream).await.is_err() {
                return;
            }
        }
    });
    (at, visitors)
}

async fn stocked(at: HostPort) -> (Arc<Dials>, Keeper) {
    let dials = Dials::new(SystemNet::new(), at, DialLimits { ready: 3, ..DialLimits::default() });
    let keeper = dials.keep_ready();
    for _ in 0..50 {
        drop(dials.connect(Visitor::Ours).await.unwrap());
    }
    timeout(PATIENCE, async {
        while dials.stock() < 3 {
            tokio::task::yield_now().await;
        }
    })
    .await
    .expect("a stock");
    (dials, keeper)
}

#[tokio::test]
async fn connections_are_ready_once_visitors_come_often_and_gone_with_the_keeper() {
    let (at, mut visitors) = site().await;
    let (dials, keeper) = stocked(at).await;
    while visitors.try_recv().is_ok() {}
    let stock: Vec<_> = dials.lock().ready.iter().map(|ready| ready.until).collect();
    assert!(stock.iter().all(|until| *until <= Instant::now() + 2 * AGE));
    // It leads to the site.
    let mut io = dials.connect(Visitor::Stranger).await.unwrap();
    io.write_all(b"hello").await.unwrap();
    drop(keeper);
    assert_eq!(dials.stock(), 0);
    drop(io);
    // Everything that was made is at the site, and ended: nothing is dialled any more.
    drop(dials);
    while let Ok(Some(mut stream)) = timeout(Duration::from_millis(200), visitors.recv()).await {
        let mut heard = Vec::new();
        timeout(PATIENCE, stream.read_to_end(&mut heard)).await.expect("an end").unwrap();
    }
}

#[tokio::test]
async fn what_the_site_ended_or_began_is_not_handed_out() {
    let (at, mut visitors) = site().await;
    let (dials, _keeper) = stocked(at).await;
    // No more visitors are expected, so that nothing is made anew meanwhile.
    dials.lock().demand = Demand::new(0, AGE, Instant::now());
    while let Ok(mut stream) = visitors.try_recv() {
        stream.write_all(b"220 ready\r\n").await.ok();
    }
    timeout(PATIENCE, async {
        loop {
            let quiet = dials.lock().ready.iter_mut().any(|ready| is_quiet(&mut ready.io));
            if !quiet {
                return;
            }
            tokio::task::yield_now().await;
        }
    })
    .await
    .expect("the greeting");
    let mut io = dials.connect(Visitor::Ours).await.unwrap();
    assert!(is_quiet(&mut io), "one that was made for this visitor");
    assert_eq!(dials.stock(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_storm_waits_and_then_breaks() {
    let (at, mut visitors) = site().await;
    let limits = DialLimits { concurrent: 1000, per_second: 10, ready: 0 };
    let dials = Dials::new(SystemNet::new(), at, limits);
    let mut storm = JoinSet::new();
    for _ in 0..500 {
        let dials = Arc::clone(&dials);
        storm.spawn(async move { dials.connect(Visitor::Stranger).await.map(drop) });
    }
    let outcomes = storm.join_all().await;
    let reached = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
    // A burst of a second, and then ten seconds' worth.
    assert_eq!(reached, 110);
    let busy = outcomes.iter().flat_map(|outcome| outcome.as_ref().err()).map(io::Error::kind);
    assert!(busy.into_iter().all(|kind| kind == io::ErrorKind::ResourceBusy));
    let mut came = 0;
    while visitors.try_recv().is_ok() {
        came += 1;
    }
    assert!(came <= 110, "{came}");
}

#[tokio::test]
async fn the_youngest_is_for_strangers() {
    let (at, _visitors) = site().await;
    let (dials, _keeper) = stocked(at).await;
    let mut state = dials.lock();
    let now = Instant::now();
    for (ready, seconds) in state.ready.iter_mut().zip([2, 3, 4]) {
        ready.until = now + Duration::from_secs(seconds);
    }
    state.take(Visitor::Stranger, now).unwrap();
    state.take(Visitor::Ours, now).unwrap();
    let left: Vec<_> = state.ready.iter().map(|ready| ready.until - now).collect();
    assert_eq!(left, [Duration::from_secs(3)]);
    assert!(state.take(Visitor::Ours, now + Duration::from_secs(3)).is_none(), "too old");
}
