//! One run: a fresh lab, a bridge, a client, a prober, and what came of it.

use std::{
    net::SocketAddr,
    path::PathBuf,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use commucat_censor::Profile;
use commucat_net::SystemNet;
use commucat_transport_api::{BoxStream, Channel, Client, Cx, DialError, MuxSession, Net, Target};
use tokio::task::JoinSet;

use super::{
    BOOTSTRAP_MAX, Ends, Load, Subject, TRANSFER_MAX,
    exchange::{Exchanged, Request, ask},
    label,
    reason::{self, Act, Failed},
    serve::serve,
    subject::BridgePlace,
};
use crate::{
    Lab, LabConfig, LabError,
    prober::{Examinations, ProberConfig, attended},
    report::{RunReport, RunResult},
    services::{BRIDGE, ServiceError, World, WorldPlan},
};

/// Between two dials of one start: a refused connection fails at once.
const REDIAL_AFTER: Duration = Duration::from_millis(500);
/// How long a run waits for the prober that the judge called.
const PROBER_MAX: Duration = Duration::from_secs(45);
const PROBER_LOOK: Duration = Duration::from_millis(50);
/// After the prober's answer, until its sentence holds.
const SENTENCE_AFTER: Duration = Duration::from_millis(100);

const START: &str = "the start";
const TRANSFER: &str = "the transfer";
const SECOND_VISIT: &str = "the second visit, after the prober,";

/// What a run is made with.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct RunConfig {
    /// The network.
    pub profile: Profile,
    /// Everything random in the lab follows from it.
    pub seed: u64,
    /// Multiplies penalties and windows of the policies, as [`LabConfig::time_scale`].
    pub time_scale: f64,
    /// What is moved.
    pub load: Load,
    /// How long a start may take.
    pub bootstrap_max: Duration,
    /// How long the transfer may take.
    pub transfer_max: Duration,
    /// Where captures and events go.
    pub capture_dir: Option<PathBuf>,
}

impl RunConfig {
    /// A run in this profile, with the usual load, in natural time, without a capture.
    pub fn new(profile: Profile, seed: u64) -> Self {
        Self {
            profile,
            seed,
            time_scale: 1.0,
            load: Load::default(),
            bootstrap_max: BOOTSTRAP_MAX,
            transfer_max: TRANSFER_MAX,
            capture_dir: None,
        }
    }
}

/// Why a run could not be made at all.
#[derive(Debug, thiserror::Error)]
enum Broken {
    #[error("the lab failed: {0}")]
    Lab(#[from] LabError),
    #[error("the world's services failed: {0}")]
    World(#[from] ServiceError),
    #[error("the transport's parameters are refused: {0}")]
    Config(#[from] commucat_transport_api::ConfigError),
    #[error("the bridge cannot listen: {0}")]
    Listen(#[from] commucat_transport_api::ListenError),
}

/// What the client saw.
#[derive(Debug, Default)]
struct Story {
    bootstrap: Option<Duration>,
    up_kbps: Option<u64>,
    down_kbps: Option<u64>,
    failed: Option<Failed>,
    probed: Vec<String>,
}

/// Makes one run. Blocks until it is over: seconds when it passes, up to [`BOOTSTRAP_MAX`] and [`TRANSFER_MAX`]
/// when not. What keeps a run from being made is in its report, too.
pub fn run(config: &RunConfig, subject: &Subject) -> RunReport {
    let began = Instant::now();
    let (story, events, result) = match attempt(config, subject) {
        Ok((story, events)) => {
            let result = reason::result(story.failed.as_ref(), &events);
            (story, events, result)
        }
        Err(broken) => (Story::default(), Vec::new(), RunResult::Broken { reason: chain(&broken) }),
    };
    RunReport {
        transport: subject.name().to_owned(),
        profile: label(&config.profile),
        seed: config.seed,
        result,
        bootstrap_ms: story.bootstrap.map(millis),
        down_kbps: story.down_kbps,
        up_kbps: story.up_kbps,
        events: reason::tally(&events),
        probed: story.probed,
        took_ms: millis(began.elapsed()),
    }
}

fn attempt(config: &RunConfig, subject: &Subject) -> Result<(Story, Vec<Act>), Broken> {
    let mut lab_config = LabConfig::new(config.profile.clone());
    lab_config.seed = config.seed;
    lab_config.time_scale = config.time_scale;
    lab_config.capture_dir.clone_from(&config.capture_dir);
    let lab = Lab::start(lab_config)?;
    let plan = WorldPlan::default();
    let world = World::start(lab.world(), &plan)?;
    let ends = subject.ends(&BridgePlace { bridge: SocketAddr::from((BRIDGE, subject.port())) })?;
    let client = lab.client().runtime()?;
    let prober = ProberConfig {
        seed: config.seed,
        sites: plan.sites.iter().map(|site| (site.name.clone(), site.https)).collect(),
        ..ProberConfig::default()
    };
    let Ends { server, client: dialler } = ends;
    serve(world.runtime(), server)??;
    let point = lab.next_event();
    let shared = Arc::new(Visitor { client: dialler, config: config.clone(), began: Instant::now() });
    let story = attended(&lab, &prober, |examinations| {
        let visitor = Arc::clone(&shared);
        let mut story = client.block_on(async move { visitor.visit().await })?;
        if story.failed.is_none() && await_prober(examinations) {
            story.failed = client.block_on(async move { shared.start(SECOND_VISIT).await.err() })?;
        }
        story.probed = examinations.done().iter().map(ToString::to_string).collect();
        Ok::<_, LabError>(story)
    })??;
    let events = lab.events_since(point).events.iter().map(Act::from).collect();
    drop(client);
    drop(world);
    lab.stop()?;
    Ok((story, events))
}

/// Waits until the prober has answered all its calls; `false` when it was not called.
fn await_prober(examinations: &Examinations) -> bool {
    let until = Instant::now() + PROBER_MAX;
    loop {
        let (calls, answered) = examinations.counts();
        if calls == 0 {
            return false;
        }
        if calls == answered || Instant::now() >= until {
            thread::sleep(SENTENCE_AFTER);
            return true;
        }
        thread::sleep(PROBER_LOOK);
    }
}

/// The client of a run.
struct Visitor {
    client: Arc<dyn Client>,
    config: RunConfig,
    began: Instant,
}

impl Visitor {
    /// Start and transfer.
    async fn visit(self: Arc<Self>) -> Story {
        let mut story = Story::default();
        match self.start(START).await {
            Ok(()) => story.bootstrap = Some(self.began.elapsed()),
            Err(failed) => {
                story.failed = Some(failed);
                return story;
            }
        }
        let load = self.config.load;
        match self.transfer().await {
            Ok((up, down)) => {
                story.up_kbps = Some(kbps(load.up, up));
                story.down_kbps = Some(kbps(load.down, down));
            }
            Err(failed) => story.failed = Some(failed),
        }
        story
    }

    /// Dials until a first byte came through and back, or the time for it is over.
    async fn start(&self, stage: &'static str) -> Result<(), Failed> {
        let until = Instant::now() + self.config.bootstrap_max;
        let mut last = Failed::late(stage, (0, 0), self.config.bootstrap_max);
        loop {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                last.after = self.began.elapsed();
                return Err(last);
            }
            match self.exchange(stage, Request { up: 1, down: 1, seed: self.config.seed }, left).await {
                Ok(_done) => return Ok(()),
                Err(failed) => last = failed,
            }
            tokio::time::sleep(REDIAL_AFTER.min(until.saturating_duration_since(Instant::now()))).await;
        }
    }

    /// Moves the load over its connections side by side. Gives how long each direction took.
    async fn transfer(self: &Arc<Self>) -> Result<(Duration, Duration), Failed> {
        let load = self.config.load;
        let (up, down) = load.share();
        let mut running = JoinSet::new();
        for index in 0..load.connections.max(1) {
            let visitor = Arc::clone(self);
            let request = Request { up, down, seed: self.config.seed.wrapping_add(u64::from(index) + 1) };
            running
                .spawn(async move { visitor.exchange(TRANSFER, request, visitor.config.transfer_max).await });
        }
        // Connections overlap, so each direction took as long as its slowest.
        let mut took = (Duration::ZERO, Duration::ZERO);
        while let Some(ended) = running.join_next().await {
            let exchanged =
                ended.unwrap_or_else(|_panic| Err(Failed::late(TRANSFER, (0, 0), self.began.elapsed())))?;
            took.0 = took.0.max(exchanged.up_took);
            took.1 = took.1.max(exchanged.down_took);
        }
        Ok(took)
    }

    /// One connection with one request on it.
    async fn exchange(
        &self,
        stage: &'static str,
        request: Request,
        limit: Duration,
    ) -> Result<Exchanged, Failed> {
        let net: Arc<dyn Net> = SystemNet::new();
        let cx = Cx::new(net, limit);
        let mut moved = (0, 0);
        let moving = async {
            let opened = open(&*self.client, &cx).await;
            let mut opened = opened.map_err(|error| Failed::dial(stage, &error, self.began.elapsed()))?;
            ask(&mut opened.stream, request, &mut moved)
                .await
                .map_err(|broken| Failed::exchange(stage, &broken, self.began.elapsed()))
        };
        match tokio::time::timeout(limit, moving).await {
            Ok(done) => done,
            Err(_late) => Err(Failed::late(stage, moved, self.began.elapsed())),
        }
    }
}

/// A stream to the bridge itself, with the session that carries it.
struct OpenStream {
    stream: BoxStream,
    _session: Option<Arc<dyn MuxSession>>,
}

async fn open(client: &dyn Client, cx: &Cx) -> Result<OpenStream, DialError> {
    let channel = client.dial(cx, &Target::Bridge).await?.channel;
    let (channel, session) = match channel {
        Channel::Mux(session) => (session.open(&Target::Bridge).await?.into_stream(), Some(session)),
        other => (other.into_stream(), None),
    };
    let stream = channel.map_err(|_no_stream: Channel| DialError::UnsupportedTarget)?;
    Ok(OpenStream { stream, _session: session })
}

fn kbps(bytes: u64, took: Duration) -> u64 {
    let bits = u128::from(bytes) * 8;
    u64::try_from(bits / took.as_millis().max(1)).unwrap_or(u64::MAX)
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// An error with its sources, which say what the system said.
fn chain(error: &dyn std::error::Error) -> String {
    let mut out = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        let said = inner.to_string();
        if !out.contains(&said) {
            out = format!("{out}: {said}");
        }
        source = inner.source();
    }
    out
}
