//! The machine, its route, its clock; whether the control servers answer; how far they are and what gets lost anyway.

mod loss;
mod machine;

use std::{net::SocketAddr, sync::Arc, time::Duration};

use commucat_control::wire::{self, HelloAnswer, TimeAnswer};
use commucat_transport_api::{Phase, Signal};
use commucat_verdict::{
    ControlKind,
    observations::{
        Condition, Fingerprint, NameClass, Observations, Operation, Payload, PortClass, Protocol, Series,
        ServerKind, Subtest, Trial,
    },
};
use tokio::time::Instant;

use super::{MethodError, Outcome};
use crate::{
    stats,
    trial::{
        Bench, Carrier,
        experiment::{Arm, experiment},
        locked, micros, request, tcp,
    },
};

/// Requests at a time.
const CONCURRENCY: usize = 4;
/// Most trials that only ask whether a server answers. More than elsewhere: everything else rests on these.
const TRIALS_MAX: usize = 6;
/// HTTP statuses by which a captive portal answers: redirections, and the one made for it (RFC 6585 §6).
const CAPTIVE: [u16; 6] = [301, 302, 303, 307, 308, 511];

/// Looks at the machine and asks every control server for the time.
pub(crate) async fn run(bench: &Arc<Bench>, until: Instant) -> Result<Outcome, MethodError> {
    let target = bench.server(ServerKind::Foreign).map(|server| server.address);
    let mut environment = machine::look(target);
    if !bench.targets.lab {
        if let Some(interface) = environment.tunnels.first() {
            return Err(MethodError::Tunnel { interface: interface.clone() });
        }
        if let Some(program) = environment.rewriters.first() {
            return Err(MethodError::Rewriter { program: program.clone() });
        }
    }
    // First, because it decides how long everything else waits.
    if environment.routed != Some(false) {
        environment.datagram_loss = loss::measure(bench).await;
    }
    if let Some(loss) = environment.datagram_loss {
        bench.set_loss(loss);
    }
    let clocks: Clocks = Arc::default();
    let (mut series, mut cut) = experiment(bench, reach_arms(bench, &clocks), CONCURRENCY, until).await;
    prefer_a_port(bench, &series);
    if let Some(rtt) = median_connect(&series) {
        bench.set_rtt(rtt);
        environment.rtt_us = Some(micros(rtt));
    }
    let foreign_answers =
        series.iter().any(|one| one.condition.server == ServerKind::Foreign && one.passes());
    if foreign_answers {
        series.extend(compare_hello(bench).await);
    } else {
        let (plain, plain_cut) = experiment(bench, plain_arms(bench), CONCURRENCY, until).await;
        environment.captive = plain.iter().any(is_captive);
        series.extend(plain);
        cut |= plain_cut;
    }
    environment.clock_ahead_s = stats::median(&locked(&clocks)).map(rounded);
    environment.timeout_us = Some(micros(bench.timeout()));
    let observations = Observations { environment: Some(environment), series, ..Observations::default() };
    Ok(Outcome { observations, cut, left_out: Vec::new() })
}

/// Seconds that this machine is ahead, one a request.
type Clocks = Arc<std::sync::Mutex<Vec<f64>>>;

const KINDS: [(ServerKind, Option<ControlKind>); 3] = [
    (ServerKind::Foreign, Some(ControlKind::SameServer)),
    (ServerKind::ForeignOther, Some(ControlKind::Unrelated)),
    (ServerKind::Domestic, Some(ControlKind::Domestic)),
];

fn reach_arms(bench: &Arc<Bench>, clocks: &Clocks) -> Vec<Arm> {
    let mut arms = Vec::new();
    for (kind, control) in KINDS {
        for class in [PortClass::High, PortClass::Https] {
            if !bench.server(kind).is_some_and(|server| server.has_tcp(class)) {
                continue;
            }
            let condition = Condition::new(Subtest::Env, Protocol::Tls, kind, Payload::Request)
                .name(NameClass::Innocent)
                .fingerprint(Fingerprint::CurlLike)
                .port(class);
            let (bench, clocks) = (Arc::clone(bench), Arc::clone(clocks));
            let mut arm = Arm::new(condition, control, move |condition| {
                ask_the_time(Arc::clone(&bench), condition, Arc::clone(&clocks))
            });
            arm.most = TRIALS_MAX;
            arms.push(arm);
        }
    }
    arms
}

async fn ask_the_time(bench: Arc<Bench>, condition: Condition, clocks: Clocks) -> Option<Trial> {
    let address = bench.port(condition.server, Carrier::Tcp, condition.port)?;
    let name = bench.name(NameClass::Innocent)?;
    let (trial, body) = request::get(&bench, address, name.as_deref(), wire::TIME).await;
    let answer = body.and_then(|body| serde_json::from_slice::<TimeAnswer>(&body).ok());
    if let Some(answer) = answer
        && let Ok(now) = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)
    {
        // The server spoke about half a round trip ago; whole seconds are all that matters.
        let theirs = Duration::from_millis(answer.unix_ms).as_secs_f64();
        locked(&clocks).push(now.as_secs_f64() - theirs);
    }
    Some(trial)
}

/// Where high ports are dead and 443 is not, the other methods use that.
fn prefer_a_port(bench: &Bench, series: &[Series]) {
    let passes = |class| {
        series.iter().any(|one| {
            one.condition.server == ServerKind::Foreign && one.condition.port == class && one.passes()
        })
    };
    if !passes(PortClass::High) && passes(PortClass::Https) {
        bench.prefer(PortClass::Https);
    }
}

/// What a plain request gets where TLS fails: a portal answers in the server's place.
fn plain_arms(bench: &Arc<Bench>) -> Vec<Arm> {
    let Some(server) = bench.server(ServerKind::Foreign) else {
        return Vec::new();
    };
    let class = if server.has_tcp(PortClass::Http) { PortClass::Http } else { PortClass::High };
    let token = server.token.clone();
    let condition =
        Condition::new(Subtest::Env, Protocol::Tcp, ServerKind::Foreign, Payload::Http).port(class);
    let bench = Arc::clone(bench);
    let arm = Arm::new(condition, Some(ControlKind::SameServer), move |condition| {
        let (bench, token) = (Arc::clone(&bench), token.clone());
        async move {
            // The failed requests before have spoilt ports, which does not matter to whom a portal answers.
            let server = bench.server(condition.server)?;
            let port = server.tcp.of_class(condition.port).next()?;
            let address = SocketAddr::new(server.address, port);
            let request = request::request_head(token.as_deref(), "GET", wire::TIME, None);
            Some(tcp::http(&bench, address, &String::from_utf8_lossy(&request)).await)
        }
    });
    vec![arm]
}

fn is_captive(series: &Series) -> bool {
    series
        .trials
        .iter()
        .filter_map(|trial| trial.failure.as_ref())
        .any(|failure| matches!(failure.signal, Signal::HttpStatus(status) if CAPTIVE.contains(&status)))
}

/// Asks the server which hello it saw, and whether that is ours: something in between may rewrite hellos.
async fn compare_hello(bench: &Arc<Bench>) -> Option<Series> {
    let address = bench.any_port(ServerKind::Foreign, Carrier::Tcp)?;
    let name = bench.name(NameClass::Innocent)?;
    let (mut trial, body) = request::get(bench, address, name.as_deref(), wire::HELLO).await;
    let answer: HelloAnswer = serde_json::from_slice(&body?).ok()?;
    let seen = trial.tls.get_or_insert_default();
    seen.ja4_seen = answer.ja4;
    seen.name_seen = answer.server_name;
    let changed = seen.ja4_seen.is_some() && seen.ja4_sent != seen.ja4_seen || seen.name_seen != name;
    if changed {
        let failure = commucat_transport_api::Failure::new(
            Phase::Handshake,
            Signal::UnexpectedBytes,
            Duration::from_micros(trial.took_us),
        );
        trial.failure = Some(failure.with_bytes(trial.sent, trial.received));
    }
    let condition = Condition::new(Subtest::Tls, Protocol::Tls, ServerKind::Foreign, Payload::Request)
        .name(NameClass::Innocent)
        .fingerprint(Fingerprint::CurlLike);
    Some(Series {
        condition,
        control: None,
        decision: commucat_verdict::observations::Decision::Open,
        trials: vec![trial],
        baseline: bench.baseline(),
    })
}

/// How long the opening of a connection to the foreign server took, in the middle.
fn median_connect(series: &[Series]) -> Option<Duration> {
    let trials =
        series.iter().filter(|one| one.condition.server == ServerKind::Foreign).flat_map(|one| &one.trials);
    let times: Vec<f64> = trials
        .filter_map(|trial| {
            let step = trial.steps.first()?;
            let opened = step.operation == Operation::Connect && step.failure.is_none();
            opened.then(|| Duration::from_micros(step.at_us.saturating_sub(trial.at_us)).as_secs_f64())
        })
        .collect();
    stats::median(&times).and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
}

#[expect(clippy::cast_possible_truncation, reason = "seconds of a clock fit")]
fn rounded(seconds: f64) -> i64 {
    seconds.round() as i64
}
