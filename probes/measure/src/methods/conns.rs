//! How many fresh handshakes beside each other a network lets through, for one name and one look. Each search has a
//! name that nobody used before: the counters of such networks begin anew with it.

use std::sync::Arc;

use commucat_verdict::{
    ControlKind,
    observations::{
        Condition, Counting, Decision, Fingerprint, Limit, NameClass, Payload, Protocol, Series, ServerKind,
        Spread, Subtest, Trial, Unit,
    },
};
use tokio::{net::TcpStream, task::JoinSet, time::Instant};

use super::{MethodError, Outcome};
use crate::{
    progress::Event,
    stats::{self, Bisection},
    trial::{Bench, Carrier, hello, tcp},
};

/// Handshakes of the first group. More than any limit seen (12, sometimes 24 with several hosts).
const GROUP_QUICK: u16 = 16;
const GROUP_FULL: u16 = 32;
/// Searches of one limit.
const REPEATS: usize = 3;
/// Pause between the hellos of a group: they arrive in order, so that the first refused one says the number.
const STAGGER: std::time::Duration = std::time::Duration::from_millis(2);

/// Opens groups of handshakes. `quick` takes smaller ones, and looks at controls only when something was refused.
pub(crate) async fn run(bench: &Arc<Bench>, until: Instant, quick: bool) -> Result<Outcome, MethodError> {
    if bench.any_port(ServerKind::Foreign, Carrier::Tcp).is_none() {
        return Err(MethodError::NoTarget { kind: ServerKind::Foreign, what: "tcp ports" });
    }
    let group = if quick { GROUP_QUICK } else { GROUP_FULL };
    let suspect = condition(Fingerprint::ChromeCurrent, NameClass::Random, ServerKind::Foreign);
    let mut run = Groups { bench: Arc::clone(bench), until, outcome: Outcome::default() };
    let first = run.group(&suspect, None, group).await;
    if first == group {
        return Ok(run.outcome);
    }
    let controls = [
        (Fingerprint::CurlLike, NameClass::Random, ServerKind::Foreign, ControlKind::SameServer),
        (Fingerprint::ChromeCurrent, NameClass::Empty, ServerKind::Foreign, ControlKind::SameServer),
        (Fingerprint::ChromeCurrent, NameClass::Random, ServerKind::Domestic, ControlKind::Domestic),
    ];
    for (fingerprint, name, server, control) in controls {
        if bench.any_port(server, Carrier::Tcp).is_some() {
            run.group(&condition(fingerprint, name, server), Some(control), group).await;
        }
    }
    // One alone, with a name of its own: what was refused was the number.
    run.group(&suspect, Some(ControlKind::SameServer), 1).await;
    let mut limits = Vec::new();
    for _repeat in 0..REPEATS {
        limits.extend(run.search(&suspect, first, group).await);
    }
    if let Some(value) = stats::spread(&limits) {
        run.outcome.observations.limits.push(limit(suspect, value));
    }
    Ok(run.outcome)
}

const fn condition(fingerprint: Fingerprint, name: NameClass, server: ServerKind) -> Condition {
    Condition::new(Subtest::Conns, Protocol::Tls, server, Payload::Hello).fingerprint(fingerprint).name(name)
}

const fn limit(condition: Condition, value: Spread) -> Limit {
    Limit { subtest: Subtest::Conns, condition, unit: Unit::Connections, value, counting: Counting::None }
}

struct Groups {
    bench: Arc<Bench>,
    until: Instant,
    outcome: Outcome,
}

impl Groups {
    /// Opens `size` handshakes beside each other, all with one fresh name, and says how many were answered before the
    /// first that was not.
    async fn group(&mut self, condition: &Condition, control: Option<ControlKind>, size: u16) -> u16 {
        let name = condition.name.and_then(|class| self.bench.name(class)).unwrap_or_default();
        let mut opening: JoinSet<Option<(u16, Trial, Option<TcpStream>)>> = JoinSet::new();
        for at in 0..size {
            let (bench, condition, name) = (Arc::clone(&self.bench), condition.clone(), name.clone());
            opening.spawn(async move {
                tokio::time::sleep(STAGGER * u32::from(at)).await;
                let built =
                    hello::build(condition.fingerprint?, name, hello::Ech::AsUsual, &mut bench.rng())?;
                let address = bench.any_port(condition.server, Carrier::Tcp)?;
                let (trial, stream) = tcp::hello_kept(&bench, address, &built).await;
                Some((at, trial, stream))
            });
        }
        let condition = condition.clone().parallel(size);
        let mut trials = Vec::new();
        // The answered ones stay open until all are decided: beside each other is what is counted.
        let mut open = Vec::new();
        while let Ok(Some(ended)) = tokio::time::timeout_at(self.until, opening.join_next()).await {
            if let Ok(Some((at, trial, stream))) = ended {
                self.bench.progress.event(&Event::Trial { condition: &condition, trial: &trial });
                open.extend(stream);
                trials.push((at, trial));
            }
        }
        self.outcome.cut |= trials.len() < usize::from(size);
        drop(open);
        trials.sort_by_key(|(at, _)| *at);
        let answered = trials.iter().filter(|(_, trial)| trial.failure.is_none()).count();
        let decision = if answered == usize::from(size) {
            Decision::Passes
        } else if trials.len() == usize::from(size) {
            Decision::Fails
        } else {
            Decision::Open
        };
        self.outcome.observations.series.push(Series {
            condition,
            control,
            trials: trials.into_iter().map(|(_, trial)| trial).collect(),
            decision,
            baseline: self.bench.baseline(),
        });
        u16::try_from(answered).unwrap_or(size)
    }

    /// The exact limit: the number that was answered first is a guess, which a search with fresh names confirms.
    async fn search(&mut self, condition: &Condition, guess: u16, most: u16) -> Option<f64> {
        let guess = guess.max(1);
        let mut search = Bisection::new(u64::from(guess), u64::from(most));
        let mut next = search.next();
        while let Some(size) = next.and_then(|size| u16::try_from(size).ok()) {
            if Instant::now() >= self.until {
                return None;
            }
            let passed = self.group(condition, None, size).await == size;
            search.record(u64::from(size), passed);
            // Beside the guess first: it is nearly always right.
            next = match search.next() {
                Some(_) if passed && size == guess => Some(u64::from(size) + 1),
                other => other,
            };
        }
        search.limit().and_then(|limit| u32::try_from(limit).ok()).map(f64::from)
    }
}
