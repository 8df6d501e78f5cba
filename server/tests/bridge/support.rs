//! A bridge, its users and its targets, in a few lines each.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use commucat_bundle::Bundle;
use commucat_net::SystemNet;
use commucat_server::{Bridge, BridgeConfig, RunningBridge, StartError, Users, config::ConfigFormat};
use commucat_storage::{Dsn, Storage};
use commucat_transport_api::{
    BoxStream, Channel, Cx, DatagramChannel, DialError, HostPort, Net, Registry, Target, User,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

use crate::plain::Plain;

pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// One endpoint on a free port, everything of this machine reachable.
pub(crate) const BASIC: &str = "\
[server]
admin_bind = \"127.0.0.1:0\"
public = \"127.0.0.1\"
[egress]
allow_private = true
[[endpoints]]
transport = \"plain\"
listen = \"127.0.0.1:0\"
";

pub(crate) fn bundle() -> Bundle {
    let mut registry = Registry::default();
    registry.register(Plain::new()).unwrap();
    Bundle::new(registry)
}

pub(crate) fn net() -> Arc<dyn Net> {
    SystemNet::new()
}

pub(crate) fn config(text: &str) -> BridgeConfig {
    BridgeConfig::parse(text, ConfigFormat::Toml, None, std::iter::empty()).unwrap().0
}

pub(crate) struct World {
    pub(crate) bridge: RunningBridge,
    pub(crate) storage: Storage,
    pub(crate) users: Users,
    pub(crate) ann: User,
    pub(crate) dir: tempfile::TempDir,
}

impl World {
    pub(crate) async fn start(text: &str) -> Self {
        Self::try_start(text).await.unwrap()
    }

    pub(crate) async fn try_start(text: &str) -> Result<Self, StartError> {
        let dir = tempfile::tempdir().unwrap();
        let storage = Storage::open(&Dsn::sqlite(dir.path().join("x.db"))).await.unwrap();
        let users = Users::new(storage.clone(), "test");
        let ann = users.add("ann", "").await.unwrap();
        let bridge = Bridge::start(config(text), bundle(), net(), storage.clone()).await?;
        Ok(Self { bridge, storage, users, ann, dir })
    }

    pub(crate) fn endpoint(&self, at: usize) -> SocketAddr {
        self.bridge.endpoints()[at].listen.unwrap()
    }

    pub(crate) async fn dial(&self, user: &User, target: Target) -> Result<Channel, DialError> {
        dial(self.endpoint(0), user, target).await
    }

    /// A stream through the bridge to an address of this machine.
    pub(crate) async fn stream(&self, to: SocketAddr) -> BoxStream {
        self.dial(&self.ann, Target::Stream(to.into())).await.unwrap().into_stream().unwrap()
    }

    pub(crate) async fn datagrams(&self) -> Box<dyn DatagramChannel> {
        self.dial(&self.ann, Target::Datagrams).await.unwrap().into_datagrams().unwrap()
    }

    /// `GET path` on the admin bind: status and body.
    pub(crate) async fn admin(&self, path: &str, headers: &str) -> (u16, String) {
        get(Box::new(TcpStream::connect(self.bridge.admin_addr().unwrap()).await.unwrap()), path, headers)
            .await
    }

    /// The value of a line of `/metrics`.
    pub(crate) async fn metric(&self, line: &str) -> Option<f64> {
        let (_status, text) = self.admin("/metrics", "").await;
        text.lines().find_map(|found| found.strip_prefix(line)?.trim().parse().ok())
    }

    /// Waits until the bridge has dialled itself.
    pub(crate) async fn await_self_check(&self) {
        for _ in 0..400 {
            if self.bridge.readiness().endpoints.iter().all(|endpoint| endpoint.self_check == Some(true)) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        panic!("{:?}", self.bridge.readiness());
    }

    /// Waits until a metric has this value.
    pub(crate) async fn await_metric(&self, line: &str, value: f64) {
        for _ in 0..400 {
            if self.metric(line).await == Some(value) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        panic!(
            "{line} is {:?}, not {value}\n{}",
            self.metric(line).await,
            self.admin("/metrics", "").await.1
        );
    }
}

pub(crate) async fn dial(at: SocketAddr, user: &User, target: Target) -> Result<Channel, DialError> {
    let server = bundle().server(
        &commucat_transport_api::Spec::new(crate::plain::ID, at.into(), serde_json::json!({})).unwrap(),
        &Arc::default(),
    );
    let spec = server.unwrap().client_spec(&HostPort::from(at), user).unwrap();
    let client = bundle().client(&spec).unwrap();
    Ok(client.dial(&Cx::new(net(), PATIENCE), &target).await?.channel)
}

pub(crate) async fn get(mut stream: BoxStream, path: &str, headers: &str) -> (u16, String) {
    let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{headers}\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
}

/// Whether a text has this, not as a part of a longer word.
pub(crate) fn says(text: &str, private: &str) -> bool {
    let edge = |c: Option<char>| c.is_none_or(|c| !c.is_alphanumeric());
    text.match_indices(private).any(|(at, _found)| {
        edge(text[..at].chars().next_back()) && edge(text[at + private.len()..].chars().next())
    })
}

/// A server that gives everything back.
pub(crate) async fn echo() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _peer)) = listener.accept().await {
            tokio::spawn(async move {
                let (mut read, mut write) = stream.into_split();
                let mut chunk = vec![0; 16 * 1024];
                while let Ok(length @ 1..) = read.read(&mut chunk).await {
                    write.write_all(&chunk[..length]).await.unwrap();
                }
                write.shutdown().await.ok();
            });
        }
    });
    at
}

/// Whether a stream still carries bytes to an echo and back.
pub(crate) async fn is_alive(stream: &mut BoxStream) -> bool {
    if stream.write_all(b"ping").await.is_err() {
        return false;
    }
    let mut back = [0; 4];
    stream.read_exact(&mut back).await.is_ok() && back == *b"ping"
}

/// Waits until a stream has ended, and says whether it ended with a reset (and not as if it were finished).
pub(crate) async fn ended_with_reset(stream: &mut BoxStream) -> bool {
    let mut rest = Vec::new();
    tokio::time::timeout(PATIENCE, stream.read_to_end(&mut rest)).await.expect("the stream ends").is_err()
}
