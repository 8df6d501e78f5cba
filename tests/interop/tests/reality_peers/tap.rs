//! A wire that is listened to: it passes every byte on and keeps a copy of both directions.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream, tcp},
};

type Heard = Arc<Mutex<Vec<u8>>>;

/// What passed of one connection after the other.
pub(crate) struct Tap {
    pub(crate) address: SocketAddr,
    up: Heard,
    down: Heard,
}

impl Tap {
    /// Listens, and passes what comes on to that address.
    pub(crate) async fn start(to: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (up, down) = (Heard::default(), Heard::default());
        let tap = Self { address, up: Arc::clone(&up), down: Arc::clone(&down) };
        tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                let Ok(far) = TcpStream::connect(to).await else { continue };
                let ((near_read, near_write), (far_read, far_write)) = (near.into_split(), far.into_split());
                tokio::spawn(pass(near_read, far_write, Arc::clone(&up)));
                tokio::spawn(pass(far_read, near_write, Arc::clone(&down)));
            }
        });
        tap
    }

    /// A piece from the middle of what went up, and one of what came down.
    pub(crate) fn middles(&self) -> [Vec<u8>; 2] {
        [&self.up, &self.down].map(|heard| {
            let heard = heard.lock().unwrap();
            heard[heard.len() / 2..][..256].to_vec()
        })
    }

    /// Whether these pieces passed: the first one up, the second one down.
    pub(crate) fn heard(&self, pieces: &[Vec<u8>; 2]) -> [bool; 2] {
        let find = |heard: &Heard, piece: &[u8]| {
            let heard = heard.lock().unwrap();
            heard.windows(piece.len()).any(|window| window == piece)
        };
        [find(&self.up, &pieces[0]), find(&self.down, &pieces[1])]
    }
}

async fn pass(mut from: tcp::OwnedReadHalf, mut to: tcp::OwnedWriteHalf, heard: Heard) {
    let mut buffer = vec![0; 32 << 10];
    while let Ok(count @ 1..) = from.read(&mut buffer).await {
        heard.lock().unwrap().extend_from_slice(&buffer[..count]);
        if to.write_all(&buffer[..count]).await.is_err() {
            return;
        }
    }
    // The half-close goes on as one.
    to.shutdown().await.ok();
}
