//! How often the site is dialled, and for whom.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use commucat_net::SystemNet;
use commucat_transport_api::{HostPort, Net};
use serde_json::json;
use tokio::{
    io::AsyncWriteExt as _,
    net::{TcpListener, TcpSocket},
};

use crate::{
    place::Place,
    support::{Site, site},
};

/// A site and how often it was dialled.
async fn counted() -> (HostPort, Arc<AtomicUsize>) {
    let net: Arc<dyn Net> = SystemNet::new();
    let Site { at: to, .. } = site(&net).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (at, dials) = (HostPort::from(listener.local_addr().unwrap()), Arc::new(AtomicUsize::new(0)));
    let counter = Arc::clone(&dials);
    tokio::spawn(async move {
        while let Ok((mut near, _)) = listener.accept().await {
            counter.fetch_add(1, Ordering::Relaxed);
            let mut far = net.connect_stream(&to).await.unwrap();
            tokio::spawn(async move {
                tokio::io::copy_bidirectional_with_sizes(&mut near, &mut far, 4096, 4096).await
            });
        }
    });
    (at, dials)
}

#[tokio::test(flavor = "multi_thread")]
async fn who_looks_whether_a_port_is_open_costs_the_site_nothing() {
    let (site, dials) = counted().await;
    let place = Place::with(site, json!({})).await;
    place.serves().await;
    let before = dials.load(Ordering::Relaxed);
    for _ in 0..20 {
        let socket = TcpSocket::new_v4().unwrap();
        // As scanners leave: with a reset.
        socket.set_zero_linger().unwrap();
        drop(socket.connect(place.bridge.socket_addr().unwrap()).await.unwrap());
    }
    place.serves().await;
    assert_eq!(dials.load(Ordering::Relaxed), before + 1);
}

/// Connections that are ready lead to the site as others do, and few of them are made in vain.
#[tokio::test(flavor = "multi_thread")]
async fn many_of_ours_and_strangers_share_what_is_ready() {
    let (site, dials) = counted().await;
    let place = Place::with(site, json!({ "target_dials": { "ready": 4 } })).await;
    let noise = b"GET / HTTP/1.1\r\n\r\n";
    let expected = Place::answer(&place.site, noise).await;
    let mut visitors = 0;
    for _ in 0..30 {
        place.serves().await;
        assert_eq!(Place::answer(&place.bridge, noise).await, expected);
        visitors += 2;
    }
    let dialled = dials.load(Ordering::Relaxed);
    // Three looks at the start, our own visits to the site, and what is ready or was in vain.
    assert!(dialled <= 3 + 1 + visitors + visitors / 2, "{dialled} dials for {visitors} visitors");
}

/// Beyond its pace the site is as one that is away, and the bridge still lives.
#[tokio::test(flavor = "multi_thread")]
async fn a_storm_is_kept_from_the_site() {
    let (site, dials) = counted().await;
    let limits = json!({ "target_dials": { "per_second": 2, "concurrent": 2, "ready": 0 } });
    let place = Place::with(site, limits).await;
    let before = dials.load(Ordering::Relaxed);
    let mut storm = Vec::new();
    for _ in 0..100 {
        let socket = TcpSocket::new_v4().unwrap();
        let mut stream = socket.connect(place.bridge.socket_addr().unwrap()).await.unwrap();
        stream.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
        storm.push(stream);
    }
    let began = std::time::Instant::now();
    // The first of them are answered as ever; who comes later waits for his turn.
    storm[0].readable().await.unwrap();
    let most = 2 + 2 * usize::try_from(began.elapsed().as_secs() + 1).unwrap();
    let dialled = dials.load(Ordering::Relaxed) - before;
    assert!((1..=most).contains(&dialled), "{dialled} dials");
}
