//! The listening end: every connection is a visit to the target, until its hello shows that it is ours.

mod meeting;

use std::{
    io,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError, RwLock},
    time::{Duration, Instant},
};

use aws_lc_rs::signature::Ed25519KeyPair;
use commucat_mimic::Responder;
use commucat_transport_api::{
    AcceptError, Accepted, BoxFuture, BoxStream, Channel, ConfigError, ConfigProblem, Cx, HostPort, Incoming,
    Layered, ListenError, Listener, Net, Server, Spec, StreamPort, Target, User, UserTable, abort,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    sync::{Notify, Semaphore},
};

use self::meeting::Meeting;
use crate::{
    ID,
    certificate::{CERTIFICATE_BYTES, ML_DSA_CERTIFICATE_BYTES},
    config::ServerConfig,
    cover,
    hellos::Browsers,
    replay::ReplayCache,
    target::{
        self, Class, Profile, TargetError,
        dials::{Dials, Keeper},
    },
    tls::TlsStream,
    users::Users,
    vless::{
        Command, Flow, MAX_REQUEST_BYTES, Request, datagrams::VlessDatagrams, resume::Associations,
        stream::VlessStream, vision::stream::VisionStream, without_route,
    },
};

/// A request must be complete this long after the handshake.
const REQUEST_TIME: Duration = Duration::from_secs(30);
/// The least time between two looks at the target.
const LOOK_EVERY: Duration = Duration::from_secs(60);
/// Connections whose hello or request is still being read. Beyond it the newest are reset.
const MAX_HANDSHAKES: usize = 16_384;

/// A configured server.
#[derive(Debug)]
pub(crate) struct RealityServer {
    config: Arc<ServerConfig>,
    users: Arc<UserTable>,
    listen: HostPort,
}

/// What all connections of a listener share.
#[derive(Debug)]
struct Shared {
    config: Arc<ServerConfig>,
    users: Users,
    net: Arc<dyn Net>,
    /// The key of this listener's certificates.
    key: Ed25519KeyPair,
    profiles: RwLock<Vec<(Class, Profile)>>,
    /// When the target was looked at again.
    looked: Mutex<Option<Instant>>,
    replays: ReplayCache,
    dials: Arc<Dials>,
    associations: Arc<Associations>,
    handshakes: Arc<Semaphore>,
    strangers: Arc<Semaphore>,
}

impl RealityServer {
    pub(crate) fn new(spec: &Spec, users: &Arc<UserTable>, browsers: &Browsers) -> Result<Self, ConfigError> {
        let config = Arc::new(ServerConfig::from_spec(spec, browsers)?);
        Ok(Self { config, users: Arc::clone(users), listen: spec.endpoint.clone() })
    }

    async fn bind(&self, cx: &Cx) -> Result<RealityListener, ListenError> {
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
        let port = cx.net.listen_stream(local).await.map_err(bind)?;
        let profiles = learn(&self.config, &cx.net)
            .await
            .map_err(|error| ConfigError::with_source(Some("target"), ConfigProblem::BadValue, error))?;
        let key = new_key(&*cx.net).map_err(bind)?;
        let dials = Dials::new(Arc::clone(&cx.net), self.config.target.clone(), self.config.dials);
        let keeper = dials.keep_ready();
        let shared = Arc::new(Shared {
            config: Arc::clone(&self.config),
            users: Users::new(&self.users),
            net: Arc::clone(&cx.net),
            key,
            profiles: RwLock::new(profiles),
            looked: Mutex::new(None),
            replays: ReplayCache::new(self.config.max_time_diff),
            dials,
            associations: Associations::new(Arc::clone(&cx.net)),
            handshakes: Arc::new(Semaphore::new(MAX_HANDSHAKES)),
            strangers: Arc::new(Semaphore::new(cover::MAX_STRANGERS)),
        });
        Ok(RealityListener { port, shared, _keeper: keeper })
    }
}

/// Looks at the target as each class of browser; a target that none of them can be imitated at is refused.
async fn learn(config: &ServerConfig, net: &Arc<dyn Net>) -> Result<Vec<(Class, Profile)>, TargetError> {
    let name = config.server_names.first().map_or("", String::as_str);
    let ml_dsa = config.ml_dsa_65.is_some();
    let certificate = if ml_dsa { ML_DSA_CERTIFICATE_BYTES } else { CERTIFICATE_BYTES };
    let look = |class| Box::pin(target::learn(&**net, &config.target, name, class, &config.browsers));
    let [none, http1, http2] = Class::ALL;
    let (of_none, of_http1, of_http2) = tokio::join!(look(none), look(http1), look(http2));
    let (mut learnt, mut failed) = (Vec::new(), TargetError::Silent);
    for (class, outcome) in [(none, of_none), (http1, of_http1), (http2, of_http2)] {
        match outcome {
            Ok(profile) if !profile.holds(certificate) => failed = TargetError::TooShort { ml_dsa },
            Ok(profile) => learnt.push((class, profile)),
            Err(error) => failed = error,
        }
    }
    if learnt.is_empty() { Err(failed) } else { Ok(learnt) }
}

impl Shared {
    /// Looks at the target again, when what it sends is no longer what was learnt: a new certificate changes lengths. At
    /// most one look a minute.
    async fn learn_again(&self) {
        let now = self.net.now();
        {
            let mut looked = self.looked.lock().unwrap_or_else(PoisonError::into_inner);
            if looked.is_some_and(|before| now.saturating_duration_since(before) < LOOK_EVERY) {
                return;
            }
            *looked = Some(now);
        }
        match learn(&self.config, &self.net).await {
            Ok(fresh) => *self.profiles.write().unwrap_or_else(PoisonError::into_inner) = fresh,
            Err(why) => tracing::warn!(%why, "the target of a REALITY endpoint can no longer be imitated"),
        }
    }
}

/// The key of a listener's certificates: its own, for as long as it listens.
fn new_key(net: &dyn Net) -> io::Result<Ed25519KeyPair> {
    let mut seed = zeroize::Zeroizing::new([0; 32]);
    net.fill_random(&mut *seed)?;
    Ed25519KeyPair::from_seed_unchecked(&*seed).map_err(io::Error::other)
}

impl Server for RealityServer {
    fn listen<'a>(&'a self, cx: &'a Cx) -> BoxFuture<'a, Result<Box<dyn Listener>, ListenError>> {
        Box::pin(async move { Ok(Box::new(self.bind(cx).await?) as Box<dyn Listener>) })
    }

    fn client_spec(&self, public: &HostPort, user: &User) -> Result<Spec, ConfigError> {
        Spec::new(ID, public.clone(), self.config.client_params(user)?)
    }
}

/// A listening server.
#[derive(Debug)]
struct RealityListener {
    port: Box<dyn StreamPort>,
    shared: Arc<Shared>,
    /// Connections to the target are made ready while there is a listener.
    _keeper: Keeper,
}

impl Listener for RealityListener {
    fn local_addr(&self) -> Option<SocketAddr> {
        self.port.local_addr().ok()
    }

    fn accept(&mut self) -> BoxFuture<'_, Result<Box<dyn Incoming>, ListenError>> {
        Box::pin(async move {
            let (io, peer) = self.port.accept().await.map_err(ListenError::Accept)?;
            let shared = Arc::clone(&self.shared);
            let stranger = Arc::new(Notify::new());
            Ok(Box::new(TcpIncoming { io, peer, shared, stranger }) as Box<dyn Incoming>)
        })
    }
}

/// A connection of which no byte was looked at.
#[derive(Debug)]
struct TcpIncoming {
    io: BoxStream,
    peer: SocketAddr,
    shared: Arc<Shared>,
    /// Rung once the connection is a stranger's.
    stranger: Arc<Notify>,
}

impl Incoming for TcpIncoming {
    fn peer(&self) -> Option<SocketAddr> {
        Some(self.peer)
    }

    fn became_stranger(&self) -> BoxFuture<'static, ()> {
        let stranger = Arc::clone(&self.stranger);
        Box::pin(async move { stranger.notified().await })
    }

    fn handshake(self: Box<Self>) -> BoxFuture<'static, Result<Accepted, AcceptError>> {
        Box::pin(async move {
            let Self { io, shared, stranger, .. } = *self;
            let Ok(slot) = Arc::clone(&shared.handshakes).try_acquire_owned() else {
                abort(io);
                return Err(AcceptError::Limit("connections in their handshake"));
            };
            let stream = Meeting::new(io, Arc::clone(&shared), slot, stranger).run().await?;
            accept(stream, &shared).await
        })
    }
}

/// Reads the request inside.
async fn accept(mut stream: TlsStream<Responder>, shared: &Shared) -> Result<Accepted, AcceptError> {
    let mut bytes = Vec::new();
    let reading = read_request(&mut stream, &mut bytes);
    let request = within(&*shared.net, REQUEST_TIME, reading)
        .await
        .ok_or(AcceptError::Limit("time for the request"))??;
    // Who has the bridge's key and no user id hears no answer: the stream ends, in order, without a byte.
    let Some(user) = shared.users.find(&request.user) else {
        within(&*shared.net, REQUEST_TIME, stream.shutdown()).await;
        return Err(AcceptError::Unauthenticated);
    };
    if shared.users.is_full() {
        return Err(AcceptError::Limit("channels of the bridge"));
    }
    let (channel, target) = open(stream, request, bytes, shared).map_err(AcceptError::Io)?;
    Ok(Accepted::new(channel, target).with_user(Some(user)))
}

/// What the request asks for, over the stream whose bytes behind the request are `ahead`.
fn open(
    stream: TlsStream<Responder>,
    request: Request,
    ahead: Vec<u8>,
    shared: &Shared,
) -> io::Result<(Channel, Target)> {
    let flow = Flow::of(&request.flow).ok_or(io::ErrorKind::Unsupported)?;
    let stream: BoxStream = match flow {
        Flow::Plain => Box::new(VlessStream::accepted(Box::new(stream), ahead)),
        Flow::Vision | Flow::VisionUdp443 => {
            Layered::boxed(VisionStream::accepted(stream, &ahead, request.user, &shared.net)?)
        }
    };
    match (request.command, request.address) {
        (Command::Tcp, Some(address)) => Ok((Channel::Stream(stream), Target::from_address(address))),
        (Command::Mux, _) => {
            let place = shared.associations.place(without_route(request.user));
            Ok((Channel::Datagrams(Box::new(VlessDatagrams::accepted(stream, place))), Target::Datagrams))
        }
        // Vision has no framing of its own for datagrams.
        (Command::Udp, Some(peer)) if flow == Flow::Plain => {
            Ok((Channel::Datagrams(Box::new(VlessDatagrams::fixed(stream, peer))), Target::Datagrams))
        }
        (Command::Tcp | Command::Udp, _) => Err(io::ErrorKind::Unsupported.into()),
    }
}

/// Reads until the request is whole; what came behind it stays in `bytes`.
async fn read_request(
    stream: &mut TlsStream<Responder>,
    bytes: &mut Vec<u8>,
) -> Result<Request, AcceptError> {
    loop {
        let mut rest = bytes.as_slice();
        let decoded = Request::decode(&mut rest).map_err(|_error| AcceptError::Unauthenticated)?;
        if let Some(request) = decoded {
            *bytes = rest.to_vec();
            return Ok(request);
        }
        let mut chunk = [0; MAX_REQUEST_BYTES];
        let count = stream.read(&mut chunk).await.map_err(AcceptError::Io)?;
        if count == 0 {
            return Err(AcceptError::Io(io::ErrorKind::UnexpectedEof.into()));
        }
        bytes.extend_from_slice(chunk.get(..count).unwrap_or_default());
    }
}

async fn within<T>(net: &dyn Net, time: Duration, future: impl Future<Output = T>) -> Option<T> {
    let mut timer = net.sleep_until(net.now() + time);
    let mut future = std::pin::pin!(future);
    std::future::poll_fn(|cx| {
        if let std::task::Poll::Ready(value) = future.as_mut().poll(cx) {
            return std::task::Poll::Ready(Some(value));
        }
        timer.as_mut().poll(cx).map(|()| None)
    })
    .await
}
