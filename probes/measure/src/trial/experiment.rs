//! Several conditions side by side, in random order, each repeated until its sequential test is decided.

use std::{future::Future, pin::Pin, sync::Arc};

use commucat_verdict::{
    ControlKind,
    observations::{Condition, Decision, Series, Trial},
};
use tokio::{task::JoinSet, time::Instant};

use super::Bench;
use crate::{
    progress::Event,
    stats::{Hypothesis, Sprt},
};

/// A trial that is going on; `None` when it could not be made (no port is left, the targets lack something).
pub(crate) type Attempt = Pin<Box<dyn Future<Output = Option<Trial>> + Send>>;

/// One condition and how to try it.
pub(crate) struct Arm {
    pub(crate) condition: Condition,
    pub(crate) control: Option<ControlKind>,
    pub(crate) hypothesis: Hypothesis,
    /// Most trials.
    pub(crate) most: usize,
    /// Trials of this arm at a time. More than one where a trial cannot influence the next.
    pub(crate) at_once: usize,
    pub(crate) attempt: Box<dyn Fn(Condition) -> Attempt + Send + Sync>,
}

/// Most trials of an arm that tests against a blocker which always acts.
pub(crate) const TRIALS_MAX: usize = 8;

impl Arm {
    /// An arm against a blocker that always acts.
    pub(crate) fn new<F>(
        condition: Condition,
        control: Option<ControlKind>,
        attempt: impl Fn(Condition) -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = Option<Trial>> + Send + 'static,
    {
        Self {
            condition,
            control,
            hypothesis: Hypothesis::Deterministic,
            most: TRIALS_MAX,
            at_once: 1,
            attempt: Box::new(move |condition| Box::pin(attempt(condition))),
        }
    }
}

struct Running {
    arm: Arm,
    test: Sprt,
    trials: Vec<Trial>,
    begun: usize,
    in_flight: usize,
    exhausted: bool,
}

impl Running {
    fn wants_more(&self) -> bool {
        !self.exhausted
            && self.test.decision() == Decision::Open
            && self.in_flight < self.arm.at_once
            && self.begun < self.arm.most
    }
}

/// Runs the arms, `concurrency` trials at a time, until all are decided or the time is over. Also says whether it was
/// cut short.
pub(crate) async fn experiment(
    bench: &Arc<Bench>,
    arms: Vec<Arm>,
    concurrency: usize,
    until: Instant,
) -> (Vec<Series>, bool) {
    let baseline = bench.baseline();
    let mut rng = bench.rng();
    let mut running: Vec<Running> = arms
        .into_iter()
        .map(|arm| Running {
            test: Sprt::new(baseline, arm.hypothesis),
            arm,
            trials: Vec::new(),
            begun: 0,
            in_flight: 0,
            exhausted: false,
        })
        .collect();
    let mut tasks: JoinSet<(usize, Option<Trial>)> = JoinSet::new();
    let mut cut = false;
    loop {
        begin_some(&mut running, &mut tasks, concurrency, &mut rng);
        if tasks.is_empty() {
            break;
        }
        let Ok(ended) = tokio::time::timeout_at(until, tasks.join_next()).await else {
            cut = true;
            break;
        };
        if let Some(Ok((at, trial))) = ended
            && let Some(arm) = running.get_mut(at)
        {
            take_up(bench, arm, trial);
        }
    }
    tasks.abort_all();
    let series = running.into_iter().map(|one| Series {
        decision: one.test.decision(),
        condition: one.arm.condition,
        control: one.arm.control,
        trials: one.trials,
        baseline,
    });
    (series.collect(), cut)
}

fn begin_some(
    running: &mut [Running],
    tasks: &mut JoinSet<(usize, Option<Trial>)>,
    concurrency: usize,
    rng: &mut fastrand::Rng,
) {
    while tasks.len() < concurrency {
        let open: Vec<usize> =
            running.iter().enumerate().filter(|(_, one)| one.wants_more()).map(|(at, _)| at).collect();
        let Some(one) = rng.choice(open).and_then(|at| running.get_mut(at).map(|one| (at, one))) else {
            return;
        };
        let (at, one) = one;
        one.begun += 1;
        one.in_flight += 1;
        let attempt = (one.arm.attempt)(one.arm.condition.clone());
        tasks.spawn(async move { (at, attempt.await) });
    }
}

fn take_up(bench: &Bench, one: &mut Running, trial: Option<Trial>) {
    one.in_flight -= 1;
    let Some(trial) = trial else {
        one.exhausted = true;
        return;
    };
    bench.progress.event(&Event::Trial { condition: &one.arm.condition, trial: &trial });
    // What was already in the air when the test was decided is kept, but decides nothing.
    if one.test.decision() == Decision::Open {
        let _decided_so_far = one.test.record(trial.failure.is_some());
    }
    one.trials.push(trial);
}
