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

/// Which arm, which of its trials, and what came of it.
type Ended = (usize, usize, Option<Trial>);

struct Running {
    arm: Arm,
    test: Sprt,
    /// By their order of beginning; `None` while one goes on. The test takes them up in this order: failures take
    /// longer than successes, so in the order of ending the successes would come first and decide.
    trials: Vec<Option<Trial>>,
    /// How many of them the test has taken up.
    tested: usize,
    exhausted: bool,
}

impl Running {
    fn wants_more(&self) -> bool {
        !self.exhausted
            && self.test.decision() == Decision::Open
            && self.trials.len() - self.tested < self.arm.at_once
            && self.trials.len() < self.arm.most
    }

    /// Lets the test take up what has ended and has nothing unfinished before it.
    fn test_what_ended(&mut self) {
        while let Some(Some(trial)) = self.trials.get(self.tested) {
            // What was already in the air when the test was decided is kept, but decides nothing.
            if self.test.decision() == Decision::Open {
                let _decided_so_far = self.test.record(trial.failure.is_some());
            }
            self.tested += 1;
        }
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
            tested: 0,
            exhausted: false,
        })
        .collect();
    let mut tasks: JoinSet<Ended> = JoinSet::new();
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
        if let Some(Ok((at, number, trial))) = ended
            && let Some(arm) = running.get_mut(at)
        {
            take_up(bench, arm, number, trial);
        }
    }
    tasks.abort_all();
    let series = running.into_iter().map(|one| Series {
        decision: one.test.decision(),
        condition: one.arm.condition,
        control: one.arm.control,
        trials: one.trials.into_iter().flatten().collect(),
        baseline,
    });
    (series.collect(), cut)
}

fn begin_some(
    running: &mut [Running],
    tasks: &mut JoinSet<Ended>,
    concurrency: usize,
    rng: &mut fastrand::Rng,
) {
    while tasks.len() < concurrency {
        let open: Vec<usize> =
            running.iter().enumerate().filter(|(_, one)| one.wants_more()).map(|(at, _)| at).collect();
        let Some((at, one)) = rng.choice(open).and_then(|at| Some((at, running.get_mut(at)?))) else {
            return;
        };
        let number = one.trials.len();
        one.trials.push(None);
        let attempt = (one.arm.attempt)(one.arm.condition.clone());
        tasks.spawn(async move { (at, number, attempt.await) });
    }
}

fn take_up(bench: &Bench, one: &mut Running, number: usize, trial: Option<Trial>) {
    let Some(trial) = trial else {
        one.exhausted = true;
        return;
    };
    bench.progress.event(&Event::Trial { condition: &one.arm.condition, trial: &trial });
    if let Some(place) = one.trials.get_mut(number) {
        *place = Some(trial);
    }
    one.test_what_ended();
}
