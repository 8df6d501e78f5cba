//! The server of the reference transport.

use std::{
    collections::BTreeSet,
    io,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use commucat_transport_api::{
    AcceptError, Accepted, BoxFuture, BoxStream, Channel, ConfigError, Cx, HostPort, Incoming, ListenError,
    Listener, Server, Spec, StreamPort, Target, TargetError, User, UserId, UserTable,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    sync::OwnedMutexGuard,
};

use super::{
    DATAGRAMS_TYPE, Flaw, NONCE_BYTES, TAG_BYTES, UserKey, client_spec, datagrams::FramedDatagrams,
    masked::Masked, tag, user_key,
};

const NONCES_MAX: usize = 100_000;

#[derive(Debug)]
pub struct GatedServer {
    endpoint: HostPort,
    gate: Arc<Gate>,
}

#[derive(Debug)]
struct Gate {
    flaw: Flaw,
    users: Arc<UserTable>,
    at_start: Arc<[User]>,
    nonces: Mutex<BTreeSet<[u8; NONCE_BYTES]>>,
    served: AtomicUsize,
    kept: Mutex<Vec<Box<dyn StreamPort>>>,
    one_at_a_time: Arc<tokio::sync::Mutex<()>>,
}

#[derive(Debug)]
struct Port {
    port: Option<Box<dyn StreamPort>>,
    gate: Arc<Gate>,
}

#[derive(Debug)]
struct Guest(BoxStream, SocketAddr, Arc<Gate>);

impl GatedServer {
    pub fn new(flaw: Flaw, endpoint: HostPort, users: Arc<UserTable>) -> Self {
        let gate = Gate {
            flaw,
            at_start: users.snapshot(),
            users,
            nonces: Mutex::default(),
            served: AtomicUsize::new(0),
            kept: Mutex::default(),
            one_at_a_time: Arc::default(),
        };
        Self { endpoint, gate: Arc::new(gate) }
    }
}

impl Server for GatedServer {
    fn listen<'a>(&'a self, cx: &'a Cx) -> BoxFuture<'a, Result<Box<dyn Listener>, ListenError>> {
        Box::pin(async move {
            let bind = |source| ListenError::Bind { address: self.endpoint.clone(), source };
            let local = cx.net.resolve(&self.endpoint).await.map_err(bind)?[0];
            let port = Some(cx.net.listen_stream(local).await.map_err(bind)?);
            Ok(Box::new(Port { port, gate: Arc::clone(&self.gate) }) as Box<dyn Listener>)
        })
    }

    fn client_spec(&self, public: &HostPort, user: &User) -> Result<Spec, ConfigError> {
        let forgets = self.gate.flaw == Flaw::ForgetsPublic;
        client_spec(if forgets { &self.endpoint } else { public }, user)
    }
}

impl Listener for Port {
    fn local_addr(&self) -> Option<SocketAddr> {
        self.port.as_ref()?.local_addr().ok()
    }

    fn accept(&mut self) -> BoxFuture<'_, Result<Box<dyn Incoming>, ListenError>> {
        Box::pin(async move {
            let port = self.port.as_mut().ok_or(ListenError::Closed)?;
            let (stream, peer) = port.accept().await.map_err(ListenError::Accept)?;
            let served = self.gate.served.fetch_add(1, Ordering::Relaxed);
            if self.gate.flaw == Flaw::FewConnections && served >= 100 {
                std::future::pending::<()>().await;
            }
            Ok(Box::new(Guest(stream, peer, Arc::clone(&self.gate))) as Box<dyn Incoming>)
        })
    }
}

impl Drop for Port {
    fn drop(&mut self) {
        if self.gate.flaw == Flaw::KeepsPort {
            self.gate.kept.lock().unwrap().extend(self.port.take());
        }
    }
}

impl Incoming for Guest {
    fn peer(&self) -> Option<SocketAddr> {
        Some(self.1)
    }

    fn handshake(self: Box<Self>) -> BoxFuture<'static, Result<Accepted, AcceptError>> {
        Box::pin(async move {
            let Self(mut stream, _peer, gate) = *self;
            let mut hello = [0; NONCE_BYTES + TAG_BYTES];
            if gate.flaw == Flaw::WholeHelloInOneRead {
                let length = stream.read(&mut hello).await.map_err(AcceptError::Io)?;
                if length < hello.len() {
                    return Err(cover(stream, gate.flaw).await);
                }
            } else if let Err(error) = stream.read_exact(&mut hello).await {
                if gate.flaw == Flaw::StuckHandshake {
                    std::future::pending::<()>().await;
                }
                return Err(AcceptError::Io(error));
            }
            let Some((user, key)) = gate.check(&hello) else { return Err(cover(stream, gate.flaw).await) };
            let mut stream = Masked::server(stream, &key, &hello[..NONCE_BYTES], gate.flaw);
            let target = read_target(&mut stream).await?;
            let channel = match target {
                Target::Datagrams => {
                    Channel::Datagrams(Box::new(FramedDatagrams::new(Box::new(stream), gate.flaw)))
                }
                _ if gate.flaw == Flaw::SlowHoldsAll => {
                    let guard = Arc::clone(&gate.one_at_a_time).lock_owned().await;
                    Channel::Stream(Box::new(Holding(stream, guard)))
                }
                _ => Channel::Stream(Box::new(stream)),
            };
            let target = if gate.flaw == Flaw::WrongTarget { wrong(target) } else { target };
            let user = (gate.flaw != Flaw::NoUser).then_some(user);
            Ok(Accepted::new(channel, target).with_user(user))
        })
    }
}

impl Gate {
    /// The user of a first flight that nobody sent before.
    fn check(&self, hello: &[u8; NONCE_BYTES + TAG_BYTES]) -> Option<(UserId, UserKey)> {
        let (nonce, seen) = hello.split_first_chunk::<NONCE_BYTES>()?;
        if self.flaw == Flaw::PanicsOnNoise && nonce[0] == 0xff {
            panic!("a nonce that begins with ff");
        }
        let users = if self.flaw == Flaw::KeepsRemovedUsers {
            Arc::clone(&self.at_start)
        } else {
            self.users.snapshot()
        };
        let found =
            users.iter().map(|user| (user, user_key(user))).find(|(_user, key)| tag(key, nonce) == seen);
        let (user, key) = match found {
            Some((user, key)) => (user.id.clone(), key),
            None if self.flaw == Flaw::AnySecret => (users.first()?.id.clone(), user_key(users.first()?)),
            None => return None,
        };
        let mut nonces = self.nonces.lock().unwrap();
        let fresh = nonces.len() < NONCES_MAX && nonces.insert(*nonce);
        (fresh || self.flaw == Flaw::AcceptsReplay).then_some((user, key))
    }
}

/// Reads until the stranger ends, and says nothing.
async fn cover(mut stream: BoxStream, flaw: Flaw) -> AcceptError {
    match flaw {
        Flaw::AnswersStrangers => drop(stream.write_all(b"go away\n").await),
        Flaw::ClosesOnStrangers => return AcceptError::Unauthenticated,
        _ => {}
    }
    let mut sink = [0; 1024];
    while let Ok(1..) = stream.read(&mut sink).await {}
    AcceptError::Unauthenticated
}

async fn read_target(stream: &mut Masked) -> Result<Target, AcceptError> {
    let mut bytes = Vec::new();
    loop {
        bytes.push(stream.read_u8().await.map_err(AcceptError::Io)?);
        if bytes == [DATAGRAMS_TYPE] {
            return Ok(Target::Datagrams);
        }
        match HostPort::decode(&mut &bytes[..]) {
            Ok(address) => return Ok(Target::from_address(address)),
            Err(TargetError::Incomplete) => {}
            Err(_) => return Err(AcceptError::Io(io::ErrorKind::InvalidData.into())),
        }
    }
}

/// The same service under another name.
fn wrong(target: Target) -> Target {
    match target {
        Target::Stream(address) => Target::Stream(HostPort::new("elsewhere.invalid", address.port).unwrap()),
        other => other,
    }
}

/// A channel that holds all others up.
#[derive(Debug)]
struct Holding(Masked, #[expect(dead_code, reason = "held, not read")] OwnedMutexGuard<()>);

mod holding {
    use std::{
        io,
        pin::Pin,
        task::{Context, Poll},
    };

    use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

    impl AsyncRead for super::Holding {
        fn poll_read(
            mut self: Pin<&mut Self>,
            cx: &mut Context<'_>,
            buf: &mut ReadBuf<'_>,
        ) -> Poll<io::Result<()>> {
            Pin::new(&mut self.0).poll_read(cx, buf)
        }
    }

    impl AsyncWrite for super::Holding {
        fn poll_write(
            mut self: Pin<&mut Self>,
            cx: &mut Context<'_>,
            data: &[u8],
        ) -> Poll<io::Result<usize>> {
            Pin::new(&mut self.0).poll_write(cx, data)
        }
        fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
            Pin::new(&mut self.0).poll_flush(cx)
        }
        fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
            Pin::new(&mut self.0).poll_shutdown(cx)
        }
    }
}
