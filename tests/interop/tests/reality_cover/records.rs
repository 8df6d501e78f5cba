//! The records that a server sends, as a listener on the wire sees them: kind and length.

use std::{
    error::Error as StdError,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use commucat_mimic::{
    CertificateVerifier, Client, ClientOptions, Event, NoRandomness, Presented, Template, Trust,
};
use commucat_net::SystemNet;
use commucat_transport_api::Net as _;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    time::timeout,
};

use crate::targets::NAME;

/// A server that was silent for so long said everything it says unasked.
const QUIET: Duration = Duration::from_millis(900);

/// Kind and length of a record, header included.
pub(crate) type Record = (u8, usize);

pub(crate) fn records(mut wire: &[u8]) -> Vec<Record> {
    let mut found = Vec::new();
    while let [kind, 3, _, high, low, rest @ ..] = wire {
        let length = usize::from(u16::from_be_bytes([*high, *low]));
        let Some(later) = rest.get(length..) else { break };
        found.push((*kind, length + 5));
        wire = later;
    }
    found
}

/// What a site sends to a browser that says nothing after its handshake.
pub(crate) async fn of_site(at: SocketAddr) -> Vec<Record> {
    let options = ClientOptions::new(Template::chromium_156().unwrap(), Some(NAME), Arc::new(Anybody));
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let net = SystemNet::new();
    let mut random = |bytes: &mut [u8]| net.fill_random(bytes).map_err(|_error| NoRandomness);
    let mut client = Client::new(options, now, &mut random).unwrap();
    let mut stream = TcpStream::connect(at).await.unwrap();
    let (mut heard, mut chunk, mut connected) = (Vec::new(), vec![0; 16 << 10], false);
    loop {
        let mut wire = Vec::new();
        client.poll_transmit(&mut wire);
        stream.write_all(&wire).await.unwrap();
        let Ok(count) = timeout(QUIET, stream.read(&mut chunk)).await else { break };
        let bytes = &chunk[..count.unwrap()];
        assert!(!bytes.is_empty(), "the site left");
        heard.extend_from_slice(bytes);
        client.handle_input(now, bytes).unwrap();
        while let Some(event) = client.poll_event() {
            connected |= matches!(event, Event::Connected { .. });
        }
    }
    assert!(connected);
    records(&heard)
}

/// A wire that keeps what comes down.
pub(crate) struct Wire {
    pub(crate) address: SocketAddr,
    heard: Arc<Mutex<Vec<u8>>>,
}

impl Wire {
    pub(crate) async fn start(to: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let heard = Arc::<Mutex<Vec<u8>>>::default();
        let wire = Self { address, heard: Arc::clone(&heard) };
        tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                let (mut near_read, mut near_write) = near.into_split();
                let (mut far_read, mut far_write) = TcpStream::connect(to).await.unwrap().into_split();
                let heard = Arc::clone(&heard);
                tokio::spawn(async move {
                    let mut chunk = vec![0; 16 << 10];
                    while let Ok(count @ 1..) = near_read.read(&mut chunk).await {
                        far_write.write_all(&chunk[..count]).await?;
                    }
                    far_write.shutdown().await
                });
                tokio::spawn(async move {
                    let mut chunk = vec![0; 16 << 10];
                    while let Ok(count @ 1..) = far_read.read(&mut chunk).await {
                        heard.lock().unwrap().extend_from_slice(&chunk[..count]);
                        near_write.write_all(&chunk[..count]).await?;
                    }
                    near_write.shutdown().await
                });
            }
        });
        wire
    }

    /// What came down, once it was quiet.
    pub(crate) async fn records(&self) -> Vec<Record> {
        tokio::time::sleep(QUIET).await;
        records(&self.heard.lock().unwrap())
    }
}

#[derive(Debug)]
struct Anybody;

impl CertificateVerifier for Anybody {
    fn verify(&self, _presented: &Presented<'_>) -> Result<Trust, Box<dyn StdError + Send + Sync>> {
        Ok(Trust::Own)
    }
}
