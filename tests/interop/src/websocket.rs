//! A WebSocket bridge that echoes, its clients, and certificates for the programs around them.

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use anyhow::{Context as _, anyhow};
use commucat_net::SystemNet;
use commucat_transport_api::{
    BoxStream, Cx, DialError, HostPort, Net, PluggableTransport as _, Secret, Server, Spec, Target, User,
    UserTable,
};
use commucat_websocket::{ID, WebSocket};
use serde_json::{Map, Value};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
    sync::mpsc,
    task::{JoinHandle, JoinSet},
};

/// Longest time of a dial.
const DIAL_BUDGET: Duration = Duration::from_secs(20);
/// Bytes of each stream that are kept for the test to look at.
const KEPT_BYTES: usize = 256 * 1024;

/// A bridge on loopback. Its one user is `anna`.
#[derive(Debug)]
pub struct EchoBridge {
    /// Where it listens.
    pub at: SocketAddr,
    /// What every finished stream carried.
    pub carried: mpsc::Receiver<Vec<u8>>,
    server: Arc<dyn Server>,
    task: JoinHandle<()>,
}

impl EchoBridge {
    /// Starts a bridge with fresh parameters and these over them.
    ///
    /// # Errors
    /// The parameters are no good, or the system has no port.
    pub async fn start(over: Value) -> anyhow::Result<Self> {
        let transport = WebSocket::new();
        let mut params = transport.generate_server_params()?;
        merge(&mut params, over)?;
        let users = Arc::new(UserTable::new(vec![user("anna", 1)?]));
        let spec = Spec::new(ID, SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into(), params)?;
        let server = transport.server(&spec, &users)?;
        let mut listener = server.listen(&cx()).await?;
        let at = listener.local_addr().context("no address")?;
        let (tell, carried) = mpsc::channel(64);
        let task = tokio::spawn(async move {
            let mut running = JoinSet::new();
            while let Ok(incoming) = listener.accept().await {
                let tell = tell.clone();
                running.spawn(async move {
                    let Ok(accepted) = incoming.handshake().await else { return };
                    if let Ok(stream) = accepted.channel.into_stream() {
                        drop(tell.send(echo(stream).await).await);
                    }
                });
            }
        });
        Ok(Self { at, carried, server, task })
    }

    /// The spec of a user with these parameters over it.
    ///
    /// # Errors
    /// The parameters are no good.
    pub fn spec(&self, user: &User, over: Value) -> anyhow::Result<Spec> {
        let mut spec = self.server.client_spec(&HostPort::from(self.at), user)?;
        merge(&mut spec.params, over)?;
        Ok(spec)
    }
}

impl Drop for EchoBridge {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A user of that name; his secret follows from one byte.
///
/// # Errors
/// The name is none.
pub fn user(name: &str, secret: u8) -> anyhow::Result<User> {
    Ok(User { id: name.parse()?, secret: Secret::new([secret; 32]) })
}

/// A context over real sockets.
pub fn cx() -> Cx {
    Cx::new(SystemNet::new(), DIAL_BUDGET)
}

/// Dials with a spec.
///
/// # Errors
/// As the dial.
pub async fn dial(spec: &Spec, target: &Target) -> Result<BoxStream, DialError> {
    let opened = WebSocket::new().client(spec)?.dial(&cx(), target).await?;
    opened.channel.into_stream().map_err(|_other| DialError::UnsupportedTarget)
}

/// Sends bytes and reads as many back, both at once.
///
/// # Errors
/// The stream failed, or gave other bytes.
pub async fn check_echo(
    stream: impl tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
    length: usize,
) -> anyhow::Result<()> {
    let sent: Vec<u8> = (0..length).map(|at| at.wrapping_mul(31).to_le_bytes()[0]).collect();
    let (mut read, mut write_end) = tokio::io::split(stream);
    let mut back = vec![0; length];
    let write = async {
        write_end.write_all(&sent).await?;
        write_end.flush().await
    };
    let both = async { tokio::try_join!(write, read.read_exact(&mut back)) };
    tokio::time::timeout(Duration::from_secs(60), both).await.context("no echo in time")??;
    write_end.shutdown().await?;
    if back == sent { Ok(()) } else { Err(anyhow!("the echo came changed")) }
}

/// A plain TCP server that echoes.
///
/// # Errors
/// The system has no port.
pub async fn tcp_echo() -> anyhow::Result<(SocketAddr, JoinHandle<()>)> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let at = listener.local_addr()?;
    let task = tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(async move { drop(echo(Box::new(stream)).await) });
        }
    });
    Ok((at, task))
}

/// Echoes to the end; gives the first bytes that came.
async fn echo(mut stream: BoxStream) -> Vec<u8> {
    let mut kept = Vec::new();
    let mut buf = vec![0; 64 * 1024];
    loop {
        let got = match stream.read(&mut buf).await {
            Ok(0) | Err(_) => break,
            Ok(got) => buf.get(..got).unwrap_or_default(),
        };
        let room = KEPT_BYTES - kept.len();
        kept.extend_from_slice(got.get(..room).unwrap_or(got));
        if stream.write_all(got).await.is_err() || stream.flush().await.is_err() {
            break;
        }
    }
    drop(stream.shutdown().await);
    kept
}

/// A self-signed certificate for `name`, as files.
#[derive(Debug)]
pub struct Certificate {
    /// The certificate, PEM.
    pub cert: PathBuf,
    /// Its key, PEM.
    pub key: PathBuf,
    /// Its SHA-256 as the `pin` parameter wants it.
    pub pin: String,
    _dir: tempfile::TempDir,
}

impl Certificate {
    /// Makes one.
    ///
    /// # Errors
    /// The files cannot be written.
    pub fn for_name(name: &str) -> anyhow::Result<Self> {
        let dir = tempfile::tempdir()?;
        let made = rcgen::generate_simple_self_signed([name.to_owned()])?;
        let (cert, key) = (dir.path().join("cert.pem"), dir.path().join("key.pem"));
        std::fs::write(&cert, made.cert.pem())?;
        std::fs::write(&key, made.signing_key.serialize_pem())?;
        let pin = pin_of(&cert, &key)?;
        Ok(Self { cert, key, pin, _dir: dir })
    }
}

/// The pin as a bridge with that certificate inline tells it.
fn pin_of(cert: &std::path::Path, key: &std::path::Path) -> anyhow::Result<String> {
    let transport = WebSocket::new();
    let mut params = transport.generate_server_params()?;
    let pem = |path| std::fs::read_to_string(path).map(Value::String);
    merge(&mut params, serde_json::json!({ "cert_pem": pem(cert)?, "key_pem": pem(key)? }))?;
    let at: HostPort = "127.0.0.1:1".parse()?;
    let server = transport.server(&Spec::new(ID, at.clone(), params)?, &Arc::new(UserTable::default()))?;
    let spec = server.client_spec(&at, &user("anna", 1)?)?;
    let pin = spec.params.get("pin").and_then(Value::as_str).context("no pin")?;
    Ok(pin.to_owned())
}

/// The value of `Sec-WebSocket-Protocol` that a client with this spec would send now: a token that was never used.
///
/// # Errors
/// The client sent no such thing.
pub async fn unused_token(spec: &Spec) -> anyhow::Result<String> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let mut spec = spec.clone();
    spec.endpoint = listener.local_addr()?.into();
    merge(&mut spec.params, serde_json::json!({ "tls": "off" }))?;
    let dial = tokio::spawn(async move { dial(&spec, &Target::Bridge).await.map(drop) });
    let (mut stream, _) = listener.accept().await?;
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await?);
    }
    dial.abort();
    let head = String::from_utf8(head)?;
    let token = head.lines().find_map(|line| line.strip_prefix("Sec-WebSocket-Protocol: "));
    Ok(token.context("no token")?.to_owned())
}

/// Lays an object over another.
///
/// # Errors
/// One of them is no object.
pub fn merge(params: &mut Value, over: Value) -> anyhow::Result<()> {
    let params: &mut Map<String, Value> = params.as_object_mut().context("no object")?;
    if let Value::Object(over) = over {
        params.extend(over);
    }
    Ok(())
}

/// The network of all tests here.
pub fn net() -> Arc<dyn Net> {
    SystemNet::new()
}
