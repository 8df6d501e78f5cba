//! A simple transport in a network of one answer: what each end gives, and what it says when something is in the way.

use std::net::{Ipv4Addr, SocketAddr};

use serde_json::json;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex},
    sync::mpsc,
};

use super::*;
use crate::{
    Accepted, ChannelKinds, ListenError, Net, StreamPort, TransportId, UdpPort, User, read_exact,
    read_target, write_all, write_target,
};

const WORD: &[u8; 4] = b"cat!";
const BUDGET: Duration = Duration::from_secs(3);
/// Longer than every limit here: what waits so long waits for ever.
const PATIENCE: Duration = Duration::from_secs(3600);

/// Says a word and a target, and waits for one byte: `1` is yes.
#[derive(Debug)]
struct Polite;

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Manners {
    word: String,
}

impl StreamTransport for Polite {
    const DESCRIPTOR: &'static Descriptor = &Descriptor::new(
        TransportId::from_static("polite"),
        "a word",
        ChannelKinds::STREAM,
        Roles::Both,
        Addressing::Proxy,
    );
    type Params = Manners;

    fn check(&self, manners: &Manners) -> Result<(), ConfigError> {
        let bad = || ConfigError::new(Some("word"), ConfigProblem::BadValue);
        (manners.word.len() == WORD.len()).then_some(()).ok_or_else(bad)
    }
    fn generate_server_params(&self) -> Result<Value, ConfigError> {
        Ok(json!({ "word": "cat!" }))
    }
    async fn connect(
        &self,
        manners: &Manners,
        mut carrier: BoxStream,
        target: &Target,
    ) -> io::Result<BoxStream> {
        write_all(&mut carrier, manners.word.as_bytes()).await?;
        write_target(&mut carrier, target).await?;
        let mut answer = [0];
        read_exact(&mut carrier, &mut answer).await?;
        match answer {
            [1] => Ok(carrier),
            _ => Err(Failure::new(Phase::Authenticate, Signal::AuthRejected, Duration::ZERO).into()),
        }
    }
    async fn accept(
        &self,
        manners: &Manners,
        mut carrier: BoxStream,
    ) -> Result<(BoxStream, Target), AcceptError> {
        let mut word = *WORD;
        read_exact(&mut carrier, &mut word).await.map_err(AcceptError::Io)?;
        let known = word == *manners.word.as_bytes();
        write_all(&mut carrier, &[u8::from(known)]).await.map_err(AcceptError::Io)?;
        if !known {
            return Err(AcceptError::Unauthenticated);
        }
        let target = read_target(&mut carrier).await?;
        Ok((carrier, target))
    }
}

/// The same protocol as one that only dials, and only the bridge.
#[derive(Debug)]
struct Narrow;

impl StreamTransport for Narrow {
    const DESCRIPTOR: &'static Descriptor = &Descriptor::new(
        TransportId::from_static("narrow"),
        "a word",
        ChannelKinds::STREAM,
        Roles::ClientOnly,
        Addressing::Bridge,
    );
    type Params = Manners;

    fn generate_server_params(&self) -> Result<Value, ConfigError> {
        Err(ConfigError::new(None, ConfigProblem::RoleUnsupported))
    }
    async fn connect(&self, _: &Manners, carrier: BoxStream, _: &Target) -> io::Result<BoxStream> {
        Ok(carrier)
    }
    async fn accept(&self, _: &Manners, _: BoxStream) -> Result<(BoxStream, Target), AcceptError> {
        Err(AcceptError::Unauthenticated)
    }
}

/// What the network does with a connection.
#[derive(Clone, Copy, Debug)]
enum Path {
    Open,
    Silent,
    Fails(io::ErrorKind),
}

/// A network whose every connection reaches the one port that listens in it.
#[derive(Debug)]
struct Wire {
    path: Path,
    began: (Instant, tokio::time::Instant),
    dialled: mpsc::Sender<DuplexStream>,
    port: std::sync::Mutex<Option<mpsc::Receiver<DuplexStream>>>,
}

fn wire(path: Path) -> Arc<dyn Net> {
    let (dialled, port) = mpsc::channel(4);
    let began = (Instant::now(), tokio::time::Instant::now());
    Arc::new(Wire { path, began, dialled, port: Some(port).into() })
}

fn here() -> SocketAddr {
    (Ipv4Addr::LOCALHOST, 4000).into()
}

impl Net for Wire {
    fn connect_stream<'a>(&'a self, _to: &'a HostPort) -> BoxFuture<'a, io::Result<BoxStream>> {
        Box::pin(async move {
            match self.path {
                Path::Open => {
                    let (near, far) = duplex(1024);
                    self.dialled.send(far).await.map_err(|_closed| io::ErrorKind::ConnectionRefused)?;
                    Ok(Box::new(near) as BoxStream)
                }
                Path::Silent => std::future::pending().await,
                Path::Fails(kind) => Err(kind.into()),
            }
        })
    }
    fn bind_datagram(&self, _: SocketAddr) -> BoxFuture<'_, io::Result<Box<dyn UdpPort>>> {
        Box::pin(async { Err(io::ErrorKind::Unsupported.into()) })
    }
    fn listen_stream(&self, _: SocketAddr) -> BoxFuture<'_, io::Result<Box<dyn StreamPort>>> {
        let port = self.port.lock().unwrap().take();
        Box::pin(async {
            port.map(|port| Box::new(Port(port)) as _).ok_or_else(|| io::ErrorKind::AddrInUse.into())
        })
    }
    fn resolve<'a>(&'a self, _: &'a HostPort) -> BoxFuture<'a, io::Result<Vec<SocketAddr>>> {
        Box::pin(async {
            match self.path {
                Path::Fails(io::ErrorKind::NotFound) => Err(io::ErrorKind::NotFound.into()),
                _ => Ok(vec![here()]),
            }
        })
    }
    fn now(&self) -> Instant {
        self.began.0 + self.began.1.elapsed()
    }
    fn unix_time(&self) -> Duration {
        Duration::ZERO
    }
    fn sleep_until(&self, at: Instant) -> BoxFuture<'static, ()> {
        Box::pin(tokio::time::sleep(at.saturating_duration_since(self.now())))
    }
    fn fill_random(&self, _: &mut [u8]) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

#[derive(Debug)]
struct Port(mpsc::Receiver<DuplexStream>);

impl StreamPort for Port {
    fn accept(&mut self) -> BoxFuture<'_, io::Result<(BoxStream, SocketAddr)>> {
        Box::pin(async {
            let stream = self.0.recv().await.ok_or(io::ErrorKind::NotConnected)?;
            Ok((Box::new(stream) as BoxStream, here()))
        })
    }
    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(here())
    }
}

fn spec(params: Value) -> Spec {
    Spec::new(Polite::DESCRIPTOR.id.clone(), here().into(), params).unwrap()
}

fn client(word: &str) -> Arc<dyn Client> {
    Simple::new(Polite).client(&spec(json!({ "word": word }))).unwrap()
}

fn server() -> Arc<dyn Server> {
    let params = Simple::new(Polite).generate_server_params().unwrap();
    Simple::new(Polite).server(&spec(params), &Arc::new(UserTable::default())).unwrap()
}

fn target() -> Target {
    Target::Stream("example.org:443".parse().unwrap())
}

/// One connection, as the bridge takes it.
async fn guest(cx: &Cx) -> Result<Accepted, AcceptError> {
    let mut listener = server().listen(cx).await.unwrap();
    assert_eq!(listener.local_addr(), Some(here()));
    let incoming = listener.accept().await.unwrap();
    assert_eq!(incoming.peer(), Some(here()));
    incoming.handshake().await
}

#[tokio::test(start_paused = true)]
async fn both_ends_meet() {
    let cx = Cx::new(wire(Path::Open), BUDGET);
    let (client, target) = (client("cat!"), target());
    let (opened, accepted) = tokio::join!(client.dial(&cx, &target), guest(&cx));
    let accepted = accepted.unwrap();
    assert_eq!((accepted.target, accepted.user), (target, None));
    let mut near = opened.unwrap().channel.into_stream().unwrap();
    let mut far = accepted.channel.into_stream().unwrap();
    near.write_all(b"there").await.unwrap();
    near.shutdown().await.unwrap();
    let mut got = String::new();
    far.read_to_string(&mut got).await.unwrap();
    assert_eq!(got, "there");
}

#[tokio::test(start_paused = true)]
async fn a_wrong_word_is_evidence_of_authentication() {
    let cx = Cx::new(wire(Path::Open), BUDGET);
    let (client, target) = (client("dog!"), target());
    let (opened, accepted) = tokio::join!(client.dial(&cx, &target), guest(&cx));
    assert!(matches!(accepted, Err(AcceptError::Unauthenticated)));
    let failure = opened.unwrap_err().failure().unwrap().clone();
    assert_eq!((failure.phase, failure.signal), (Phase::Authenticate, Signal::AuthRejected));
}

#[tokio::test(start_paused = true)]
async fn a_failed_dial_says_how_far_it_came() {
    let ends = [
        (Path::Fails(io::ErrorKind::ConnectionRefused), Phase::Connect, Signal::Refused, Duration::ZERO),
        (Path::Fails(io::ErrorKind::NotFound), Phase::Resolve, Signal::NameNotFound, Duration::ZERO),
        (Path::Silent, Phase::Connect, Signal::Timeout, BUDGET),
        // Nobody takes the connection from the port, so nobody answers.
        (Path::Open, Phase::Handshake, Signal::Timeout, BUDGET),
    ];
    for (path, phase, signal, elapsed) in ends {
        let cx = Cx::new(wire(path), BUDGET);
        let (client, target) = (client("cat!"), target());
        let dialled = tokio::time::timeout(PATIENCE, client.dial(&cx, &target)).await;
        let error = dialled.expect("the dial keeps its deadline").unwrap_err();
        let failure = error.failure().unwrap();
        assert_eq!((failure.phase, &failure.signal), (phase, &signal), "{path:?}");
        // The timer of the paused clock has a grain of one millisecond.
        assert_eq!(failure.elapsed.as_secs(), elapsed.as_secs(), "{path:?}");
        assert!(std::error::Error::source(&error).is_some());
    }
}

#[tokio::test(start_paused = true)]
async fn a_probe_ends_with_the_step_that_failed() {
    let names = |report: &ProbeReport| report.steps.iter().map(|step| step.name.clone()).collect::<Vec<_>>();
    let ends = [
        (Path::Fails(io::ErrorKind::NotFound), &["resolve"][..], Signal::NameNotFound),
        (Path::Fails(io::ErrorKind::ConnectionReset), &["resolve", "connect"], Signal::Reset),
        (Path::Open, &["resolve", "connect", "handshake"], Signal::Timeout),
    ];
    for (path, steps, signal) in ends {
        let (client, cx) = (client("cat!"), Cx::new(wire(path), BUDGET));
        let probed = tokio::time::timeout(PATIENCE, client.probe(&cx)).await;
        let report = probed.expect("the probe keeps its deadline");
        assert_eq!(names(&report), steps);
        assert_eq!(report.first_failure().unwrap().signal, signal);
        assert!(report.steps.iter().rev().skip(1).all(|step| step.outcome.is_ok()));
    }
    let cx = Cx::new(wire(Path::Open), BUDGET);
    let client = client("cat!");
    let (report, accepted) = tokio::join!(client.probe(&cx), guest(&cx));
    assert_eq!(accepted.unwrap().target, Target::Bridge);
    assert_eq!(names(&report), ["resolve", "connect", "handshake"]);
    assert!(report.first_failure().is_none());
}

#[tokio::test(start_paused = true)]
async fn a_silent_guest_is_shown_out() {
    let cx = Cx::new(wire(Path::Open), BUDGET);
    let began = cx.net.now();
    let endpoint = here().into();
    let shown_out = tokio::time::timeout(PATIENCE, guest(&cx));
    let (_silent, accepted) = tokio::join!(cx.net.connect_stream(&endpoint), shown_out);
    let accepted = accepted.expect("the handshake has a limit");
    assert!(matches!(accepted, Err(AcceptError::Limit(_))));
    assert_eq!((cx.net.now() - began).as_secs(), SIMPLE_HANDSHAKE_MAX.as_secs());
}

#[tokio::test(start_paused = true)]
async fn a_taken_port_is_said() {
    let cx = Cx::new(wire(Path::Open), BUDGET);
    let _first = server().listen(&cx).await.unwrap();
    let Err(ListenError::Bind { source, .. }) = server().listen(&cx).await else { panic!("it is taken") };
    assert_eq!(source.kind(), io::ErrorKind::AddrInUse);
}

#[tokio::test(start_paused = true)]
async fn targets_that_it_cannot_carry_send_no_packet() {
    let cx = Cx::new(wire(Path::Silent), BUDGET);
    let narrow = Simple::new(Narrow).client(&spec(json!({ "word": "" }))).unwrap();
    for (client, target) in
        [(client("cat!"), Target::Datagrams), (client("cat!"), Target::IpTunnel), (narrow, target())]
    {
        let dialled = client.dial(&cx, &target).await;
        assert!(matches!(dialled, Err(DialError::UnsupportedTarget)), "{target:?}");
    }
}

#[test]
fn parameters_are_read_before_a_packet_leaves() {
    let nobody = Arc::new(UserTable::default());
    let bad =
        [json!(["cat!"]), json!("cat!"), json!(null), json!({ "word": "bird!" }), json!({ "wort": "" })];
    for params in bad {
        let spec = spec(params);
        assert!(Simple::new(Polite).client(&spec).is_err(), "{}", spec.params);
        assert!(Simple::new(Polite).server(&spec, &nobody).is_err(), "{}", spec.params);
    }
    let error = Simple::new(Narrow).server(&spec(json!({ "word": "" })), &nobody).unwrap_err();
    assert_eq!(error.problem(), ConfigProblem::RoleUnsupported);
}

#[test]
fn a_client_needs_what_the_bridge_was_given() {
    let public: HostPort = "bridge.example:443".parse().unwrap();
    let user = User { id: "alice".parse().unwrap(), secret: crate::Secret::new([7; 32]) };
    let given = server().client_spec(&public, &user).unwrap();
    assert_eq!(given, Spec { endpoint: public, ..spec(json!({ "word": "cat!" })) });
    assert!(Simple::new(Polite).client(&given).is_ok());
}

#[test]
fn nothing_printed_holds_the_parameters() {
    let printed = format!("{:?} {:?}", client("cat!"), server());
    assert!(printed.contains("Polite") && !printed.contains("cat!"), "{printed}");
}
