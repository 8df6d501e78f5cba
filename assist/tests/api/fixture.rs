//! A bridge without a bridge: a source with two endpoints whose transport is bare TCP, and a clock to turn.

use std::{
    net::SocketAddr,
    num::NonZeroU32,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use axum::{
    Router,
    body::Body,
    http::{Request, Response},
};
use commucat_assist::{
    Assist, AssistOptions, AssistSource, CheckPlan, CheckTarget, RateLimit, RatePlan, SelfCheck,
    ServedEndpoint, TunnelUser,
};
use commucat_net::SystemNet;
use commucat_proto::assist::Version;
use commucat_transport_api::{
    Addressing, BoxFuture, BoxStream, Channel, ChannelKinds, Client, ConfigError, Cx, Descriptor, DialError,
    HostPort, ListenError, Listener, Net, Opened, Phase, ProbeReport, Roles, Secret, Server, Spec,
    StreamPort, Target, TransportId, UdpPort, User, UserTable,
};
use serde_json::{Value, json};
use tower::ServiceExt as _;

/// The real network with a clock that stands still unless it is put forward; sleeping takes real time.
#[derive(Debug)]
pub(crate) struct TurnedNet {
    real: Arc<dyn Net>,
    begun: (Instant, Duration),
    ahead: Mutex<Duration>,
}

impl TurnedNet {
    pub(crate) fn new() -> Arc<Self> {
        let real: Arc<dyn Net> = SystemNet::new();
        let begun = (real.now(), real.unix_time());
        Arc::new(Self { real, begun, ahead: Mutex::default() })
    }

    pub(crate) fn forward(&self, by: Duration) {
        *self.ahead.lock().unwrap() += by;
    }

    fn ahead(&self) -> Duration {
        *self.ahead.lock().unwrap()
    }
}

impl Net for TurnedNet {
    fn connect_stream<'a>(&'a self, to: &'a HostPort) -> BoxFuture<'a, std::io::Result<BoxStream>> {
        self.real.connect_stream(to)
    }
    fn bind_datagram(&self, local: SocketAddr) -> BoxFuture<'_, std::io::Result<Box<dyn UdpPort>>> {
        self.real.bind_datagram(local)
    }
    fn listen_stream(&self, local: SocketAddr) -> BoxFuture<'_, std::io::Result<Box<dyn StreamPort>>> {
        self.real.listen_stream(local)
    }
    fn resolve<'a>(&'a self, to: &'a HostPort) -> BoxFuture<'a, std::io::Result<Vec<SocketAddr>>> {
        self.real.resolve(to)
    }
    fn now(&self) -> Instant {
        self.begun.0 + self.ahead()
    }
    fn unix_time(&self) -> Duration {
        self.begun.1 + self.ahead()
    }
    fn sleep_until(&self, at: Instant) -> BoxFuture<'static, ()> {
        self.real.sleep_until(self.real.now() + at.saturating_duration_since(self.now()))
    }
    fn fill_random(&self, bytes: &mut [u8]) -> std::io::Result<()> {
        self.real.fill_random(bytes)
    }
}

/// Bare TCP to the API.
#[derive(Debug)]
pub(crate) struct TcpClient(pub(crate) HostPort);

impl Client for TcpClient {
    fn dial<'a>(&'a self, cx: &'a Cx, target: &'a Target) -> BoxFuture<'a, Result<Opened, DialError>> {
        Box::pin(async move {
            assert_eq!(target, &Target::Bridge);
            let begun = cx.net.now();
            let stream = cx.net.connect_stream(&self.0).await;
            let stream =
                stream.map_err(|error| DialError::io(Phase::Connect, cx.net.now() - begun, error))?;
            Ok(Opened::new(Channel::Stream(stream)))
        })
    }
    fn probe<'a>(&'a self, _cx: &'a Cx) -> BoxFuture<'a, ProbeReport> {
        Box::pin(async { ProbeReport::default() })
    }
}

/// A listening end of which only the specs matter here.
#[derive(Debug)]
struct SpecServer(Descriptor, Option<Descriptor>);

impl Server for SpecServer {
    fn listen<'a>(&'a self, _cx: &'a Cx) -> BoxFuture<'a, Result<Box<dyn Listener>, ListenError>> {
        Box::pin(async { Err(ListenError::Closed) })
    }
    fn client_spec(&self, public: &HostPort, user: &User) -> Result<Spec, ConfigError> {
        let mut spec = Spec::new(self.0.id.clone(), public.clone(), json!({"for": user.id.as_str()}))?;
        if let Some(carrier) = &self.1 {
            spec.via = Some(Box::new(Spec::new(carrier.id.clone(), public.clone(), Value::Null)?));
        }
        Ok(spec)
    }
}

pub(crate) fn descriptor(id: &'static str, summary: &'static str) -> Descriptor {
    let channels = ChannelKinds { stream: true, datagram: id == "shadowsocks", mux: false };
    Descriptor::new(TransportId::from_static(id), summary, channels, Roles::Both, Addressing::Proxy)
}

/// What the pretended bridge serves: `websocket` first, `shadowsocks` next, `shadowsocks` over `websocket` last.
#[derive(Debug)]
pub(crate) struct Source {
    pub(crate) users: Arc<UserTable>,
    pub(crate) public: HostPort,
}

impl AssistSource for Source {
    fn endpoints(&self) -> Vec<ServedEndpoint> {
        let websocket = descriptor("websocket", "HTTPS to an ordinary site");
        let shadowsocks = descriptor("shadowsocks", "random bytes");
        let endpoint = |key: &str, priority, layers: &[&Descriptor]| ServedEndpoint {
            key: key.into(),
            priority,
            server: Arc::new(SpecServer(layers[0].clone(), layers.get(1).map(|carrier| (*carrier).clone()))),
            public: self.public.clone(),
            layers: layers.iter().map(|layer| (*layer).clone()).collect(),
        };
        vec![
            endpoint("chained", 30, &[&shadowsocks, &websocket]),
            endpoint("ss", 20, &[&shadowsocks]),
            endpoint("ws", 10, &[&websocket]),
        ]
    }
    fn users(&self) -> Arc<UserTable> {
        Arc::clone(&self.users)
    }
    fn min_client_version(&self) -> Version {
        Version::new(0, 1, 0)
    }
}

pub(crate) struct Fixture {
    pub(crate) net: Arc<TurnedNet>,
    pub(crate) users: Arc<UserTable>,
    pub(crate) checks: Arc<SelfCheck>,
    pub(crate) assist: Arc<Assist>,
    pub(crate) router: Router,
    pub(crate) address: SocketAddr,
}

pub(crate) const PLAN: CheckPlan = CheckPlan {
    interval: Duration::from_secs(60),
    timeout: Duration::from_secs(5),
    max_age: Duration::from_secs(180),
};

pub(crate) fn user(name: &str, byte: u8) -> User {
    User { id: name.parse().unwrap(), secret: Secret::new([byte; 32]) }
}

pub(crate) fn limit(per_minute: u32, burst: u32) -> RateLimit {
    RateLimit { per_minute: NonZeroU32::new(per_minute).unwrap(), burst: NonZeroU32::new(burst).unwrap() }
}

pub(crate) fn roomy() -> RatePlan {
    RatePlan { user: limit(60_000, 1000), stranger: limit(60_000, 1000) }
}

/// A running API whose three endpoints have passed a check.
pub(crate) async fn fixture(rates: RatePlan) -> Fixture {
    let net = TurnedNet::new();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let users = Arc::new(UserTable::new(vec![user("alice", 1), user("bob", 2)]));
    let checks = Arc::new(SelfCheck::new(Arc::<TurnedNet>::clone(&net), PLAN));
    let source = Arc::new(Source { users: Arc::clone(&users), public: address.into() });
    let mut options = AssistOptions::default();
    options.rates = rates;
    options.body_timeout = Duration::from_millis(300);
    let assist = Assist::new(Arc::<TurnedNet>::clone(&net), source, Arc::clone(&checks), options);
    let router = assist.router();
    let served = router.clone();
    tokio::spawn(async move { axum::serve(listener, served).await });
    let client = Arc::new(TcpClient(address.into()));
    let target = |key: &str| CheckTarget { key: key.into(), client: Arc::<TcpClient>::clone(&client) };
    checks.set_targets(vec![target("ws"), target("ss"), target("chained")]).unwrap();
    checks.check_all().await;
    Fixture { net, users, checks, assist, router, address }
}

pub(crate) fn post(body: impl Into<Body>) -> Request<Body> {
    Request::post("/api/p2p/assist").header("content-type", "application/json").body(body.into()).unwrap()
}

pub(crate) fn in_tunnel(mut request: Request<Body>, name: &str) -> Request<Body> {
    request.extensions_mut().insert(TunnelUser(name.parse().unwrap()));
    request
}

impl Fixture {
    pub(crate) async fn send(&self, request: Request<Body>) -> Response<Body> {
        self.router.clone().oneshot(request).await.unwrap()
    }

    /// Asks as a user of a tunnel, and wants an answer.
    pub(crate) async fn assist_json(&self, name: &str, body: &Value) -> Value {
        let response = self.send(in_tunnel(post(body.to_string()), name)).await;
        let status = response.status();
        let value = json_of(response).await;
        assert_eq!(status, 200, "{value:#}");
        value
    }
}

pub(crate) async fn json_of(response: Response<Body>) -> Value {
    let bytes = axum::body::to_bytes(response.into_body(), 1 << 20).await.unwrap();
    serde_json::from_slice(&bytes)
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&bytes)))
}
