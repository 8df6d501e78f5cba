//! A bridge that echoes, clients for it, and a network whose wall clock can be wrong.

use std::{
    io,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use commucat_net::SystemNet;
use commucat_shadowsocks::{ID, Shadowsocks};
use commucat_transport_api::{
    AcceptError, BoxFuture, BoxStream, Channel, Client, Cx, HostPort, Net, PluggableTransport as _, Secret,
    Server, Spec, StreamPort, Target, UdpPort, User, UserTable,
};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, ReadBuf},
    sync::mpsc,
};

/// A key of 16 bytes for tests.
pub(crate) const KEY_16: &str = "AAECAwQFBgcICQoLDA0ODw==";
/// A key of 32 bytes for tests.
pub(crate) const KEY_32: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

pub(crate) fn user(name: &str, byte: u8) -> User {
    User { id: name.parse().unwrap(), secret: Secret::new([byte; 32]) }
}

/// Server parameters of every method as this transport serves many users, and as it serves one.
pub(crate) fn all_servers() -> Vec<Value> {
    vec![
        json!({"method": "2022-blake3-aes-128-gcm", "key": KEY_16}),
        json!({"method": "2022-blake3-aes-256-gcm", "key": KEY_32, "prefix": "POST%20"}),
        json!({"method": "2022-blake3-chacha20-poly1305"}),
        json!({"method": "aes-128-gcm"}),
        json!({"method": "aes-256-gcm", "prefix": "%16%03%01"}),
        json!({"method": "chacha20-ietf-poly1305"}),
        json!({"method": "2022-blake3-aes-128-gcm", "key": KEY_16, "single_user": true}),
        json!({"method": "2022-blake3-chacha20-poly1305", "key": KEY_32, "single_user": true}),
        json!({"method": "chacha20-ietf-poly1305", "key": "a password", "single_user": true}),
    ]
}

/// What became of a connection.
pub(crate) type Outcome = Result<(Target, Option<String>), AcceptError>;

/// A bridge on loopback whose channels echo.
pub(crate) struct Bridge {
    pub(crate) address: SocketAddr,
    pub(crate) users: Arc<UserTable>,
    pub(crate) server: Arc<dyn Server>,
    pub(crate) outcomes: mpsc::Receiver<Outcome>,
    task: tokio::task::JoinHandle<()>,
}

impl Bridge {
    pub(crate) async fn start(params: Value, net: Arc<dyn Net>) -> Self {
        let users = Arc::new(UserTable::new(vec![user("anna", 1), user("ben", 2)]));
        let spec = Spec::new(ID, "127.0.0.1:0".parse().unwrap(), params).unwrap();
        let server = Shadowsocks::new().server(&spec, &users).unwrap();
        let cx = Cx::new(net, Duration::from_secs(30));
        let mut listener = server.listen(&cx).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (tell, outcomes) = mpsc::channel(1024);
        let task = tokio::spawn(async move {
            loop {
                let incoming = listener.accept().await.unwrap();
                let tell = tell.clone();
                tokio::spawn(async move {
                    match incoming.handshake().await {
                        Ok(accepted) => {
                            let user = accepted.user.map(|user| user.to_string());
                            tell.send(Ok((accepted.target, user))).await.ok();
                            echo(accepted.channel).await.ok();
                        }
                        Err(error) => tell.send(Err(error)).await.unwrap_or_default(),
                    }
                });
            }
        });
        Self { address, users, server, outcomes, task }
    }

    /// A client of the user, made from what the server hands out.
    pub(crate) fn client(&self, user: &User) -> Arc<dyn Client> {
        let spec = self.server.client_spec(&self.address.into(), user).unwrap();
        Shadowsocks::new().client(&spec).unwrap()
    }

    pub(crate) async fn outcome(&mut self) -> Outcome {
        tokio::time::timeout(Duration::from_secs(20), self.outcomes.recv()).await.unwrap().unwrap()
    }
}

impl Drop for Bridge {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn echo(channel: Channel) -> io::Result<()> {
    match channel {
        Channel::Stream(stream) => {
            let (mut read, mut write) = tokio::io::split(stream);
            let mut buffer = vec![0; 64 * 1024];
            loop {
                let count = read.read(&mut buffer).await?;
                if count == 0 {
                    return write.shutdown().await;
                }
                write.write_all(&buffer[..count]).await?;
                write.flush().await?;
            }
        }
        Channel::Datagrams(mut datagrams) => {
            let mut buffer = vec![0; 65_536];
            loop {
                let mut datagram = ReadBuf::new(&mut buffer);
                let peer = std::future::poll_fn(|cx| datagrams.poll_recv(cx, &mut datagram)).await?;
                let Some(peer) = peer else { return Ok(()) };
                std::future::poll_fn(|cx| datagrams.poll_send(cx, datagram.filled(), &peer)).await?;
            }
        }
        _ => panic!("no other channels here"),
    }
}

pub(crate) fn cx() -> Cx {
    Cx::new(SystemNet::new(), Duration::from_secs(20))
}

pub(crate) async fn dial(client: &dyn Client, cx: &Cx, target: &str) -> BoxStream {
    let target = Target::Stream(target.parse().unwrap());
    client.dial(cx, &target).await.unwrap().channel.into_stream().unwrap()
}

/// Sends `data` while it reads as much, and compares.
pub(crate) async fn exchange(stream: BoxStream, data: Vec<u8>) {
    let (mut read, mut write) = tokio::io::split(stream);
    let expected = data.clone();
    let writer = tokio::spawn(async move {
        write.write_all(&data).await.unwrap();
        write.shutdown().await.unwrap();
    });
    let mut heard = Vec::new();
    read.read_to_end(&mut heard).await.unwrap();
    writer.await.unwrap();
    assert!(heard == expected, "{} bytes came back of {}", heard.len(), expected.len());
}

/// Bytes that repeat late.
pub(crate) fn pattern(length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    blake3::Hasher::new().update(b"pattern").finalize_xof().fill(&mut bytes);
    bytes
}

/// The system's network with a wall clock of its own, and a record of what streams sent.
#[derive(Debug)]
pub(crate) struct OddNet {
    inner: Arc<dyn Net>,
    /// Seconds to add to the wall clock, or the fixed time.
    pub(crate) clock: Clock,
}

#[derive(Debug)]
pub(crate) enum Clock {
    Off(i64),
    Fixed(u64),
    /// A sequence that a test sets.
    Set(Mutex<u64>),
}

impl OddNet {
    pub(crate) fn new(clock: Clock) -> Arc<Self> {
        Arc::new(Self { inner: SystemNet::new(), clock })
    }
}

impl Net for OddNet {
    fn connect_stream<'a>(&'a self, to: &'a HostPort) -> BoxFuture<'a, io::Result<BoxStream>> {
        self.inner.connect_stream(to)
    }
    fn bind_datagram(&self, local: SocketAddr) -> BoxFuture<'_, io::Result<Box<dyn UdpPort>>> {
        self.inner.bind_datagram(local)
    }
    fn listen_stream(&self, local: SocketAddr) -> BoxFuture<'_, io::Result<Box<dyn StreamPort>>> {
        self.inner.listen_stream(local)
    }
    fn resolve<'a>(&'a self, to: &'a HostPort) -> BoxFuture<'a, io::Result<Vec<SocketAddr>>> {
        self.inner.resolve(to)
    }
    fn now(&self) -> Instant {
        self.inner.now()
    }
    fn unix_time(&self) -> Duration {
        match &self.clock {
            Clock::Off(seconds) => {
                let now = self.inner.unix_time();
                Duration::from_secs(now.as_secs().saturating_add_signed(*seconds))
            }
            Clock::Fixed(seconds) => Duration::from_secs(*seconds),
            Clock::Set(seconds) => Duration::from_secs(*seconds.lock().unwrap()),
        }
    }
    fn sleep_until(&self, at: Instant) -> BoxFuture<'static, ()> {
        self.inner.sleep_until(at)
    }
    fn fill_random(&self, bytes: &mut [u8]) -> io::Result<()> {
        self.inner.fill_random(bytes)
    }
}
