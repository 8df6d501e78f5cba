//! The bridge dials itself: what passes, what fails and how, and that it stops when told.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::{Router, http::StatusCode, routing::get};
use commucat_assist::{CheckFailure, CheckPlan, CheckTarget, MAX_CHECK_TARGETS, SelfCheck, TooManyTargets};
use commucat_net::SystemNet;
use commucat_transport_api::{
    BoxFuture, Client, ConfigError, ConfigProblem, Cx, DialError, Opened, Phase, ProbeReport, Signal, Target,
};
use tokio_util::sync::CancellationToken;

use crate::fixture::{PLAN, TcpClient};

async fn serve(router: Router) -> Arc<dyn Client> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = Arc::new(TcpClient(listener.local_addr().unwrap().into()));
    tokio::spawn(async move { axum::serve(listener, router).await });
    client
}

/// Answers every connection with these bytes, then ends it.
async fn speak(bytes: &'static [u8]) -> Arc<dyn Client> {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = Arc::new(TcpClient(listener.local_addr().unwrap().into()));
    tokio::spawn(async move {
        while let Ok((mut stream, _peer)) = listener.accept().await {
            let mut asked = [0; 1024];
            let _request = stream.read(&mut asked).await;
            let _answered = stream.write_all(bytes).await;
        }
    });
    client
}

#[derive(Debug)]
struct Misconfigured;

impl Client for Misconfigured {
    fn dial<'a>(&'a self, _cx: &'a Cx, _target: &'a Target) -> BoxFuture<'a, Result<Opened, DialError>> {
        Box::pin(async { Err(ConfigError::new(Some("key"), ConfigProblem::Missing).into()) })
    }
    fn probe<'a>(&'a self, _cx: &'a Cx) -> BoxFuture<'a, ProbeReport> {
        Box::pin(async { ProbeReport::default() })
    }
}

/// Never comes to an end, and counts those that began.
#[derive(Debug, Default)]
struct Stuck(AtomicUsize);

impl Client for Stuck {
    fn dial<'a>(&'a self, _cx: &'a Cx, _target: &'a Target) -> BoxFuture<'a, Result<Opened, DialError>> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Box::pin(std::future::pending())
    }
    fn probe<'a>(&'a self, _cx: &'a Cx) -> BoxFuture<'a, ProbeReport> {
        Box::pin(async { ProbeReport::default() })
    }
}

async fn failure_of(client: Arc<dyn Client>) -> CheckFailure {
    let plan = CheckPlan { timeout: Duration::from_millis(300), ..PLAN };
    let checks = SelfCheck::new(SystemNet::new(), plan);
    checks.set_targets(vec![CheckTarget { key: "it".into(), client }]).unwrap();
    checks.check_all().await;
    assert!(checks.fresh("it").is_none());
    assert_eq!((checks.passed(), checks.failed()), (0, 1));
    let (_key, outcome) = checks.outcomes().remove(0);
    outcome.result.unwrap_err()
}

#[tokio::test]
async fn each_failure_has_its_kind() {
    let unwell = Router::new().route("/livez", get(async || StatusCode::SERVICE_UNAVAILABLE));
    assert_eq!(failure_of(serve(unwell).await).await, CheckFailure::Status(503));
    assert_eq!(failure_of(serve(Router::new()).await).await, CheckFailure::Status(404));
    let long = Router::new().route("/livez", get(async || "x".repeat(1 << 20)));
    assert!(matches!(failure_of(serve(long).await).await, CheckFailure::Exchange(_)));
    assert!(matches!(failure_of(speak(b"").await).await, CheckFailure::Exchange(_)));
    assert!(matches!(failure_of(speak(b"SSH-2.0-OpenSSH\r\n\r\n").await).await, CheckFailure::Exchange(_)));
    assert!(matches!(
        failure_of(speak(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok").await).await,
        CheckFailure::Exchange(_)
    ));
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let refused = failure_of(Arc::new(TcpClient(closed.into()))).await;
    let CheckFailure::Dial(failure) = refused else { panic!("{refused:?}") };
    assert_eq!((failure.phase, failure.signal), (Phase::Connect, Signal::Refused));
    let CheckFailure::Unusable(reason) = failure_of(Arc::new(Misconfigured)).await else { panic!() };
    assert!(reason.contains("required field is missing: `key`"), "{reason}");
    assert_eq!(failure_of(Arc::new(Stuck::default())).await, CheckFailure::TimedOut);
}

#[tokio::test]
async fn a_stuck_endpoint_does_not_hold_the_others_up() {
    let alive = Router::new().route("/livez", get(async || "ok"));
    let good = serve(alive).await;
    let stuck = Arc::new(Stuck::default());
    let plan = CheckPlan { timeout: Duration::from_secs(600), ..PLAN };
    let checks = Arc::new(SelfCheck::new(SystemNet::new(), plan));
    checks
        .set_targets(vec![
            CheckTarget { key: "stuck".into(), client: stuck },
            CheckTarget { key: "good".into(), client: good },
        ])
        .unwrap();
    let cancel = CancellationToken::new();
    let running = tokio::spawn({
        let (checks, cancel) = (Arc::clone(&checks), cancel.clone());
        async move { checks.run(cancel).await }
    });
    while checks.fresh("good").is_none() {
        tokio::task::yield_now().await;
    }
    assert!(checks.fresh("stuck").is_none());
    cancel.cancel();
    running.await.unwrap();
}

#[tokio::test]
async fn the_loop_checks_again_and_at_once_when_the_endpoints_change() {
    let count = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&count);
    let router = Router::new().route(
        "/livez",
        get(async move || {
            counted.fetch_add(1, Ordering::Relaxed);
            "ok"
        }),
    );
    let client = serve(router).await;
    let target = |key: &str| CheckTarget { key: key.into(), client: Arc::clone(&client) };
    let plan = CheckPlan { interval: Duration::from_secs(3600), ..PLAN };
    let checks = Arc::new(SelfCheck::new(SystemNet::new(), plan));
    checks.set_targets(vec![target("a")]).unwrap();
    let mut rounds = checks.rounds();
    let cancel = CancellationToken::new();
    let running = tokio::spawn({
        let (checks, cancel) = (Arc::clone(&checks), cancel.clone());
        async move { checks.run(cancel).await }
    });
    rounds.wait_for(|rounds| *rounds == 1).await.unwrap();
    assert_eq!(count.load(Ordering::Relaxed), 1, "the change before the first round asks for no second one");
    checks.set_targets(vec![target("a"), target("b")]).unwrap();
    assert!(checks.fresh("a").is_some(), "the same client keeps its outcome");
    rounds.wait_for(|rounds| *rounds == 2).await.unwrap();
    assert!(checks.fresh("b").is_some());
    cancel.cancel();
    running.await.unwrap();

    // Without waiting an hour: a short interval comes around by itself.
    let plan = CheckPlan { interval: Duration::from_millis(5), ..PLAN };
    let checks = Arc::new(SelfCheck::new(SystemNet::new(), plan));
    checks.set_targets(vec![target("a")]).unwrap();
    let mut rounds = checks.rounds();
    let cancel = CancellationToken::new();
    let running = tokio::spawn({
        let (checks, cancel) = (Arc::clone(&checks), cancel.clone());
        async move { checks.run(cancel).await }
    });
    rounds.wait_for(|rounds| *rounds == 4).await.unwrap();
    cancel.cancel();
    running.await.unwrap();
    assert!(checks.passed() >= 4);
}

#[tokio::test]
async fn there_is_a_limit_to_endpoints() {
    let checks = SelfCheck::new(SystemNet::new(), PLAN);
    let client: Arc<dyn Client> = Arc::new(Misconfigured);
    let target = |n: usize| CheckTarget { key: n.to_string().into(), client: Arc::clone(&client) };
    assert_eq!(checks.set_targets((0..=MAX_CHECK_TARGETS).map(target).collect()), Err(TooManyTargets));
    assert_eq!(checks.set_targets((0..MAX_CHECK_TARGETS).map(target).collect()), Ok(()));
}
