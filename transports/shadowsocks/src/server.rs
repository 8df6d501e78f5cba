//! The listening end: one port for TCP and UDP, two-step accept, silence for strangers.

use std::{
    future::poll_fn,
    io,
    net::SocketAddr,
    sync::Arc,
    task::{Context, Poll},
    time::{Duration, Instant},
};

use commucat_transport_api::{
    AcceptError, Accepted, BoxFuture, BoxStream, Channel, ConfigError, Cx, HostPort, Incoming, ListenError,
    Listener, Net, Server, Spec, StreamPort, Target, User, UserTable,
};
use tokio::{io::AsyncWriteExt as _, sync::Semaphore};

use crate::{
    ID,
    buffer::Inbox,
    config::ServerConfig,
    cover,
    credentials::ServerKeys,
    handshake::{Judge, Reject, Request, RequestReader},
    method::{Edition, Method},
    replay::SaltCache,
    stream::{
        SsStream,
        heads::{ResponseOpening, random_salt},
    },
    udp::{
        demux::{Demux, NewSession},
        port::SharedPort,
    },
};

/// A request must be complete this long after its connection began.
const HANDSHAKE_TIME: Duration = Duration::from_secs(30);
/// Connections whose request is still being read. Beyond it the newest are closed.
const MAX_HANDSHAKES: usize = 32_768;
/// How long a client of a full bridge may take to hear so.
const TURN_AWAY_TIME: Duration = Duration::from_secs(5);
/// Tries to find one number that is free for TCP and UDP when the system chooses the port.
const PORT_TRIES: usize = 16;

/// A configured server.
#[derive(Debug)]
pub(crate) struct SsServer {
    config: ServerConfig,
    users: Arc<UserTable>,
    listen: HostPort,
}

/// What all connections of a listener share.
#[derive(Debug)]
struct Shared {
    method: Method,
    keys: Arc<ServerKeys>,
    users: Arc<UserTable>,
    net: Arc<dyn Net>,
    salts: SaltCache,
    handshakes: Arc<Semaphore>,
    strangers: Arc<Semaphore>,
}

impl SsServer {
    pub(crate) fn new(spec: &Spec, users: &Arc<UserTable>) -> Result<Self, ConfigError> {
        let config = ServerConfig::from_spec(spec, users)?;
        Ok(Self { config, users: Arc::clone(users), listen: spec.endpoint.clone() })
    }

    async fn bind(&self, net: &Arc<dyn Net>, local: SocketAddr) -> io::Result<SsListener> {
        let mode = self.config.mode;
        let mut last = None;
        for _ in 0..PORT_TRIES {
            let stream = if mode.tcp() { Some(net.listen_stream(local).await?) } else { None };
            let mut at = local;
            if let Some(Ok(address)) = stream.as_ref().map(|port| port.local_addr()) {
                at.set_port(address.port());
            }
            let datagram = if mode.udp() { Some(net.bind_datagram(at).await) } else { None };
            match datagram {
                Some(Ok(port)) => return self.listener(net, stream, Some(SharedPort::new(port))),
                // A carrier has streams only.
                Some(Err(error)) if mode.tcp() && error.kind() == io::ErrorKind::Unsupported => {
                    return self.listener(net, stream, None);
                }
                Some(Err(error)) if local.port() == 0 && error.kind() == io::ErrorKind::AddrInUse => {
                    last = Some(error);
                }
                Some(Err(error)) => return Err(error),
                None => return self.listener(net, stream, None),
            }
        }
        Err(last.unwrap_or_else(|| io::ErrorKind::AddrInUse.into()))
    }

    fn listener(
        &self,
        net: &Arc<dyn Net>,
        stream: Option<Box<dyn StreamPort>>,
        datagram: Option<SharedPort>,
    ) -> io::Result<SsListener> {
        let method = self.config.method;
        let salts = match method.edition() {
            Edition::V2022 => SaltCache::timed(net.now()),
            Edition::V2017 => SaltCache::untimed(net.now()),
        };
        let (keys, users) = (Arc::clone(&self.config.keys), Arc::clone(&self.users));
        let demux = datagram
            .map(|port| {
                Demux::new(
                    Arc::new(port),
                    method,
                    self.config.udp_idle,
                    Arc::clone(&keys),
                    Arc::clone(&users),
                    Arc::clone(net),
                )
            })
            .transpose()
            .map_err(io::Error::other)?;
        let shared = Arc::new(Shared {
            method,
            keys,
            users,
            net: Arc::clone(net),
            salts,
            handshakes: Arc::new(Semaphore::new(MAX_HANDSHAKES)),
            strangers: Arc::new(Semaphore::new(cover::MAX_STRANGERS)),
        });
        Ok(SsListener { stream, demux, shared, datagrams_first: false })
    }
}

impl Server for SsServer {
    fn listen<'a>(&'a self, cx: &'a Cx) -> BoxFuture<'a, Result<Box<dyn Listener>, ListenError>> {
        Box::pin(async move {
            let bind = |source| ListenError::Bind { address: self.listen.clone(), source };
            let local = match self.listen.socket_addr() {
                Some(address) => address,
                None => cx
                    .net
                    .resolve(&self.listen)
                    .await
                    .map_err(bind)?
                    .first()
                    .copied()
                    .ok_or_else(|| bind(io::ErrorKind::AddrNotAvailable.into()))?,
            };
            let listener = self.bind(&cx.net, local).await.map_err(bind)?;
            Ok(Box::new(listener) as Box<dyn Listener>)
        })
    }

    fn client_spec(&self, public: &HostPort, user: &User) -> Result<Spec, ConfigError> {
        Spec::new(ID, public.clone(), self.config.client_params(user)?)
    }
}

/// A listening server.
#[derive(Debug)]
struct SsListener {
    stream: Option<Box<dyn StreamPort>>,
    demux: Option<Demux>,
    shared: Arc<Shared>,
    /// Turns with every accept.
    datagrams_first: bool,
}

impl Listener for SsListener {
    fn local_addr(&self) -> Option<SocketAddr> {
        match (&self.stream, &self.demux) {
            (Some(stream), _) => stream.local_addr().ok(),
            (None, Some(demux)) => demux.port.port().local_addr().ok(),
            (None, None) => None,
        }
    }

    fn accept(&mut self) -> BoxFuture<'_, Result<Box<dyn Incoming>, ListenError>> {
        Box::pin(async move {
            let Self { stream, demux, shared, datagrams_first } = self;
            // A flood of one kind must not keep the other out.
            *datagrams_first = !*datagrams_first;
            let mut connection = stream.as_mut().map(|stream| stream.accept());
            let mut poll_datagrams = |cx: &mut Context<'_>| match demux {
                Some(demux) => {
                    demux.poll_new(cx).map_ok(|new| Box::new(UdpIncoming(new)) as Box<dyn Incoming>)
                }
                None => Poll::Pending,
            };
            poll_fn(|cx| {
                if *datagrams_first && let Poll::Ready(new) = poll_datagrams(cx) {
                    return Poll::Ready(new);
                }
                if let Some(connection) = &mut connection
                    && let Poll::Ready(accepted) = connection.as_mut().poll(cx)
                {
                    return Poll::Ready(accepted.map(|(io, peer)| TcpIncoming::boxed(io, peer, shared)));
                }
                if *datagrams_first { Poll::Pending } else { poll_datagrams(cx) }
            })
            .await
            .map_err(ListenError::Accept)
        })
    }
}

/// A datagram session: its first packet has verified already.
#[derive(Debug)]
struct UdpIncoming(NewSession);

impl Incoming for UdpIncoming {
    fn peer(&self) -> Option<SocketAddr> {
        Some(self.0.client)
    }

    fn handshake(self: Box<Self>) -> BoxFuture<'static, Result<Accepted, AcceptError>> {
        Box::pin(async move {
            let NewSession { channel, user, .. } = self.0;
            Ok(Accepted::new(Channel::Datagrams(Box::new(channel)), Target::Datagrams)
                .with_user(user.id.clone()))
        })
    }
}

/// A connection of which no byte was looked at.
#[derive(Debug)]
struct TcpIncoming {
    io: BoxStream,
    peer: SocketAddr,
    began: Instant,
    closing: Instant,
    shared: Arc<Shared>,
}

/// Why a request was not read to its end.
enum Failed {
    Rejected(Reject),
    /// The peer ended or broke the connection.
    Io(io::Error),
    Late,
}

impl TcpIncoming {
    fn boxed(io: BoxStream, peer: SocketAddr, shared: &Arc<Shared>) -> Box<dyn Incoming> {
        let (began, closing) = (shared.net.now(), cover::closing_time(&*shared.net));
        Box::new(Self { io, peer, began, closing, shared: Arc::clone(shared) })
    }

    async fn read_request(&mut self, inbox: &mut Inbox) -> Result<Request, Failed> {
        let mut timer = self.shared.net.sleep_until(self.began + HANDSHAKE_TIME);
        let mut reader = RequestReader::default();
        loop {
            let count = poll_fn(|cx| match timer.as_mut().poll(cx) {
                Poll::Ready(()) => Poll::Ready(Err(Failed::Late)),
                Poll::Pending => inbox.poll_fill(cx, &mut self.io).map_err(Failed::Io),
            })
            .await?;
            if count == 0 {
                return Err(Failed::Io(io::ErrorKind::UnexpectedEof.into()));
            }
            let judge = Judge {
                method: self.shared.method,
                keys: &self.shared.keys,
                salts: &self.shared.salts,
                peer: Some(self.peer.ip()),
                now: self.shared.net.now(),
                unix_time: self.shared.net.unix_time(),
            };
            if let Some(request) = reader.step(inbox, &judge).map_err(Failed::Rejected)? {
                return Ok(request);
            }
        }
    }

    fn stream(self, request: Request, inbox: Inbox) -> io::Result<SsStream> {
        let Shared { method, net, salts, .. } = &*self.shared;
        let salt = random_salt(*method, &[], &**net)?;
        if method.edition() == Edition::V2017 {
            // It has no types: our own answer, sent back to us, must not pass for a request.
            salts.check(salt.as_slice(), net.now());
        }
        let response = ResponseOpening {
            method: *method,
            key: request.user.key.clone(),
            net: Arc::clone(net),
            request_salt: request.salt,
            salt,
        };
        Ok(SsStream::server(self.io, request.opener, response, inbox, self.began))
    }
}

impl Incoming for TcpIncoming {
    fn peer(&self) -> Option<SocketAddr> {
        Some(self.peer)
    }

    fn handshake(mut self: Box<Self>) -> BoxFuture<'static, Result<Accepted, AcceptError>> {
        Box::pin(async move {
            let Ok(slot) = Arc::clone(&self.shared.handshakes).try_acquire_owned() else {
                return Err(AcceptError::Limit("connections in their handshake"));
            };
            let mut inbox = Inbox::default();
            let request = match self.read_request(&mut inbox).await {
                Ok(request) => request,
                Err(failed) => {
                    drop((slot, inbox));
                    return Err(refuse(*self, failed).await);
                }
            };
            drop(slot);
            let (user, target) = (request.user.id.clone(), Target::from_address(request.address.clone()));
            let shared = Arc::clone(&self.shared);
            let stream = self.stream(request, inbox).map_err(AcceptError::Io)?;
            if shared.users.is_full() {
                turn_away(stream, &shared).await.map_err(AcceptError::Io)?;
                return Err(AcceptError::Limit("channels of the bridge"));
            }
            Ok(Accepted::new(Channel::Stream(Box::new(stream)), target).with_user(user))
        })
    }
}

/// Answers without bytes: the client learns that its key is good and that nothing will come.
async fn turn_away(mut stream: SsStream, shared: &Shared) -> io::Result<()> {
    stream.shutdown().await?;
    // What it sends meanwhile is taken, so that the answer is not lost to a reset.
    let until = shared.net.now() + TURN_AWAY_TIME;
    cover::listen_silently(Box::new(stream), until, &*shared.net, &shared.strangers).await;
    Ok(())
}

async fn refuse(incoming: TcpIncoming, failed: Failed) -> AcceptError {
    let error = match failed {
        Failed::Io(error) => return AcceptError::Io(error),
        Failed::Late => AcceptError::Limit("time for the handshake"),
        Failed::Rejected(Reject::Replayed) => AcceptError::Replayed,
        Failed::Rejected(Reject::CacheFull) => AcceptError::Limit("salts to remember"),
        Failed::Rejected(reject) => {
            tracing::debug!(%reject, "a request was refused");
            AcceptError::Unauthenticated
        }
    };
    let TcpIncoming { io, closing, shared, .. } = incoming;
    cover::listen_silently(io, closing, &*shared.net, &shared.strangers).await;
    error
}
