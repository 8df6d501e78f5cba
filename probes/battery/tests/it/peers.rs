//! Byte counts at which servers give up, on servers whose counts are known.

use std::net::SocketAddr;

use commucat_battery::{Runner, Thresholds};
use commucat_net::SystemNet;
use commucat_transport_api::HostPort;
use tokio::io::AsyncReadExt as _;

use crate::support::quick;

/// A server that closes when it has read this many bytes, whatever they are.
async fn closes_after(count: usize) -> SocketAddr {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _peer)) = listener.accept().await {
            tokio::spawn(async move {
                let mut buffer = vec![0; count];
                // The kernel says FIN when all was read, and RST when bytes are left.
                stream.read_exact(&mut buffer).await.ok();
            });
        }
    });
    at
}

async fn thresholds(at: SocketAddr) -> Thresholds {
    Runner::new(SystemNet::new(), quick()).thresholds(&HostPort::from(at), 4).await
}

#[tokio::test]
async fn the_counts_of_a_server_are_found_exactly() {
    for count in [1, 5, 50, 1023] {
        let found = thresholds(closes_after(count).await).await;
        assert_eq!((found.close, found.reset), (Some(count), Some(count + 1)));
        assert!(found.reset_is_steady);
    }
    let found = thresholds(closes_after(5000).await).await;
    assert_eq!((found.close, found.reset, found.tried), (None, None, 1024));
}
