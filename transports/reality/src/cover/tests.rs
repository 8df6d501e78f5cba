//! Visits in virtual time: the clock stands while bytes move.

use commucat_net::SystemNet;
use tokio::{
    io::{AsyncReadExt as _, DuplexStream, duplex},
    time::Instant,
};

use super::*;
use crate::config::ByteLimit;

/// A visit: the stranger's end, the site's, and the visit itself.
fn begin(limit: FallbackLimit) -> (DuplexStream, DuplexStream, tokio::task::JoinHandle<()>) {
    let ((stranger, near), (far, site)) = (duplex(8 << 10), duplex(8 << 10));
    let visit = tokio::spawn(async move {
        let slots = Arc::new(Semaphore::new(1));
        let net: Arc<dyn Net> = SystemNet::new();
        visit(Box::new(near), Box::new(far), b"said", &slots, &limit, &net).await;
    });
    (stranger, site, visit)
}

/// Seconds that this many bytes take from one end to the other, both ends included.
async fn seconds(mut from: DuplexStream, mut to: DuplexStream, bytes: usize) -> u64 {
    let began = Instant::now();
    let sending = async {
        from.write_all(&vec![7; bytes]).await.unwrap();
        from.shutdown().await.unwrap();
        from
    };
    let mut heard = Vec::new();
    let (_from, read) = tokio::join!(sending, to.read_to_end(&mut heard));
    read.unwrap();
    assert!(heard.ends_with(&vec![7; bytes]), "{}", heard.len());
    began.elapsed().as_secs()
}

#[tokio::test(start_paused = true)]
async fn a_limit_slows_its_own_direction_once_it_begins() {
    let limit = ByteLimit { after_bytes: 100_000, bytes_per_second: 10_000, burst_bytes: 0 };
    let down = FallbackLimit { up: None, down: Some(limit) };
    let up = FallbackLimit { up: Some(limit), down: None };
    // A hundred thousand are free, a second's worth comes at once.
    for (which, down_takes, up_takes) in [(down, 20, 0), (up, 0, 20), (FallbackLimit::default(), 0, 0)] {
        let (stranger, site, _visit) = begin(which);
        assert_eq!(seconds(site, stranger, 310_000).await, down_takes);
        let (stranger, site, _visit) = begin(which);
        assert_eq!(seconds(stranger, site, 310_000).await, up_takes);
        let (stranger, site, _visit) = begin(which);
        assert_eq!(seconds(site, stranger, 100_000).await, 0);
    }
}

/// A site that sends a little now and then is read for a week; one that sends nothing is left.
#[tokio::test(start_paused = true)]
async fn a_visit_lasts_while_anything_moves() {
    let (mut stranger, mut site, visit) = begin(FallbackLimit::default());
    let mut said = [0; 4];
    stranger.read_exact(&mut said).await.unwrap();
    assert_eq!(&said, b"said");
    for _ in 0..24 * 7 * 2 {
        tokio::time::sleep(IDLE_TIME / 2).await;
        site.write_all(b".").await.unwrap();
        stranger.read_exact(&mut [0]).await.unwrap();
    }
    let began = Instant::now();
    visit.await.unwrap();
    let silence = began.elapsed();
    assert!(IDLE_TIME <= silence && silence <= 2 * IDLE_TIME, "{silence:?}");
    assert_eq!(stranger.read(&mut [0]).await.unwrap(), 0);
}
